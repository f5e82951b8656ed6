"""
The depot: start of many connectors, what they cost while they charge, and how fast a new site limit acts.

The figures are those of all processes of a depot together: its workers, its energy manager and authorization,
and the supervisor.
"""

import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import Watch, cpu_s, memory
from processes import Child, Processes
from reactions import Stage

from evse_manager.interface import endpoints
from evse_manager.msg import BoardState, ContactorState, EvseStatus
from evse_manager.nodes.qos import profile

NAMESPACE = '/depot'
SHARE_A = 10.0
"""Current of the grid connection per connector; each car could take 32 A."""

START_LIMIT_S = 120.0
SETTLE_S = 12.0
"""Cars follow within 5 s, and the energy manager raises the others after that."""


def measure(processes: Processes, *, counts: Sequence[int], seconds: float, changes: int) -> dict[str, Any]:
    """Return the figures for each number of connectors."""
    figures = {}
    watch = Watch()
    for count in counts:
        figures[str(count)] = _depot(processes, count, seconds=seconds, changes=changes)
        print(f'depot of {count}: {figures[str(count)]}', flush=True)
    return {'figures': figures, 'machine': watch.end()}


def _depot(processes: Processes, count: int, *, seconds: float, changes: int) -> dict[str, float]:
    names = [f'evse_{number}' for number in range(1, count + 1)]
    file = processes.write('site.yaml', _site(names))
    view = _View(names)
    try:
        began = time.monotonic()
        depot = processes.program('depot', str(file))
        view.stage.wait(view.all_idle, f'{count} connectors are available', START_LIMIT_S)
        started = time.monotonic() - began
        time.sleep(3.0)
        figures = {'start_s': round(started, 2), **_prefixed('idle', _usage(depot, count, seconds))}
        view.plug_all_in()
        view.stage.wait(lambda: view.lowest_a() >= 0.9 * SHARE_A, view.without_share, START_LIMIT_S)
        view.rest(SETTLE_S)
        figures |= _prefixed('charging', _usage(depot, count, seconds))
        times = [view.limit_reaches_all(0.7 if change % 2 == 0 else 1.0) for change in range(2 * changes)]
        lowered = times[::2]
        figures['limit_p50_s'] = round(statistics.median(lowered), 3)
        figures['limit_max_s'] = round(max(lowered), 3)
    finally:
        view.stage.close()
        processes.stop()
    return figures


def _site(names: Sequence[str]) -> str:
    connectors = '\n'.join(f'  {name}: {{}}' for name in names)
    return (
        f'site: {{name: benchmark, namespace: {NAMESPACE}}}\n'
        f'grid: {{limit_a: {SHARE_A * len(names):g}, children: [{", ".join(names)}]}}\n'
        'defaults: {parameters: {session_store: "", disable_authentication: true}}\n'
        f'connectors:\n{connectors}\n'
    )


def _prefixed(prefix: str, figures: dict[str, float]) -> dict[str, float]:
    return {f'{prefix}_{name}': value for name, value in figures.items()}


def _usage(depot: Child, count: int, seconds: float) -> dict[str, float]:
    """Return processor time and memory of all processes of a depot, over some seconds."""
    pids = [depot.pid, *_children(depot.pid)]
    before, began = sum(map(cpu_s, pids)), time.monotonic()
    time.sleep(seconds)
    share = (sum(map(cpu_s, pids)) - before) / (time.monotonic() - began)
    pss = sum(memory(pid)['pss_mb'] for pid in pids)
    return {'cores': round(share, 3), 'pss_mb': round(pss), 'pss_mb_each': round(pss / count, 1)}


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path('/proc').iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / 'stat').read_text().rpartition(')')[2].split()
            except OSError:
                continue
            if int(words[1]) == parent:
                found.append(int(folder.name))
    return found


class _View:
    """Observation of a depot: the offers of its boards, and the states of its connectors."""

    def __init__(self, names: Sequence[str]) -> None:
        self.stage = Stage()
        self._names = names
        self._states: dict[str, int] = {}
        self._offers: dict[str, float] = {}
        status, board = endpoints.topic('status'), endpoints.topic('board/state')
        for name in names:

            def on_status(message: EvseStatus, name: str = name) -> None:
                self._states[name] = message.state

            def on_board(message: BoardState, name: str = name) -> None:
                closed = message.contactor == ContactorState.CLOSED
                self._offers[name] = message.current_a if closed else 0.0

            path = f'{NAMESPACE}/{name}'
            node = self.stage.node
            node.create_subscription(EvseStatus, f'{path}/status', on_status, profile(status.qos))
            node.create_subscription(BoardState, f'{path}/board/state', on_board, profile(board.qos))

    def all_idle(self) -> bool:
        """Return whether every connector is available."""
        idle = sum(state == EvseStatus.STATE_IDLE for state in self._states.values())
        return idle == len(self._names)

    def lowest_a(self) -> float:
        """Return the lowest offer with a closed contactor."""
        return min(self._offers.get(name, 0.0) for name in self._names)

    def without_share(self) -> str:
        """Return which connectors lack their share, with their states and offers."""
        lacking = [
            f'{name} (state {self._states.get(name)}, {self._offers.get(name, 0.0):.1f} A)'
            for name in self._names
            if self._offers.get(name, 0.0) < 0.9 * SHARE_A
        ]
        return f'every car has its share; {len(lacking)} have not: {", ".join(lacking[:8])}'

    def highest_a(self) -> float:
        """Return the highest offer."""
        return max(self._offers.values(), default=math.inf)

    def rest(self, seconds: float) -> None:
        """Listen for a while."""
        end = time.monotonic() + seconds
        self.stage.wait(lambda: time.monotonic() >= end, 'the clock goes on', seconds + 5.0)

    def plug_all_in(self) -> None:
        """Plug in a car at each connector."""
        service = endpoints.service('simulation/plug_in')
        kind = endpoints.load(service.type)
        futures = []
        for name in self._names:
            client = self.stage.node.create_client(kind, f'{NAMESPACE}/{name}/{service.name}')
            self.stage.wait(client.service_is_ready, service.name, 30.0)
            futures.append(client.call_async(kind.Request(phases=3, max_current_a=32.0, soc_percent=20.0)))
        self.stage.wait(lambda: all(future.done() for future in futures), 'every car is plugged in', 30.0)

    def limit_reaches_all(self, share: float) -> float:
        """
        Set a limit of the grid connection, or clear it for a share of 1; return the seconds until every offer
        keeps to it.
        """
        limit_a = share * SHARE_A * len(self._names) if share < 1.0 else -1.0  # it outlasts the depot
        service = endpoints.service('site/set_limit')
        kind = endpoints.load(service.type)
        client = self.stage.node.create_client(kind, f'{NAMESPACE}/{service.name}')
        self.stage.wait(client.service_is_ready, service.name, 30.0)
        began = time.monotonic()
        future = client.call_async(kind.Request(node='grid', source='benchmark', limit_a=limit_a))
        self.stage.wait(future.done, service.name, 30.0)
        if not future.result().success:
            raise RuntimeError(f'site/set_limit: {future.result().message}')
        self.stage.wait(lambda: self.highest_a() <= share * SHARE_A + 0.1, 'every offer is lower', 30.0)
        took = time.monotonic() - began
        self.stage.wait(lambda: self.lowest_a() >= share * SHARE_A - 0.5, 'every offer is at the limit', 60.0)
        self.rest(2.0)
        return took
