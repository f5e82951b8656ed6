"""
A bench for faults: the bench with the invariant checker of the kernel's tests, and a clamp around the cable.

The invariants are checked at every step of the kernel (``charging/invariants.py``).  The clamp checks the
hardware after every instant: what is closed although it must not be, and how long.
"""

from collections.abc import Callable
from typing import Any

from charging.invariants import InvariantChecker
from evse_manager.charging.inputs import Command, SetExternalLimits
from evse_manager.charging.kernel import Output
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    PilotMode,
    StopTransactionReason,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCommand,
    ExternalLimits,
    Limits,
    LimitsReq,
    ScheduleReqEntry,
    Time,
)
from evse_manager.simulation.bench import Bench
from evse_manager.simulation.world import WorldSettings

CLOSED, OPEN = ContactorState.CLOSED, ContactorState.OPEN
SAFETY_S = 0.5
"""Longest time that the contactor may stay closed after a safety error."""

UNDER_LOAD_S = 6.5
"""Longest time that it may stay closed on an EV that stays in C without an offer."""

WELDING = ('relay_weld',)


class FaultBench(Bench):
    """See the module's description."""

    def __init__(
        self, config: Config | None = None, settings: WorldSettings | None = None, **choices: Any
    ) -> None:
        config = config or Config()
        self.limits: Limits | None = None
        """The newest published limits."""
        self.wishes: list[BoardCommand] = []
        """All that was wanted of the board."""
        choices.setdefault('leases', True)
        super().__init__(config, settings, **choices)
        self.config = config
        past = [recorded.event for recorded in self.events]
        self.invariants = InvariantChecker.watch(self.kernel, config, past)
        self.invariants.board_capabilities = self._driver.capabilities()
        self.watchers.append(FaultBench._clamp)
        self._wrong_since: dict[str, float] = {}

    # --- short scripts -------------------------------------------------------------------------------

    def charge(self, profile: str = '', **changes: float) -> 'FaultBench':
        """Come to a flow of energy."""
        self.plug_in(profile, **changes)
        self.authorize()
        self.run_until(lambda bench: bench.flows, 60.0)
        self.run_for(2.0)
        return self

    def fresh_session(self) -> None:
        """Charge another car: there is no dead end."""
        if self.world.ev is not None:
            self.unplug()
        self.run_for(75.0)
        assert not self.status.active_errors, self.status.active_errors
        since = len(self.events)
        self.charge()
        assert self.codes(since).endswith('TS PC CS'), self.codes(since)
        self.unplug()
        self.run_for(5.0)
        assert not self.status.session_uuid

    def trips(self, code: BoardErrorEnum, active: bool = True) -> None:
        """Let the board's protection report an error of its own, or report it no longer."""
        self.world.protection.cause(code, active)
        self.look_again()

    def resistance(self, ohm: float | None) -> None:
        """Put a resistance on the pilot that no car should have; ``None`` is the car's own again."""
        assert self.world.ev is not None
        self.world.ev.resistance_override_ohm = ohm
        self.look_again()

    def look_again(self) -> None:
        """Let the world notice what was changed in it by hand."""
        self.clear('board_reset')

    def limit_entry(self, values: LimitsReq) -> None:
        """Set an external limit by all its numbers."""
        entry = ScheduleReqEntry(self._wall(), values)
        self.do(SetExternalLimits(ExternalLimits(schedule_import=(entry,))))

    def says(self, action: Callable[[], object], seconds: float = 0.0) -> str:
        """Return the codes of the events that an action, and the time after it, bring about."""
        since = len(self.events)
        action()
        if seconds:
            self.run_for(seconds)
        return self.codes(since, details=True)

    def do(self, command: Command) -> None:
        """Send a command that has to be accepted."""
        answer = self.command(command)
        assert answer.success, answer.message

    # --- what is measured ------------------------------------------------------------------------------

    def until_open(self, limit_s: float = 10.0) -> float:
        """Let time pass until the contactor is seen open; return how long that took."""
        return self.run_until(lambda bench: bench.board_state.contactor is OPEN, limit_s)

    def until_error(self, error: ErrorEnum, limit_s: float = 10.0) -> float:
        """Let time pass until an error is active; return how long that took."""
        return self.run_until(lambda bench: error in bench.active, limit_s)

    @property
    def active(self) -> set[ErrorEnum]:
        return {error.error_code for error in self.status.active_errors}

    @property
    def error_codes(self) -> set[str]:
        """The stable codes of the active errors."""
        return {error.vendor_error.split(':')[0] for error in self.status.active_errors}

    @property
    def closed(self) -> bool:
        return self.world.contactor.closed

    @property
    def wall(self) -> Time:
        """The wall clock."""
        return self._wall()

    @property
    def pilot(self) -> PilotMode:
        return self.board_state.pilot_mode

    def at(self, code: str) -> float:
        """When the newest event of a code came."""
        return next(r.at for r in reversed(self.events) if r.code == code or r.code.split('(')[0] == code)

    def times(self, *codes: str) -> list[float]:
        """When every event of these codes came."""
        return [r.at for r in self.events if r.code.split('(')[0] in codes]

    @property
    def stop_reason(self) -> StopTransactionReason:
        finished = next(r.event.transaction_finished for r in reversed(self.events) if r.code[:2] == 'TF')
        assert finished is not None
        return finished.reason

    def publish(self, output: Output) -> None:
        self.limits = output.limits or self.limits
        if output.outputs is not None:
            self.wishes.append(output.outputs)

    # --- invariants ---------------------------------------------------------------------------------------

    def _clamp(self) -> None:
        """Judge what the hardware does at this instant."""
        world, state = self.world, self.board_state
        if self.flows:
            assert world.contactor.closed, 'A current through an open contactor.'
        told = world.outputs
        cable = (self.config.connector_type == 'socket' and state.cable_ampacity_a) or 80.0
        assert told.current_a <= min(cable, world.settings.max_current_a, self.config.max_current_import_a)
        assert told.current_a == 0.0 or told.current_a >= 5.95
        welded = any(name in world.active_faults for name in WELDING)
        closed = world.contactor.closed and not welded and 'link_lost' not in world.active_faults
        asks = state.cp_state in {ControlPilotState.C, ControlPilotState.D}
        wrong = {
            'no EV asks': (not asks, SAFETY_S),
            'an error of the board': (world.protection.blocks, SAFETY_S),
            'not authorized': (not self.status.authorized, UNDER_LOAD_S),
            'no offer': (told.pilot_mode is not PilotMode.PWM, UNDER_LOAD_S),
        }
        for name, (is_wrong, allowed_s) in wrong.items():
            if not (closed and is_wrong):
                self._wrong_since.pop(name, None)
            else:
                since = self._wrong_since.setdefault(name, self.now)
                assert self.now - since <= allowed_s, f'Closed for {self.now - since:.2f} s though {name}.'
