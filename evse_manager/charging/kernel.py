"""
The charging kernel: one input and the time in, the outputs and the next deadline out.

It is deterministic and complete in itself: the same inputs at the same times give the same outputs.  An
input is run to completion before the next; a board state with several transitions is taken step by step.
The order inside a step is the order of importance: what is wrong, what ends, what begins, what flows, and
the outputs last.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar, assert_never

from evse_manager.charging import (
    allowance,
    commands,
    observation,
    outputs,
    persistence,
    power,
    sessions,
    supervision,
    timers,
)
from evse_manager.charging.allowance import Grant
from evse_manager.charging.commands import Answer
from evse_manager.charging.connector import Connector, Results
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
from evse_manager.charging.status import MeterReport, meter_report, status
from evse_manager.charging.transfer_modes import transfer_modes
from evse_manager.charging.unchanged_inputs import UnchangedInputs
from evse_manager.interface.enums import CarManufacturerEnum, ContactorState
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
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
    SupportedEnergyTransferModes,
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


CONTINUOUS_FIELDS = (
    'stamp',
    'power_w',
    'session_energy_wh',
    'session_duration',
    'charging_duration',
    *(f'current_l{phase}_a' for phase in (1, 2, 3)),
    *(f'voltage_l{phase}_v' for phase in (1, 2, 3)),
    'temperature_c',
)

DISCRETE_FIELDS = all_but(EvseStatus, *CONTINUOUS_FIELDS)
"""Fields of the status that are published at once on change; the others go out at 1 Hz."""


@dataclass(frozen=True, slots=True)
class Output:
    """Result of a step; ``None`` means no change."""

    events: tuple[SessionEvent, ...] = ()
    outputs: BoardCommand | None = None
    answers: tuple[tuple[int, Answer], ...] = ()
    limits: Limits | None = None
    ev_info: EVInfo | None = None
    car_manufacturer: CarManufacturer | None = None
    hw_capabilities: HardwareCapabilities | None = None
    energy_transfer_modes: SupportedEnergyTransferModes | None = None
    enforced_limits: EnforcedLimits | None = None
    powermeter: Powermeter | None = None
    certificate_response: ResponseExiStreamStatus | None = None
    memory: PersistedState | None = None
    status: EvseStatus | None = None
    deadline: float | None = None
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One input that was taken."""

    happened: Input
    outputs: BoardCommand | None
    """The wanted outputs when they changed; they go to the board before anything else."""
    unchanged: bool
    """The input only repeated what was known: nothing but its deadline need be asked for."""
    reporter: Callable[['Step'], Output]

    def report(self) -> Output:
        """Return all that the input brought about; at most once, before the next input is taken."""
        return self.reporter(self)


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
        self._deadline: float | None = None
        self._unchanged_inputs = UnchangedInputs()
        self._published: dict[str, object] = {}

    def take(self, happened: Input, now: Now) -> Step:
        """
        Take one input; ``now.steady`` must not run backwards.

        The wanted outputs are sent before the report is asked for, which takes as long again: power does not
        wait for what is reported about it.
        """
        connector = self._connector
        connector.now = now
        connector.results = Results(outputs_before=connector.outputs)
        if self._unchanged_inputs.is_redundant(happened, connector):
            self._repeat(happened)
            return Step(happened, None, unchanged=True, reporter=self._report)
        if isinstance(happened, BoardObserved):
            self._observe(happened.state, happened.answered)
        else:
            self._apply(happened)
        self._settle()
        changed = connector.outputs != connector.results.outputs_before
        return Step(happened, connector.outputs if changed else None, unchanged=False, reporter=self._report)

    def step(self, happened: Input, now: Now) -> Output:
        """Take one input and return all that it brought about."""
        return self.take(happened, now).report()

    def _repeat(self, happened: Input) -> None:
        """Take over the time, or the number, of an input in which nothing is new."""
        connector = self._connector
        match happened:
            case BoardObserved(state):
                observation.seen_again(connector, state)
            case TelemetrySampled(telemetry):
                connector.temperature.take(telemetry.temperature_c)

    def _report(self, step: Step) -> Output:
        """Return all that a step brought about."""
        if step.unchanged:
            return Output(deadline=self._deadline)
        connector = self._connector
        results, begun = connector.results, connector.begun is not None
        commands.answer_pending(connector)
        current = status(connector)
        limits = Limits(connector.allowance.limit_a, connector.phases, connector.uuid)
        limits_are_news = connector.capabilities is not None and self._new('limits', limits)
        modes = transfer_modes(connector.usable_capabilities)
        self._deadline = timers.next_deadline(connector) if begun else None
        output = Output(
            events=tuple(results.events),
            outputs=step.outputs,
            answers=tuple(results.answers),
            limits=replace(limits, stamp=connector.now.wall) if limits_are_news else None,
            ev_info=connector.ev_info if begun and self._new('ev_info', connector.ev_info) else None,
            car_manufacturer=self._fresh('car_manufacturer', connector.car_manufacturer),
            hw_capabilities=self._fresh('hw_capabilities', connector.usable_capabilities),
            energy_transfer_modes=self._fresh('energy_transfer_modes', modes),
            enforced_limits=results.enforced_limits,
            powermeter=results.powermeter,
            certificate_response=results.certificate_response,
            memory=self._fresh('memory', persistence.memory(connector)) if begun else None,
            status=current if self._new('status', DISCRETE_FIELDS(current)) else None,
            deadline=self._deadline,
            finished=connector.shutting_down is not None and self._finished(),
        )
        news = bool(output.events or output.outputs or output.memory or output.status)
        self._unchanged_inputs.record(step.happened, connector, self._deadline, news=news or not begun)
        return output

    @property
    def capabilities(self) -> HardwareCapabilities | None:
        """The hardware's limits as the board reports them; None before it did."""
        return self._connector.capabilities

    @property
    def board_capabilities(self) -> BoardCapabilities:
        """The newest report of what the board is and has."""
        return self._connector.board_capabilities

    @property
    def ev_info(self) -> EVInfo:
        """What the car of the session reports of itself."""
        return self._connector.ev_info

    def status(self, now: Now) -> EvseStatus:
        """Return the status as it is at ``now``."""
        with self._at(now) as connector:
            return status(connector)

    def meter(self, now: Now) -> MeterReport:
        """Return how the meter does at ``now``."""
        with self._at(now) as connector:
            return meter_report(connector)

    @contextmanager
    def _at(self, now: Now) -> Iterator[Connector]:
        """Show the facts at a time; a question leaves no trace in them, for no recording has it."""
        before, self._connector.now = self._connector.now, now
        try:
            yield self._connector
        finally:
            self._connector.now = before

    def grant(self, now: Now) -> Grant | None:
        """Return the energy manager's grant that is in force, if any."""
        grant, max_age = self._connector.grant, self._connector.config.enforced_limits_max_age_s
        return grant if grant is not None and now.steady < grant.ends(max_age) else None

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

    def _apply(self, happened: Input) -> None:
        """Change the facts by anything but a board state."""
        connector, steady = self._connector, self._connector.now.steady
        match happened:
            case Start(remembered, last_sequence_number):
                if connector.begun is None:
                    connector.sequence_number = last_sequence_number
                    connector.begun = connector.x1_since = steady
                    persistence.restore(connector, remembered)
            case ParametersChanged(config):
                connector.config = config
            case CommandReceived(ticket, command):
                answer = commands.execute(connector, ticket, command)
                if answer is not None:
                    connector.results.answers.append((ticket, answer))
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
                connector.results.powermeter = connector.meter.sample
            case TelemetrySampled(telemetry):
                connector.temperature.take(telemetry.temperature_c)
            case LimitsEnforced(limits):
                grant = allowance.grant(limits, steady, connector.now.wall)
                max_age = connector.config.enforced_limits_max_age_s
                if limits.uuid == connector.uuid and not allowance.outdated(
                    grant, connector.grant, steady, max_age
                ):
                    connector.grant = grant
                    connector.results.enforced_limits = limits
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
            case Tick():
                pass
            case BoardObserved():
                raise AssertionError('a board state is taken step by step, by _observe')
            case _:
                assert_never(happened)

    def _settle(self) -> None:
        """Let everything follow from the facts."""
        connector = self._connector
        if connector.begun is None:
            return
        observation.settle_unplug(connector)
        sessions.boot(connector)
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

    def _finished(self) -> bool:
        """Return whether a shutdown has done all it can."""
        connector = self._connector
        if timers.shutdown.over(connector):
            return True
        safe = connector.contactor is ContactorState.OPEN or not connector.link_up
        return safe and connector.session is None


def _manufacturer(evcc_id: str) -> CarManufacturerEnum:
    """Return who made the car with this MAC address."""
    address = evcc_id.upper().replace('-', ':')
    for beginning, manufacturer in MANUFACTURERS.items():
        if address.startswith(beginning):
            return manufacturer
    return CarManufacturerEnum.UNKNOWN
