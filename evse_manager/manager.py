"""
The manager of one connector: kernel, lease, renewals, deadlines, fail-safe and records; no ROS, no clock.

``ConnectorManager`` is the one manager loop.  The node, the in-process bench and the tests' sessions hand it
what arrives, call ``run`` when ``steady_deadline`` or ``clock_deadline`` is reached, and carry out what it
gives to their ``ManagerCallbacks``.  Any number of managers may share a thread and an executor: none blocks,
and none knows of another.

The order within one step is fixed.  The command to the board goes out first, because power does not wait for
what is reported about it.  Events and answers go out when the records have them, or after the bound that the
records keep (0.9 s, ``store/session_store.py``).
"""

import math
import random as random_module
import uuid as uuid_module
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from evse_manager.charging import inputs
from evse_manager.charging.allowance import Grant
from evse_manager.charging.commands import Answer
from evse_manager.charging.kernel import Kernel, Output
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.charging.status import MeterReport
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import BoardCommand, BoardState, EvseStatus, SessionEvent
from evse_manager.lease.manager import BOARD_SILENCE_S, BoardLeaseClient, BoardLost

STATUS_PERIOD_S = 1.0
"""The status is published at least this often, though nothing changed."""

IGNORED_LIMITS_S = 10.0
"""The status warns of ignored limits until this long after the last ones, in seconds."""

IGNORED_LIMITS = (
    'Limits arrive on energy/limits and are ignored, because energy_source is local; set it to manager.'
)

RENEW_EARLY = 0.7
"""
A board state that arrives after this share of the renewal period is answered with the renewal: with power
both nodes then wake for the same few exchanges instead of each for its own.
"""

HOLD_AFTER_FAILURE_S = 10.0
"""After a failure of the manager the kernel gets no board state for this long: power stays withdrawn."""

NOT_HEARD = 'the board node has not reported yet; try again in a moment.'

NEVER = math.inf

Remember = Callable[[], tuple[PersistedState, int] | None]
"""Returns what an earlier process left behind, and the number of its newest event; None to ask again soon."""


class ManagerCallbacks(Protocol):
    """Callbacks of a manager to its owner; every call comes from within one of the manager's methods."""

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        """
        Send a command to the board at once.

        A ``renewal`` differs from the command before it in names, sequence number and lease only.
        """

    def publish(self, output: Output) -> None:
        """
        Publish the values of a step that are not ``None``: limits, capabilities, EV data, meter, certificate.

        The command, the events, the answers and the status of the output have calls of their own.
        """

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        """Publish session events; their records exist, or the bound of the records is over."""

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        """Publish the status: it changed, or (``periodic``) its period is over."""


class Records(Protocol):
    """Where session records go; ``NoRecords`` keeps none."""

    @property
    def warning(self) -> str:
        """Problem of the records, one sentence for people; empty when there is none."""

    @property
    def overdue_at(self) -> float | None:
        """When ``settle`` is due at the latest, in seconds of the steady clock; ``None`` for never."""

    def keep(self, output: Output, publish: Callable[[], None]) -> None:
        """Record an output, then call ``publish``; calls of ``publish`` keep the order of the outputs."""

    def settle(self) -> None:
        """Publish what is recorded, and what has waited for its record for long enough."""

    def finish(self) -> None:
        """Publish the rest, recorded or not, and close."""


class NoRecords:
    """Records that are not kept: everything is published at once."""

    warning = ''
    overdue_at: float | None = None

    def keep(self, _output: Output, publish: Callable[[], None]) -> None:
        """Publish at once."""
        publish()

    def settle(self) -> None:
        """Do nothing: nothing waits."""

    def finish(self) -> None:
        """Do nothing: nothing is open."""


class ConnectorManager:
    """
    One connector's manager; see the module's description.

    All methods belong to one thread.  ``now`` must not run backwards in ``steady`` and ``clock``.
    """

    def __init__(
        self,
        config: Config,
        lease: BoardLeaseClient,
        callbacks: ManagerCallbacks,
        records: Records | None = None,
        *,
        uuid: str = '',
        new_uuid: Callable[[], str] = lambda: str(uuid_module.uuid4()),
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """
        Begin with power withdrawn and nothing known; ``start`` starts it.

        ``uuid`` is the connector's own name, which enforced limits address; ``new_uuid`` names sessions;
        ``random`` (0 to 1) spreads restarts after a power loss.  An infinite lease is neither renewed nor
        supervised.
        """
        self.kernel = Kernel(config, new_uuid, uuid, random)
        """The charging kernel, to be looked at; inputs go through ``take``."""
        self.lease = lease
        """The lease on the board, to be looked at."""
        self.started = False
        """Whether the kernel runs: commands are refused before."""
        self.finished = False
        """Whether a shutdown is complete."""
        self._callbacks = callbacks
        self._records = records if records is not None else NoRecords()
        self._wanted = BoardCommand(pilot_mode=PilotMode.X1)
        self._replies: dict[int, Callable[[Answer], None]] = {}
        self._tickets = 0
        self._kernel_due: float | None = None
        self._renewed_at = -NEVER
        self._status_due = -NEVER
        self._limits_ignored_at = -NEVER
        self._held_until = -NEVER
        self._remember: Remember | None = None
        """Returns the memory of an earlier process, while the start of the kernel waits for it."""
        self._begun_at = NEVER

    # --- life ----------------------------------------------------------------------------------------

    def start(
        self,
        now: ClockReadings,
        remembered: PersistedState | None = None,
        last_sequence_number: int = 0,
        *,
        remember: Remember | None = None,
    ) -> None:
        """
        Ask for the board, and start the kernel with what an earlier process left behind.

        ``last_sequence_number`` is that of the newest event on record; events go on from there.  ``remember``
        returns both when the kernel starts, in place of the arguments: whose records they are may depend on
        the board.  The kernel starts when the board reports, or has been silent for ``BOARD_SILENCE_S``;
        while another manager is in command this one stands by: nothing is published, commands are refused.
        """
        self._begun_at = self._renewed_at = now.steady
        self._remember = remember or (lambda: (remembered or PersistedState(), last_sequence_number))
        self._send(self._wanted, now)
        self._start_kernel(now)

    def resume_start(self, now: ClockReadings) -> None:
        """Ask ``remember`` again, if the start waits for it."""
        self._start_kernel(now)

    def shut_down(self, now: ClockReadings) -> None:
        """Withdraw power and close what is open; ``finished`` says when that is done."""
        self._remember = None
        if self.started:
            self.take(inputs.Shutdown(), now)
        else:
            self.finished = True

    def withdraw(self, now: ClockReadings) -> None:
        """Withdraw power at once, whatever the kernel wants."""
        mode = PilotMode.X1 if self._wanted.pilot_mode is PilotMode.PWM else self._wanted.pilot_mode
        self._send(
            replace(
                self._wanted, pilot_mode=mode, duty_cycle_percent=100.0, current_a=0.0, allow_power_on=False
            ),
            now,
        )

    def close(self, now: ClockReadings, reason: str) -> None:
        """Withdraw power, publish the last events, refuse the commands that still wait with ``reason``."""
        self.withdraw(now)
        self._records.finish()
        waiting, self._replies = self._replies, {}
        for reply in waiting.values():
            reply(Answer(False, reason))

    def fail(self, reason: str, now: ClockReadings) -> None:
        """
        Withdraw power because the manager failed; ``reason`` is one sentence for people.

        For the kernel the board is lost for ``HOLD_AFTER_FAILURE_S``.
        """
        self._held_until = now.steady + HOLD_AFTER_FAILURE_S
        self.withdraw(now)
        if self.started:
            self.take(BoardLost(reason), now)

    # --- inputs --------------------------------------------------------------------------------------

    def take(self, event: inputs.Input, now: ClockReadings) -> None:
        """Hand an input to the kernel and carry out what follows."""
        step = self.kernel.take(event, inputs.Now(now.clock, now.wall))
        if step.outputs is not None:
            self._send(step.outputs, now)
        if self._remember is None and not step.unchanged:
            self._carry_out(step.report(), now)

    def observe(self, state: BoardState, now: ClockReadings) -> None:
        """Take a board state, and renew the lease where it is the occasion."""
        if now.steady < self._held_until:
            return
        observed = self.lease.observe(state, now.steady)
        self._start_kernel(now)
        if observed is not None:
            self.take(observed, now)
        early = now.steady - self._renewed_at >= self.lease.renewal_period * RENEW_EARLY
        if (early and not self.lease.refused) or self.lease.waits_for_us(state):
            self.renew(now)

    def execute(self, command: inputs.Command, reply: Callable[[Answer], None], now: ClockReadings) -> None:
        """Carry out a command; ``reply`` is called once, within this call or later."""
        self._tickets += 1
        ticket = self._tickets
        self._replies[ticket] = reply
        try:
            self.take(inputs.CommandReceived(ticket, command), now)
        except Exception:  # the caller answers with the failure, so this command must not be answered again
            self._replies.pop(ticket, None)
            raise

    # --- time ----------------------------------------------------------------------------------------

    def steady_deadline(self) -> float:
        """Return when ``run`` is next due on the steady clock, in seconds; infinity for never."""
        overdue, silent = self._records.overdue_at, self.lease.silent_at()
        return min(
            self._renewed_at + self.lease.renewal_period if self._begun_at < NEVER else NEVER,
            NEVER if overdue is None else overdue,
            NEVER if silent is None else silent,
        )

    def clock_deadline(self) -> float:
        """Return when ``run`` is next due on the node's clock, in seconds; infinity for never."""
        return NEVER if self._kernel_due is None else self._kernel_due

    def run(self, now: ClockReadings) -> None:
        """Do what is due by time; calls without a cause do nothing."""
        overdue, silent = self._records.overdue_at, self.lease.silent_at()
        if overdue is not None and now.steady >= overdue:
            self._records.settle()
        if self._kernel_due is not None and now.clock >= self._kernel_due:
            self._kernel_due = None
            self.take(inputs.Tick(), now)
        if self._begun_at < NEVER and now.steady >= self._renewed_at + self.lease.renewal_period:
            self.renew(now)
        elif silent is not None and now.steady >= silent:
            self._supervise(now)

    def renew(self, now: ClockReadings) -> None:
        """Renew the lease, supervise the board, and publish the status once a second."""
        self._renewed_at = now.steady
        self._start_kernel(now)
        self._supervise(now)
        if self.lease.may_renew(now.steady):
            self._callbacks.send_command(self.lease.stamp(self._wanted, now.steady), renewal=True)
        if now.steady >= self._status_due - self.lease.renewal_period / 2:
            self._status_due = now.steady + STATUS_PERIOD_S
            if self.started and not self.lease.refused:
                self.publish_status(now)

    # --- what can be seen ----------------------------------------------------------------------------

    def status(self, now: ClockReadings) -> EvseStatus:
        """Return the status as it is at this moment, with the warnings of records and lease."""
        return self._with_warnings(self.kernel.status(inputs.Now(now.clock, now.wall)), now)

    def meter(self, now: ClockReadings) -> MeterReport:
        """Return how the meter does at this moment."""
        return self.kernel.meter(inputs.Now(now.clock, now.wall))

    def grant(self, now: ClockReadings) -> Grant | None:
        """Return the energy manager's grant that is in force, if any."""
        return self.kernel.grant(inputs.Now(now.clock, now.wall))

    @property
    def not_started(self) -> str:
        """Why the kernel has not started yet, for people; empty when it has, or was never asked to."""
        if self._remember is None:
            return ''
        return NOT_HEARD

    def ignore_limits(self, now: ClockReadings) -> None:
        """Note that an energy manager sent limits, which a connector with ``energy_source`` local ignores."""
        self._limits_ignored_at = now.steady

    def publish_status(self, now: ClockReadings) -> None:
        """Publish the status as it is at this moment."""
        self._callbacks.publish_status(self.status(now), periodic=True)

    # --- inside --------------------------------------------------------------------------------------

    def _send(self, outputs: BoardCommand, now: ClockReadings) -> None:
        self._wanted = outputs
        self._callbacks.send_command(self.lease.stamp(outputs, now.steady), renewal=False)

    def _start_kernel(self, now: ClockReadings) -> None:
        """Start the kernel if it waits and no other manager is in command."""
        known = self.lease.board_heard or not self.lease.is_supervised
        if (
            self._remember is None
            or self.lease.refused
            or not (known or now.steady >= self._begun_at + BOARD_SILENCE_S)
        ):
            return
        remember, self._remember = self._remember, None
        remembered = remember()
        if remembered is None:
            self._remember = remember
            return
        memory, last_sequence_number = remembered
        self.started = True
        self.take(inputs.Start(memory, last_sequence_number), now)

    def _carry_out(self, output: Output, now: ClockReadings) -> None:
        self._records.keep(output, partial(self._publish_recorded, output))
        self._callbacks.publish(output)
        if output.status is not None:
            self._callbacks.publish_status(self._with_warnings(output.status, now), periodic=False)
        self._kernel_due = output.deadline
        self.finished = self.finished or output.finished

    def _publish_recorded(self, output: Output) -> None:
        if output.events:
            self._callbacks.publish_events(output.events)
        for ticket, answer in output.answers:
            reply = self._replies.pop(ticket, None)
            if reply is not None:  # else it was refused, because the manager failed before this was recorded
                reply(answer)

    def _supervise(self, now: ClockReadings) -> None:
        lost = self.lease.check(now.steady)
        if lost is not None:
            self.take(lost, now)

    def _with_warnings(self, status: EvseStatus, now: ClockReadings) -> EvseStatus:
        ignored = now.steady - self._limits_ignored_at < IGNORED_LIMITS_S
        own = (self._records.warning, IGNORED_LIMITS if ignored else '')
        warnings = (*filter(None, own), *self.lease.warnings)
        return replace(status, warnings=(*status.warnings, *warnings)) if warnings else status
