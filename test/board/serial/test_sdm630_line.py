"""
The meter SDM630 through a real port: beside every board, and with every fault of the catalogue.

``test_phoenix_sessions.py`` has it on the line of the board.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from board.serial.metered import metered
from board.serial.sequences import Played
from evse_manager.board.driver import DriverContext, PortError
from evse_manager.board.meters.metered import MeteredDriver, MeterParameters
from evse_manager.interface.enums import BoardErrorEnum
from evse_manager.interface.types import Current, Powermeter, Time, Voltage
from evse_manager.metering.account import MeterAccount
from evse_manager.simulation.driver import SimulatedDriver, SimulatedParameters
from evse_manager.simulation.virtual.host import VirtualBoardHost

pytestmark = pytest.mark.timeout(120)

PATIENCE_S = 20.0
RATED_W = 22_080.0


class Meter:
    """A meter with a socket behind it, beside the simulated board."""

    def __init__(self) -> None:
        # A stable name: the number of a port that is pulled goes to another test's.
        self._folder = tempfile.TemporaryDirectory()
        self.host = VirtualBoardHost('sdm630', Path(self._folder.name) / 'port')
        context = DriverContext(clock=time.monotonic, wall=lambda: Time(time.time_ns()), wake=lambda: None)
        wanted = MeterParameters(meter='sdm630', meter_port=self.host.port)
        self.driver = MeteredDriver(SimulatedDriver(SimulatedParameters(), context), wanted, context)
        self.errors: dict[BoardErrorEnum, str] = {}
        self.samples: list[Powermeter] = []
        self.account = MeterAccount()
        """What the manager makes of the samples."""

    def __enter__(self) -> Self:
        self.host.start()
        self.driver.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.close()
        self.host.close()
        self._folder.cleanup()

    def until(self, condition: Callable[[], object], what: str, limit_s: float = PATIENCE_S) -> None:
        end = time.monotonic() + limit_s
        while True:
            while (seen := self.driver.poll()) is not None:
                self.errors = {each.code: each.detail for each in seen.errors}
            sample = self.driver.meter()
            if sample is not None:
                self.samples.append(sample)
                self.account.take(sample, time.monotonic(), RATED_W)
            if condition():
                return
            assert time.monotonic() < end, f'not within {limit_s:g} s: {what}; {self.driver.diagnostics()}'
            time.sleep(0.01)

    @property
    def last(self) -> Powermeter:
        return self.samples[-1]

    @property
    def energy_wh(self) -> float:
        return self.account.register_wh or 0.0

    def warned(self, word: str) -> bool:
        """Return whether the manager warns of the meter with this word."""
        return any(word in warning for warning in self.account.warnings())

    def told(self, name: str) -> str:
        return self.driver.diagnostics()[name]

    def measures(self, count: int = 1) -> None:
        """Wait for new samples."""
        wanted = len(self.samples) + count
        self.until(lambda: len(self.samples) >= wanted, 'samples')

    def charges(self, ev: str = '', wh: float = 0.0) -> None:
        """Plug an EV in and wait until it has drawn something."""
        self.measures()
        begun = self.energy_wh
        self.host.execute(f'plug_in {ev}')
        self.until(
            lambda: self.last.power_w is not None and (self.last.power_w.total or 0.0) > 1000.0, 'power'
        )
        self.until(lambda: self.energy_wh >= begun + wh, 'energy')

    def is_silent(self) -> None:
        """Wait until the loss of the meter is reported; from then on there are no samples."""
        self.until(lambda: BoardErrorEnum.METER_FAULT in self.errors, 'meter fault')
        count = len(self.samples)
        end = time.monotonic() + 1.5
        self.until(lambda: time.monotonic() > end, 'time')
        assert len(self.samples) == count

    def comes_back(self) -> None:
        self.host.execute('clear')
        self.until(lambda: BoardErrorEnum.METER_FAULT not in self.errors, 'the meter again')
        self.measures()


Case = Callable[[Meter], None]


def no_answer(meter: Meter) -> None:
    meter.measures(2)
    meter.host.execute('inject meter_silent')
    meter.is_silent()
    assert 'does not answer' in meter.errors[BoardErrorEnum.METER_FAULT]
    meter.comes_back()


def the_port_is_pulled(meter: Meter) -> None:
    meter.measures()
    meter.host.execute('pull_port')
    meter.is_silent()
    assert 'gone' in meter.told('meter problem') or 'hung up' in meter.told('meter problem')


def not_a_number(meter: Meter) -> None:
    meter.charges()
    meter.host.execute('inject meter_nan')
    meter.until(lambda: meter.last.voltage_v == Voltage(), 'no voltage')
    assert meter.last.current_a == Current()
    assert meter.last.power_w is not None
    assert int(meter.told('meter values rejected')) >= 6


def swapped_words(meter: Meter) -> None:
    meter.charges(wh=5.0)
    meter.host.execute('inject meter_swapped')
    before, energy = int(meter.told('meter values rejected')), meter.energy_wh
    meter.is_silent()
    assert 'no possible value' in meter.errors[BoardErrorEnum.METER_FAULT]
    assert int(meter.told('meter values rejected')) > before + 10
    meter.comes_back()
    assert energy <= meter.energy_wh < energy + 50.0


def the_register_begins_anew(meter: Meter) -> None:
    meter.charges(wh=25.0)
    meter.host.execute('inject meter_reset')
    before = meter.energy_wh
    meter.until(lambda: meter.warned('went on from another value'), 'a warning')
    meter.until(lambda: meter.energy_wh > before + 5.0, 'it is counted on')


def the_register_leaps(meter: Meter) -> None:
    meter.charges()
    before = meter.energy_wh
    meter.host.execute('inject meter_jump')
    meter.until(lambda: meter.warned('jumped'), 'a warning')
    meter.until(lambda: meter.warned('went on from another value'), 'the new register', 25.0)
    meter.until(lambda: meter.energy_wh > before, 'it is counted on')
    assert meter.energy_wh < before + 1000.0


def a_phase_is_missing(meter: Meter) -> None:
    meter.charges()
    meter.host.execute('inject meter_phase_missing')
    meter.until(lambda: meter.last.voltage_v is not None and meter.last.voltage_v.l2 is None, 'no L2')
    assert meter.last.voltage_v is not None
    assert meter.last.voltage_v.l1 is not None
    assert meter.last.current_a is not None
    assert meter.last.current_a.l2 is None


def power_flows_back(meter: Meter) -> None:
    meter.host.execute('inject meter_reversed')
    meter.measures()
    meter.host.execute('plug_in')
    meter.until(lambda: meter.warned('current transformers'), 'a warning', 25.0)


def wrong_order_of_phases(meter: Meter) -> None:
    meter.host.execute('inject meter_phase_order')
    meter.measures()
    meter.host.execute('plug_in single_phase')
    meter.until(lambda: meter.warned('wrong order'), 'a warning', 25.0)


def ten_times_the_frequency(meter: Meter) -> None:
    meter.host.execute('inject meter_hz')
    meter.measures(2)
    assert meter.last.frequency_hz is not None
    assert meter.last.frequency_hz.l1 == pytest.approx(50.0)


def a_meter_without_optional_registers(meter: Meter) -> None:
    meter.host.execute('inject meter_plain')
    meter.measures(5)
    assert meter.last.meter_id == 'SDM630'
    missing = 'meter registers missing'
    meter.until(lambda: '0xFC00' in meter.told(missing) and '0x15A' in meter.told(missing), 'a note', 40.0)
    begun = time.monotonic()
    meter.measures(5)
    assert time.monotonic() - begun < 8.0, 'a sample a second as usual'
    assert not meter.errors


def a_meter_that_refuses(meter: Meter) -> None:
    meter.measures()
    meter.host.execute('inject meter_exception')
    meter.is_silent()
    assert 'refuses to answer (exception 4' in meter.errors[BoardErrorEnum.METER_FAULT]
    assert int(meter.told('meter requests refused (exceptions)')) >= 2
    meter.comes_back()


def another_device_answers(meter: Meter) -> None:
    meter.measures()
    meter.host.execute('inject meter_wrong_unit')
    meter.is_silent()
    assert int(meter.told('meter unexpected frames')) >= 2
    meter.comes_back()


CASES: dict[Case, tuple[str, ...]] = {
    power_flows_back: ('M6',),
    wrong_order_of_phases: ('M7',),
    no_answer: ('M1',),
    the_port_is_pulled: ('M1', 'L8'),
    not_a_number: ('M2',),
    swapped_words: ('M2',),
    the_register_begins_anew: ('M3',),
    the_register_leaps: ('M4',),
    a_phase_is_missing: ('M5',),
    ten_times_the_frequency: ('M8',),
    a_meter_without_optional_registers: ('M1',),
    a_meter_that_refuses: ('L22',),
    another_device_answers: ('L23',),
}
"""What happens, and its numbers in the catalogue."""


@pytest.fixture(scope='module')
def played() -> Iterator[Played]:
    with Played() as played:
        played.begin({case.__name__: case for case in CASES}, Meter)
        yield played


@pytest.mark.parametrize(
    'case',
    [
        pytest.param(case, marks=pytest.mark.fault(*numbers), id=case.__name__)
        for case, numbers in CASES.items()
    ],
)
def test_case(played: Played, case: Case) -> None:
    played.result(case.__name__)


@pytest.mark.parametrize('board', ['openevse', 'phoenix', 'yeti'])
def test_on_a_port_of_its_own_beside_every_board(board: str) -> None:
    with VirtualBoardHost('sdm630') as host, metered(board, meter_port=host.port) as session:
        session.until(lambda: session.sample is not None, 'a sample')
        assert session.sample is not None
        assert session.sample.meter_id == 'SDM630 2301234'
        capabilities = session.driver.capabilities()
        assert capabilities is not None
        assert capabilities.has_meter
        host.execute('plug_in')
        session.until(lambda: session.sample.power_w.total > 1000.0, 'power')  # type: ignore[union-attr,operator]
        session.charge()


def test_a_meter_needs_an_address_of_its_own() -> None:
    with pytest.raises(PortError, match='unit and meter_unit are both 2'):
        metered('phoenix', unit=2)


@pytest.mark.parametrize('board', ['openevse', 'phoenix', 'yeti'])
def test_a_meter_is_not_on_the_port_of_the_board_unless_it_shares_its_line(board: str) -> None:
    with pytest.raises(PortError, match='port and meter_port are both /dev/ttyS0'):
        metered(board, port='/dev/ttyS0', meter_port='/dev/ttyS0')


@pytest.mark.parametrize('board', ['openevse', 'yeti'])
def test_a_meter_needs_a_line(board: str) -> None:
    with pytest.raises(PortError, match='meter_port'):
        metered(board)
