"""
Several managers and boards in one namespace: one pair is in command, and no second contactor ever closes.

Everything that is published in a namespace reaches every node in it, commands of services too.  Boards are
simulated, managers and control loops are the real ones; time passes in steps of 20 ms.
"""

from collections.abc import Sequence
from dataclasses import fields
from random import Random
from typing import Any

import pytest

from evse_manager.board.controller import BoardController
from evse_manager.board.driver import DriverContext
from evse_manager.board.loop import BoardLoop
from evse_manager.charging.commands import Answer
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    BoardCapabilitiesReceived,
    CapabilitiesReceived,
    Command,
)
from evse_manager.charging.kernel import Output
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import AuthorizationStatus, SessionEventEnum
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCommand,
    BoardState,
    EvseStatus,
    ProvidedIdToken,
    SessionEvent,
    Time,
    ValidationResult,
)
from evse_manager.lease.manager import BoardLeaseClient
from evse_manager.manager import ConnectorManager
from evse_manager.simulation.driver import SimulatedDriver, SimulatedParameters
from evse_manager.simulation.world import WorldSettings

STEP_S = 0.02
TOKEN = AuthorizeResponse(ProvidedIdToken('CARD'), ValidationResult(AuthorizationStatus.ACCEPTED))


class Board:
    """A board node with a simulated board behind it."""

    def __init__(self, namespace: 'Namespace', name: str) -> None:
        self.name, self.namespace = name, namespace
        self.driver = SimulatedDriver(
            SimulatedParameters(
                **{spec.name: getattr(WorldSettings(), spec.name) for spec in fields(WorldSettings)}
            ),
            DriverContext(clock=lambda: namespace.steady, wall=lambda: namespace.now.wall, wake=lambda: None),
        )
        self.driver.open()
        self.controller = BoardController(board_id=name)
        self.loop = BoardLoop(self.driver, self.controller)

    def run(self) -> BoardState | None:
        self.loop.run(self.namespace.now)
        return self.controller.take_state(self.namespace.now)

    @property
    def closed(self) -> bool:
        return self.driver.world.contactor.closed


class Manager:
    """A manager node."""

    def __init__(self, namespace: 'Namespace', name: str) -> None:
        self.namespace = namespace
        self.events: list[SessionEvent] = []
        self.statuses: list[EvseStatus] = []
        self.manager = ConnectorManager(
            Config(), BoardLeaseClient(name, 1.0), self, new_uuid=lambda: name, random=lambda: 0.0
        )
        self.manager.start(namespace.now)

    def send_command(self, command: BoardCommand, *, renewal: bool) -> None:
        self.namespace.commands.append(command)

    def publish(self, output: Output) -> None:
        pass

    def publish_events(self, events: Sequence[SessionEvent]) -> None:
        self.events.extend(events)

    def publish_status(self, status: EvseStatus, *, periodic: bool) -> None:
        self.statuses.append(status)

    @property
    def codes(self) -> list[SessionEventEnum]:
        return [event.event for event in self.events]


class Namespace:
    """The nodes of one namespace."""

    def __init__(self) -> None:
        self.steady = 100.0
        self.commands: list[BoardCommand] = []
        self.boards: list[Board] = []
        self.managers: list[Manager] = []
        self.closed_by: set[str] = set()

    @property
    def now(self) -> ClockReadings:
        return ClockReadings(self.steady, self.steady, Time(round(self.steady * 1e9)))

    def board(self, name: str) -> Board:
        self.boards.append(Board(self, name))
        return self.boards[-1]

    def manager(self, name: str) -> Manager:
        self.managers.append(Manager(self, name))
        return self.managers[-1]

    def run(self, seconds: float) -> None:
        end = self.steady + seconds
        while self.steady < end:
            self.steady += STEP_S
            for board in self.boards:
                state = board.run()
                if state is None:
                    continue
                for manager in self.managers:
                    self._describe(board, manager)
                    manager.manager.observe(state, self.now)
            for manager in self.managers:
                manager.manager.run(self.now)
            commands, self.commands = self.commands, []
            for command in commands:
                for board in self.boards:
                    board.loop.command(command, self.now)
            self.closed_by |= {board.name for board in self.boards if board.closed}
            assert sum(board.closed for board in self.boards) <= 1, 'two contactors are closed'

    def execute(self, command: Command) -> list[Answer]:
        """Call a service: every manager that is there gets the request."""
        answers: list[Answer] = []
        for manager in self.managers:
            if manager.manager.started and not manager.manager.lease.refused:
                manager.manager.execute(command, answers.append, self.now)
        return answers

    def plug_in(self) -> None:
        for board in self.boards:
            if board.driver.world.ev is None:
                board.driver.world.plug_in('default')

    def _describe(self, board: Board, manager: Manager) -> None:
        if not getattr(manager, 'described', False):
            manager.described = True  # type: ignore[attr-defined]
            manager.manager.take(BoardCapabilitiesReceived(board.driver.capabilities()), self.now)
            manager.manager.take(CapabilitiesReceived(board.driver.hw_capabilities()), self.now)


def test_a_second_board_never_closes_and_is_named() -> None:
    namespace = Namespace()
    namespace.board('first board')
    manager = namespace.manager('1 manager')
    namespace.run(5.0)
    namespace.board('second board')
    namespace.run(2.0)
    namespace.plug_in()
    namespace.run(1.0)
    assert [answer.success for answer in namespace.execute(TOKEN)] == [True]
    namespace.run(20.0)
    assert namespace.closed_by == {'first board'}
    assert manager.codes.count(SessionEventEnum.TRANSACTION_STARTED) == 1
    assert SessionEventEnum.ERROR not in manager.codes
    assert any('second board' in warning for warning in manager.statuses[-1].warnings)


def test_the_warning_ends_with_the_second_board() -> None:
    namespace = Namespace()
    namespace.board('first board')
    manager = namespace.manager('1 manager')
    second = namespace.board('second board')
    namespace.run(5.0)
    assert any('second board' in warning for warning in manager.statuses[-1].warnings)
    namespace.boards.remove(second)
    namespace.run(5.0)
    assert not any('second board' in warning for warning in manager.statuses[-1].warnings)


def test_a_second_connector_says_once_why_it_stands_by_and_is_silent_then() -> None:
    namespace = Namespace()
    namespace.board('first board')
    first = namespace.manager('1 manager')
    namespace.run(5.0)
    namespace.board('second board')
    second = namespace.manager('2 manager')
    namespace.run(5.0)
    namespace.plug_in()
    namespace.run(1.0)
    assert len(namespace.execute(TOKEN)) == 1
    namespace.run(20.0)
    assert namespace.closed_by == {'first board'}
    assert SessionEventEnum.TRANSACTION_STARTED in first.codes
    assert SessionEventEnum.ERROR not in first.codes
    assert second.codes == [SessionEventEnum.ENABLED, SessionEventEnum.ERROR]
    assert 'stands by' in second.events[-1].error.vendor_error
    newest = second.statuses[-1].stamp
    assert newest is not None
    assert newest < namespace.now.wall - 10_000_000_000


def test_a_second_manager_of_one_board_stands_by_and_takes_over_when_the_first_is_gone() -> None:
    namespace = Namespace()
    namespace.board('board')
    first = namespace.manager('1 manager')
    namespace.run(5.0)
    second = namespace.manager('2 manager')
    namespace.run(10.0)
    assert (second.events, second.statuses) == ([], [])
    assert SessionEventEnum.ERROR not in first.codes
    namespace.managers.remove(first)
    namespace.run(10.0)
    assert SessionEventEnum.ENABLED in second.codes
    namespace.plug_in()
    namespace.run(1.0)
    assert [answer.success for answer in namespace.execute(TOKEN)] == [True]
    namespace.run(20.0)
    assert namespace.closed_by == {'board'}


def test_a_restarted_board_is_led_again() -> None:
    namespace = Namespace()
    old = namespace.board('board, first start')
    manager = namespace.manager('1 manager')
    namespace.run(5.0)
    namespace.boards.remove(old)
    namespace.run(0.5)
    namespace.board('board, second start')
    namespace.run(10.0)
    namespace.plug_in()
    namespace.run(1.0)
    namespace.execute(TOKEN)
    namespace.run(20.0)
    assert namespace.closed_by == {'board, second start'}
    assert not manager.statuses[-1].active_errors


def test_a_board_that_was_heard_beside_ours_is_never_led() -> None:
    """Another car may be plugged in there: it must not charge on the token of the first."""
    namespace = Namespace()
    first = namespace.board('first board')
    namespace.manager('1 manager')
    namespace.run(3.0)
    namespace.board('second board')
    namespace.run(3.0)
    namespace.plug_in()
    namespace.run(1.0)
    namespace.execute(TOKEN)
    namespace.run(10.0)
    assert first.closed
    namespace.boards.remove(first)
    namespace.run(60.0)
    assert namespace.closed_by == {'first board'}


@pytest.mark.parametrize('seed', range(12))
def test_whatever_starts_and_stops_no_two_contactors_are_closed(seed: int) -> None:
    chance, namespace = Random(seed), Namespace()
    started = 0

    def start(kind: Any, name: str) -> None:
        nonlocal started
        started += 1
        kind(f'{started:03d} {name}')

    for _ in range(60):
        action = chance.choice(
            ('board', 'manager', 'stop board', 'stop manager', 'token', 'token', 'plug', 'wait')
        )
        if action == 'board' and len(namespace.boards) < 3:
            start(namespace.board, 'board')
        elif action == 'manager' and len(namespace.managers) < 3:
            start(namespace.manager, 'manager')
        elif action == 'stop board' and namespace.boards:
            namespace.boards.remove(chance.choice(namespace.boards))
        elif action == 'stop manager' and namespace.managers:
            namespace.managers.remove(chance.choice(namespace.managers))
        elif action == 'plug':
            namespace.plug_in()
        elif action == 'token':
            namespace.execute(TOKEN)
        namespace.run(chance.choice((0.1, 0.5, 2.0, 8.0)))
    namespace.boards.clear()
    namespace.managers.clear()
    namespace.run(3.0)
    start(namespace.board, 'board')
    start(namespace.manager, 'manager')
    namespace.run(5.0)
    namespace.plug_in()
    namespace.run(1.0)
    namespace.execute(TOKEN)
    namespace.run(20.0)
    assert namespace.boards[0].closed
