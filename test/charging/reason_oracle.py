"""
Whether ``reason`` and ``reason_text`` are true, by inputs, outputs and events apart from the kernel.

The invariants call it after every step, so every golden sequence, every test of the fault catalogue and every
random walk is held against it.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from charging.limit_oracle import LimitOracle
from evse_manager.charging import faults
from evse_manager.charging.faults import Fault
from evse_manager.charging.inputs import Now
from evse_manager.interface import pilot
from evse_manager.interface.enums import (
    ContactorState,
    ControlPilotState,
    LimitSource,
    LockState,
    PilotMode,
    StatusReason,
)
from evse_manager.interface.enums import SessionEventEnum as E
from evse_manager.interface.types import BoardCommand, BoardState, EvseStatus

R = StatusReason
CLOSED = ContactorState.CLOSED
ASKS = (ControlPilotState.C, ControlPilotState.D)
SENTENCES = {fault.code: fault.sentence for fault in vars(faults).values() if isinstance(fault, Fault)}
LONGEST = 230
"""Characters of a reason: three lines of a terminal."""

OFFERED = {
    R.CHARGING, R.WAITING_FOR_EV, R.PAUSED_BY_EV, R.WAITING_FOR_LOCK, R.WAITING_FOR_CONTACTOR,
    R.WAITING_FOR_PLUG,
}  # fmt: skip
"""Only with these reasons is there a current on the pilot."""

LIMITING = {R.NO_ENERGY, R.CHARGING}
"""With these reasons the sentence says whose limit binds."""

WORDS = {
    LimitSource.HARDWARE: 'hardware',
    LimitSource.PARAMETER: 'max_current_import_a',
    LimitSource.CABLE: 'cable',
    LimitSource.ENERGY_MANAGER: 'energy manager',
    LimitSource.EXTERNAL: 'external limits',
    LimitSource.TEMPERATURE: 'derating',
}


@dataclass
class Facts:
    """What is known without asking the kernel."""

    now: Now
    status: EvseStatus
    outputs: BoardCommand
    board: BoardState | None
    link: bool
    limits: LimitOracle
    last: E | None
    """The newest event of the session."""
    transaction: bool
    available: E | None
    commands: set[str] = field(default_factory=set)
    """What operators ordered and was accepted, and not taken back since."""

    @property
    def offered(self) -> bool:
        return self.outputs.pilot_mode is PilotMode.PWM

    @property
    def asks(self) -> bool:
        return self.board is not None and self.board.cp_state in ASKS

    @property
    def closed(self) -> bool:
        return self.board is not None and self.link and self.board.contactor is CLOSED

    @property
    def codes(self) -> set[str]:
        return {error.vendor_error.split(':')[0] for error in self.status.active_errors}

    @property
    def least_a(self) -> float:
        hardware = self.limits.hardware
        return max(pilot.MINIMUM_CURRENT_A, hardware.min_current_a_import if hardware is not None else 0.0)

    @property
    def quiet(self) -> bool:
        """A transaction in which nothing is wrong, and nothing is offered."""
        return self.transaction and not self.status.active_errors and not self.offered


def _charging(facts: Facts) -> bool:
    return facts.transaction and facts.offered and facts.closed and facts.asks and not facts.codes


def _lost(facts: Facts) -> bool:
    return 'BoardLost' in facts.codes and not facts.offered


def _no_energy(facts: Facts) -> bool:
    granted = facts.limits.amperes(facts.now, max(1, facts.outputs.phases))
    derated = facts.status.limit_source is LimitSource.TEMPERATURE
    return facts.quiet and (granted < facts.least_a or derated or facts.limits.hardware is None)


def _waiting_for_contactor(facts: Facts) -> bool:
    if 'seen open' in facts.status.reason_text:
        return facts.quiet
    if 'confirm' in facts.status.reason_text:
        return facts.offered and facts.asks and facts.closed
    return facts.offered and facts.asks and not facts.closed


def _waiting_for_plug(facts: Facts) -> bool:
    absent = facts.board is None or facts.board.cp_state not in (*ASKS, ControlPilotState.B)
    return absent and bool(facts.status.session_uuid)


def _silent_manager(facts: Facts) -> bool:
    return facts.quiet and facts.now.steady >= facts.limits.grant_ends


TRUE: dict[StatusReason, Callable[[Facts], bool]] = {
    R.SHUTTING_DOWN: lambda facts: 'shutdown' in facts.commands and not facts.offered,
    R.STARTING: lambda facts: facts.available is None and not facts.offered,
    R.STOPPING: lambda facts: facts.last is E.STOPPING_CHARGING and not facts.offered,
    R.FAULTED: lambda facts: 'faulted' in facts.commands and not facts.offered,
    R.DISABLED: lambda facts: 'disabled' in facts.commands and not facts.offered,
    R.BOARD_LOST: _lost,
    R.ERROR: lambda facts: bool(facts.codes) and 'BoardLost' not in facts.codes and not facts.offered,
    R.REPLUG: lambda facts: facts.board is not None and facts.board.replug_active,
    R.RESERVED: lambda facts: not facts.status.session_uuid and facts.status.reservation_id is not None,
    R.AVAILABLE: lambda facts: not facts.status.session_uuid and facts.available is E.ENABLED,
    R.TRANSACTION_FINISHED: lambda facts: facts.last is E.TRANSACTION_FINISHED and not facts.offered,
    R.WAITING_FOR_PLUG: _waiting_for_plug,
    R.WAITING_FOR_METER: lambda facts: facts.status.authorized and not facts.transaction,
    R.WAITING_FOR_AUTHORIZATION: lambda facts: facts.status.plugged and not facts.status.authorized,
    R.PAUSED_BY_USER: lambda facts: facts.quiet and 'paused' in facts.commands,
    R.SWITCHING_PHASES: lambda facts: facts.quiet,
    R.WAITING_FOR_FIRST_LIMIT: lambda facts: facts.quiet and facts.limits.config.energy_source == 'manager',
    R.LIMIT_EXPIRED: _silent_manager,
    R.TOO_FEW_PHASES: lambda facts: facts.quiet and facts.limits.phases(facts.now) < 3,
    R.NO_ENERGY: _no_energy,
    R.CHARGING: _charging,
    R.EV_TOGGLES: lambda facts: facts.quiet,
    R.TOO_MANY_CLOSINGS: lambda facts: facts.quiet and not facts.closed,
    R.RESTART_DELAY: lambda facts: facts.quiet,
    R.MINIMUM_PAUSE: lambda facts: facts.quiet,
    R.WAKING_UP_EV: lambda facts: facts.quiet and not facts.closed,
    R.WAITING_FOR_LOCK: lambda facts: (
        facts.offered and facts.asks and facts.status.lock is not LockState.LOCKED
    ),
    R.WAITING_FOR_CONTACTOR: _waiting_for_contactor,
    R.PAUSED_BY_EV: lambda facts: facts.offered and not facts.asks,
    R.WAITING_FOR_EV: lambda facts: facts.offered and not facts.closed,
}


def judge(facts: Facts) -> None:
    """Assert that the reason follows from the facts, and that its sentence says what is so."""
    status, text = facts.status, facts.status.reason_text
    place = f'{status.reason.name}: {text!r}'
    assert TRUE[status.reason](facts), f'{place}\nis not so: {status}\n{facts.outputs}\n{facts.board}'
    assert (status.reason in OFFERED) or not facts.offered, f'A current is offered, but {place}'
    flows = _charging(facts) and facts.board is not None and facts.board.pilot_mode is PilotMode.PWM
    if flows and facts.last is not E.STOPPING_CHARGING:
        assert status.reason is R.CHARGING, f'Energy flows, but {place}'
    _wording(facts, place)
    _numbers(facts, place)


def _wording(facts: Facts, place: str) -> None:
    """A sentence for people: no codes, no figures of the pilot, and what can be done stands in it."""
    status, text = facts.status, facts.status.reason_text
    assert re.fullmatch(r'[A-Z0-9].*\.', text), place
    assert len(text) <= LONGEST, place
    assert not re.search(r'\(s\)|%|\bnobody\b|  |\.\.|;\.', text), place
    assert not any(code in text for code in SENTENCES), f'{place} has a code.'
    match status.reason:
        case R.ERROR:
            known = [SENTENCES[code].removesuffix('.') for code in facts.codes]
            assert any(sentence in text for sentence in known), f'{place} is none of {facts.codes}.'
        case R.DISABLED:
            assert 'enable' in text, place
        case R.FAULTED:
            assert 'clear_fault' in text, place
        case R.PAUSED_BY_USER:
            assert 'resume_charging' in text, place
        case R.RESERVED:
            assert f'reservation {status.reservation_id}' in text, place
        case R.TRANSACTION_FINISHED:
            assert 'unplug' in text, place
        case R.AVAILABLE if facts.board is not None and facts.board.cp_state in (*ASKS, ControlPilotState.B):
            assert 'plug in a car' not in text, place
        case _:
            pass


def _numbers(facts: Facts, place: str) -> None:
    """The limit, its source and the offered current in the sentence are those in force."""
    status, text = facts.status, facts.status.reason_text
    if status.reason is R.WAITING_FOR_EV:
        assert f'{facts.outputs.current_a:.1f} A' in text, place
    if status.reason not in LIMITING or facts.limits.hardware is None:
        return
    if 'rating of the cable is not known' in text:
        assert facts.board is not None
        assert not facts.board.cable_ampacity_a, place
        return
    assert f'limit of {status.limit_a:.1f} A' in text, place
    assert WORDS[status.limit_source] in text, place
    assert status.limit_node in text, place
    bound_a = facts.limits.amperes_of(status.limit_source, facts.now, max(1, status.phases))
    assert math.isclose(bound_a, status.limit_a, abs_tol=1e-6) or math.isinf(bound_a), place
    if ' rise to ' in text:
        assert f'{facts.outputs.current_a:.1f} A' in text, place
        assert facts.outputs.current_a < status.limit_a, place
    elif status.reason is R.CHARGING and status.limit_a <= pilot.GAP_A[0]:
        assert math.isclose(facts.outputs.current_a, max(status.limit_a, facts.least_a), abs_tol=0.06), place
