"""
The golden sequences of docs/charging.md: exactly these events, in this order.

The real kernel, the real board loop and the simulated world run in lock-step, with leases as in the real
nodes.  A row is a scenario in steps; beside each step stand the events that it brings about, and no others
may come.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from charging.invariants import InvariantChecker
from charging.kernel_harness import remote_stop, token
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    CancelReservation,
    ClearFault,
    Command,
    Disable,
    Enable,
    LimitsEnforced,
    PauseCharging,
    Reserve,
    ResumeCharging,
    SetFaulted,
    WithdrawAuthorization,
)
from evse_manager.interface.enums import AuthorizationStatus, StopTransactionReason
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import EnforcedLimits, LimitsRes, ProvidedIdToken, Time, ValidationResult
from evse_manager.simulation.bench import Bench

Step = Callable[[Bench], None]


@dataclass(frozen=True)
class Row:
    """One row of the table; a step is given time before the next, so that what is still to come shows up."""

    number: int
    scenario: str
    steps: tuple[tuple[Step, str], ...]
    config: Config = Config()


def plug(profile: str = 'default') -> Step:
    return lambda bench: bench.plug_in(profile)


def unplug(bench: Bench) -> None:
    bench.unplug()


def ev_pauses(bench: Bench) -> None:
    bench.ev_pause()


def ev_resumes(bench: Bench) -> None:
    bench.ev_resume()


def inject(fault: str) -> Step:
    return lambda bench: bench.inject(fault)


def clear(fault: str) -> Step:
    return lambda bench: bench.clear(fault)


def limit(current_a: float | None) -> Step:
    return lambda bench: expect(bench.limit(current_a).success, True)


def grant(current_a: float, life_s: float) -> Step:
    """Let an energy manager hand out a limit that ends after so long unless it is renewed."""

    def step(bench: Bench) -> None:
        life = Time(round(life_s * 1e9))
        bench.feed(
            LimitsEnforced(
                EnforcedLimits(
                    stamp=Time(0), valid_until=life, limits_root_side=LimitsRes(ac_max_current_a=current_a)
                )
            )
        )

    return step


def wait(seconds: float) -> Step:
    return lambda bench: bench.run_for(seconds)


def shut_down(bench: Bench) -> None:
    assert bench.shut_down() < 3.0


def yes(command: Command) -> Step:
    """Send a command that is accepted."""
    return lambda bench: expect(bench.command(command).success, True)


def no(command: Command) -> Step:
    """Send a command that is refused."""
    return lambda bench: expect(bench.command(command).success, False)


def expect(seen: object, wanted: object) -> None:
    assert seen == wanted


def nothing(bench: Bench) -> None:
    """Let time pass."""


card = yes(token())
bad_card = yes(AuthorizeResponse(ProvidedIdToken('BADBAD'), ValidationResult(AuthorizationStatus.BLOCKED)))
pause, resume = PauseCharging(), ResumeCharging()

PLUGGED = (plug(), 'SS(EVConnected) AR')
CHARGING = (PLUGGED, (card, 'TS PC CS'))
ENDED_BY_EV = 'SC CF TF(EVDisconnected) SF'

TABLE = (
    Row(1, 'boot', ((nothing, 'Enabled'),)),
    Row(2, 'plug, token, EV asks for power, EV pauses, unplug', (
        *CHARGING, (ev_pauses, 'PEV'), (unplug, ENDED_BY_EV))),
    Row(3, 'cable pulled straight out of charging', (*CHARGING, (unplug, ENDED_BY_EV))),
    Row(4, 'token first, then plug', ((card, 'SS(Authorized)'), (plug(), 'TS PC CS'))),
    Row(5, 'token first, withdrawn before plug', ((card, 'SS(Authorized)'), (yes(WithdrawAuthorization()),
        'SF'))),
    Row(6, 'plug, no token, unplug', (PLUGGED, (unplug, 'SF'))),
    Row(7, 'plug, rejected token, accepted token', (PLUGGED, (bad_card, ''), (card, 'TS PC CS'))),
    Row(8, 'EV pauses and resumes', (*CHARGING, (ev_pauses, 'PEV'), (ev_resumes, 'CR'))),
    Row(9, 'pause_charging, resume_charging', (*CHARGING, (yes(pause), 'PEVSE'), (yes(resume), 'CR'))),
    Row(10, 'stop_transaction(Remote), later unplug', (
        *CHARGING, (yes(remote_stop()), 'SC CF TF(Remote)'), (unplug, 'SF'))),
    Row(11, 'stop_transaction twice; then resume_charging; then a token', (
        *CHARGING, (yes(remote_stop()), 'SC CF TF(Remote)'), (no(remote_stop()), ''), (no(resume), ''),
        (no(token()), ''))),
    Row(12, 'no energy from the start, energy arrives', (
        (limit(0.0), ''), PLUGGED, (card, 'TS PC WE'), (limit(16.0), 'CS'))),
    Row(13, 'limit drops to 0 while charging, returns', (*CHARGING, (limit(0.0), 'WE'), (limit(16.0), 'CR'))),
    Row(13, 'limit expires while charging, returns', (
        *CHARGING, (grant(16.0, 5.0), 'WE'), (grant(16.0, 10.0), 'CR'))),
    Row(14, 'error while charging, clears by itself', (
        *CHARGING, (inject('pilot_short'), 'Error(Car)'), (clear('pilot_short'), 'AllErrorsCleared CR'))),
    Row(15, 'error while charging that needs unplug, unplug', (
        *CHARGING, (inject('diode'), 'Error(CarDiodeFault)'), (clear('diode'), ''),
        (unplug, f'AllErrorsCleared {ENDED_BY_EV}'))),
    Row(16, 'error while idle; plug during it; error clears', (
        (inject('pilot_short'), 'Error(Car)'), (plug(), ''), (clear('pilot_short'),
        'AllErrorsCleared SS(EVConnected) AR'))),
    Row(17, 'disable idle, enable', ((yes(Disable()), 'Disabled'), (yes(Enable()), 'Enabled'))),
    Row(17, 'disable reserved, enable', (
        (yes(Reserve(7)), 'ReservationStart'), (yes(Disable()), 'ReservationEnd Disabled'), (yes(Enable()),
        'Enabled'))),
    Row(18, 'disable while charging', (*CHARGING, (yes(Disable()), 'SC CF TF(Other) SF Disabled'))),
    Row(19, 'enable when enabled, disable when disabled', (
        (yes(Enable()), ''), (yes(Disable()), 'Disabled'), (yes(Disable()), ''))),
    Row(20, 'reserve, session with the reservation', (
        (yes(Reserve(7)), 'ReservationStart'), PLUGGED, (card, 'TS(7) PC CS'), (unplug, ENDED_BY_EV))),
    Row(21, 'reserve, cancel_reservation', (
        (yes(Reserve(7)), 'ReservationStart'), (yes(CancelReservation()), 'ReservationEnd'))),
    Row(22, 'set_faulted while charging', (
        *CHARGING, (yes(SetFaulted()), 'PermanentFault SC CF TF(Other) SF'), (no(Enable()), ''),
        (yes(ClearFault()), 'AllErrorsCleared Enabled SS(EVConnected) AR'))),
    Row(23, 'soft over-current', ((plug('overdraws'), 'SS(EVConnected) AR'),
        (card, 'TS PC CS'), (wait(7.0), 'Error(OverCurrent)'))),
    Row(24, "board's virtual replug", ((lambda bench: bench.replug(), 'ReplugStarted ReplugFinished'),)),
    Row(24, "board's virtual replug while charging", (
        *CHARGING, (lambda bench: bench.replug(), 'ReplugStarted ReplugFinished CR'))),
    Row(26, 'EV does not ask for power though offered', (
        (plug('never_asks'), 'SS(EVConnected) AR'), (card, 'TS PC'), (wait(20.0), ''), (wait(10.0), 'PEV'),
        (wait(120.0), ''))),
    Row(26, 'EV asks after the wake-up', (
        (plug('needs_wakeup'), 'SS(EVConnected) AR'), (card, 'TS PC'), (wait(30.0), 'CS'))),
    Row(27, 'contactor never closes', (
        (inject('relay_stuck_open'), ''), PLUGGED, (card, 'TS PC Error(Relais)'))),
    Row(28, 'weld found when stopping', (
        (inject('relay_weld'), ''), *CHARGING, (yes(remote_stop()), 'SC Error(Relais) CF TF(Remote)'))),
    Row(29, 'orderly shutdown of the node while charging', (*CHARGING, (shut_down, 'SC CF TF(Reboot) SF'))),
)  # fmt: skip


@pytest.mark.parametrize('row', TABLE, ids=lambda row: f'{row.number}: {row.scenario}')
def test_golden_sequence(row: Row) -> None:
    bench = Bench(row.config, leases=True)
    InvariantChecker.watch(bench.kernel, row.config, [recorded.event for recorded in bench.events])
    seen, said = [], 0
    for step, _ in row.steps:
        step(bench)
        bench.run_for(8.0 if not bench.finished else 0.0)
        seen.append(bench.codes(said, details=True))
        said = len(bench.events)
    wanted = [codes for _, codes in row.steps]
    if row.number != 1:
        wanted[0] = f'Enabled {wanted[0]}'.strip()
    assert seen == wanted


def test_golden_sequence_10_carries_the_id_tag() -> None:
    bench = Bench(leases=True)
    bench.plug_in()
    bench.authorize()
    bench.run_until(lambda b: b.flows)
    bench.command(remote_stop(StopTransactionReason.REMOTE, 'STOPCARD'))
    bench.run_for(5.0)
    finished = bench.events[-1].event.transaction_finished
    assert finished is not None
    assert finished.id_tag == 'STOPCARD'


def test_no_sequence_is_forgotten() -> None:
    assert {row.number for row in TABLE} == set(range(1, 30)) - {25}
