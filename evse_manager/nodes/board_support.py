"""
The node of one connector's hardware: a driver and the board's control loop, wired to topics and clocks.

Nothing is decided here.  Whatever happens (a command, something new from the driver, a deadline) runs the
loop once, and ``_report`` publishes what came of it and arms the timers to the next deadline.  Only a command
that renews the lease and says nothing new has no consequences: the timers are armed to what was there before.

The board's loop and its driver belong to whoever holds ``_lock``: the executor's thread, which never holds it
while it publishes, or the supervisor's, which runs the loop when the executor or the middleware is stuck.
"""

import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from rclpy.node import Node

from evse_manager.board.controller import LEASE_MAX_S, BoardController
from evse_manager.board.driver import (
    DRIVERS,
    PROBLEM,
    ClockError,
    Driver,
    DriverContext,
    DriverError,
    PortError,
    driver_class,
)
from evse_manager.board.loop import BoardLoop
from evse_manager.board.meters.metered import NO_METER, MeteredDriver, MeterParameters
from evse_manager.interface import endpoints
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.endpoints import Party
from evse_manager.interface.enums import ContactorState, LinkState, PilotMode
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import BoardCapabilities, BoardCommand, HardwareCapabilities
from evse_manager.nodes import diagnostics
from evse_manager.nodes.conversions import ConversionError, from_message
from evse_manager.nodes.parameters import ParameterError, ParameterRow, Parameters, rows
from evse_manager.nodes.publishers import Publishers
from evse_manager.nodes.runtime import EXIT_FAILED, DeadlineTimer, Guard, LoopDeadline, NodeTime, run
from evse_manager.nodes.simulation_services import offer_simulation
from evse_manager.nodes.topics import subscribe

OPEN_WITHIN_S = 1.0
"""At the end the contactor is waited for no longer than this ..."""

LAST_SAMPLE_WITHIN_S = 1.2
"""... and then the meter, so that the manager can close its transaction with what it really counted."""

CLOCK_AWAITED_S = 0.1
"""How often a node under simulated time looks whether ``/clock`` has begun."""

DIAGNOSTICS_S = 1.0
"""Period of the driver's diagnostics."""

DELIVERY_S = 0.2
"""How long the last messages of the process are waited for."""


@dataclass(frozen=True, slots=True)
class BoardSupportConfig:
    """Parameters of the ``board_support`` node that do not depend on the driver."""

    driver: str = parameter('simulated', 'The board behind this node.', choices=tuple(sorted(DRIVERS)))
    lease_max_s: float = parameter(
        LEASE_MAX_S,
        'Longest lease that a manager may have; without renewal the contactor opens when it ends.',
        unit='s',
        minimum=0.3,
        maximum=LEASE_MAX_S,
    )


def parameter_table(driver: str = 'simulated') -> tuple[ParameterRow, ...]:
    """Return every parameter of the node with a driver: its own, the meter's, then the driver's."""
    return (*rows(BoardSupportConfig), *rows(MeterParameters), *rows(driver_class(driver).Parameters))


class BoardSupport:
    """
    One connector's board, a ``runtime.NodeApp``.

    It is large because its lock guards the loop, which the executor and the supervisor both run.
    """

    def __init__(self, **options: Any) -> None:
        """Declare the parameters and create every endpoint; raises ParameterError."""
        self.node = Node(Party.BOARD.value, **options)
        self.finished = False
        self.failed = False
        self._log = self.node.get_logger()
        self._guard = Guard(self.node, self._fail_safe)
        self._time = NodeTime(self.node)
        self._hardware_time = _HardwareTime(self._time)
        config, self._driver = self._choose_driver()
        self._board_id = f'{self.node.get_fully_qualified_name()} {uuid.uuid4()}'
        controller = BoardController(
            self._driver.style,
            lease_max_s=config.lease_max_s,
            board_id=self._board_id,
        )
        self._loop = BoardLoop(self._driver, controller)
        self._controller = controller
        self._begun = self._waiting = False
        self._woken = False
        """The driver has something new that the loop has not seen yet."""
        self._give_up: float | None = None
        self._was_open = False
        self._awaits_sample = False
        self._capabilities: BoardCapabilities | None = None
        self._hw_capabilities: HardwareCapabilities | None = None
        self._lock = threading.RLock()
        self._driver_name = config.driver
        self._problem = ''
        self._link = LinkState.UNSPECIFIED
        self._diagnostics_at = -math.inf
        self._publishers = Publishers(self.node, endpoints.published_by(Party.BOARD))
        go = self._guard(self._go)
        self.alarm = LoopDeadline(go)
        self._clock = (
            DeadlineTimer(self.node, go, self._hardware_time.seconds, self._time.clock)
            if self._time.simulated
            else None
        )

    def _choose_driver(self) -> tuple[BoardSupportConfig, Driver]:
        """Declare the parameters of the node and of the chosen driver; build the driver."""
        name = _given_driver(self.node)
        cls = driver_class(name) if name in DRIVERS else None
        table = parameter_table(name) if cls is not None else rows(BoardSupportConfig)

        def build(**values: Any) -> tuple[BoardSupportConfig, MeterParameters, Any]:
            own = {field.name: values.pop(field.name) for field in fields(BoardSupportConfig)}
            of_meter = [field.name for field in fields(MeterParameters) if field.name in values]
            meter = MeterParameters(**{each: values.pop(each) for each in of_meter})
            return BoardSupportConfig(**own), meter, cls.Parameters(**values) if cls is not None else None

        config, meter, parameters = Parameters(self.node, table, build).value
        assert cls is not None  # another name was refused by its choices
        if self._time.simulated and not cls.supports_simulated_time:
            error = ClockError(f'driver {name} works with real hardware; start it without use_sim_time.')
            raise ParameterError(str(error))
        context = DriverContext(clock=self._hardware_time.seconds, wall=self._time.wall, wake=self._wake)
        driver = cls(parameters, context)
        if meter.meter == NO_METER:
            return config, driver
        if self._time.simulated:
            error = ClockError('a meter is real hardware; start it without use_sim_time.')
            raise ParameterError(str(error))
        try:
            return config, MeteredDriver(driver, meter, context)
        except PortError as port_error:
            raise ParameterError(str(port_error)) from port_error

    # --- life ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Open the driver and start to listen, once time is known."""
        if self._begun:
            return
        if not self._time.running:
            if not self._waiting:
                self._waiting = True
                self._log.info('use_sim_time is set: waiting for the first message on /clock.')
            self.alarm.arm(time.monotonic() + CLOCK_AWAITED_S)
            return
        try:
            with self._lock:
                self._driver.open()
        except DriverError as error:
            self._log.fatal(str(error))
            self.finished = self.failed = True
            return
        self._begun = True
        subscribe(self.node, endpoints.topic('board/command'), self._guard(self._on_command))
        offer_simulation(self.node, self._loop, self._simulate)
        self._go()

    def end(self) -> None:
        """Withdraw power at once; finished when the contactor is open, or after a second."""
        if not self._begun:
            self.finished = True
            return
        if self._give_up is not None:
            return
        self._give_up = time.monotonic() + OPEN_WITHIN_S
        self._was_open = self._controller.contactor is ContactorState.OPEN
        with self._lock:
            self._hardware_time.leave_clock()
            now = self._hardware_time.now()
            self._loop.shut_down(now)
        self._report(now)

    def withdraw(self) -> None:
        """Withdraw power, inform the manager, close the driver."""
        self._guard.close()
        if not self._begun:
            return
        with self._lock:
            now = self._hardware_time.now()
            self._loop.shut_down(now)
            state = self._controller.state(now)
        self._publishers.publish('board/state', state)
        self._publishers.wait_until_delivered('board/state', DELIVERY_S)
        with self._lock:
            self._begun = False
            self._driver.close()

    def rescue(self) -> None:
        """
        Run what is due of the board's loop, in the thread of the supervisor, while the executor does not.

        The lease ends here too, and the driver's conversation with its board goes on.  What is new is
        published when the executor runs again.
        """
        if not self._lock.acquire(blocking=False):
            return  # the executor is in the loop
        try:
            now = self._hardware_time.now()
            due = now.steady >= self._controller.steady_deadline() or now.clock >= self._clock_due()
            if self._begun and (due or self._woken):
                self._woken = False
                self._loop.run(now)
        except Exception:
            self._withdraw_past_the_controller()
            raise
        finally:
            self._lock.release()

    def _fail_safe(self, reason: str) -> None:
        """Withdraw power after a failure of this node, if need be past the controller."""
        if not self._begun:
            return
        try:
            with self._lock:
                self._loop.fail(reason, self._hardware_time.now())
        except Exception:
            self._withdraw_past_the_controller()
            raise
        finally:
            self._arm()

    def _withdraw_past_the_controller(self) -> None:
        with self._lock:
            self._driver.apply(replace(self._controller.outputs, pilot_mode=PilotMode.X1, power=False))

    # --- the loop --------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._woken = True
        executor = self.node.executor
        if executor is not None:
            executor.create_task(self._guard(self._go))

    def _go(self) -> None:
        if not self._begun:
            self.begin()
            return
        with self._lock:
            self._woken = False
            now = self._hardware_time.now()
            self._loop.run(now)
        self._report(now)

    def _on_command(self, message: Any) -> None:
        with self._lock:
            now = self._hardware_time.now()
            try:
                command = from_message(message, BoardCommand)
            except ConversionError as error:
                self._loop.refuse(
                    message.board_id, message.manager_id, message.sequence_number, str(error), now
                )
            else:
                if not self._loop.command(command, now):
                    return
        self._report(now)

    def _simulate(self, act: Callable[[ClockReadings], None]) -> None:
        """Do something to the simulated world at this moment, and what follows from it."""
        with self._lock:
            now = self._hardware_time.now()
            self._loop.run(now)
            act(now)
            self._loop.run(now)
        self._report(now)

    def _report(self, now: ClockReadings) -> None:
        """Publish what is new, and arm the timers to the next deadline."""
        with self._lock:
            telemetry, sample = self._driver.telemetry(), self._driver.meter()
            accompanied = telemetry is not None or sample is not None
            state = self._controller.take_state(now, accompanied=accompanied)
            capabilities, hardware = self._driver.capabilities(), self._driver.hw_capabilities()
        if state is not None:
            self._publishers.publish('board/state', state)
        if telemetry is not None:
            self._publishers.publish('board/telemetry', replace(telemetry, stamp=now.wall))
        if sample is not None:
            self._publishers.publish('board/powermeter', sample)
        if capabilities is not None and capabilities != self._capabilities:
            self._capabilities = capabilities
            self._publishers.publish('board/capabilities', replace(capabilities, board_id=self._board_id))
        if hardware is not None and hardware != self._hw_capabilities:
            self._hw_capabilities = hardware
            self._publishers.publish('board/hw_capabilities', hardware)
        link_changed = state is not None and state.link_state is not self._link
        if link_changed or now.steady >= self._diagnostics_at:
            self._diagnostics_at = now.steady + DIAGNOSTICS_S
            self._report_diagnostics(now)
        if self._give_up is not None:
            self._end_when_open(now, sampled=sample is not None)
        self._arm()

    def _report_diagnostics(self, now: ClockReadings) -> None:
        """Publish the driver's diagnostics, and log its problem when that changes."""
        with self._lock:
            facts = self._driver.diagnostics()
            link = self._link = self._controller.state(now).link_state
        problem = facts.get(PROBLEM, '')
        if problem and problem != self._problem:
            self._log.warning(problem)
        elif self._problem and not problem:
            self._log.info('Serial link to the board recovered.')
        self._problem = problem
        topic = endpoints.BOARD_DIAGNOSTICS.name
        if self._publishers.listened_to(topic):
            part = diagnostics.board_link(self._driver_name, link, facts)
            self._publishers.relay(topic, diagnostics.array(self.node.get_namespace(), [part], now.wall))

    def _end_when_open(self, now: ClockReadings, *, sampled: bool) -> None:
        """Finish when the contactor is open and the meter has counted what it had let through."""
        assert self._give_up is not None
        is_open = self._controller.contactor is ContactorState.OPEN
        metered = self._capabilities is not None and self._capabilities.has_meter
        if now.steady >= self._give_up or (is_open and (self._was_open or sampled or not metered)):
            self.finished = True
        elif is_open and not self._awaits_sample:
            self._awaits_sample = True
            self._give_up = now.steady + LAST_SAMPLE_WITHIN_S

    def _arm(self) -> None:
        """Arm the timers: one where both clocks are the same."""
        with self._lock:
            steady, clock = self._controller.steady_deadline(), self._clock_due()
        if self._give_up is not None:
            steady = min(steady, self._give_up)
        if self._clock is None or self._give_up is not None:
            self.alarm.arm(min(steady, time.monotonic() + clock - self._hardware_time.seconds()))
        else:
            self.alarm.arm(steady)
            self._clock.arm(clock if clock < math.inf else None)

    def _clock_due(self) -> float:
        """Return when the loop is due on the clock of the hardware, infinity for never; the lock is held."""
        times = (self._driver.next_poll(), self._controller.clock_deadline())
        return min((each for each in times if each is not None), default=math.inf)


class _HardwareTime:
    """
    The time of the hardware: the node's clock, and real time once the node ends.

    Simulated time may stop before the simulated contactor has opened: its clock ends with the node.
    """

    def __init__(self, node_time: NodeTime) -> None:
        self._node_time = node_time
        self._ahead = 0.0
        self._simulated = node_time.simulated

    def leave_clock(self) -> None:
        """Go on in real time from here."""
        if self._simulated:
            self._ahead = self._node_time.seconds() - time.monotonic()
            self._simulated = False

    def seconds(self) -> float:
        """Return its seconds."""
        return self._node_time.seconds() if self._simulated else time.monotonic() + self._ahead

    def now(self) -> ClockReadings:
        """Return all clocks of a board."""
        steady = time.monotonic()
        clock = self._node_time.seconds() if self._simulated else steady + self._ahead
        return ClockReadings(steady, clock, self._node_time.wall())


def _given_driver(node: Node) -> Any:
    """Return the driver's name as it was given: it decides which parameters there are."""
    overrides = node._parameter_overrides  # rclpy has no public way to look before declaring
    given = overrides.get('driver')
    return given.value if given is not None else rows(BoardSupportConfig)[0].default


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    made: list[BoardSupport] = []

    def make() -> BoardSupport:
        made.append(BoardSupport())
        return made[0]

    code = run(Party.BOARD, make, args)
    return EXIT_FAILED if not code and made and made[0].failed else code
