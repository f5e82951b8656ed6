"""Cases from the field: a car changed unseen, flapping, a raised limit, a grant that ran out."""

import pytest

from charging.kernel_harness import KernelHarness, entry, external
from evse_manager.charging.inputs import ParametersChanged
from evse_manager.interface.enums import LimitSource, StatusReason
from evse_manager.interface.parameters import Config
from faults.fault_bench import FaultBench


@pytest.mark.parametrize('seconds', [6.0, 600.0])
def test_F46_the_car_is_changed_while_the_board_is_lost(seconds: float) -> None:
    harness = KernelHarness().charging().lose_board().run(seconds)
    harness.transitions.clear()
    harness.ev = 'B'
    since = len(harness.events)
    harness.find_board().run(5.0).pilot('C').run(10.0)
    assert harness.codes(since) == 'AllErrorsCleared SC CF TF(PowerLoss) SF SS(EVConnected) AR'
    assert not harness.flows


def test_F47_a_limit_that_flaps_for_an_hour() -> None:
    harness = KernelHarness(report_s=10.0).charging()
    harness.metered = False
    reasons = set()
    for _ in range(360):
        harness.command(external(entry(5.5)))
        harness.pilot('B').run(5.0)
        assert not harness.flows
        harness.command(external(entry(6.5)))
        harness.run(4.0).pilot('C').run(1.0)
        reasons.add(harness.status.reason)
    assert 10 <= harness.status.contactor_cycles <= 21
    assert StatusReason.TOO_MANY_CLOSINGS in reasons


def test_C23_the_installations_limit_changes_at_run_time(measured) -> None:
    bench = FaultBench(Config(max_current_import_a=16.0))
    bench.charge()
    seen = [(bench.status.signalled_current_a, bench.status.limit_source)]
    for amperes in (10.0, 32.0):
        changed = bench.now
        bench.config = Config(max_current_import_a=amperes)
        bench.feed(ParametersChanged(bench.config))
        bench.run_until(lambda b, a=amperes: b.status.signalled_current_a == a, 10.0)
        measured(bench.now - changed, 6.0)
        seen.append((bench.status.signalled_current_a, bench.status.limit_source))
    assert seen == [
        (16.0, LimitSource.PARAMETER), (10.0, LimitSource.PARAMETER), (32.0, LimitSource.HARDWARE)
    ]  # fmt: skip


@pytest.mark.parametrize(('failsafe_a', 'events'), [(0.0, 'WE'), (8.0, '')])
def test_C24_the_energy_managers_limit_runs_out(failsafe_a: float, events: str) -> None:
    harness = KernelHarness(Config(energy_source='manager', failsafe_current_a=failsafe_a)).grant(16.0)
    harness.charging()
    assert harness.says(lambda: harness.run(15.0)) == events
    assert harness.signalled == failsafe_a
