"""Phoenix: the conversation in lock-step with the virtual board, without a port and without waiting."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from evse_manager.board.boards.phoenix.conversation import Phoenix
from evse_manager.board.boards.phoenix.registers import ERROR_BITS
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.meters.sdm630 import Sdm630
from evse_manager.board.transport.modbus import Answers, ModbusAnswer
from evse_manager.board.transport.modbus_master import Master
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.types import Time
from evse_manager.simulation.virtual.phoenix_firmware import ENABLE, VirtualPhoenix
from evse_manager.simulation.virtual.sdm630_slave import METER_UNIT

OFFER = Outputs(pilot_mode=PilotMode.PWM, duty_cycle_percent=26.7, current_a=16.0, power=True, lock=True)


class Table:
    """Board and conversation, with a line in between that is always in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self.virtual = VirtualPhoenix()
        self.answers = Answers()
        self.written: list[tuple[int, int]] = []
        self.master = Master(self._to_board, self.answers)
        self.phoenix = Phoenix(1, phases=3, maximum_a=32, rest_current_a=6, mirror_contact=True)
        self.master.add(self.phoenix)
        self.virtual.send = self.to_host
        self.seen = Observation()
        self.virtual.power_up()
        self.run(1.2)
        self.phoenix.opened(self.now)
        self.meter = Sdm630(METER_UNIT, lambda: Time(0))

    def share_the_line(self) -> None:
        """Read a meter too, which needs long silences."""
        self.master.add(self.meter)
        self.meter.opened(self.now)

    def charge(self) -> None:
        self.virtual.world.plug_in()
        self.virtual.settle()
        self.apply(OFFER, 5.0)
        assert self.seen.contactor is ContactorState.CLOSED

    def takes(self, condition: Callable[[], bool], limit_s: float = 10.0) -> float:
        """Return how long it takes until something is so."""
        begun = self.now
        while not condition():
            assert self.now < begun + limit_s
            self.run(0.005)
        return self.now - begun

    def _to_board(self, data: bytes) -> bool:
        if data[1] in {5, 6}:
            self.written.append((int.from_bytes(data[2:4], 'big'), int.from_bytes(data[4:6], 'big')))
        self.virtual.receive(data)
        return True

    def to_host(self, data: bytes) -> None:
        for answer in self.answers.feed(data):
            self.master.take(answer, self.now)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.005
            self.virtual.advance(self.now)
            self.phoenix.tick(self.now)
            self.master.tick(self.now)
            while self.phoenix.observations:
                self.seen = self.phoenix.observations.popleft()

    def apply(self, outputs: Outputs, seconds: float = 2.0) -> None:
        self.phoenix.apply(outputs, self.now)
        self.run(seconds)

    def do(self, name: str, *values: str) -> None:
        if values:
            self.virtual.wrong[name] = values[0]
        self.run(2.0)

    @property
    def codes(self) -> set[BoardErrorEnum]:
        return {error.code for error in self.seen.errors}


@pytest.fixture
def table() -> Table:
    made = Table()
    made.run(2.0)
    assert made.seen.link is LinkState.UP
    return made


def test_power_is_withdrawn_before_anything_else(table: Table) -> None:
    assert table.written[0] == (20000, 0)


def test_the_current_comes_before_the_enabling(table: Table) -> None:
    table.written.clear()
    table.apply(OFFER)
    orders = [address for address, _ in table.written]
    assert orders.index(22000) < orders.index(20000)
    assert (22000, 16) in table.written
    assert table.virtual.coils[ENABLE] == 1
    assert table.seen.current_a == 16.0


def test_enabling_waits_for_the_lock(table: Table) -> None:
    table.apply(OFFER, 0.5)
    assert table.virtual.coils[ENABLE] == 0
    table.run(1.5)
    assert table.virtual.coils[ENABLE] == 1


def test_taking_out_of_service_is_state_f(table: Table) -> None:
    table.apply(Outputs(pilot_mode=PilotMode.F))
    assert table.seen.cp_state is ControlPilotState.F
    assert table.seen.pilot_mode is PilotMode.F
    assert table.codes == set()
    table.apply(Outputs())
    assert table.seen.cp_state is ControlPilotState.A


def test_power_withdrawn_opens_at_once(table: Table) -> None:
    table.charge()
    table.apply(replace(OFFER, power=False), 0.4)
    assert not table.virtual.world.contactor.closed
    table.run(1.0)
    assert table.seen.cp_state is not ControlPilotState.F


@pytest.mark.parametrize('later_s', [0.04 * step for step in range(28)])
def test_a_meter_on_the_line_delays_neither_a_pause_nor_the_end_of_power(
    table: Table, later_s: float
) -> None:
    table.share_the_line()
    table.charge()
    table.run(later_s)
    table.virtual.world.ev_pause()
    table.virtual.settle()
    table.takes(lambda: table.virtual.seen.cp_state is ControlPilotState.B)
    assert table.takes(lambda: table.seen.cp_state is ControlPilotState.B) <= 0.45
    table.virtual.world.ev_resume()
    table.takes(lambda: table.seen.contactor is ContactorState.CLOSED)
    table.run(later_s)
    table.phoenix.apply(replace(OFFER, power=False), table.now)
    assert table.takes(lambda: not table.virtual.coils[ENABLE]) <= 0.1


@pytest.mark.parametrize('fault', ['', 'relay_weld'])
def test_a_meter_is_read_each_second_whatever_the_board_has_to_ask(table: Table, fault: str) -> None:
    table.share_the_line()
    table.charge()
    if fault:
        table.virtual.inject(fault)
        table.apply(replace(OFFER, power=False))
        assert table.seen.contactor is ContactorState.CLOSED, 'asked for as often as it can be'
    before = table.meter.cycles
    table.run(60.0)
    assert table.meter.cycles - before >= 50


@pytest.mark.parametrize('bit', range(1, 17))
def test_every_error_bit(table: Table, bit: int) -> None:
    table.do('errors', str(1 << bit - 1))
    expected = ERROR_BITS.get(bit, (BoardErrorEnum.VENDOR_WARNING, ''))[0]
    assert table.codes == (set() if bit == 5 else {expected})  # bit 5 counts in state F only


@pytest.mark.parametrize(
    ('told', 'proximity', 'ampacity'),
    [
        ('0', ProximityState.NO_PLUG, None),
        ('13', ProximityState.PLUG, 13.0),
        ('63', ProximityState.PLUG, 63.0),
        ('65535', ProximityState.INVALID, None),
        ('16', ProximityState.INVALID, None),
    ],
)
def test_proximity(table: Table, told: str, proximity: ProximityState, ampacity: float | None) -> None:
    table.do('proximity', told)
    assert (table.seen.proximity, table.seen.cable_ampacity_a) == (proximity, ampacity)


@pytest.mark.parametrize('asked', [5.9, 0.0, float('nan'), float('inf'), -16.0])
def test_no_current_that_cannot_be_is_ordered(table: Table, asked: float) -> None:
    table.apply(replace(OFFER, current_a=asked))
    assert table.virtual.coils[ENABLE] == 0


def test_any_answers_are_survived() -> None:
    """Wrong contents, refusals and orders in any order: nothing raises, nothing absurd is sent."""
    dice = random.Random(11)
    table = Table()
    words = (0, 1, 2, 3, 5, 6, 32, 0x4131, 0x4232, 0x4332, 0x4630, 0xFFFF)
    genuine = table.master.take

    def take(answer: ModbusAnswer, now: float) -> None:
        if dice.random() < 0.1:
            answer = replace(answer, exception=dice.choice((1, 2, 3, 4, 6)), values=())
        elif dice.random() < 0.2:
            answer = replace(answer, values=tuple(dice.choice(words) for _ in answer.values))
        genuine(answer, now)

    table.master.take = take  # type: ignore[method-assign]
    for _ in range(150):
        wanted = replace(
            OFFER, current_a=dice.uniform(0.0, 80.0), power=dice.random() < 0.7, lock=dice.random() < 0.5,
            pilot_mode=dice.choice((PilotMode.PWM, PilotMode.X1, PilotMode.F)),
        )  # fmt: skip
        table.apply(wanted, dice.uniform(0.0, 0.5))
    assert all(6 <= value <= 32 for address, value in table.written if address == 22000)
    assert all(value in {0, 0xFF00} for address, value in table.written if 20000 <= address <= 20002)
    table.master.take = genuine  # type: ignore[method-assign]
    table.apply(Outputs(), 12.0)
    assert table.seen.link is LinkState.UP
    assert table.virtual.coils[ENABLE] == 0


@pytest.mark.parametrize('connecting', [False, True])
@pytest.mark.parametrize(
    ('address', 'false'),
    [
        pytest.param(24000, (0x4332, 32, 0, 16, 0, 0), id='pilot and contactor'),
        pytest.param(24025, (0x0040,), id='lock, by its error'),
        pytest.param(20000, (1, 1, 1), id='coils'),
    ],
)
def test_one_false_reply_with_the_right_check_is_not_believed(
    address: int, false: tuple[int, ...], connecting: bool
) -> None:
    table = Table()
    if not connecting:
        table.run(2.0)
        assert table.seen.link is LinkState.UP
    genuine = table.master.take
    told = False

    def take(answer: ModbusAnswer, now: float) -> None:
        nonlocal told
        if answer.request.address == address and not answer.request.writes and not told:
            told = True
            answer = replace(answer, values=false)
        genuine(answer, now)

    table.master.take = take  # type: ignore[method-assign]
    for _ in range(800):
        table.run(0.005)
        assert table.seen.contactor is not ContactorState.CLOSED
        assert table.seen.lock is not LockState.LOCKED
        assert table.seen.errors == ()
    assert told
    assert table.seen.link is LinkState.UP
    assert table.seen.cp_state is ControlPilotState.A
