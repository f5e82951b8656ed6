"""Kernel, board loop and world in lock-step: whole scenarios in milliseconds."""

import pytest

from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    LinkState,
    OpeningReason,
)
from evse_manager.simulation.bench import Bench, BenchError
from evse_manager.simulation.world import WorldSettings

CLOSED = ContactorState.CLOSED


def watch_safety(bench):
    """No current without C and a closed contactor; never closed in A, B, E or F beyond the opening time."""
    state = bench.board_state
    if bench.board.outputs.power and state.link_state is LinkState.UP:
        assert state.cp_state in {ControlPilotState.C, ControlPilotState.D}
    if bench.flows:
        assert bench.world.contactor.closed


@pytest.fixture
def bench():
    bench = Bench()
    bench.watchers.append(watch_safety)
    return bench


@pytest.fixture
def charging(bench):
    bench.plug_in()
    bench.authorize()
    bench.run_until(lambda b: b.flows, 30.0)
    return bench


def test_a_whole_session(charging):
    charging.run_for(600.0)
    charging.ev_pause()
    charging.run_for(10.0)
    charging.unplug()
    charging.run_for(5.0)
    assert charging.codes(details=True) == (
        'Enabled SS(EVConnected) AR TS PC CS PEV SC CF TF(EVDisconnected) SF'
    )
    finished = next(r.event for r in charging.events if r.event.transaction_finished is not None)
    started = next(r.event for r in charging.events if r.event.transaction_started is not None)
    counted = (
        finished.transaction_finished.meter_value.energy_wh_import.total
        - started.transaction_started.meter_value.energy_wh_import.total
    )
    assert counted == pytest.approx(charging.world.meter.energy_wh, abs=0.1)
    assert counted > 3000.0


def test_the_contactor_opens_in_the_instant_in_which_the_ev_leaves_c(charging):
    charging.world.ev_pause()
    left = charging.run_until(lambda b: b.board_state.cp_state is ControlPilotState.B)
    assert left <= 0.5
    assert not charging.board.outputs.power, 'in the same step'
    assert charging.run_until(lambda b: b.board_state.contactor is ContactorState.OPEN) <= 0.05


def test_an_ev_that_stays_in_c_is_opened_under_load_after_six_seconds(bench):
    bench.plug_in('stays_in_c')
    bench.authorize()
    bench.run_until(lambda b: b.flows, 30.0)
    bench.pause_charging()
    seconds = bench.run_until(lambda b: b.board_state.contactor is ContactorState.OPEN, 10.0)
    assert 6.0 <= seconds <= 6.5
    assert bench.board_state.openings_under_load == 1


def test_an_ev_that_needs_a_wakeup_gets_one(bench):
    bench.plug_in('needs_wakeup')
    bench.authorize()
    assert 30.0 < bench.run_until(lambda b: b.flows, 60.0) < 50.0
    assert bench.codes() == 'Enabled SS AR TS PC CS'


def test_an_error_that_clears_by_itself(charging):
    charging.inject('ventilation')
    charging.run_for(60.0)
    charging.clear()
    charging.run_for(20.0)
    assert charging.codes(6, details=True) == 'Error(VentilationNotAvailable) AllErrorsCleared CR'


@pytest.mark.parametrize(
    'fault',
    [
        'diode', 'pilot_short', 'pilot_noise', 'rcd_ac', 'rcd_dc', 'relay_drops', 'over_current',
        'lock_opens', 'emergency_stop', 'link_lost', 'board_reset', 'over_temperature', 'proximity',
    ],
)  # fmt: skip
def test_after_any_fault_the_next_car_charges(charging, fault):
    charging.inject(fault)
    charging.run_for(40.0)
    if fault not in {'board_reset', 'pilot_noise'}:
        assert not charging.world.contactor.closed
    charging.clear()
    charging.run_for(70.0)
    charging.unplug()
    charging.run_for(30.0)
    seen = len(charging.events)
    charging.plug_in()
    charging.authorize()
    charging.run_until(lambda b: b.flows, 60.0)
    assert 'TS PC CS' in charging.codes(seen)


def test_after_a_weld_only_the_operator_helps(charging):
    charging.inject('relay_weld')
    charging.unplug()
    charging.run_for(3.0)
    assert BoardErrorEnum.CONTACTOR_WELDED in {error.code for error in charging.board_state.active_errors}
    assert 'Error(Relais)' in charging.codes(details=True)


def test_a_virtual_replug(charging):
    charging.replug()
    charging.run_for(20.0)
    assert 'ReplugStarted ReplugFinished' in charging.codes()


def test_a_manager_that_falls_silent_loses_power_within_its_lease():
    bench = Bench(leases=True)
    bench.plug_in()
    bench.authorize()
    bench.run_until(lambda b: b.flows, 30.0)
    bench.run_for(30.0)
    assert bench.flows, 'renewals keep it'
    bench.renewing = False
    seconds = bench.run_until(lambda b: b.board_state.contactor is ContactorState.OPEN, 5.0)
    assert seconds <= 1.1
    assert bench.board_state.opening_reason is OpeningReason.LEASE_LAPSED
    bench.renewing = True


def test_a_shutdown_opens_and_closes_the_books(charging):
    assert charging.shut_down() <= 3.0
    assert charging.board_state.contactor is ContactorState.OPEN
    assert charging.codes(6, details=True) == 'SC CF TF(Reboot) SF'


def test_the_same_script_is_the_same_history():
    def history():
        bench = Bench(settings=WorldSettings(seed=7))
        bench.plug_in('flapping')
        bench.authorize()
        bench.run_for(300.0)
        bench.unplug()
        bench.run_for(5.0)
        return [(r.at, r.event) for r in bench.events], bench.sample

    assert history() == history()


def test_what_does_not_happen_is_told(bench):
    with pytest.raises(BenchError, match='Not within 5 s'):
        bench.run_until(lambda b: b.flows, 5.0)


def test_hours_take_seconds():
    bench = Bench(settings=WorldSettings(sample_period_s=60.0))
    bench.plug_in(soc_percent=10.0)
    bench.authorize()
    bench.run_for(6 * 3600.0)
    assert bench.world.ev.soc_percent == 100.0
    assert bench.codes() == 'Enabled SS AR TS PC CS PEV'
