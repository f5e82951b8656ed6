"""Yeti: golden frames, and a parser that nothing confuses."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_manager.board.boards.yeti import frames, messages
from evse_manager.board.boards.yeti.messages import (
    FROM_BOARD,
    FROM_HOST,
    AllowPower,
    Duty,
    ErrorFlags,
    HostKeepAlive,
    KeepAlive,
    Lock,
    LockPosition,
    Message,
    PilotState,
    PilotVoltages,
    PowerMeter,
    Proximity,
    Relay,
    ResetDone,
    ResetOrder,
    ThreePhases,
    YetiParser,
    frame,
    payload,
)

# Computed with independent code (docs/sources.md, golden frames).
FROM_THE_HOST = [
    (Duty(5333), 'b806d529', '09b806d52912930dbc00'),
    (Duty(10000), 'b806904e', '09b806904ea9dcd5e200'),
    (Duty(0), 'b80600', '03b80605c32ea99d00'),
    (AllowPower(True), 'c00601', '08c00601bd274cb000'),
    (AllowPower(False), 'c00600', '03c006052b174bc700'),
    (Lock(True), 'b00601', '08b00601ed4fbde400'),
    (ResetOrder(True), 'c80601', '08c8060105765fbe00'),
]
FROM_THE_BOARD = [
    (PilotState(1), 'b00601', '08b00601ed4fbde400'),
    (PilotState(0), 'b00600', '03b006057b7fba9300'),
    (Relay(True), 'b80601', '08b80601551eaeea00'),
    (ErrorFlags(), 'c20600', '03c2060545c3cfc400'),
    (ErrorFlags(diode=True), 'c206020801', '0ac2060208017582393300'),
    (ErrorFlags(over_current=True), 'c206023801', '0ac20602380186b47fec00'),
    (ResetDone(1), 'a80601', '08a8060125bd88f600'),
    (Proximity(3), 'd00603', '08d00603e1e5644200'),
]
OTHERS = [
    KeepAlive(7, 1, 2, 3, 4, '2.1', 32.0, 6.0, 3, 1, True),
    PilotVoltages(9000, 2**32 - 12000),
    LockPosition(2),
    PowerMeter(time_stamp=1, v_l1=230.5, a_n=0.5, wh_total=1234.0, phase_seq_error=True),
]
TOLD = [message for message, _, _ in FROM_THE_BOARD] + OTHERS


@pytest.mark.parametrize(('message', 'inside', 'whole'), FROM_THE_HOST + FROM_THE_BOARD)
def test_golden_frames(message: Message, inside: str, whole: str) -> None:
    assert payload(message).hex() == inside
    assert frame(message).hex() == whole
    table = FROM_HOST if (message, inside, whole) in FROM_THE_HOST else FROM_BOARD
    assert YetiParser(table).feed(bytes.fromhex(whole)) == [message]


@pytest.mark.parametrize('message', [*OTHERS, HostKeepAlive(5, software='x'), HostKeepAlive()])
def test_messages_come_back_as_they_were(message: Message) -> None:
    assert YetiParser().feed(frame(message)) == [message]


def test_the_check_is_jamcrc() -> None:
    assert frames.check(b'123456789') == 0x340BC6D9
    body = b'123456789'
    assert frames.check(body + frames.check(body).to_bytes(4, 'little')) == 0


@pytest.mark.parametrize(
    ('data', 'stuffed'),
    [
        ('', '01'),
        ('00', '0101'),
        ('0000', '010101'),
        ('112200', '03112201'),
        ('11220033', '0311220233'),
        ('11000000', '0211010101'),
    ],
)
def test_bytes_are_stuffed(data: str, stuffed: str) -> None:
    assert frames.stuff(bytes.fromhex(data)).hex() == stuffed
    assert frames.unstuff(bytes.fromhex(stuffed)) == bytes.fromhex(data)


@given(st.binary(max_size=600) | st.integers(250, 520).map(lambda size: b'\1' * size))
def test_stuffed_bytes_have_no_zero_and_come_back(data: bytes) -> None:
    assert 0 not in frames.stuff(data)
    assert frames.unstuff(frames.stuff(data)) == data


def test_own_orders_that_come_back_are_no_states_unless_they_are_the_same_bytes() -> None:
    def back(message: Message) -> list[Message]:
        return YetiParser().feed(frame(message))

    assert back(Duty(5333)) == back(Duty(10001)) == []
    assert back(AllowPower(True)) == back(ResetOrder(True)) == []
    assert back(Lock(True)) == [PilotState(1)]
    assert back(Duty(0)) == [Relay(False)]
    assert back(ThreePhases(True)) == [Proximity(1)]
    assert back(HostKeepAlive(1)) == [HostKeepAlive(1)]


def test_unknown_numbers_are_ignored_and_counted() -> None:
    parser = YetiParser()
    for number in (1, 99, 109, 1000):
        key = messages._varint(number << 3)
        assert parser.feed(frames.encode(key + b'\x01')) == []
    newer = bytes.fromhex('c20602') + b'\x48\x01'  # error flag 9
    assert parser.feed(frames.encode(newer)) == [ErrorFlags(others=(9,))]
    assert parser.unknown == 5
    assert parser.dropped == 0


@pytest.mark.parametrize(
    'broken',
    [
        'b80602',  # a boolean of 2
        'bd0600000000',  # a relay as a float
        'b806',  # cut off
        'b80680808080808080808080',  # a number without end
        'c2060508',  # shorter than it says
        'c2060308020a',  # broken inside
        'c00601',  # error flags as a number
        'b80601b00601',  # two messages in one
        'b30601',  # a group
        '0001',  # field 0
        'b006ffffffff7f',  # more than 32 bits
    ],
)
def test_what_is_no_message(broken: str) -> None:
    parser = YetiParser()
    assert parser.feed(frames.encode(bytes.fromhex(broken))) == []
    assert parser.malformed == 1


def test_floats_that_are_no_numbers_are_told_as_such() -> None:
    for value in ('nan', 'inf', '-inf'):
        (meter,) = YetiParser().feed(frame(PowerMeter(v_l1=float(value), v_l2=230.0)))
        assert meter.v_l1 != meter.v_l1
        assert meter.v_l2 == 230.0


def test_noise_before_a_frame_is_dropped_and_frames_arrive_in_pieces() -> None:
    parser = YetiParser()
    whole = b'boot 1.0\r\n\xff\xfe\x00' + b''.join(frame(each) for each in TOLD)
    got = [message for byte in whole for message in parser.feed(bytes((byte,)))]
    assert got == TOLD
    assert parser.dropped == 1


def test_a_frame_that_repeats_itself_is_told_once() -> None:
    assert YetiParser().feed(frame(Relay(True)) * 100) == [Relay(True)]
    there_and_back = frame(Relay(True)) + frame(Relay(False)) + frame(Relay(True))
    assert YetiParser().feed(there_and_back) == [Relay(True), Relay(False), Relay(True)]


@given(st.lists(st.binary(max_size=3000), max_size=10))
def test_any_bytes_leave_a_bounded_buffer_and_the_next_frame_whole(pieces: list[bytes]) -> None:
    parser = YetiParser()
    for piece in pieces:
        assert parser.feed(piece) == []
        assert len(parser._cutter._rest) <= frames.MOST_BYTES
    assert parser.feed(b'\0' + frame(Relay(True)))[-1:] == [Relay(True)]


@given(st.binary(max_size=100))
def test_any_payload_with_a_good_check_is_a_message_or_nothing(inside: bytes) -> None:
    for table in (FROM_BOARD, FROM_HOST):
        for message in YetiParser(table).feed(frames.encode(inside)):
            assert type(message) in {cls for cls, _ in table.values()}


@given(st.sampled_from(TOLD), st.data())
def test_a_frame_with_wrong_bytes_is_never_another_message(message: Message, data: st.DataObject) -> None:
    spoilt = bytearray(frame(message))
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(['change', 'lose', 'double', 'insert']))
        at = data.draw(st.integers(0, len(spoilt) - 1))
        match kind:
            case 'change':
                spoilt[at] ^= data.draw(st.integers(1, 255))
            case 'lose' if len(spoilt) > 1:
                del spoilt[at]
            case 'double':
                spoilt.insert(at, spoilt[at])
            case _:
                spoilt.insert(at, data.draw(st.integers(0, 255)))
    assert all(found == message for found in YetiParser().feed(bytes(spoilt) + b'\0'))


def test_ten_million_random_bytes_and_mutated_frames_make_no_message() -> None:
    source = random.Random(4)
    parser = YetiParser()
    told = b''.join(frame(each) for each in TOLD)
    for _ in range(1250):
        assert parser.feed(source.randbytes(4000)) == []
        assert len(parser._cutter._rest) <= frames.MOST_BYTES
    parser.feed(b'\0')
    for _ in range(1250):
        spoilt = bytearray(told * (4000 // len(told)))
        for at in range(source.randrange(4), len(spoilt), 4):
            spoilt[at] ^= source.randrange(1, 256)
        assert parser.feed(bytes(spoilt)) == []
