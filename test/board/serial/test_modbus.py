"""Modbus RTU: golden frames (docs/sources.md, golden frames); nothing else is ever taken for a reply."""

import random

import pytest

from evse_manager.board.transport.modbus import Answers, Function, ModbusAnswer, Request, crc, framed
from evse_manager.board.transport.modbus_master import LATE_S, TIMEOUT_S, Master, Order

GOLDEN_REQUESTS = {
    '01040000000271cb': Request(1, Function.READ_INPUT, 0x0000, 2),
    '010400480002f1dd': Request(1, Function.READ_INPUT, 0x0048, 2),
    '01035dc00002d79b': Request(1, Function.READ_HOLDING, 24000, 2),
    '010655f0001099f9': Request(1, Function.WRITE_REGISTER, 22000, 16),
    '01054e20ff009ad8': Request(1, Function.WRITE_COIL, 20000, 1),
}
READ = Request(1, Function.READ_HOLDING, 24000, 2)
REPLY = framed(bytes.fromhex('0103044232 0020'))


def fed(request: Request, data: bytes, piece: int = 0) -> tuple[Answers, list[ModbusAnswer]]:
    answers = Answers()
    answers.expect(request)
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)] if piece else [data]
    return answers, [answer for each in pieces for answer in answers.feed(each)]


@pytest.mark.parametrize('frame', GOLDEN_REQUESTS)
def test_golden_requests(frame: str) -> None:
    assert GOLDEN_REQUESTS[frame].encode().hex() == frame


def test_golden_reply() -> None:
    request = Request(1, Function.READ_INPUT, 0, 2)
    _, found = fed(request, bytes.fromhex('010404436633335afa'))
    assert [answer.values for answer in found] == [(0x4366, 0x3333)]


def test_check_of_the_specification() -> None:
    assert crc(bytes.fromhex('0207')) == bytes.fromhex('4112')


@pytest.mark.parametrize('piece', [1, 2, 3, 5, 0])
def test_a_reply_in_pieces_of_any_size(piece: int) -> None:
    _, found = fed(READ, REPLY, piece)
    assert [answer.values for answer in found] == [(0x4232, 0x20)]


def test_coils() -> None:
    request = Request(1, Function.READ_COILS, 20000, 3)
    _, found = fed(request, framed(bytes.fromhex('01010105')))
    assert found[0].values == (1, 0, 1)


@pytest.mark.parametrize('code', [1, 2, 3, 4, 6, 11])
def test_an_exception_is_a_refusal_without_values(code: int) -> None:
    _, found = fed(READ, framed(bytes((1, 0x83, code))))
    assert not found[0].good
    assert found[0].values == ()
    assert str(code) in found[0].refusal


@pytest.mark.parametrize(
    'data',
    [
        pytest.param(framed(bytes.fromhex('02030442320020')), id='another unit'),
        pytest.param(framed(bytes.fromhex('01040442320020')), id='another function'),
        pytest.param(framed(bytes.fromhex('0103024232')), id='another length'),
        pytest.param(framed(bytes.fromhex('028302')), id="another unit's exception"),
        pytest.param(framed(bytes.fromhex('018402')), id="another function's exception"),
        pytest.param(REPLY[:-1] + b'\x00', id='wrong check'),
        pytest.param(REPLY[:-3], id='truncated'),
        pytest.param(READ.encode(), id='echo'),
        pytest.param(b'', id='nothing'),
    ],
)
def test_what_is_no_reply(data: bytes) -> None:
    answers, found = fed(READ, data)
    assert found == []
    # ... and does not hide the reply that follows.
    assert [answer.values for answer in answers.feed(REPLY)] == [(0x4232, 0x20)]


def test_an_echo_is_counted() -> None:
    answers, found = fed(READ, READ.encode() + REPLY)
    assert answers.echoes == 1
    assert len(found) == 1


def test_strays_and_failed_checks_are_counted() -> None:
    answers, _ = fed(READ, framed(bytes.fromhex('02030442320020')))
    answers.expect(None)
    assert answers.strays == 1
    answers, _ = fed(READ, REPLY[:-1] + b'\x00')
    answers.expect(None)
    assert answers.dropped == 1


def test_nothing_is_a_reply_when_nothing_was_asked() -> None:
    answers = Answers()
    assert not answers.feed(REPLY)
    assert answers.strays == 1
    _, found = fed(READ, REPLY + REPLY)
    assert len(found) == 1


def test_endless_bytes_need_no_more_memory() -> None:
    answers = Answers()
    answers.expect(READ)
    for _ in range(200):
        answers.feed(b'\x01\x03\x04' * 1000)
        assert len(answers._buffer) <= 256
    assert len(answers.feed(REPLY)) == 1


def test_garbage_never_becomes_a_reply() -> None:
    """Random bytes and damaged replies: what is found has the right check, and nothing raises."""
    dice = random.Random(7)
    request = Request(1, Function.READ_HOLDING, 24000, 6)
    good = framed(bytes((1, 3, 12)) + dice.randbytes(12))
    answers = Answers()
    for _ in range(4_000):
        answers.expect(request)
        if dice.random() < 0.3:
            data = dice.randbytes(dice.randrange(1, 200))
        else:
            spoilt = bytearray(good)
            for _ in range(dice.randrange(1, 4)):
                spoilt[dice.randrange(len(spoilt))] ^= dice.randrange(1, 256)
            data = bytes(spoilt)
        for answer in answers.feed(data):
            assert answer.exception or data == good


# --- the master ------------------------------------------------------------------------------------------


class Device:
    """A client that always wants the same, and a line in the hands of the test."""

    unit = 1
    gap_s = 0.01
    urgent = False
    probes = (Request(1, Function.READ_HOLDING, 24025, 1), Request(1, Function.READ_HOLDING, 24000, 6))

    def __init__(self) -> None:
        self.answers = Answers()
        self.sent: list[bytes] = []
        self.master = Master(self._send, self.answers)
        self.master.add(self)
        self.got: list[ModbusAnswer] = []
        self.misses: list[int] = []
        self.wanted = READ

    def _send(self, data: bytes) -> bool:
        self.sent.append(data)
        return True

    def opened(self, now: float) -> None:
        pass

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        pass

    def missed(self, count: int, now: float) -> None:
        self.misses.append(count)

    def next(self, now: float) -> Order | None:
        wanted = self.wanted
        request = Request(wanted.unit, wanted.function, wanted.address, wanted.value)
        return Order(request, lambda answer, now: self.got.append(answer))

    def deadline(self) -> float:
        return 0.0

    def arrives(self, data: bytes, now: float) -> None:
        for answer in self.answers.feed(data):
            self.master.take(answer, now)


def test_one_request_at_a_time() -> None:
    device = Device()
    device.master.tick(0.1)
    device.master.tick(0.2)
    assert device.sent == [READ.encode()]
    device.arrives(REPLY, 0.25)
    device.master.tick(0.255)
    assert len(device.sent) == 1  # the gap
    device.master.tick(0.261)
    assert len(device.sent) == 2


def test_a_late_reply_is_not_taken_for_the_next() -> None:
    device = Device()
    device.master.tick(0.1)
    device.master.tick(0.1 + TIMEOUT_S)
    assert device.misses == [1]
    assert device.sent[-1] == device.probes[0].encode()
    device.arrives(REPLY, 0.8)  # to the first request
    assert device.got == []
    device.arrives(framed(bytes.fromhex('0103020000')), 0.9)
    device.master.tick(1.0)
    assert device.sent[-1] == READ.encode()
    device.arrives(REPLY, 1.1)
    assert len(device.got) == 1


def test_when_everything_may_still_come_late_it_is_waited() -> None:
    device = Device()
    now = 0.1
    for _ in range(3):
        device.master.tick(now)
        now += TIMEOUT_S
    device.master.tick(now)
    assert len(device.sent) == 3
    assert device.misses == [1, 2, 3]
    assert device.master.deadline() == pytest.approx(0.1 + TIMEOUT_S + LATE_S)
    device.master.tick(0.1 + TIMEOUT_S + LATE_S)
    assert len(device.sent) == 4


def test_writing_is_repeated_at_once() -> None:
    device = Device()
    device.wanted = Request(1, Function.WRITE_COIL, 20000, 0)
    device.master.tick(0.1)
    device.master.tick(0.1 + TIMEOUT_S)
    assert device.sent == [device.wanted.encode()] * 2


# --- several on one line -----------------------------------------------------------------------------------


class Party(Device):
    """Two more that always want something: one that needs a long silence, and one that may be urgent."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.board = Other(2, 0.1), Other(3, 0.01)
        self.master.add(self.slow)
        self.master.add(self.board)

    def asked(self, now: float) -> int:
        """Let the master run, and answer at once; return which unit was asked, 0 for none."""
        before = len(self.sent)
        self.master.tick(now)
        if len(self.sent) == before:
            return 0
        unit = self.sent[-1][0]
        self.arrives(framed(bytes((unit, 3, 4, 0x42, 0x32, 0, 0x20))), now)
        return unit


class Other:
    probes = ()

    def __init__(self, unit: int, gap_s: float) -> None:
        self.unit, self.gap_s, self.urgent = unit, gap_s, False

    def opened(self, now: float) -> None:
        pass

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        pass

    def missed(self, count: int, now: float) -> None:
        pass

    def next(self, now: float) -> Order | None:
        return Order(Request(self.unit, Function.READ_HOLDING, 24000, 2), lambda answer, now: None)

    def deadline(self) -> float:
        return 0.0


def test_all_take_turns_and_the_line_is_kept_silent_for_one_that_needs_it() -> None:
    party = Party()
    assert party.asked(1.0) == 1
    assert party.asked(1.05) == 0
    assert party.master.deadline() == pytest.approx(1.1)
    assert party.asked(1.1) == 2
    assert party.asked(1.11) == 3
    assert party.asked(1.12) == 1
    assert party.asked(1.13) == 0


def test_what_is_urgent_waits_for_nobodys_turn_or_silence() -> None:
    party = Party()
    assert party.asked(1.0) == 1
    assert party.asked(1.05) == 0
    party.board.urgent = True
    assert party.master.deadline() == pytest.approx(1.01)
    assert party.asked(1.06) == 3
    assert party.asked(1.065) == 0, 'its own silence'
    assert party.asked(1.07) == 3
    party.board.urgent = False
    assert party.asked(1.08) == 0
    assert party.asked(1.2) == 2, 'nobody is passed over'
    assert party.asked(1.21) == 3


def test_what_is_in_flight_is_waited_for() -> None:
    party = Party()
    party.master.tick(1.0)
    party.board.urgent = True
    party.master.tick(1.2)
    assert len(party.sent) == 1
    assert party.master.deadline() == pytest.approx(1.0 + TIMEOUT_S)
