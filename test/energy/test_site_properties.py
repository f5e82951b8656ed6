"""
The invariants of the allocation over random trees, cars, networks and failures.

Every virtual car is as slow as the norm allows and takes all that it may; what it may draw never exceeds
what the energy manager counts for it, and that never exceeds a limit of any node on any phase.
"""

from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from energy.virtual_site import Network, VirtualSite, connector, fuse, wall
from evse_manager.energy.allocator import SiteAllocator
from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.energy.tree import PHASE_NAMES, FuseSpec, SiteTree
from evse_manager.energy.turns import TurnTimes

SLACK_A = 1e-6
SLACK_W = 1e-3

UNKNOWN_UNTIL_S = 17.0
"""Before this a starting energy manager counts what a former one may have granted, however much that is."""

PHASES = [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0,), (1,), (2,), (0, 1)]


@dataclass(frozen=True)
class Scenario:
    tree: SiteTree
    seed: int
    loss: float
    repetition: float
    delay_s: float
    restarts: bool
    silences: bool


@st.composite
def trees(draw: st.DrawFn) -> SiteTree:
    """One to three levels of fuses, up to seven connectors, currents and powers limited or not."""
    limits = st.sampled_from([10.0, 16.0, 20.0, 32.0, 40.0, 63.0])
    powers = st.sampled_from([float('inf'), 4000.0, 9000.0, 15000.0])
    fuses: list[FuseSpec] = [fuse('grid', '', draw(limits), limit_w=draw(powers))]
    for index in range(draw(st.integers(0, 3))):
        parent = draw(st.sampled_from([each.name for each in fuses]))
        fuses.append(fuse(f'feeder_{index}', parent, draw(limits), limit_w=draw(powers)))
    connectors = []
    for index in range(draw(st.integers(1, 7))):
        phases = draw(st.sampled_from(PHASES))
        connectors.append(
            connector(
                f'bay_{index}',
                draw(st.sampled_from([each.name for each in fuses])),
                phases=phases,
                weight=draw(st.sampled_from([1.0, 2.0])),
                priority=draw(st.sampled_from([0, 0, 1])),
                failsafe_current_a=draw(st.sampled_from([0.0, 0.0, 0.0, 1.0])),
            )
        )
    return SiteTree('site', tuple(fuses), tuple(connectors))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    return Scenario(
        draw(trees()),
        draw(st.integers(0, 2**32)),
        draw(st.sampled_from([0.0, 0.0, 0.1, 0.5])),
        draw(st.sampled_from([0.0, 0.3])),
        draw(st.sampled_from([0.0, 0.4, 3.0, 15.0])),
        draw(st.booleans()),
        draw(st.booleans()),
    )


def disturb(world: VirtualSite, scenario: Scenario, random: Random) -> None:
    """Let cars come, go, pause and change their wishes, connectors fall silent, and either side restart."""
    for each in world.connectors:
        if random.random() < 0.03:
            each.wants_a = random.choice([0.0, 6.0, 10.0, 16.0, 32.0])
        if random.random() < 0.02:
            each.draws = not each.draws
        if scenario.silences and random.random() < 0.02:
            each.says = not each.says
        if scenario.silences and random.random() < 0.01:
            each.hears = not each.hears
        if scenario.silences and random.random() < 0.01:
            each.contactor_known = not each.contactor_known
        if scenario.restarts and random.random() < 0.01:
            each.restart(world.now)
    if scenario.restarts and random.random() < 0.01:
        world.start_manager()


def check(world: VirtualSite) -> None:
    """What may flow is counted, and stays below every limit."""
    voltage = world.tree.nominal_voltage_v
    for each, known in zip(world.connectors, world.manager.connectors, strict=True):
        for own, (possible, counted) in enumerate(zip(each.possible_a(world.now), known.count, strict=True)):
            assert possible <= counted + SLACK_A, f'{each.spec.name} {own}: {possible} A, counted {counted} A'
    overdraws = any(known.overdraws for known in world.manager.connectors)  # by late reports only
    counted_a = dict(zip((each.name for each in world.tree.fuses), world.manager.counted(), strict=True))
    for spec in world.tree.fuses:
        if world.starts == 1 and world.now > UNKNOWN_UNTIL_S and not overdraws:
            assert max(counted_a[spec.name]) <= spec.limit_a + SLACK_A, f'{spec.name} counted'
            assert sum(counted_a[spec.name]) * voltage <= spec.limit_w + SLACK_W, f'{spec.name} counted'
        possible_a = world.possible_by_fuse()[spec.name]
        for phase in range(3):
            assert possible_a[phase] <= spec.limit_a + SLACK_A, f'{spec.name} {PHASE_NAMES[phase]}'
        assert sum(possible_a) * voltage <= spec.limit_w + SLACK_W, f'{spec.name} power'


def new_world(scenario: Scenario, random: Random) -> VirtualSite:
    network = Network(random, scenario.loss, scenario.repetition, scenario.delay_s)
    world = VirtualSite(
        scenario.tree, network=network, turns=TurnTimes(20.0, 5.0), phase_switch_s=20.0, start_settled=False
    )
    for each in world.connectors:
        each.clock_offset_s = random.choice([0.0, 86400.0, -86400.0, 7.3])
        each.car_phases = random.choice([1, 2, 3])
        each.minimum_a = random.choice([6.0, 6.0, 8.0])
        each.switches_phases = random.random() < 0.3
        each.wants_a = random.choice([0.0, 16.0, 32.0])
    return world


@settings(deadline=None, derandomize=True, max_examples=15)
@given(scenarios())
def test_no_limit_is_exceeded_at_any_instant(scenario: Scenario) -> None:
    random = Random(scenario.seed)
    world = new_world(scenario, random)
    for _ in range(160):
        disturb(world, scenario, random)
        world.tick()
        check(world)


# --- steady state -------------------------------------------------------------------------------------

ROUNDING_A = 0.1
"""Grants are whole tenths of an ampere."""


@settings(deadline=None, derandomize=True, max_examples=15)
@given(trees(), st.integers(0, 2**32))
def test_nothing_is_left_unused_that_a_car_could_use(tree: SiteTree, seed: int) -> None:
    """Work-conserving: a car with less than it wants has a full node above it, a waiting one no headroom."""
    random = Random(seed)
    world = VirtualSite(tree)
    for each in world.connectors:
        each.wants_a = random.choice([0.0, 10.0, 32.0])
        each.car_phases = random.choice([1, 3])
    world.run(150.0)
    manager, voltage = world.manager, tree.nominal_voltage_v
    counted = manager.counted()
    for each, known in zip(world.connectors, manager.connectors, strict=True):
        if each.wants_a <= 0.0 or known.granted_a >= each.wants_a - ROUNDING_A:
            continue
        needed = ROUNDING_A if known.granted_a > 0.0 else each.minimum_a
        slack = needed + ROUNDING_A * len(world.connectors)
        own = known.used_phases(known.choice.count)
        full = False
        for index in manager.topology.path_of[known.index]:
            spec = tree.fuses[index]
            left_a = min(spec.limit_a - counted[index][known.spec.phases[phase]] for phase in own)
            left_w = spec.limit_w - voltage * sum(counted[index])
            full = full or left_a <= slack or left_w <= slack * voltage * 3
        assert full, f'{each.spec.name} has {known.granted_a} of {each.wants_a} A'


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 2**32))
def test_no_car_starves(cars: int, places: int, seed: int) -> None:
    """
    Cars of one priority on a fuse for fewer: each is served within a round of on-times, again and again.
    """
    random = Random(seed)
    turns = TurnTimes(20.0, 5.0)
    tree = SiteTree(
        'site', (fuse('grid', '', 6.0 * places),), tuple(connector(f'bay_{index}') for index in range(cars))
    )
    world = VirtualSite(tree, turns=turns)
    for each in world.connectors:
        each.wants_a = 32.0
        world.run(random.choice([0.5, 5.0]))
    hungry = dict.fromkeys(world.granted_a(), 0.0)
    for _ in range(400):
        world.tick()
        for name, current in world.granted_a().items():
            hungry[name] = 0.0 if current > 0.0 else hungry[name] + 0.5
            assert hungry[name] <= (cars + 1) * (turns.minimum_on_s + 7.0), name


@settings(deadline=None, derandomize=True, max_examples=15)
@given(trees(), st.integers(0, 2**32))
def test_the_order_of_messages_does_not_matter(tree: SiteTree, seed: int) -> None:
    """Two energy managers get the same requests between the same steps, in different order."""
    random = Random(seed)
    world = VirtualSite(tree, start_settled=False)
    twin = SiteAllocator(tree, world.manager.manager_id, 0.0, settings=world.settings)
    for each in world.connectors:
        each.wants_a = random.choice([6.0, 16.0, 32.0])
        each.car_phases = random.choice([1, 3])
    for second in range(40):
        now = float(second)
        requests = [(each.spec.uuid, each.request(now)) for each in world.connectors]
        for uuid, demand in requests:
            world.manager.request(uuid, demand, now)
        random.shuffle(requests)
        for uuid, demand in requests:
            twin.request(uuid, demand, now)
        grants = world.manager.step(now, wall(now))
        assert grants == twin.step(now, wall(now))
        for grant in grants:
            world.connectors[grant.index].receive(grant, twin.manager_id, now)


@settings(deadline=None, derandomize=True, max_examples=12)
@given(trees(), st.integers(0, 2**32))
def test_after_a_lower_limit_the_count_only_falls_and_is_below_it_in_time(tree: SiteTree, seed: int) -> None:
    random = Random(seed)
    world = VirtualSite(tree, network=Network(random, loss=random.choice([0.0, 0.3])))
    for each in world.connectors:
        each.wants_a = 32.0
        each.switches_phases = random.random() < 0.5
    world.run(30.0)
    step = random.choice([LimitStep(limit_a=0.0), LimitStep(limit_a=9.0), LimitStep(limit_w=3000.0)])
    world.manager.set_limit(RunTimeLimit('grid', 'operator', steps=(step,)), wall(world.now))
    failsafe_a = sum(each.failsafe_current_a for each in tree.connectors)
    failsafe_w = sum(
        each.failsafe_current_a * len(each.phases) * tree.nominal_voltage_v for each in tree.connectors
    )

    def excess() -> tuple[float, ...]:
        """Return by how much the count exceeds the limit on each phase, and in power."""
        counted = world.manager.counted()[0]
        over_w = sum(counted) * tree.nominal_voltage_v - max(step.limit_w, failsafe_w)
        return (*(each - max(step.limit_a, failsafe_a) for each in counted), over_w)

    before = excess()
    for _ in range(36):
        world.tick()
        now = excess()
        for was, become in zip(before, now, strict=True):
            assert become <= max(was, 0.0) + SLACK_W
        before = now
    assert max(before) <= SLACK_W
