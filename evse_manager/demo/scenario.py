"""The scenario of the demonstration: each step acts and waits until its effect has been observed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evse_manager.cli import formatting
from evse_manager.cli.calls import call_service
from evse_manager.cli.errors import CliError, ExitCode
from evse_manager.cli.graph import Graph
from evse_manager.demo.processes import Nodes
from evse_manager.demo.screen import DemoScreen
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    ContactorState,
    ErrorEnum,
    IdTokenType,
    SessionEventEnum,
    StopTransactionReason,
)
from evse_manager.interface.types import (
    BoardState,
    Error,
    EvseStatus,
    ExternalLimits,
    LimitsReq,
    Powermeter,
    ProvidedIdToken,
    ScheduleReqEntry,
    SessionEvent,
    StopTransactionRequest,
    Time,
    ValidationResult,
)

LIMIT_S = 40.0
"""How long anything may take to happen; the slowest is the EV, which follows a new duty cycle within 5 s."""
HOLDS_ERROR = frozenset({'openevse'})
"""Drivers whose firmware ends the fault of state D with the unplug alone (docs/boards/openevse.md)."""
TOKEN = 'DEMO-CARD'
REDUCED_A = 16.0

Seen = SessionEventEnum


class StepFailedError(CliError):
    """Something that had to happen did not."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.REFUSED)


@dataclass
class Snapshot:
    """The newest of what the connector says."""

    status: EvseStatus = EvseStatus()
    board: BoardState = BoardState()
    meter: Powermeter = Powermeter()


class Scenario:
    """
    One session, step by step; ``run`` returns when it is over, or raises ``StepFailedError``.

    It is large because each step of the session is a method.
    """

    def __init__(self, graph: Graph, nodes: Nodes, namespace: str, screen: DemoScreen, driver: str) -> None:
        self.graph = graph
        self.nodes = nodes
        self.namespace = namespace
        self.screen = screen
        self.heard = Snapshot()
        self.events: list[SessionEvent] = []
        self.printed = 0
        self.expected = 0
        self.number = 0
        self.trouble = ''
        self.longest_charging_s = 0.0
        self.holds_error = driver in HOLDS_ERROR
        self.steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ('The charger starts', self.start),
            ('An electric car is plugged in', self.plug_in),
            ('A token is accepted', self.authorize),
            ('The car charges at full power', self.charge),
            (f'The operator limits it to {REDUCED_A:g} A', self.reduce),
            ('The car pauses by itself, and resumes', self.ev_pause),
            ('The operator pauses it, and resumes', self.evse_pause),
            ('An error comes, and lasts until the unplug', self.fail_until_unplug)
            if self.holds_error
            else ('An error comes, and clears by itself', self.fail),
            ('The operator stops the transaction', self.stop),
            ('The car is unplugged', self.unplug),
        )
        graph.listen(namespace, 'session_event', SessionEvent, self.on_event, self.on_garbled)
        graph.listen(namespace, 'status', EvseStatus, self.on_status, self.on_garbled)
        graph.listen(namespace, 'board/state', BoardState, self.on_board, self.on_garbled)
        graph.listen(namespace, 'powermeter', Powermeter, self.on_meter, self.on_garbled)

    # --- subscriptions ----------------------------------------------------------------------------------

    def on_event(self, event: SessionEvent) -> None:
        """Keep each event; it is printed by whoever waits."""
        self.events.append(event)

    def on_status(self, status: EvseStatus) -> None:
        """Keep the newest status."""
        self.heard.status = status
        self.longest_charging_s = max(self.longest_charging_s, status.charging_duration)

    def on_board(self, state: BoardState) -> None:
        """Keep the newest state of the board."""
        self.heard.board = state

    def on_meter(self, sample: Powermeter) -> None:
        """Keep the newest sample of the meter."""
        self.heard.meter = sample

    def on_garbled(self, trouble: str) -> None:
        """Note what could not be understood."""
        self.trouble = trouble

    @property
    def power_w(self) -> float:
        """Return the measured power."""
        power = self.heard.meter.power_w
        return (power.total if power else None) or 0.0

    @property
    def current_a(self) -> float:
        """Return the measured current of the strongest phase."""
        current = self.heard.meter.current_a
        return (
            max((value or 0.0 for value in (current.l1, current.l2, current.l3)), default=0.0)
            if current
            else 0.0
        )

    def reading(self) -> str:
        """Return the current values in one line."""
        status, board = self.heard.status, self.heard.board
        contactor = formatting.spoken(board.contactor) if board.contactor else formatting.ABSENT
        energy = formatting.energy(status.session_energy_wh)
        offer = f'duty {board.duty_cycle_percent:.1f} %' if board.current_a else 'no offer'
        return (
            f'{formatting.power(self.power_w)}  {formatting.amperes(self.current_a)}  {energy}  '
            f'{offer}  pilot {board.cp_state.name}  contactor {contactor}'
        )

    def failure(self, what: str) -> StepFailedError:
        """Return the error of this step: what is wrong, and what was seen."""
        status = self.heard.status
        return StepFailedError(
            f'step {self.number} "{self.steps[self.number - 1][0]}": {what}; seen: {self.reading()}; '
            f'state {formatting.spoken(status.state)}: {formatting.why(status)}'
        )

    # --- doing and waiting ------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        """Wait for a condition; says what was seen instead when it does not come."""

        def happened() -> bool:
            for event in self.events[self.printed :]:
                self.screen.event(event)
            self.printed = len(self.events)
            self.screen.now(self.reading(), self.power_w)
            if self.trouble:
                raise StepFailedError(self.trouble)
            dead = self.nodes.dead()
            if dead:
                raise self.failure(f'{dead}, while waiting for {what}')
            return condition()

        if not self.graph.wait_until(happened, limit_s):
            raise self.failure(f'no {what} within {limit_s:g} s')

    def expect(self, *wanted: SessionEventEnum) -> list[SessionEvent]:
        """Wait for exactly these events, in this order, and return them."""
        first = self.expected
        self.expected += len(wanted)

        def come() -> bool:
            seen = [event.event for event in self.events[first : self.expected]]
            if seen != list(wanted[: len(seen)]):
                names = ', '.join(formatting.camel(event) for event in seen)
                right = ', '.join(formatting.camel(event) for event in wanted)
                raise self.failure(f'expected {right}, but {names} came')
            return len(seen) == len(wanted)

        self.wait(come, ', '.join(formatting.camel(event) for event in wanted))
        return self.events[first : self.expected]

    def look_on(self, seconds: float) -> None:
        """Let a person see what is the case; nothing may happen meanwhile."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= end, 'the clock going on', seconds + 1.0)
        if len(self.events) > self.expected:
            surprise = ', '.join(formatting.event_name(event) for event in self.events[self.expected :])
            raise self.failure(f'{surprise} came unexpectedly')

    def call(self, service: str, **fields: Any) -> None:
        """Call a service that must be accepted."""
        reply = call_service(self.graph, self.namespace, service, fields, find_s=LIMIT_S, answer_s=LIMIT_S)
        if not reply.success:
            raise self.failure(f'{service} was refused: {reply.message}')

    def measured(self) -> None:
        """Print the current values so that they stay."""
        self.screen.measured(self.reading())

    def require(self, truth: bool, what: str) -> None:
        """Fail unless something is so."""
        if not truth:
            raise self.failure(what)

    # --- the steps ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Go through all steps."""
        for number, (title, play) in enumerate(self.steps, start=1):
            self.number = number
            self.screen.step(self.number, len(self.steps), title)
            play()

    def start(self) -> None:
        """Wait for the nodes."""
        self.expect(Seen.ENABLED)

    def plug_in(self) -> None:
        """Plug in a car that takes three phases of 32 A, 40 % full."""
        nothing = float('nan')
        self.call(
            'simulation/plug_in',
            profile='default', max_current_a=32.0, phases=3, soc_percent=40.0, battery_capacity_wh=nothing,
        )  # fmt: skip
        self.expect(Seen.SESSION_STARTED, Seen.AUTH_REQUIRED)
        self.look_on(1.0)

    def authorize(self) -> None:
        """Accept a token; the car asks for power as soon as it is offered."""
        token = ProvidedIdToken(
            id_token=TOKEN, authorization_type=AuthorizationType.RFID, id_token_type=IdTokenType.ISO14443
        )
        result = ValidationResult(authorization_status=AuthorizationStatus.ACCEPTED)
        self.call('authorize_response', provided_token=token, validation_result=result)
        self.expect(Seen.TRANSACTION_STARTED, Seen.PREPARE_CHARGING, Seen.CHARGING_STARTED)

    def charge(self) -> None:
        """Wait for full power and some energy."""
        self.wait(lambda: self.power_w > 20_000.0, 'more than 20 kW')
        self.wait(lambda: (self.heard.status.session_energy_wh or 0.0) > 10.0, 'more than 10 Wh')
        self.look_on(3.0)
        self.measured()

    def reduce(self) -> None:
        """Limit the current; duty cycle and car must follow."""
        entry = ScheduleReqEntry(
            timestamp=Time(time.time_ns()), limits_to_root=LimitsReq(ac_max_current_a=REDUCED_A)
        )
        self.call('set_external_limits', value=ExternalLimits(schedule_import=(entry,)))
        duty = REDUCED_A / 0.6  # IEC 61851-1, table A.8
        self.wait(
            lambda: abs(self.heard.board.duty_cycle_percent - duty) < 0.5, f'duty cycle of {duty:.1f} %'
        )
        self.wait(
            lambda: 0.9 * REDUCED_A < self.current_a < 1.02 * REDUCED_A,
            f'measured current of {REDUCED_A:g} A',
        )
        self.look_on(3.0)
        self.measured()

    def ev_pause(self) -> None:
        """The car stops asking, then asks again."""
        self.call('simulation/ev_pause')
        self.expect(Seen.CHARGING_PAUSED_EV)
        self.wait(self.is_off, 'power off')
        self.look_on(2.5)
        self.measured()
        self.call('simulation/ev_resume')
        self.expect(Seen.CHARGING_RESUMED)
        self.wait_for_power()

    def evse_pause(self) -> None:
        """The operator pauses and resumes."""
        self.call('pause_charging')
        self.expect(Seen.CHARGING_PAUSED_EVSE)
        self.wait(self.is_off, 'power off')
        self.look_on(2.5)
        self.measured()
        self.call('resume_charging')
        self.expect(Seen.CHARGING_RESUMED)
        self.wait_for_power()

    def fail(self) -> None:
        """The car asks for ventilation, which the site does not have, and then no longer."""
        self.fail_until_unplug()
        self.expect(Seen.ALL_ERRORS_CLEARED, Seen.CHARGING_RESUMED)
        self.wait_for_power()
        self.require(not self.active_errors(), 'an error is still active')

    def fail_until_unplug(self) -> None:
        """The car asks for ventilation, which the site does not have; without an offer it leaves state D."""
        self.call('simulation/inject_fault', fault='ventilation')
        (event,) = self.expect(Seen.ERROR)
        code = event.error.error_code if event.error else ErrorEnum.UNSPECIFIED
        self.require(code == ErrorEnum.VENTILATION_NOT_AVAILABLE, f'the error is {formatting.camel(code)}')
        self.wait(self.is_off, 'power off')
        self.measured()
        self.call('simulation/clear_fault', fault='ventilation')

    def stop(self) -> None:
        """End the transaction; the cable is still in."""
        self.call('stop_transaction', request=StopTransactionRequest(reason=StopTransactionReason.LOCAL))
        *_, finished = self.expect(Seen.STOPPING_CHARGING, Seen.CHARGING_FINISHED, Seen.TRANSACTION_FINISHED)
        reason = finished.transaction_finished.reason if finished.transaction_finished else None
        self.require(reason == StopTransactionReason.LOCAL, f'the reason is {reason!r}')
        self.wait(self.is_off, 'power off')
        self.look_on(1.0)

    def unplug(self) -> None:
        """Pull the cable out; the session is over and its numbers must agree."""
        self.call('simulation/unplug')
        self.expect(*((Seen.ALL_ERRORS_CLEARED,) if self.holds_error else ()), Seen.SESSION_FINISHED)
        self.look_on(0.5)

    def active_errors(self) -> tuple[Error, ...]:
        """Return the errors that are active now."""
        return self.heard.status.active_errors

    def is_off(self) -> bool:
        """Return whether the contactor is open and nothing flows."""
        return self.heard.board.contactor == ContactorState.OPEN and self.power_w < 50.0

    def wait_for_power(self) -> None:
        """Wait until the car draws what it is offered."""
        self.wait(lambda: self.current_a > 0.9 * REDUCED_A, f'more than {0.9 * REDUCED_A:g} A again')
        self.look_on(2.0)
        self.measured()

    # --- the end -------------------------------------------------------------------------------------------

    def energy_wh(self) -> float:
        """Return the energy of the transaction."""
        finished = next(event.transaction_finished for event in self.events if event.transaction_finished)
        if finished.energy_wh is None:
            raise StepFailedError('the transaction has no energy')
        return finished.energy_wh

    def conclude(self) -> None:
        """Print the summary of the session; its numbers must be plausible."""
        energy = self.energy_wh()
        if energy <= 20.0:
            raise StepFailedError(f'the meter counted {energy:.1f} Wh in the transaction')
        session = [event for event in self.events if event.uuid]
        length = ((session[-1].stamp or 0) - (session[0].stamp or 0)) / 1e9
        if not 0.0 < self.longest_charging_s < length:
            raise StepFailedError(
                f'charging took {self.longest_charging_s:.1f} s of a session of {length:.1f} s'
            )
        names = ' '.join(formatting.event_name(event) for event in session)
        self.screen.close()
        self.screen.panel(
            'Session summary',
            [
                ('session', session[0].uuid),
                ('token', TOKEN),
                ('energy', f'{energy:.1f} Wh in the transaction'),
                (
                    'duration',
                    f'{formatting.duration(length)}, charging {formatting.duration(self.longest_charging_s)}',
                ),
                ('ended by', formatting.camel(StopTransactionReason.LOCAL)),
                ('events', f'{len(session)}: {names}'),
            ],
        )
