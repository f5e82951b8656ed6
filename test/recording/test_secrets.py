"""What stands for tokens in a recording: as long, as well-formed, equal where they were, unreadable."""

from hypothesis import given
from hypothesis import strategies as st

from evse_manager.interface import tokens
from evse_manager.recording.secrets import Pseudonyms

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)


@given(PRINTABLE | st.text(min_size=1, max_size=40))
def test_a_token_keeps_what_may_be_shown_of_it(token):
    hidden = Pseudonyms(b'key').hide('id_token', token)
    assert tokens.masked(hidden) == tokens.masked(token)
    assert tokens.is_well_formed(hidden) == tokens.is_well_formed(token)


@given(PRINTABLE)
def test_equal_tokens_stay_equal_whatever_their_case(token):
    names = Pseudonyms(b'key')
    assert tokens.same_token(names.token(token.upper()), names.token(token.lower()))


def test_different_tokens_stay_different():
    names = Pseudonyms(b'key')
    assert len({names.token(f'04A1B2{number:04}') for number in range(10_000)}) == 10_000


def test_nothing_of_a_token_but_its_end_is_left():
    assert Pseudonyms().token('04A1B2C3D4')[:6] != '04A1B2'
    assert Pseudonyms().token('04A1B2C3D4') != Pseudonyms().token('04A1B2C3D4'), 'the key is of one process'


def test_certificates_and_cars_are_replaced_and_other_texts_are_not():
    names = Pseudonyms(b'key')
    certificate = 'MIIB' * 1000
    assert names.hide('exi_response', certificate) != certificate
    assert len(names.hide('exi_response', certificate)) == len(certificate)
    assert names.hide('evcc_id', 'DC:44:27:1A:BC:DE').startswith('DC:44:27:1')
    assert names.hide('evcc_id', 'DC:44:27:1A:BC:DE') != 'DC:44:27:1A:BC:DE'
    assert names.hide('reason_text', 'Charging.') == 'Charging.'
    assert names.hide('id_token', '') == ''
