"""Pauses: their rank and combination, X1, the forced opening, the wake-up, toggling, the virtual replug."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from charging.kernel_harness import KernelHarness, entry, external, remote_stop
from evse_manager.charging.inputs import PauseCharging, ResumeCharging, Tick
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    OpeningReason,
    PauseReason,
    PilotMode,
    StatusReason,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import BoardCapabilities
from evse_manager.lease.manager import BoardObserved

Change = Callable[[KernelHarness], object]


@dataclass(frozen=True)
class Cause:
    """One cause of a pause: how it comes and goes, and what it says when it dominates."""

    name: str
    comes: Change
    goes: Change
    says: str
    """Its event, when nothing above it is there."""


def error(harness: KernelHarness) -> None:
    harness.report(BoardErrorEnum.ENCLOSURE_OPEN)


def no_error(harness: KernelHarness) -> None:
    harness.report()


CAUSES = (
    Cause('error', error, no_error, 'Error(Other)'),
    Cause('user', lambda d: d.command(PauseCharging()), lambda d: d.command(ResumeCharging()), 'PEVSE'),
    Cause('energy', lambda d: d.command(external(entry(0.0))), lambda d: d.command(external()), 'WE'),
)
"""By rank, highest first; the pause by the EV is below them all: it shows only while a current is offered."""


def expected(history: list[str]) -> list[str]:
    """
    Return what the rank makes of causes that come and go: the specification, said once more and apart.

    ``history`` are moves as '+user', '-user'.  Errors speak up always, the others when they become dominant.
    """
    says = {cause.name: cause.says for cause in CAUSES}
    ranks = [cause.name for cause in CAUSES]
    active: set[str] = set()
    spoken, lines = 'flow', []
    for move in history:
        sign, name = move[0], move[1:]
        (active.add if sign == '+' else active.discard)(name)
        line = []
        if name == 'error':
            line.append(says['error'] if sign == '+' else 'AllErrorsCleared')
        dominant = next((rank for rank in ranks if rank in active), 'flow')
        if dominant != spoken:
            spoken = dominant
            if dominant == 'flow':
                line.append('CR')
            elif dominant != 'error':
                line.append(says[dominant])
        lines.append(' '.join(line))
    return lines


def play(harness: KernelHarness, history: list[str]) -> list[str]:
    """Play the same on the harness, with an EV that asks whenever it is offered a current."""
    moves = {f'+{cause.name}': cause.comes for cause in CAUSES} | {
        f'-{cause.name}': cause.goes for cause in CAUSES
    }
    lines = []
    for move in history:
        since = len(harness.events)
        moves[move](harness)
        harness.run(0.5)
        if harness.outputs.pilot_mode is not PilotMode.PWM:
            harness.pilot('B').run(5.0)
        if harness.outputs.pilot_mode is PilotMode.PWM:
            harness.pilot('C').run(1.0)
        lines.append(harness.codes(since))
    return lines


def orders(names: tuple[str, ...]) -> list[list[str]]:
    """Return every order in which each of the causes comes once and goes once."""
    moves = [sign + name for name in names for sign in '+-']
    return [
        list(order)
        for order in itertools.permutations(moves)
        if all(order.index(f'+{name}') < order.index(f'-{name}') for name in names)
    ]


PAIRS = [order for pair in itertools.combinations(('error', 'user', 'energy'), 2) for order in orders(pair)]


@pytest.mark.parametrize('history', PAIRS, ids=' '.join)
def test_every_pair_of_causes_in_every_order(history: list[str]) -> None:
    assert play(KernelHarness().charging(), history) == expected(history)


@pytest.mark.parametrize('history', orders(('error', 'user', 'energy'))[::9], ids=' '.join)
def test_all_three_causes(history: list[str]) -> None:
    assert play(KernelHarness(Config(closings_per_minute_max=10)).charging(), history) == expected(history)


PAUSE_REASONS = {
    'user': PauseReason.USER_PAUSE,
    'error': PauseReason.ERROR,
    'energy': PauseReason.NO_ENERGY,
}


@pytest.mark.parametrize(
    'names', [each for n in range(4) for each in itertools.combinations(PAUSE_REASONS, n)]
)
def test_the_status_lists_every_reason_of_a_pause_at_once(names: tuple[str, ...]) -> None:
    harness = KernelHarness().charging()
    for cause in CAUSES:
        if cause.name in names:
            cause.comes(harness)
    assert harness.status.pause_reasons == tuple(PAUSE_REASONS[name] for name in names)
    harness.pilot('A').run(5.0)
    assert harness.status.pause_reasons == ()


def test_a_pause_by_the_ev_is_none_of_the_station() -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.pilot('B').run(1.0)) == 'PEV'
    assert harness.status.pause_reasons == ()


def test_a_further_reason_of_a_pause_is_published_at_once() -> None:
    harness = KernelHarness().charging()
    harness.command(PauseCharging())
    harness.command(external(entry(0.0)))
    status = harness.last.status
    assert status is not None
    assert status.pause_reasons == (PauseReason.USER_PAUSE, PauseReason.NO_ENERGY)


@pytest.mark.parametrize('cause', CAUSES, ids=lambda cause: cause.name)
def test_a_pause_by_the_ev_is_below_every_other(cause: Cause) -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.pilot('B').run(1.0)) == 'PEV'
    assert harness.says(lambda: (cause.comes(harness), harness.run(5.0))) == cause.says
    cleared = 'AllErrorsCleared' if cause.name == 'error' else ''
    assert harness.says(lambda: (cause.goes(harness), harness.run(20.0))) == cleared, (
        'After a new offer: nothing until C.'
    )
    assert harness.says(lambda: harness.pilot('C').run(1.0)) == 'CR'


@pytest.mark.parametrize('cause', CAUSES, ids=lambda cause: cause.name)
def test_state_b_that_follows_from_our_own_doing_is_no_pause_of_the_ev(cause: Cause) -> None:
    harness = KernelHarness().charging()
    cause.comes(harness)
    assert harness.says(lambda: harness.pilot('B').run(10.0)) == ''
    assert harness.says(lambda: harness.pilot('C', 'B', 'C', 'B').run(10.0)) == ''


def test_an_ev_that_was_never_allowed_power_does_not_pause() -> None:
    harness = KernelHarness()
    harness.jammed = True
    assert harness.says(lambda: harness.offered().pilot('C').run(1.0)) == 'SS(EVConnected) AR TS PC'
    assert harness.status.reason is StatusReason.WAITING_FOR_LOCK
    assert harness.says(lambda: harness.pilot('B').run(20.0)) == ''
    harness.jammed = False
    assert harness.says(lambda: harness.observe() and harness.pilot('C').run(1.0)) == 'CS'


def test_an_ev_that_gives_up_before_the_contactor_closed_pauses() -> None:
    harness = KernelHarness().offered()
    harness.blocked = True
    assert harness.says(lambda: harness.pilot('C').run(1.0).pilot('B').run(1.0)) == 'PEV'


X1, PWM = PilotMode.X1, PilotMode.PWM


@pytest.mark.parametrize(
    'steps',
    [(), (('B', X1),), (('B', PWM),), (('B', X1), ('C', PWM)), (('B', X1), ('C', PWM), ('B', PWM))],
    ids=['stays in C', 'B under X1', 'B late, under PWM', 'back in C', 'back in C and B again'],
)
def test_state_b_that_follows_from_a_lapsed_lease_is_no_pause_of_the_ev(
    steps: tuple[tuple[str, PilotMode], ...],
) -> None:
    harness = KernelHarness().charging()
    assert harness.says(lambda: harness.lapse(*steps).run(5.0).pilot('C').run(1.0)) == 'CR'
    assert harness.says(lambda: harness.pilot('B').run(1.0)) == 'PEV'


def test_after_a_lapsed_lease_x1_lasts_its_minimum_before_the_next_offer() -> None:
    harness = KernelHarness().charging().lapse(('B', X1))
    assert harness.outputs.pilot_mode is PilotMode.X1
    assert harness.until(lambda: harness.outputs.pilot_mode is PilotMode.PWM) == pytest.approx(3.0, abs=0.01)


def test_lapsed_leases_are_no_interruptions_by_the_ev() -> None:
    harness = KernelHarness(Config(closings_per_minute_max=10)).charging()
    for _ in range(5):
        harness.lapse(('B', X1)).run(5.0).pilot('C').run(1.0)
        assert harness.flows
    assert harness.codes().count('PEV') == 0


def test_an_ev_that_left_by_itself_before_the_lease_lapsed_has_paused() -> None:
    harness = KernelHarness().charging()
    harness.opening_reason = OpeningReason.PILOT
    harness.contactor = ContactorState.OPEN
    harness.ev = 'B'
    number = harness.transitions[-1].counter
    harness._note(number + 1, ControlPilotState.B, PWM)
    board_withdrew = replace(harness.state(), pilot_mode=X1, current_a=0.0)
    assert harness.says(lambda: harness.do(BoardObserved(board_withdrew, answered=True))) == 'PEV'


def test_commands_and_limits_below_the_dominant_cause_only_change_facts() -> None:
    harness = KernelHarness().charging()
    harness.command(PauseCharging())
    harness.pilot('B').run(4.0)
    assert harness.says(lambda: harness.command(external(entry(0.0)))) == ''
    assert harness.says(lambda: harness.command(PauseCharging())) == ''
    assert harness.says(lambda: harness.command(external())) == ''


def test_a_pause_never_closes_the_transaction() -> None:
    harness = KernelHarness().charging()
    harness.command(PauseCharging())
    harness.pilot('B').run(24 * 3600.0 / 100)
    assert harness.status.transaction_active
    assert harness.says(lambda: harness.pilot('A').run(3.0)) == 'SC CF TF(EVDisconnected) SF'


# --- X1 and the forced opening -----------------------------------------------------------------


def test_x1_once_set_lasts_3_s() -> None:
    harness = KernelHarness().charging()
    harness.command(PauseCharging())
    harness.pilot('B')
    harness.command(ResumeCharging())
    assert harness.until(lambda: harness.outputs.pilot_mode is PilotMode.PWM, 10.0) == pytest.approx(
        3.0, abs=0.01
    )


def test_an_ev_that_leaves_c_is_not_opened_under_load() -> None:
    harness = KernelHarness().charging()
    harness.command(PauseCharging())
    assert harness.outputs.allow_power_on, 'The EV gets time to stop drawing.'
    harness.run(2.0).pilot('B')
    assert not harness.outputs.allow_power_on


@pytest.mark.parametrize(
    'withdraw',
    [
        lambda harness: harness.command(PauseCharging()),
        lambda harness: harness.command(external(entry(0.0))),
        lambda harness: harness.command(remote_stop()),
        lambda harness: harness.temperature(75.0),
    ],
    ids=['pause', 'no energy', 'stop', 'controlled error'],
)
def test_an_ev_that_stays_in_c_is_opened_after_6_s(withdraw: Change) -> None:
    harness = KernelHarness().charging()
    withdraw(harness)
    assert harness.outputs.pilot_mode is PilotMode.X1
    assert harness.until(lambda: not harness.flows, 10.0) == pytest.approx(6.0, abs=0.01)


def test_a_resume_while_the_contactor_is_still_closed() -> None:
    harness = KernelHarness().charging()
    harness.command(PauseCharging())
    harness.run(1.0)
    harness.command(ResumeCharging())
    assert harness.says(lambda: harness.run(3.0)) == 'CR'
    assert harness.flows


@pytest.mark.parametrize(
    'emergency', [BoardErrorEnum.RCD_AC, BoardErrorEnum.DIODE_FAULT, BoardErrorEnum.EMERGENCY_STOP]
)
def test_an_emergency_does_not_wait_for_the_ev(emergency: BoardErrorEnum) -> None:
    harness = KernelHarness().charging()
    harness.report(emergency)
    assert not harness.outputs.allow_power_on
    assert harness.outputs.pilot_mode is PilotMode.F


# --- the wake-up -------------------------------------------------------------------------------


def modes(harness: KernelHarness, since: int) -> list[tuple[str, float]]:
    """Return the pilot's modes and how long after the first change each began."""
    changes, last = [], None
    for at, command in harness.history[since:]:
        if command.pilot_mode is not last:
            changes.append((command.pilot_mode.name, round(at - harness.history[since][0], 2)))
            last = command.pilot_mode
    return changes


def test_an_ev_that_does_not_ask_is_woken_once_per_offer() -> None:
    harness = KernelHarness().run(4.0).plug()
    since = len(harness.history)
    harness.authorize().run(300.0)
    start = harness.history[since][0]
    shown = [(command.pilot_mode.name, round(at - start, 2)) for at, command in harness.history[since:]]
    assert shown == [('PWM', 0.0), ('F', 30.0), ('X1', 34.0), ('PWM', 34.75)]
    pause = next(at for at, event in harness.events if event.event.name == 'CHARGING_PAUSED_EV')
    assert pause - start == pytest.approx(44.75, abs=0.01)


def test_an_ev_that_wakes_up_charges() -> None:
    harness = KernelHarness().offered()
    assert harness.says(lambda: harness.run(36.0).pilot('C').run(1.0)) == 'CS'


@pytest.mark.parametrize(
    ('config', 'board'),
    [
        (Config(legacy_wakeup_enabled=False), BoardCapabilities(supports_cp_state_f=True)),
        (Config(), BoardCapabilities(supports_cp_state_f=False)),
    ],
    ids=['switched off', 'board without F'],
)
def test_without_a_wake_up_the_ev_counts_as_pausing_after_40_s(
    config: Config, board: BoardCapabilities
) -> None:
    harness = KernelHarness(config, board=board).offered()
    assert harness.says(lambda: harness.run(39.0)) == ''
    assert harness.says(lambda: harness.run(1.0)) == 'PEV'
    assert {command.pilot_mode for _, command in harness.history} == {PilotMode.X1, PilotMode.PWM}


@pytest.mark.parametrize('during', [31.0, 34.3], ids=['F', 'X1'])
def test_a_cable_pulled_during_the_wake_up(during: float) -> None:
    harness = KernelHarness().offered().run(during)
    harness.pilot('A')
    wait = harness.until(lambda: 'SF' in harness.codes(), 10.0)
    ended = next(at for at, command in reversed(harness.history) if command.pilot_mode is PilotMode.X1)
    assert harness.codes().endswith('TS PC SC CF TF(EVDisconnected) SF')
    assert wait <= 4.0 + 2.0
    assert next(at for at, event in harness.events if event.event.name == 'STOPPING_CHARGING') <= ended + 0.3


def test_a_pause_ends_the_wake_up_and_the_next_offer_has_its_own() -> None:
    harness = KernelHarness().offered().run(31.0)
    assert harness.outputs.pilot_mode is PilotMode.F
    harness.command(PauseCharging())
    assert harness.outputs.pilot_mode is PilotMode.X1
    harness.run(10.0)
    harness.command(ResumeCharging())
    assert harness.until(lambda: harness.outputs.pilot_mode is PilotMode.F, 40.0) == pytest.approx(
        30.0, abs=0.1
    )


# --- toggling ----------------------------------------------------------------------------------


def test_an_ev_that_stops_and_starts_three_times_in_a_minute_waits_a_minute() -> None:
    harness = KernelHarness().charging()
    for _ in range(2):
        harness.pilot('B').run(5.0).pilot('C').run(5.0)
    harness.pilot('B').run(1.0)
    assert harness.outputs.pilot_mode is PilotMode.X1
    assert harness.status.reason is StatusReason.EV_TOGGLES
    harness.pilot('C')
    assert harness.until(lambda: harness.flows, 100.0) == pytest.approx(59.0, abs=0.5)
    assert harness.codes().endswith('CS PEV CR PEV CR PEV CR')


def test_an_ev_that_pauses_now_and_then_is_let_be() -> None:
    harness = KernelHarness().charging()
    for _ in range(5):
        assert harness.says(lambda: harness.pilot('B').run(20.0).pilot('C').run(20.0)) == 'PEV CR'


# --- the virtual replug ------------------------------------------------------------------------


def replug(harness: KernelHarness, *during: str) -> None:
    harness.replugging = True
    harness.observe()
    harness.pilot(*during).run(4.0)
    harness.replugging = False
    harness.observe()
    harness.run(4.0)


def test_a_virtual_replug_is_no_unplug() -> None:
    harness = KernelHarness().charging()
    assert (
        harness.says(lambda: (replug(harness, 'A', 'B'), harness.pilot('C').run(1.0)))
        == 'ReplugStarted ReplugFinished CR'
    )


def test_a_cable_pulled_during_a_virtual_replug_ends_the_session_afterwards() -> None:
    harness = KernelHarness().charging()
    assert (
        harness.says(lambda: replug(harness, 'A'))
        == 'ReplugStarted ReplugFinished SC CF TF(EVDisconnected) SF'
    )


# --- time --------------------------------------------------------------------------------------


def test_a_tick_at_any_other_time_changes_nothing() -> None:
    quiet, ticked = KernelHarness().charging(), KernelHarness().charging()
    for harness in (quiet, ticked):
        harness.command(PauseCharging())
        for _ in range(400):
            harness.run(0.1)
            if harness is ticked:
                harness.do(Tick())
    assert ticked.codes() == quiet.codes()
    assert ticked.history == quiet.history


def test_an_error_that_comes_and_goes_makes_power_wait_a_minute() -> None:
    harness = KernelHarness().charging()
    for _ in range(3):
        harness.pilot('E').run(0.5)
        harness.pilot('B').run(5.0)
    assert harness.status.reason is StatusReason.EV_TOGGLES
    assert harness.signalled == 0.0
    harness.run(60.0)
    assert harness.signalled > 0.0
