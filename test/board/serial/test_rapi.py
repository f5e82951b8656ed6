"""RAPI: golden frames of real firmware, and a parser that nothing confuses."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_manager.board.boards.openevse import rapi
from evse_manager.board.boards.openevse.rapi import Frame, RapiParser, State, encode, numbers, parse, state_of

GOLDEN = [
    (b'$OK 01 0 01 0200^12', Frame('OK', ('01', '0', '01', '0200'))),
    (b'$OK 02 0 02 0700^17', Frame('OK', ('02', '0', '02', '0700'))),
    (b'$OK 03 2 03 0540^13', Frame('OK', ('03', '2', '03', '0540'))),
    (b'$OK fe 2 03 0500^17', Frame('OK', ('fe', '2', '03', '0500'))),
    (b'$OK ff 4 03 0500^12', Frame('OK', ('ff', '4', '03', '0500'))),
    (b'$OK 06 5 03 0582^1F', Frame('OK', ('06', '5', '03', '0582'))),
    (b'$OK 08 3 01 0282^12', Frame('OK', ('08', '3', '01', '0282'))),
    (b'$AT 03 03 24 0540^36', Frame('AT', ('03', '03', '24', '0540'))),
    (b'$AB 00 8.2.3^1E', Frame('AB', ('00', '8.2.3'))),
    (b'$OK 16^07', Frame('OK', ('16',))),
    (b'$NK 24^07', Frame('NK', ('24',))),
    (b'$NK^21', Frame('NK')),
    (b'$OK 8.2.3 5.2.1^2F', Frame('OK', ('8.2.3', '5.2.1'))),
    (b'$OK fe 0 05 0702 :A5^7D', Frame('OK', ('fe', '0', '05', '0702'), 0xA5)),
]
ONE = b'$AT 03 03 24 0540^36\r'
STATE = b'$OK fe 0 05 0702 :A5^7D\r'


@pytest.mark.parametrize(('line', 'frame'), GOLDEN)
def test_frames_of_real_firmware(line: bytes, frame: Frame) -> None:
    assert parse(line) == frame
    assert RapiParser().feed(line + b'\r') == [frame]


def test_a_request_as_real_firmware_takes_it() -> None:
    assert encode('GS') == b'$GS^30\r'
    request = encode('SC 16 V', 0xA5)
    assert request.startswith(b'$SC 16 V :A5^')
    assert parse(request[:-1]) == Frame('SC', ('16', 'V'), 0xA5)


@pytest.mark.parametrize(
    'command', ['GS\r$FE', 'SC 1^6', 'FP 0 0 a text that is far too long for it', 'SC :01']
)
def test_what_is_no_request_is_not_sent(command: str) -> None:
    with pytest.raises(ValueError, match='too long' if 'text' in command else 'no command'):
        encode(command, 1)


def test_states_are_read_field_by_field() -> None:
    assert state_of(('03', '2', '03', '0540')) == State(3, 3, 0x0540)
    for broken in ('3 2 03 0540', '03 2 03', '03 2 03 540', '0x 2 03 0540', '03 -2 03 0540'):
        assert state_of(tuple(broken.split())) is None


def test_numbers_are_whole_and_decimal() -> None:
    assert numbers(('12', '-2560', '0')) == [12, -2560, 0]
    for broken in ('nan', 'inf', '1e3', '0x10', '1_0', '', '99999999999', '٣', '1.5'):
        assert numbers((broken,)) is None


@pytest.mark.parametrize(
    'line',
    [
        b'$OK 16^08',  # wrong check
        b'$OK 16',  # none
        b'$OK 16^7',
        b'$OK 16^0x',
        b'$OK  16^27',  # an empty word
        b'OK 16^23',
        b'$^24',
        b'',
    ],
)
def test_what_is_no_frame(line: bytes) -> None:
    assert parse(line) is None


@pytest.mark.fault('L6')
def test_boot_text_and_noise_before_a_frame_are_skipped() -> None:
    parser = RapiParser()
    noise = b'relayCloseMs: 100\r\nrelayHoldPwm: 255\r\n\xff\xfe\x00$G'
    assert parser.feed(noise + STATE) == [parse(STATE[:-1])]
    assert parser.skipped > 30


def test_frames_arrive_in_pieces() -> None:
    parser = RapiParser()
    got = [frame for byte in STATE * 3 for frame in parser.feed(bytes((byte,)))]
    assert got == [parse(STATE[:-1])] * 3


def test_an_unasked_frame_that_repeats_itself_is_told_once() -> None:
    assert RapiParser().feed(ONE * 100) == [parse(ONE[:-1])]
    assert len(RapiParser().feed(STATE * 2)) == 2


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_leave_a_bounded_buffer_and_the_next_frame_whole(pieces: list[bytes]) -> None:
    parser = RapiParser()
    for piece in pieces:
        parser.feed(piece)
        assert len(parser._rest) <= rapi.MOST_BYTES
    assert parser.feed(b'\r' + STATE)[-1] == parse(STATE[:-1])


@given(st.sampled_from([ONE, STATE]), st.data())
def test_a_frame_with_a_wrong_byte_is_never_another_frame(line: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(line) - 1))
    value = data.draw(st.integers(0, 255))
    spoilt = line[:place] + bytes((value,)) + line[place + 1 :]
    good = parse(line[:-1])
    for frame in RapiParser().feed(spoilt + b'\r'):
        assert frame == good


@given(st.sampled_from([ONE, STATE]), st.data())
def test_a_frame_that_lost_bytes_is_never_another_frame(line: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(line) - 1))
    lost = data.draw(st.integers(1, 2))
    spoilt = line[:start] + line[start + lost :]
    good = parse(line[:-1])
    for frame in RapiParser().feed(spoilt + b'\r'):
        assert frame == good or frame.name not in {'OK', 'AT', 'AB'} or len(frame.words) != len(good.words)


def test_ten_million_random_bytes_make_no_frame() -> None:
    parser, source = RapiParser(), random.Random(4)
    frames = []
    for _ in range(2500):
        frames += parser.feed(source.randbytes(4000))
        assert len(parser._rest) <= rapi.MOST_BYTES
    assert frames == []
