"""State of one connector in the energy manager, and the current that is counted for it."""

import math
from collections import deque
from dataclasses import dataclass, field

from evse_manager.energy.demand import ALL_PHASES, Demand, Usage, tolerated_a
from evse_manager.energy.ledger import OUTLIVES_VALIDITY_S, UNKNOWN_STAMP, VALIDITY_S, Ledger, Level
from evse_manager.energy.tree import ConnectorSpec
from evse_manager.energy.turns import ShareTurn
from evse_manager.interface.enums import ContactorState

SILENT_AFTER_S = 3.0
"""A connector asks every second; without a request for this long it is silent."""

FOLLOWS_WITHIN_S = 10.0
"""A connector that has not followed a reduction after this loses its grant."""

WITHDRAWN_FOR_S = 60.0
"""How long a connector that lost its grant must have kept to it before it gets another one."""

RAISE_PERIOD_S = 5.0
"""A grant rises at most this often; the connector raises its signalled current no more often either."""

_USED = [
    [
        tuple(phase for phase in range(count) if mask >> phase & 1) or tuple(range(count))
        for mask in range(ALL_PHASES + 1)
    ]
    for count in range(4)
]
"""Which own phases are used, by the number that is connected and the mask of those on which the car draws."""


@dataclass(slots=True)
class Obedience:
    """Whether a connector follows reductions."""

    reduced_at: float = math.inf
    """When the oldest reduction was sent that is not followed yet."""
    allowances: deque[tuple[float, float]] = field(default_factory=deque)
    """Currents before a reduction, each with the time until which it may be drawn still."""
    kept_since: float = math.inf
    withdrawn: bool = False

    def reduce(self, before_a: float, steady: float) -> None:
        """A grant is reduced from ``before_a``."""
        self.reduced_at = min(self.reduced_at, steady)
        self.allowances.append((steady + FOLLOWS_WITHIN_S, before_a))

    def evaluate(self, draw_a: float | None, granted_a: float, acknowledged: bool, steady: float) -> None:
        """Take a report; ``draw_a`` None is unknown."""
        while self.allowances and self.allowances[0][0] <= steady:
            self.allowances.popleft()
        follows = acknowledged and (draw_a is None or draw_a <= tolerated_a(granted_a))
        if follows:
            self.reduced_at = math.inf
        elif steady - self.reduced_at >= FOLLOWS_WITHIN_S:
            allowed = max((current for _, current in self.allowances), default=granted_a)
            if not acknowledged or (draw_a is not None and draw_a > tolerated_a(allowed)):
                self.withdrawn = True
        if not self.withdrawn:
            return
        self.kept_since = min(self.kept_since, steady) if follows else math.inf
        if steady - self.kept_since >= WITHDRAWN_FOR_S:
            self.withdrawn, self.kept_since = False, math.inf


@dataclass(slots=True)
class PhaseChoice:
    """How many phases are granted where the hardware can change them (0 = not decided)."""

    count: int = 0
    switched_at: float = -math.inf
    wished_since: float = math.inf


class EnergyConnector:
    """One connector."""

    __slots__ = (
        'choice', 'count', 'demand', 'frozen', 'heard', 'index', 'ledger', 'obedience', 'overdraws',
        'raised_at', 'refused', 'sent_at', 'spec', 'turn', 'usage',
    )  # fmt: skip

    def __init__(self, index: int, spec: ConnectorSpec, steady: float) -> None:
        """Before its first report a connector may follow any grant of a former energy manager."""
        self.index = index
        self.spec = spec
        self.demand: Demand | None = None
        self.heard = -math.inf
        self.refused = ''
        """Why its newest request was refused, in one sentence; empty when it was not."""
        self.sent_at = -math.inf
        self.raised_at = -math.inf
        self.frozen = False
        self.overdraws = False
        unknown = Level(
            spec.max_current_a,
            len(spec.phases),
            UNKNOWN_STAMP,
            UNKNOWN_STAMP,
            steady + VALIDITY_S + OUTLIVES_VALIDITY_S,
        )
        self.ledger = Ledger(former=[unknown])
        self.usage = Usage()
        self.turn = ShareTurn()
        self.obedience = Obedience()
        self.choice = PhaseChoice()
        self.count = (0.0, 0.0, 0.0)
        """Current that is counted on its own L1, L2, L3 [A]."""

    def silent(self, steady: float) -> bool:
        """Return whether the connector has been silent for ``SILENT_AFTER_S``."""
        return steady - self.heard > SILENT_AFTER_S

    @property
    def granted_a(self) -> float:
        """The newest grant [A per phase]."""
        newest = self.ledger.newest
        return newest.current_a if newest is not None else 0.0

    @property
    def granted_phases(self) -> int:
        """The phases of the newest grant; 0 when there was none."""
        newest = self.ledger.newest
        return newest.phases if newest is not None else 0

    @property
    def switches_phases(self) -> bool:
        """Whether the energy manager may choose between one phase and three."""
        demand = self.demand
        return (
            demand is not None
            and demand.switches_phases
            and demand.fewest_phases <= 1
            and demand.most_phases >= 3
            and len(self.spec.phases) == 3
        )

    def used_phases(self, connected: int) -> tuple[int, ...]:
        """Return on which of its own phases it uses current when this many are connected."""
        return _USED[min(connected, len(self.spec.phases))][self.usage.phases]

    def hear(self, demand: Demand, steady: float, manager_id: str) -> bool:
        """
        Take a request; ``manager_id`` is this energy manager.

        An older request than the newest one is ignored while the connector reports.  Returns whether it asks
        for something else than before.
        """
        before = self.demand
        if before is not None and demand.stamp < before.stamp and not self.silent(steady):
            return False
        self.demand, self.heard, self.refused = demand, steady, ''
        stamp, is_open = demand.grant_stamp, demand.contactor is ContactorState.OPEN
        foreign = stamp is not None and demand.grant_manager_id != manager_id
        self.frozen = demand.contactor is ContactorState.UNKNOWN and (
            self.frozen or foreign or bool(self.ledger.own)
        )
        if foreign and stamp is not None:
            # It ends nothing: a later grant of that other energy manager may be on its way.
            self.ledger.report(demand.granted_a, demand.granted_phases, stamp, steady)
        elif stamp is not None:
            self.ledger.acknowledge(stamp, is_open, steady)
        self._observe(demand, steady)
        return before is None or demand.wish != before.wish

    def refresh(self, steady: float) -> None:
        """Bring what is counted up to date."""
        ledger, count = self.ledger, [0.0, 0.0, 0.0]
        ledger.expire(steady, contactor_unknown=self.frozen)
        width = len(self.spec.phases)
        for levels in (ledger.former, ledger.own):
            for level in levels:
                current = level.current_a
                for phase in self.used_phases(level.phases):
                    count[phase] = max(count[phase], current)
        failsafe = self.spec.failsafe_current_a
        if failsafe > 0.0:
            for phase in range(width):
                count[phase] = max(count[phase], failsafe)
        self.overdraws = False
        demand = self.demand
        if demand is not None and demand.draw_a is not None and not self.silent(steady):
            for phase in range(width):
                if demand.draw_a[phase] > tolerated_a(count[phase]):
                    count[phase] = demand.draw_a[phase]
                    self.overdraws = True
        self.count = (count[0], count[1], count[2])

    def _observe(self, demand: Demand, steady: float) -> None:
        turn = self.turn
        if demand.wants:
            if turn.arrived == math.inf:
                turn.arrive(steady)
        else:
            turn.leave()
            self.choice.count = 0
        newest, stamp = self.ledger.newest, demand.grant_stamp
        granted = newest.current_a if newest is not None else 0.0
        in_force = newest is not None and stamp is not None and stamp >= newest.first
        draw = None if demand.draw_a is None else max(demand.draw_a)
        if demand.contactor is ContactorState.OPEN:
            draw = 0.0
        self.obedience.evaluate(draw, granted, in_force or stamp is None, steady)
        if newest is not None and granted > 0.0 and in_force:
            self.usage.observe(demand, granted, newest.phases, steady)
        elif granted <= 0.0 and self.ledger.settled:
            self.usage.reset()
