"""Every state of a connector that differs from the others, each reached by a short script on a harness."""

from collections.abc import Callable

from charging.kernel_harness import KernelHarness, entry, external, remote_stop
from evse_manager.charging.inputs import (
    Disable,
    PauseCharging,
    Reserve,
    SetFaulted,
    Shutdown,
    Start,
    SwitchThreePhasesWhileCharging,
)
from evse_manager.interface.enums import BoardErrorEnum, PilotMode
from evse_manager.interface.parameters import Config

SLOW_S = 0.95
"""The board reports as seldom as it may: nothing here depends on it, and the many states come quicker."""


def starting() -> KernelHarness:
    harness = KernelHarness(boot=False, report_s=SLOW_S)
    harness.silent = True
    harness.do(Start())
    return harness


def idle() -> KernelHarness:
    return KernelHarness(report_s=SLOW_S).run(4.0)


def authorized() -> KernelHarness:
    return idle().authorize()


def reserved() -> KernelHarness:
    harness = idle()
    harness.command(Reserve(7))
    return harness


def disabled() -> KernelHarness:
    harness = idle()
    harness.command(Disable())
    return harness.run(1.0)


def faulted() -> KernelHarness:
    harness = idle()
    harness.command(SetFaulted())
    return harness.run(1.0)


def faulted_and_disabled() -> KernelHarness:
    harness = faulted()
    harness.command(Disable())
    return harness.run(1.0)


def plugged() -> KernelHarness:
    return idle().plug().run(2.0)


def preparing() -> KernelHarness:
    return KernelHarness(report_s=SLOW_S).offered().run(2.0)


def charging() -> KernelHarness:
    return KernelHarness(report_s=SLOW_S).charging().run(4.0)


def paused_by_ev() -> KernelHarness:
    return charging().pilot('B').run(2.0)


def paused_by_user() -> KernelHarness:
    harness = charging()
    harness.command(PauseCharging())
    return harness.pilot('B').run(2.0)


def without_energy() -> KernelHarness:
    harness = charging()
    harness.command(external(entry(0.0)))
    return harness.pilot('B').run(2.0)


def waiting_for_limit() -> KernelHarness:
    return (
        KernelHarness(Config(energy_source='manager'), report_s=SLOW_S).run(4.0).plug().authorize().run(1.0)
    )


def waking_with_f() -> KernelHarness:
    harness = KernelHarness(report_s=SLOW_S).offered()
    harness.until(lambda: harness.outputs.pilot_mode is PilotMode.F)
    return harness.run(1.0)


def waking_with_x1() -> KernelHarness:
    harness = waking_with_f()
    harness.until(lambda: harness.outputs.pilot_mode is PilotMode.X1)
    return harness


def error_idle() -> KernelHarness:
    return idle().report(BoardErrorEnum.ENCLOSURE_OPEN).run(2.0)


def error_charging() -> KernelHarness:
    return charging().report(BoardErrorEnum.ENCLOSURE_OPEN).pilot('B').run(2.0)


def welded() -> KernelHarness:
    harness = charging()
    harness.welded = True
    harness.command(remote_stop())
    return harness.pilot('B').run(3.0)


def lost_idle() -> KernelHarness:
    return idle().lose_board().run(2.0)


def lost_charging() -> KernelHarness:
    return charging().lose_board().run(2.0)


def stopping() -> KernelHarness:
    harness = charging().run(0.1)
    harness.metered = False
    harness.command(remote_stop())
    return harness.pilot('B').run(0.5)


def stopped() -> KernelHarness:
    harness = charging()
    harness.command(remote_stop())
    return harness.pilot('B').run(4.0)


def replugging() -> KernelHarness:
    harness = charging()
    harness.replugging = True
    harness.observe()
    return harness.run(1.0)


def switching_phases() -> KernelHarness:
    harness = charging()
    harness.command(SwitchThreePhasesWhileCharging(False))
    return harness.pilot('B').run(2.0)


def on_one_phase() -> KernelHarness:
    harness = switching_phases().run(14.0).pilot('C')
    return harness.run(1.0)


def shutting_down() -> KernelHarness:
    harness = charging().run(0.1)
    harness.metered = False
    harness.do(Shutdown())
    return harness.run(0.5)


STATES: tuple[Callable[[], KernelHarness], ...] = (
    starting, idle, authorized, reserved, disabled, faulted, faulted_and_disabled, plugged, preparing,
    charging,
    paused_by_ev, paused_by_user, without_energy, waiting_for_limit, waking_with_f, waking_with_x1,
    error_idle,
    error_charging, welded, lost_idle, lost_charging, stopping, stopped, replugging, switching_phases,
    on_one_phase,
    shutting_down,
)  # fmt: skip
