"""
The charging kernel: one input and the time in, the outputs and the next deadline out.

It is deterministic and complete in itself: the same inputs at the same times give the same outputs.  An
input is run to completion before the next; a board state with several transitions is taken step by step.
The order inside a step is the order of importance: what is wrong, what ends, what begins, what flows, and
the outputs last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from evse_manager.charging import (
    allowance,
    commands,
    observation,
    outputs,
    persistence,
    power,
    sessions,
    supervision,
)
from evse_manager.charging.commands import Answer
from evse_manager.charging.connector import Connector
from evse_manager.charging.inputs import (
    BoardCapabilitiesReceived,
    CapabilitiesReceived,
    CommandReceived,
    EvccIdReceived,
    EvInfoReceived,
    HlcPresence,
    Input,
    LimitsEnforced,
    MeterSampled,
    Now,
    ParametersChanged,
    Shutdown,
    Start,
    TelemetrySampled,
    Tick,
)
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.charging.status import status
from evse_manager.charging.unchanged_inputs import UnchangedInputs
from evse_manager.interface.enums import CarManufacturerEnum, ContactorState
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCommand,
    BoardState,
    CarManufacturer,
    EnforcedLimits,
    EVInfo,
    EvseStatus,
    HardwareCapabilities,
    Limits,
    Powermeter,
    ResponseExiStreamStatus,
    SessionEvent,
    all_but,
)
from evse_manager.lease.manager import BoardLost, BoardObserved

_T = TypeVar('_T')

MANUFACTURERS = {
    '00:7D:FA': CarManufacturerEnum.VOLKSWAGEN_GROUP,
    '98:ED:5C': CarManufacturerEnum.TESLA,
    '0C:29:8F': CarManufacturerEnum.TESLA,
    '4C:FC:AA': CarManufacturerEnum.TESLA,
    '54:F8:F0': CarManufacturerEnum.TESLA,
    'DC:44:27:1': CarManufacturerEnum.TESLA,
}
"""Beginnings of the MAC addresses of cars whose maker is known (docs/sources.md, MAC addresses)."""


CONTINUOUS_FIELDS = ('stamp', 'power_w', 'session_energy_wh', 'session_duration', 'charging_duration')

DISCRETE_FIELDS = all_but(EvseStatus, *CONTINUOUS_FIELDS)
"""What of the status is worth a message at once; the rest moves all the time and goes out at 1 Hz."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a step brought about; ``None`` means nothing new."""

    events: tuple[SessionEvent, ...] = ()
    outputs: BoardCommand | None = None
    answers: tuple[tuple[int, Answer], ...] = ()
    limits: Limits | None = None
    ev_info: EVInfo | None = None
    car_manufacturer: CarManufacturer | None = None
    hw_capabilities: HardwareCapabilities | None = None
    enforced_limits: EnforcedLimits | None = None
    powermeter: Powermeter | None = None
    certificate_response: ResponseExiStreamStatus | None = None
    memory: PersistedState | None = None
    status: EvseStatus | None = None
    deadline: float | None = None
    finished: bool = False


class Kernel:
    """The state machine of one connector."""

    def __init__(
        self,
        config: Config,
        new_uuid: Callable[[], str],
        uuid: str = '',
        random: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """
        Begin with nothing known and power withdrawn.

        ``new_uuid`` names sessions; ``uuid`` is the connector's own (its namespace), which enforced limits
        address; ``random`` (0 to 1) spreads restarts after a power loss.
        """
        self._connector = Connector(config, new_uuid, uuid, random)
        self._begun: float | None = None
        self._changed = False
        self._repeated = False
        self._deadline: float | None = None
        self._happened: Input = Tick()
        self._repetition = UnchangedInputs()
        self._sampled: Powermeter | None = None
        self._published: dict[str, object] = {}

    def step(self, happened: Input, now: Now) -> Output:
        """Take one input and return all that it brought about; ``now.steady`` must not run backwards."""
        self.react(happened, now)
        return self.report()

    def react(self, happened: Input, now: Now) -> BoardCommand | None:
        """
        Take one input as ``step`` does, and return the wanted outputs when they changed.

        A node sends these before it asks for the ``report``, which takes as long again: power does not wait
        for what is told about it.
        """
        connector = self._connector
        connector.now = now
        connector.events, connector.answers = [], []
        connector.certificate_response = connector.enforced_limits = None
        self._sampled = None
        connector.told = connector.outputs
        self._happened = happened
        self._repeated = self._repetition.covers(happened, connector)
        match happened:
            case BoardObserved(state) if self._repeated:
                observation.seen_again(connector, state)
                return None
            case TelemetrySampled(telemetry) if self._repeated:
                connector.temperature.take(telemetry.temperature_c)
                return None
            case BoardObserved(state, answered):
                self._observe(state, answered)
            case MeterSampled():
                self._take(happened)
                self._sampled = connector.meter.sample
            case _:
                self._take(happened)
        self._settle()
        self._changed = connector.outputs != connector.told
        return connector.outputs if self._changed else None

    @property
    def repeated(self) -> bool:
        """Return whether the last input only said what was known: then there is nothing to report."""
        return self._repeated

    def report(self) -> Output:
        """Return all that the last input brought about; once after each ``react``."""
        if self._repeated:
            return Output(deadline=self._deadline)
        connector = self._connector
        commands.answer_pending(connector)
        now = connector.now
        current = status(connector)
        limits = Limits(connector.allowance.limit_a, connector.phases, connector.uuid)
        begun = self._begun
        self._deadline = self._next_deadline() if begun is not None else None
        output = Output(
            events=tuple(connector.events),
            outputs=connector.outputs if self._changed else None,
            answers=tuple(connector.answers),
            limits=limits if connector.capabilities is not None and self._new('limits', limits) else None,
            ev_info=connector.ev_info
            if begun is not None and self._new('ev_info', connector.ev_info)
            else None,
            car_manufacturer=self._fresh('car_manufacturer', connector.car_manufacturer),
            hw_capabilities=self._fresh('hw_capabilities', connector.usable_capabilities),
            enforced_limits=connector.enforced_limits,
            powermeter=self._sampled,
            certificate_response=connector.certificate_response,
            memory=self._fresh('memory', persistence.memory(connector)) if begun is not None else None,
            status=current if self._new('status', DISCRETE_FIELDS(current)) else None,
            deadline=self._deadline,
            finished=connector.shutting_down is not None and self._finished(now),
        )
        news = bool(output.events or output.outputs or output.memory or output.status)
        self._repetition.looked_at(self._happened, connector, self._deadline, news=news or begun is None)
        return output

    def status(self, now: Now) -> EvseStatus:
        """Return the status as it is at ``now``."""
        self._connector.now = now
        return status(self._connector)

    def _observe(self, state: BoardState, answered: bool) -> None:
        """Take a board state step by step."""
        connector = self._connector
        supervision.view_resumed(connector)
        missed = observation.missed_steps(connector, state)
        observation.take_state(connector, state, answered)
        for step in missed:
            observation.take_missed_step(connector, step)
            connector.pilot_mode = step.pilot_mode or state.pilot_mode
            if step is not missed[-1] or connector.pilot_mode is not state.pilot_mode:
                self._settle()
        stamp = missed[-1].stamp if missed else state.stamp
        observation.take_step(connector, state.cp_state, state.contactor, stamp)
        connector.pilot_mode = state.pilot_mode

    def _take(self, happened: Input) -> None:
        """Change the facts by anything but a board state."""
        connector, steady = self._connector, self._connector.now.steady
        match happened:
            case Start(remembered, last_sequence_number):
                if self._begun is None:
                    connector.sequence_number = last_sequence_number
                    self._begun = connector.x1_since = steady
                    persistence.restore(connector, remembered)
            case ParametersChanged(config):
                connector.config = config
            case CommandReceived(ticket, command):
                answer = commands.execute(connector, ticket, command)
                if answer is not None:
                    connector.answers.append((ticket, answer))
            case BoardLost(text):
                connector.board_lost = text
                connector.contactor = ContactorState.UNKNOWN
                connector.weld_suspected_since = connector.close_wanted_since = None
            case CapabilitiesReceived(capabilities):
                connector.capabilities = capabilities
            case BoardCapabilitiesReceived(board_capabilities):
                connector.board_capabilities = board_capabilities
            case MeterSampled(sample):
                connector.meter.take(sample, steady, connector.rated_power_w)
                persistence.keep_meter_value(connector)
            case TelemetrySampled(telemetry):
                connector.temperature.take(telemetry.temperature_c)
            case LimitsEnforced(limits):
                if limits.uuid == connector.uuid:
                    connector.grant = allowance.grant(limits, steady)
                    connector.enforced_limits = limits
            case EvInfoReceived(info):
                if connector.session is not None:
                    connector.ev_info = info
            case EvccIdReceived(evcc_id):
                connector.car_manufacturer = CarManufacturer(_manufacturer(evcc_id))
            case HlcPresence(present):
                connector.hlc_present = present
            case Shutdown():
                if connector.shutting_down is None:
                    connector.shutting_down = steady
            case _:
                pass

    def _settle(self) -> None:
        """Let everything follow from the facts."""
        connector = self._connector
        if self._begun is None:
            return
        observation.settle_unplug(connector)
        sessions.boot(connector, self._begun)
        supervision.supervise(connector)
        sessions.advance(connector)
        power.advance(connector)
        outputs.settle(connector)

    def _new(self, name: str, value: object) -> bool:
        """Tell whether a published value has changed, and remember it."""
        if self._published.get(name) == value:
            return False
        self._published[name] = value
        return True

    def _fresh(self, name: str, value: _T) -> _T | None:
        return value if value is not None and self._new(name, value) else None

    def _finished(self, now: Now) -> bool:
        """Tell whether a shutdown has done all it can."""
        connector = self._connector
        assert connector.shutting_down is not None
        if now.steady >= connector.shutting_down + sessions.SHUTDOWN_S:
            return True
        safe = connector.contactor is ContactorState.OPEN or not connector.link_up
        return safe and connector.session is None

    def _next_deadline(self) -> float | None:
        """Return the earliest time at which anything happens by itself."""
        connector = self._connector
        assert self._begun is not None
        times = [
            observation.end_of_grace(connector),
            *sessions.deadlines(connector, self._begun),
            *supervision.deadlines(connector),
            *power.deadlines(connector),
            *outputs.deadlines(connector),
        ]
        return min((time for time in times if time is not None and time > connector.now.steady), default=None)


def _manufacturer(evcc_id: str) -> CarManufacturerEnum:
    """Return who made the car with this MAC address."""
    address = evcc_id.upper().replace('-', ':')
    for beginning, manufacturer in MANUFACTURERS.items():
        if address.startswith(beginning):
            return manufacturer
    return CarManufacturerEnum.UNKNOWN
