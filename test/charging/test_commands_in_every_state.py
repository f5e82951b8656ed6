"""
Every command in every state (docs/charging.md): what it answers, and what it brings about.

A refused command changes nothing: from then on the connector behaves as one that never got it.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cache

import pytest

from charging.kernel_harness import KernelHarness, entry, external, remote_stop, token
from charging.states import STATES
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    CancelReservation,
    ClearFault,
    Command,
    Disable,
    Enable,
    EnableDisable,
    ForceUnlock,
    PauseCharging,
    Reserve,
    ResumeCharging,
    SetFaulted,
    SetGetCertificateResponse,
    SwitchThreePhasesWhileCharging,
    WithdrawAuthorization,
)
from evse_manager.interface.enums import (
    AuthorizationStatus,
    CertificateAction,
    EnableSource,
    EnableState,
    ExiStreamStatus,
    SwitchThreePhasesWhileChargingResult,
)
from evse_manager.interface.types import ProvidedIdToken, ResponseExiStreamStatus, ValidationResult

Result = SwitchThreePhasesWhileChargingResult

LATER_S = 9.0
EVERYWHERE = frozenset(state.__name__ for state in STATES)
RUNNING = frozenset({
    'preparing', 'charging', 'paused_by_ev', 'paused_by_user', 'without_energy', 'waiting_for_limit',
    'waking_with_f',
    'waking_with_x1', 'error_charging', 'lost_charging', 'replugging', 'switching_phases', 'on_one_phase',
})  # fmt: skip
"""A transaction is open and not stopping."""
UNAVAILABLE = frozenset({'disabled', 'faulted', 'faulted_and_disabled'})
ENDED = frozenset({'stopping', 'stopped', 'welded'})
"""The one transaction of the session is over, or ends."""
FAULTED = frozenset({'faulted', 'faulted_and_disabled'})
LOST = frozenset({'lost_idle', 'lost_charging', 'starting'})
BLOCKED = LOST | {'error_idle', 'error_charging', 'welded'}
CHARGED = RUNNING - {'preparing', 'waiting_for_limit', 'waking_with_f', 'waking_with_x1'}
"""Energy has flowed in the open transaction."""


@dataclass(frozen=True)
class Rule:
    """Where a command is accepted, and the events it brings where they differ from those of letting it be."""

    name: str
    command: Command
    accepted: frozenset[str]
    brings: dict[str, str] = field(default_factory=dict)
    lasting: frozenset[str] = frozenset()
    """Where it is refused for now, but stays wanted."""


def each(states: frozenset[str], events: str) -> dict[str, str]:
    return dict.fromkeys(states, events)


def owned(state: EnableState, priority: int) -> EnableDisable:
    """Return the say of the back end."""
    return EnableDisable(0, EnableSource.CSMS, state, priority)


DISABLING = {
    **each(RUNNING, 'SC CF TF(Other) SF Disabled'), 'lost_charging': 'SC CF TF(Other) SF',
    **each(frozenset({'idle', 'error_idle', 'faulted'}), 'Disabled'),
    **each(frozenset({'authorized', 'plugged', 'stopped', 'welded'}), 'SF Disabled'),
    'reserved': 'ReservationEnd Disabled', 'starting': 'Disabled Error(Internal)',
    'stopping': 'CF TF(Remote) SF Disabled', 'shutting_down': 'CF TF(Reboot) SF Disabled',
}  # fmt: skip

RULES = (
    Rule('enable', Enable(), EVERYWHERE - FAULTED, {'disabled': 'Enabled'}),
    Rule('disable', Disable(), EVERYWHERE - LOST, DISABLING, lasting=LOST),
    Rule('enable_disable, a disable', owned(EnableState.DISABLE, 100), EVERYWHERE - LOST,
        DISABLING, lasting=LOST),
    Rule('enable_disable, a stronger enable', owned(EnableState.ENABLE, 99), EVERYWHERE - FAULTED,
        {'disabled': 'Enabled'}),
    Rule('enable_disable, a weaker enable', owned(EnableState.ENABLE, 101),
        EVERYWHERE - FAULTED - {'disabled'}, lasting=frozenset({'disabled'})),
    Rule('enable_disable, no say', owned(EnableState.UNASSIGNED, 0), EVERYWHERE),
    Rule('authorize_response, accepted', token('OTHER'),
        EVERYWHERE - UNAVAILABLE - RUNNING - ENDED - {'shutting_down'}, {
        **each(frozenset({'idle', 'reserved'}), 'SS(Authorized)'), 'plugged': 'TS PC'}),
    Rule('authorize_response, the same token again', token(),
        EVERYWHERE - UNAVAILABLE - ENDED - {'shutting_down'}, {
        **each(frozenset({'idle', 'reserved'}), 'SS(Authorized)'), 'plugged': 'TS PC'}),
    Rule('authorize_response, not accepted',
        AuthorizeResponse(ProvidedIdToken('X'), ValidationResult(AuthorizationStatus.BLOCKED)), EVERYWHERE),
    Rule('withdraw_authorization', WithdrawAuthorization(), EVERYWHERE, {'authorized': 'SF'}),
    Rule('reserve', Reserve(8), frozenset({'idle'}), {'idle': 'ReservationStart'}),
    Rule('reserve, the same id', Reserve(7), frozenset({'idle', 'reserved'}), {'idle': 'ReservationStart'}),
    Rule('cancel_reservation', CancelReservation(), EVERYWHERE, {'reserved': 'ReservationEnd'}),
    Rule('set_faulted', SetFaulted(), EVERYWHERE, {
        **each(RUNNING, 'PermanentFault SC CF TF(Other) SF'),
        **each(frozenset({'idle', 'disabled', 'error_idle', 'lost_idle'}), 'PermanentFault'),
        **each(frozenset({'authorized', 'plugged', 'stopped', 'welded'}), 'PermanentFault SF'),
        'reserved': 'ReservationEnd PermanentFault', 'starting': 'PermanentFault Error(Internal)',
        'stopping': 'PermanentFault CF TF(Remote) SF', 'shutting_down': 'PermanentFault CF TF(Reboot) SF'}),
    Rule('clear_fault', ClearFault(), FAULTED, {
        'faulted': 'AllErrorsCleared Enabled', 'faulted_and_disabled': 'AllErrorsCleared'}),
    Rule('pause_charging', PauseCharging(), RUNNING, each(
        RUNNING - {'paused_by_user', 'switching_phases', 'error_charging', 'lost_charging'}, 'PEVSE')),
    Rule('resume_charging', ResumeCharging(), frozenset({'paused_by_user'})),
    Rule('stop_transaction', remote_stop(), RUNNING, each(RUNNING, 'SC CF TF(Remote)')),
    Rule('force_unlock', ForceUnlock(), EVERYWHERE - LOST - {'welded'}, each(
        RUNNING - {'lost_charging'}, 'SC CF TF(UnlockCommand)')),
    Rule('set_external_limits', external(entry(10.0)), EVERYWHERE),
    Rule('set_external_limits, NaN', external(entry(math.nan)), frozenset()),
    Rule('switch_three_phases_while_charging, to one', SwitchThreePhasesWhileCharging(False),
        CHARGED - BLOCKED, {
        'charging': 'PEVSE', 'paused_by_ev': 'PEVSE', 'without_energy': 'PEVSE WE', 'replugging': 'PEVSE'}),
    Rule('switch_three_phases_while_charging, to three', SwitchThreePhasesWhileCharging(True),
        CHARGED - BLOCKED, {
        'on_one_phase': 'PEVSE'}),
    Rule('set_get_certificate_response', SetGetCertificateResponse(
        ResponseExiStreamStatus(ExiStreamStatus.ACCEPTED, CertificateAction.INSTALL, 'AA==')), frozenset()),
    *(
        Rule(f'{type(command).__name__} of another connector', command, frozenset())
        for command in (Enable(2), Disable(2), ForceUnlock(2), Enable(-1))
    ),
)  # fmt: skip

MAKE = {state.__name__: state for state in STATES}


@dataclass(frozen=True)
class Course:
    """What a connector did from a point in time on."""

    codes: str
    times: tuple[float, ...]
    outputs: tuple[object, ...]
    status: object


def course(harness: KernelHarness, events: int, outputs: int, start: float) -> Course:
    return Course(
        harness.codes(events),
        tuple(round(at - start, 6) for at, _ in harness.events[events:]),
        tuple((round(at - start, 6), command) for at, command in harness.history[outputs:]),
        replace(harness.status, stamp=None),
    )


@cache
def left_alone(state: str) -> Course:
    """Return what comes of a state without any command."""
    harness = MAKE[state]()
    begun = len(harness.events), len(harness.history), harness.t
    return course(harness.run(LATER_S), *begun)


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize('state', sorted(EVERYWHERE))
@pytest.mark.fault('C7')
def test_command_in_state(rule: Rule, state: str) -> None:
    harness, alone = MAKE[state](), left_alone(state)
    events, outputs, start = len(harness.events), len(harness.history), harness.t
    answer = harness.command(rule.command)
    assert answer.success == (state in rule.accepted), answer.message
    assert answer.success or answer.message.endswith('.')
    assert harness.t - start <= 1.0 or isinstance(rule.command, ForceUnlock)
    harness.run(LATER_S - (harness.t - start))
    seen = course(harness, events, outputs, start)
    assert seen.codes == rule.brings.get(state, alone.codes)
    if not answer.success and state not in rule.lasting:
        assert seen == alone


@pytest.mark.parametrize(
    ('state', 'result'),
    [
        ('idle', Result.ERROR_NOT_CHARGING), ('preparing', Result.ERROR_NOT_CHARGING),
        ('stopped', Result.ERROR_NOT_CHARGING), ('error_charging', Result.ERROR_HARDWARE),
        ('lost_charging', Result.ERROR_HARDWARE), ('charging', Result.SUCCESS), ('on_one_phase',
        Result.SUCCESS),
    ],
)  # fmt: skip
def test_results_of_a_phase_switch(state: str, result: Result) -> None:
    assert MAKE[state]().command(SwitchThreePhasesWhileCharging(False)).result is result
