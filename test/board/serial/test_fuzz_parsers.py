"""A share of ``make fuzz-parsers`` in every run of the tests, and that its oracles find a mistake."""

import os
from typing import Any

import pytest

from board.serial.fuzz_conversations import CONVERSATIONS, converse
from board.serial.fuzz_parsers import NO_ENGINE, fuzz, fuzz_by_coverage, has_engine
from board.serial.fuzz_subjects import SUBJECTS, ModbusSubject, RapiSubject, YetiSubject
from evse_manager.board.boards.openevse import rapi
from evse_manager.board.boards.phoenix import conversation as phoenix_conversation
from evse_manager.board.boards.yeti import frames
from evse_manager.board.transport import modbus

SIZE = int(os.environ.get('EVSE_FUZZ_BYTES', '300000'))
RUNS = 2_000

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize('name', SUBJECTS)
def test_a_parser_finds_the_valid_frames_and_no_others_in_any_bytes(name: str) -> None:
    assert fuzz(name, SIZE, seed=1).accepted > 100


@pytest.mark.parametrize('name', CONVERSATIONS)
def test_a_board_at_rest_is_never_reported_otherwise(name: str) -> None:
    conversation = converse(name, SIZE, seed=1)
    assert conversation.up_steps > conversation.steps / 10
    assert conversation.lied > 0


@pytest.mark.skipif(not has_engine(), reason=NO_ENGINE)
@pytest.mark.parametrize('name', SUBJECTS)
def test_inputs_that_coverage_finds_are_read_as_any_others(name: str) -> None:
    fuzz_by_coverage(name, RUNS, seed=1)


@pytest.mark.parametrize(
    ('name', 'module', 'attribute', 'broken'),
    [
        pytest.param('rapi', rapi, '_DIGITS', frozenset(b'0123456789'), id='a check with letters is refused'),
        pytest.param('rapi', rapi, 'exclusive_or', lambda data: 0, id='a check that is always 0'),
        pytest.param('rapi', rapi, 'MOST_BYTES', 10, id='a frame that is too long'),
        pytest.param('yeti', frames, 'CHECK_BYTES', 0, id='no check'),
        pytest.param('yeti', frames, 'check', lambda data: 0, id='a check that is always 0, too'),
        pytest.param('yeti', frames, 'LONGEST_RUN', 20, id='wrong distances'),
        pytest.param('modbus', modbus, 'is_frame', lambda data: True, id='any reply is right'),
        pytest.param('modbus', modbus, '_EXCEPTION', 0x40, id='exceptions of another kind'),
    ],
)
def test_a_broken_parser_is_noticed(
    name: str, module: Any, attribute: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, attribute, broken)
    with pytest.raises(AssertionError, match=f'{name} fails at byte'):
        fuzz(name, 50_000, seed=1)


@pytest.mark.parametrize('subject', [RapiSubject, YetiSubject, ModbusSubject])
def test_a_buffer_that_grows_is_noticed(
    subject: type[RapiSubject | YetiSubject | ModbusSubject], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rapi, 'MOST_BYTES', 60_000)
    monkeypatch.setattr(frames, 'MOST_BYTES', 60_000)
    monkeypatch.setattr(modbus, 'LONGEST_FRAME', 60_000)
    made = subject()
    with pytest.raises(AssertionError, match='the buffer grows'):
        made.feed(b'$' + b'1' * 4_000)


def test_a_state_that_is_believed_at_once_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One reply of a Phoenix board that is false and has the right check."""
    monkeypatch.setattr(phoenix_conversation, 'DOUBTS', 0)
    with pytest.raises(AssertionError, match='that is not'):
        converse('modbus', 300_000, seed=1)
