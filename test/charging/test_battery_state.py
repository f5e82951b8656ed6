"""The battery as a docking stack sees it, exact at every transition of the golden sequences."""

from collections.abc import Sequence

import pytest

from charging.kernel_harness import KernelHarness, entry, external, token
from charging.test_golden_sequences import TABLE, Row
from evse_manager.charging.battery_state import BatteryState, PowerSupplyStatus, battery_state
from evse_manager.charging.inputs import Disable, Input, PauseCharging, ResumeCharging
from evse_manager.charging.kernel import Output
from evse_manager.interface.enums import ChargerState
from evse_manager.interface.enums import SessionEventEnum as E
from evse_manager.interface.types import EVInfo, EvseStatus, SessionEvent
from evse_manager.simulation.bench import Bench

MEASURED = {
    'current_l1_a': 16.0,
    'current_l2_a': 15.0,
    'current_l3_a': -14.0,
    'voltage_l1_v': 230.0,
    'voltage_l2_v': 232.0,
    'voltage_l3_v': 0.2,
}

BEGIN = {E.CHARGING_STARTED, E.CHARGING_RESUMED}
END = {
    E.CHARGING_PAUSED_EV,
    E.CHARGING_PAUSED_EVSE,
    E.WAITING_FOR_ENERGY,
    E.STOPPING_CHARGING,
    E.ERROR,
    E.PERMANENT_FAULT,
    E.CHARGING_FINISHED,
    E.TRANSACTION_FINISHED,
    E.SESSION_FINISHED,
    E.REPLUG_STARTED,
}
"""Events that begin and end a flow of energy."""


@pytest.mark.parametrize('state', ChargerState, ids=lambda state: state.name)
def test_only_charging_is_charging(state: ChargerState) -> None:
    battery = battery_state(EvseStatus(state=state, plugged=True, **MEASURED), None)
    flows = state is ChargerState.CHARGING
    assert (battery.power_supply_status is PowerSupplyStatus.CHARGING) == flows
    assert battery.current_a == (45.0 if flows else 0.0)
    assert battery.voltage_v == 231.0


@pytest.mark.parametrize(
    ('soc', 'plugged', 'status', 'percentage'),
    [
        (80.0, True, PowerSupplyStatus.NOT_CHARGING, 0.8),
        (100.0, True, PowerSupplyStatus.FULL, 1.0),
        (140.0, True, PowerSupplyStatus.NOT_CHARGING, None),
        (None, True, PowerSupplyStatus.NOT_CHARGING, None),
        (80.0, False, PowerSupplyStatus.UNKNOWN, None),
    ],
)
def test_the_charge_that_the_car_reports(
    soc: float | None, plugged: bool, status: PowerSupplyStatus, percentage: float | None
) -> None:
    idle = EvseStatus(state=ChargerState.IDLE, plugged=plugged)
    expected = BatteryState(status, plugged, 0.0, None, percentage)
    assert battery_state(idle, EVInfo(soc_percent=soc)) == expected


def test_without_a_meter_the_current_is_unknown_and_the_status_is_not() -> None:
    charging = EvseStatus(state=ChargerState.CHARGING, plugged=True)
    assert battery_state(charging, None) == BatteryState(PowerSupplyStatus.CHARGING, True)


class CheckedHarness(KernelHarness):
    """Compares the battery state with the events after every single step of the kernel."""

    def do(self, happened: Input) -> Output:
        output = super().do(happened)
        marks = [event.event in BEGIN for _, event in self.events if event.event in BEGIN | END]
        battery = battery_state(self.kernel.status(self.now), None)
        charging = battery.power_supply_status is PowerSupplyStatus.CHARGING
        assert charging == bool(marks and marks[-1]), (happened, self.events[-1:])
        self.flowed = getattr(self, 'flowed', False) or charging
        return output


@pytest.mark.parametrize(
    'name', ['EV pauses and resumes', 'pause and resume', 'disable', 'unplug', 'no energy']
)
def test_charging_begins_and_ends_with_the_events(name: str) -> None:
    harness = CheckedHarness().run(4.0).plug()
    harness.command(token())
    harness.run(1.0).pilot('C').run(1.0)
    match name:
        case 'EV pauses and resumes':
            harness.pilot('B').run(2.0).pilot('C').run(5.0)
        case 'pause and resume':
            harness.command(PauseCharging())
            harness.run(1.0).pilot('B').run(4.0)
            harness.command(ResumeCharging())
            harness.run(1.0).pilot('C').run(2.0)
        case 'disable':
            harness.command(Disable())
            harness.run(5.0)
        case 'unplug':
            harness.pilot('B', 'A').run(5.0)
        case 'no energy':
            harness.command(external(entry(0.0)))
            harness.run(3.0).pilot('B').run(10.0)
            harness.command(external(entry(16.0)))
            harness.run(5.0).pilot('C').run(5.0)
    assert harness.flowed


class CheckedBench(Bench):
    """Notes when the events begin and end a flow of energy, and when the published battery state does."""

    def __init__(self, row: Row) -> None:
        self.by_events: list[tuple[float, bool]] = []
        self.by_battery: list[tuple[float, bool]] = []
        self.currents: list[tuple[bool, float | None]] = []
        super().__init__(row.config, leases=True)

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        super().publish_events(events)
        for event in events:
            if event.event in BEGIN | END:
                note(self.by_events, self.now, event.event in BEGIN)

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        super().publish_status(status, periodic=periodic)
        battery = battery_state(status, None)
        charging = battery.power_supply_status is PowerSupplyStatus.CHARGING
        note(self.by_battery, self.now, charging)
        self.currents.append((charging, battery.current_a))


def note(changes: list[tuple[float, bool]], now: float, charging: bool) -> None:
    """Append a change; of several at one moment the last counts."""
    if changes and changes[-1][0] == now:
        changes.pop()
    if charging != (bool(changes) and changes[-1][1]):
        changes.append((now, charging))


@pytest.mark.parametrize('row', TABLE, ids=lambda row: f'{row.number}: {row.scenario}')
def test_the_battery_charges_exactly_between_the_events_of_every_golden_sequence(row: Row) -> None:
    bench = CheckedBench(row)
    for step, _ in row.steps:
        step(bench)
        bench.run_for(8.0 if not bench.finished else 0.0)
    assert bench.by_battery == bench.by_events
    assert bool(bench.by_battery) == any(
        code in codes.split() for _, codes in row.steps for code in ('CS', 'CR')
    )
    assert all(charging or current == 0.0 for charging, current in bench.currents)
