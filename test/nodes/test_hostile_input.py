"""
Nonsense on every service and topic: the nodes go on, answer in time, and give no power without an EV.

``EVSE_HOSTILE_EXAMPLES`` (requests for each service) and ``EVSE_FLOOD_S`` make the runs longer.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Time as TimeMessage
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from evse_manager.interface import endpoints, types
from evse_manager.interface.endpoints import Party
from evse_manager.interface.enums import StopTransactionReason
from evse_manager.msg import (
    AuthorizationStatus,
    BoardState,
    ContactorState,
    ControlPilotState,
    EvseStatus,
    ExternalLimits,
    LimitsReq,
    ProvidedIdToken,
    ScheduleReqEntry,
    ValidationResult,
)
from evse_manager.nodes.conversions import to_message
from harness import Connector, Probe, Process, Site, authorization
from interfaces.strategies import values
from nodes.flood import Flood, flooding
from nodes.hostile import absurd, drawn, readable

EXAMPLES = int(os.environ.get('EVSE_HOSTILE_EXAMPLES', '15'))
FLOOD_S = float(os.environ.get('EVSE_FLOOD_S', '2.5'))
RATE_HZ = 10_000

pytestmark = pytest.mark.timeout(60 + 10 * EXAMPLES + 10 * FLOOD_S)

ANSWER_S = 1.0
ANSWERS_S = {'disable': 1.0, 'force_unlock': 8.0}
"""Services that may wait for the hardware, for so long."""
SLACK_S = 1.0
"""Scheduling on a busy machine ..."""
FLOOD_SLACK_S = 4.0
"""... and on one that a flood keeps busy."""
OPEN_WITHIN_S = 2.0
GROWTH_MIB = 24.0
"""Largest growth of a process in a flood: its buffers, not its messages."""
RATED_A = 32.0

OWNED = (
    'availability', 'reservation_id', 'session_uuid', 'transaction_active', 'token', 'authorized', 'plugged',
    'paused_by_user', 'limit_a',
)  # fmt: skip
"""What only an accepted command changes."""

SENSIBLE: dict[str, dict[str, Any]] = {
    'authorize_response': authorization(),
    'reserve': {'reservation_id': 7},
    'simulation/set_proximity': {'ampacity_a': 32.0},
}
"""Requests that bring a connector from one state to the next, besides the empty ones."""

LIKELY = ('simulation/plug_in', 'authorize_response', 'enable', 'clear_fault')
"""Services that lead to charging; they are asked more often."""

ENDS: dict[str, Callable[[Any], bool]] = {
    'disable': lambda request: request.connector_id in (0, 1),
    'force_unlock': lambda request: request.connector_id in (0, 1),
    'stop_transaction': lambda request: request.request.reason in tuple(StopTransactionReason),
    'simulation/set_proximity': lambda request: request.ampacity_a == 0.0,
}
"""Requests that rightly end what is going on."""


@dataclass
class Station:
    """A connector, its two processes, and what the board reports."""

    connector: Connector
    manager: Process
    board: Process
    states: list[BoardState]

    @property
    def processes(self) -> tuple[Process, Process]:
        return self.manager, self.board

    def ask(self, service: endpoints.Service, request: Any, slack_s: float = SLACK_S) -> Any:
        """Call a service with a request as it is; it has to answer within its limit."""
        probe, path = self.connector.probe, self.connector.path(service.name)
        future = probe.client(service.type, path).call_async(request)
        limit = ANSWERS_S.get(service.name, ANSWER_S) + slack_s
        return probe.wait(
            lambda: future.result() if future.done() else None,
            lambda: f'{service.name} answers {request!r:.300}',
            limit,
        )

    def is_sound(self) -> None:
        """Check that both nodes run and that nothing in them failed."""
        for process in self.processes:
            output = process.output
            assert process.exit_code is None, output[-3000:]
            assert 'Traceback' not in output, output[-3000:]
            # Transitions are logged with the connector's number; errors among them are no failures of nodes.
            failures = [
                line
                for line in output.splitlines()
                if ('[ERROR]' in line or '[FATAL]' in line) and 'connector=' not in line
            ]
            assert not failures, failures

    def is_safe(self) -> None:
        """Check that only an authorized EV gets power, soon after whatever happened."""
        self.connector.probe.wait(
            self._closed_rightly, lambda: f'open contactor; {self.connector.why}', OPEN_WITHIN_S
        )

    def _closed_rightly(self) -> bool:
        status = self.connector.status
        entitled = status.plugged and (status.authorized or status.transaction_active)
        return entitled or not self.states or self.states[-1].contactor != ContactorState.CLOSED

    def closings(self) -> list[BoardState]:
        """Return the states with which the contactor was seen closing."""
        closed = [state.contactor == ContactorState.CLOSED for state in self.states]
        return [
            state
            for state, now, before in zip(self.states, closed, [False, *closed], strict=False)
            if now and not before
        ]


@pytest.fixture(scope='module')
def one(shared_site: Site, probe: Probe) -> Station:
    """The connector of this file."""
    namespace = '/hostile'
    connector = Connector(probe, namespace)
    states = connector.listen('board/state')
    board, manager = shared_site.board(namespace), shared_site.manager(namespace)
    connector.sees('Enabled')
    return Station(connector, manager, board, states)


@pytest.fixture
def station(one: Station) -> Iterator[Station]:
    """The connector at rest; afterwards nothing may have failed."""
    one.connector.to_rest()
    one.connector.accepted('simulation/set_proximity', ampacity_a=RATED_A)
    one.states.clear()
    yield one
    one.is_sound()


@pytest.fixture
def charging(one: Station) -> Iterator[Station]:
    """The connector charging, as the last test left it if it does; afterwards nothing may have failed."""
    connector = one.connector
    if connector.status.state != EvseStatus.STATE_CHARGING:
        connector.to_rest()
        connector.accepted('simulation/set_proximity', ampacity_a=RATED_A)
        connector.charge()
    yield one
    one.is_sound()


def request_class(service: endpoints.Service) -> Any:
    return endpoints.load(service.type).Request


def takes_arguments(service: endpoints.Service) -> bool:
    fields = request_class(service).get_fields_and_field_types()
    return set(fields) != {'structure_needs_at_least_one_member'} and bool(fields)


def tries(strategy: Any, examples: int = EXAMPLES) -> Any:
    """Run a test with drawn values: the same ones each time, and no shrinking, as processes remember."""

    def decorate(test: Any) -> Any:
        return settings(
            max_examples=examples,
            derandomize='EVSE_HOSTILE_EXAMPLES' not in os.environ,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(strategy)(test))

    return decorate


# --- services -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('service', endpoints.SERVICES, ids=lambda service: service.name)
def test_whatever_a_service_is_asked_it_answers_and_a_refusal_changes_nothing(
    station: Station, service: endpoints.Service
):
    connector = station.connector

    @tries(absurd(request_class(service), huge=True))
    def ask(request: Any) -> None:
        if asked(station, service, request):
            connector.to_rest()

    ask()


@pytest.mark.parametrize(
    'service',
    [each for each in endpoints.SERVICES if takes_arguments(each)],
    ids=lambda service: service.name,
)
def test_a_refusal_changes_nothing_while_charging(charging: Station, service: endpoints.Service):
    station, connector = charging, charging.connector
    ends = ENDS.get(service.name, lambda _: False)

    @tries(absurd(request_class(service), huge=True).filter(lambda request: not ends(request)))
    def ask(request: Any) -> None:
        if asked(station, service, request):
            connector.accepted('set_external_limits')
            connector.accepted('simulation/set_proximity', ampacity_a=RATED_A)
            connector.probe.spin(0.05)

    ask()
    connector.reaches(lambda s: s.state == EvseStatus.STATE_CHARGING, 'charging all the same')


def asked(station: Station, service: endpoints.Service, request: Any) -> bool:
    """Return whether a service accepts a request; see that its refusal has words and changes nothing."""
    connector = station.connector
    before = connector.status
    answer = station.ask(service, request)
    accepted = getattr(answer, 'success', False) or getattr(answer, 'result', 0) == 1
    if not accepted and service is not endpoints.GET_ID:
        assert 10 < len(answer.message) < 1000, 'a sentence, not nothing, nor a book'
        connector.call('get_id')
        connector.probe.spin(0.01)
        for field in OWNED:
            now, then = getattr(connector.status, field), getattr(before, field)
            assert now == then, f'{field} after {request!r:.300}'
    station.is_safe()
    return bool(accepted)


def calls() -> st.SearchStrategy[tuple[endpoints.Service, Any]]:
    """Return any service with any request: absurd, empty, or one that moves the connector on."""

    def requests(service: endpoints.Service) -> st.SearchStrategy[Any]:
        cls = request_class(service)
        sensible = st.builds(lambda: cls(**SENSIBLE.get(service.name, {})))
        return st.tuples(st.just(service), sensible | absurd(cls))

    likely = [endpoints.service(name) for name in LIKELY]
    return st.sampled_from((*endpoints.SERVICES, *likely, *likely)).flatmap(requests)


def test_services_in_any_order_never_give_power_to_nobody(station: Station):
    station.connector.charge()

    @tries(calls(), examples=20 * EXAMPLES)
    def step(call: tuple[endpoints.Service, Any]) -> None:
        station.ask(*call)
        station.is_safe()

    step()
    assert station.closings()
    for state in station.closings():
        assert state.cp_state in (ControlPilotState.C, ControlPilotState.D)
    assert all(state.current_a <= RATED_A + 0.1 for state in station.states), 'nor too much of it'
    assert station.connector.call('get_id').connector_id == 1


# --- floods -------------------------------------------------------------------------------------------


def resident_mib(process: Process) -> float:
    for line in Path(f'/proc/{process.pid}/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1]) / 1024
    raise AssertionError('no such process')


def withstand(station: Station, flood: Flood, *services: str) -> None:
    """Call services until the flood is over: each answers in time, and memory stays as it was."""
    probe = station.connector.probe
    probe.wait(lambda: flood.begun, 'the flood begins')
    probe.spin(0.5)
    before = [resident_mib(process) for process in station.processes]
    answers = 0
    while not flood.over:
        for name in services:
            service = endpoints.service(name)
            station.ask(service, request_class(service)(), FLOOD_SLACK_S)
            answers += 1
        probe.spin(0.1)
    assert answers >= 2 * len(services)
    for process, then in zip(station.processes, before, strict=True):
        assert resident_mib(process) - then < GROWTH_MIB
    station.is_sound()


def told_by_the_board(station: Station) -> list[Any]:
    """Return the board's telemetry: it shows the real contactor while its states are forged."""
    telemetry = station.connector.listen('board/telemetry')
    station.connector.probe.wait(lambda: telemetry, 'telemetry')
    return telemetry


@pytest.mark.alone
def test_ten_thousand_states_a_second_of_a_stranger(station: Station, tmp_path: Path):
    connector = station.connector
    connector.charge()
    telemetry = told_by_the_board(station)
    connector.probe.wait(lambda: telemetry[-1].relais_on, 'power')
    states = drawn(absurd(BoardState), 50) + drawn(values(types.BoardState).map(to_message), 50)
    with flooding(tmp_path, connector.namespace, RATE_HZ, FLOOD_S, {'board/state': states}) as flood:
        withstand(station, flood, 'get_id', 'pause_charging')
        connector.probe.wait(lambda: not telemetry[-1].relais_on, 'no power in the pause')
        assert flood.sent > 0.8 * RATE_HZ * FLOOD_S
    connector.accepted('resume_charging')
    connector.reaches(lambda s: not s.active_errors and s.transaction_active, 'the transaction goes on')


@pytest.mark.alone
def test_ten_thousand_states_a_second_in_the_name_of_the_board(station: Station, tmp_path: Path):
    """The manager believes them: a car seems to be plugged and to ask.  The board itself knows better."""
    connector = station.connector
    telemetry = told_by_the_board(station)
    connector.probe.wait(lambda: station.states and station.states[-1].controller_id, 'a board that obeys')
    connector.authorize()
    own = station.states[-1].controller_id
    good = BoardState(cp_state=3, pilot_mode=2, contactor=1, lock=2, link_state=3, controller_id=own)
    good.answered_sequence_number = 2**64 - 1
    states = drawn(absurd(BoardState), 50) + drawn(values(types.BoardState).map(to_message), 50)
    for state in states:
        state.controller_id = own
    telemetry.clear()
    messages = {'board/state': [good] * 50 + states}
    with flooding(tmp_path, connector.namespace, RATE_HZ, FLOOD_S, messages) as flood:
        withstand(station, flood, 'get_id', 'withdraw_authorization', 'pause_charging')
    assert telemetry
    assert not any(sample.relais_on for sample in telemetry)


@pytest.mark.alone
def test_garbage_commands_at_the_board(station: Station, tmp_path: Path):
    """Strangers' commands are not obeyed; in the manager's name they can take power away, never more."""
    connector = station.connector
    connector.charge()
    cls = endpoints.load(endpoints.topic('board/command').type)
    strange = {'board/command': drawn(absurd(cls), 100)}
    with flooding(tmp_path, connector.namespace, RATE_HZ / 2, FLOOD_S / 2, strange) as flood:
        withstand(station, flood, 'get_id', 'simulation/set_proximity')
    assert all(state.current_a <= RATED_A for state in station.states)
    own = station.states[-1].controller_id
    forged = drawn(absurd(cls), 100)
    for command in forged:
        command.manager_id = own
    connector.accepted('simulation/unplug')
    connector.probe.wait(lambda: station.states[-1].contactor == ContactorState.OPEN, 'open')
    station.states.clear()
    with flooding(
        tmp_path, connector.namespace, RATE_HZ / 2, FLOOD_S / 2, {'board/command': forged}
    ) as flood:
        withstand(station, flood, 'get_id', 'simulation/set_proximity')
    assert station.states
    for state in station.states:
        assert state.contactor != ContactorState.CLOSED
        assert state.current_a <= RATED_A + 0.1
    connector.to_rest()  # the board obeys again, though it has seen higher numbers in the manager's name


@pytest.mark.alone
def test_every_other_topic_at_once(site: Site, probe: Probe, tmp_path: Path):
    """An energy manager that never says anything readable grants nothing."""
    namespace = '/flooded'
    connector = Connector(probe, namespace)
    states = connector.listen('board/state')
    board, manager = site.board(namespace), site.manager(namespace, energy_source='manager')
    station = Station(connector, manager, board, states)
    heard = [
        topic
        for topic in endpoints.TOPICS
        if topic.subscriber is Party.MANAGER and topic.name != 'board/state'
    ]
    messages = {topic.name: drawn(absurd(endpoints.load(topic.type)), 50) for topic in heard}
    messages['energy/limits'] = [
        limits for limits in messages['energy/limits'] if not readable(limits, types.EnforcedLimits)
    ]
    connector.sees('Enabled')
    connector.accepted('simulation/plug_in')
    connector.authorize()
    with flooding(tmp_path, namespace, 500, FLOOD_S, messages) as flood:
        withstand(station, flood, 'get_id', 'resume_charging')
    assert all(state.contactor != ContactorState.CLOSED for state in states), 'nobody granted any energy'


# --- the longest lists that the interface has -------------------------------------------------------------


@pytest.mark.alone
def test_the_longest_lists_are_answered_and_delay_no_renewal(charging: Station):
    """Bounds are in the message definitions; what they allow must not stall the manager past its lease."""
    commands = charging.connector.listen('board/command')
    entries = [
        ScheduleReqEntry(
            timestamp=TimeMessage(sec=1 + number), limits_to_leaves=LimitsReq(ac_max_current_a=16.0)
        )
        for number in range(1024)
    ]
    longest = ExternalLimits(schedule_import=entries, schedule_export=entries)
    token = ProvidedIdToken(id_token='TOKEN', connectors=list(range(1, 1025)))
    result = ValidationResult(
        authorization_status=AuthorizationStatus.ACCEPTED, evse_ids=list(range(1, 1025))
    )
    charging.connector.probe.wait(
        lambda: charging.states and charging.states[-1].contactor == ContactorState.CLOSED, 'closed'
    )
    opened = len(charging.closings())
    for _ in range(3):
        begun = time.monotonic()
        charging.connector.accepted('set_external_limits', value=longest)
        charging.connector.call('authorize_response', provided_token=token, validation_result=result)
        charging.connector.accepted('set_external_limits')
        assert time.monotonic() - begun < 3 * ANSWER_S
    stamps = [command.sequence_number for command in commands]
    assert stamps == sorted(set(stamps)), 'a command was lost'
    assert charging.states[-1].contactor == ContactorState.CLOSED
    assert len(charging.closings()) == opened, 'the contactor opened under load'


@pytest.mark.parametrize('length', [1025, 20_000])
def test_a_longer_list_does_not_get_onto_the_wire(length: int):
    with pytest.raises(AssertionError, match=r'1024'):
        ExternalLimits(schedule_import=[ScheduleReqEntry()] * length)
