"""Every state of a connector worth telling apart, each reached by a short script on a desk."""

from collections.abc import Callable

from charging.desk import Desk, entry, external, remote_stop
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


def starting() -> Desk:
    desk = Desk(boot=False, report_s=SLOW_S)
    desk.silent = True
    desk.do(Start())
    return desk


def idle() -> Desk:
    return Desk(report_s=SLOW_S).run(4.0)


def authorized() -> Desk:
    return idle().authorize()


def reserved() -> Desk:
    desk = idle()
    desk.command(Reserve(7))
    return desk


def disabled() -> Desk:
    desk = idle()
    desk.command(Disable())
    return desk.run(1.0)


def faulted() -> Desk:
    desk = idle()
    desk.command(SetFaulted())
    return desk.run(1.0)


def faulted_and_disabled() -> Desk:
    desk = faulted()
    desk.command(Disable())
    return desk.run(1.0)


def plugged() -> Desk:
    return idle().plug().run(2.0)


def preparing() -> Desk:
    return Desk(report_s=SLOW_S).offered().run(2.0)


def charging() -> Desk:
    return Desk(report_s=SLOW_S).charging().run(4.0)


def paused_by_ev() -> Desk:
    return charging().pilot('B').run(2.0)


def paused_by_user() -> Desk:
    desk = charging()
    desk.command(PauseCharging())
    return desk.pilot('B').run(2.0)


def without_energy() -> Desk:
    desk = charging()
    desk.command(external(entry(0.0)))
    return desk.pilot('B').run(2.0)


def waiting_for_limit() -> Desk:
    return Desk(Config(energy_source='manager'), report_s=SLOW_S).run(4.0).plug().authorize().run(1.0)


def waking_with_f() -> Desk:
    desk = Desk(report_s=SLOW_S).offered()
    desk.until(lambda: desk.outputs.pilot_mode is PilotMode.F)
    return desk.run(1.0)


def waking_with_x1() -> Desk:
    desk = waking_with_f()
    desk.until(lambda: desk.outputs.pilot_mode is PilotMode.X1)
    return desk


def error_idle() -> Desk:
    return idle().report(BoardErrorEnum.ENCLOSURE_OPEN).run(2.0)


def error_charging() -> Desk:
    return charging().report(BoardErrorEnum.ENCLOSURE_OPEN).pilot('B').run(2.0)


def welded() -> Desk:
    desk = charging()
    desk.welded = True
    desk.command(remote_stop())
    return desk.pilot('B').run(3.0)


def lost_idle() -> Desk:
    return idle().lose_board().run(2.0)


def lost_charging() -> Desk:
    return charging().lose_board().run(2.0)


def stopping() -> Desk:
    desk = charging().run(0.1)
    desk.metered = False
    desk.command(remote_stop())
    return desk.pilot('B').run(0.5)


def stopped() -> Desk:
    desk = charging()
    desk.command(remote_stop())
    return desk.pilot('B').run(4.0)


def replugging() -> Desk:
    desk = charging()
    desk.replugging = True
    desk.observe()
    return desk.run(1.0)


def switching_phases() -> Desk:
    desk = charging()
    desk.command(SwitchThreePhasesWhileCharging(False))
    return desk.pilot('B').run(2.0)


def on_one_phase() -> Desk:
    desk = switching_phases().run(14.0).pilot('C')
    return desk.run(1.0)


def shutting_down() -> Desk:
    desk = charging().run(0.1)
    desk.metered = False
    desk.do(Shutdown())
    return desk.run(0.5)


STATES: tuple[Callable[[], Desk], ...] = (
    starting, idle, authorized, reserved, disabled, faulted, faulted_and_disabled, plugged, preparing,
    charging,
    paused_by_ev, paused_by_user, without_energy, waiting_for_limit, waking_with_f, waking_with_x1,
    error_idle,
    error_charging, welded, lost_idle, lost_charging, stopping, stopped, replugging, switching_phases,
    on_one_phase,
    shutting_down,
)  # fmt: skip
