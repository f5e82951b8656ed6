"""The sentence that answers why a connector is (not) charging: true, and with what helps."""

from collections.abc import Callable

import pytest

from charging.kernel_harness import KernelHarness, entry, external, remote_stop
from evse_manager.charging.inputs import Disable, SwitchThreePhasesWhileCharging
from evse_manager.interface.enums import StatusReason
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import HardwareCapabilities

CASES: dict[str, tuple[Callable[[], KernelHarness], StatusReason, str]] = {
    'limit below the norm': (
        lambda: _limited(KernelHarness()),
        StatusReason.NO_ENERGY,
        'The limit of 5.3 A from the external limits is below the 6 A that charging needs.',
    ),
    'limit below the hardware': (
        lambda: _limited(KernelHarness(hardware=HardwareCapabilities(32.0, 10.0, 3, 3))),
        StatusReason.NO_ENERGY,
        'The limit of 5.3 A from the external limits is below the 10 A that charging needs.',
    ),
    'limit by parameter': (
        lambda: KernelHarness(Config(max_current_import_a=5.0)).offered(),
        StatusReason.NO_ENERGY,
        'The limit of 5.0 A from the parameter max_current_import_a is below the 6 A that charging needs.',
    ),
    'phases': (
        lambda: _sent(KernelHarness().charging(), SwitchThreePhasesWhileCharging(False)),
        StatusReason.SWITCHING_PHASES,
        'Switching to one phase, with the contactor open.',
    ),
    'disabled and the board lost': (
        lambda: _sent(KernelHarness().run(1.0), Disable()).lose_board(),
        StatusReason.DISABLED,
        'Disabled; enable makes it available. The board is silent.',
    ),
    'finished': (
        lambda: _sent(KernelHarness().charging(), remote_stop()).run(9.0),
        StatusReason.TRANSACTION_FINISHED,
        'The transaction has ended (stopped from remote); unplug the car.',
    ),
    'meter awaited': (
        lambda: _without_meter().plug().authorize(),
        StatusReason.WAITING_FOR_METER,
        'Authorized; the first value of the meter is waited for, 2 s at most.',
    ),
}


def _limited(harness: KernelHarness) -> KernelHarness:
    assert harness.command(external(entry(5.3))).success
    return harness.offered()


def _sent(harness: KernelHarness, command: object) -> KernelHarness:
    harness.send(command)  # type: ignore[arg-type]
    return harness


def _without_meter() -> KernelHarness:
    harness = KernelHarness()
    harness.metered = False
    return harness.run(1.0)


@pytest.mark.parametrize('name', CASES)
def test_the_reason_and_its_sentence(name: str) -> None:
    situation, reason, text = CASES[name]
    status = situation().status
    assert (status.reason, status.reason_text) == (reason, text)
