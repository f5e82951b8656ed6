"""Every example of docs/energy.md, as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from energy.virtual_site import EPOCH, SECOND, VirtualSite, connector, fuse, wall
from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.energy.tree import PHASE_NAMES, MeterSpec, SiteTree
from evse_manager.interface.types import Current, Powermeter, Time

PAGE = Path(__file__).parents[2] / 'docs' / 'energy.md'
EXAMPLES = re.findall(r'\*Example:\* (.+?)\n\n```yaml\n(.+?)```', PAGE.read_text(), re.DOTALL)

SETTLED_S = 120.0
"""After this nothing changes any more; turns are longer."""


def world_of(example: dict[str, Any]) -> VirtualSite:
    grid = dict(example['grid'])
    house_load_a = grid.pop('house_load_a', None)
    if house_load_a is not None:
        grid['meter'] = MeterSpec('/meter')
    feeders = example.get('feeders', {})
    cars = {name: dict(car) for name, car in example['cars'].items()}
    specs = []
    for name, car in cars.items():
        keys = {key: car.pop(key) for key in ('weight', 'priority', 'parent') if key in car}
        if 'phases' in car:
            keys['phases'] = tuple(PHASE_NAMES.index(phase) for phase in car.pop('phases'))
        specs.append(connector(name, **keys))
    fuses = (fuse('grid', '', **grid), *(fuse(name, 'grid', **keys) for name, keys in feeders.items()))
    world = VirtualSite(SiteTree('site', fuses, tuple(specs)))
    for limit in example.get('limits', ()):
        step = LimitStep(limit_a=limit['limit_a'])
        given = RunTimeLimit(limit['node'], limit['source'], steps=(step,))
        assert world.manager.set_limit(given, wall(world.now)) == ''
    if house_load_a is not None:
        world.before_step = lambda now: report(world, house_load_a, now)
    for name, car in cars.items():
        each = world[name]
        each.wants_a = car.pop('wants_a', 32.0)
        each.car_phases = car.pop('car_phases', 3)
        each.car_a = car.pop('draws_a', each.car_a)
        each.switches_phases = car.pop('switches_phases', False)
        if 'energy_kwh' in car:
            each.energy_wh = car.pop('energy_kwh') * 1000.0
            each.leaves = Time(EPOCH + round((world.now + SETTLED_S + car.pop('hours') * 3600.0) * SECOND))
        assert not car, f'unknown keys {sorted(car)}'
    return world


def report(world: VirtualSite, load_a: float, now: float) -> None:
    sample = Powermeter(timestamp=wall(now), current_a=Current(l1=load_a, l2=load_a, l3=load_a))
    world.manager.meter('grid', sample, now)


@pytest.mark.parametrize('text', [text for _, text in EXAMPLES], ids=[title for title, _ in EXAMPLES])
def test_an_example(text: str) -> None:
    example = yaml.safe_load(text)
    world = world_of(example)
    world.run(SETTLED_S)
    tolerance_a = example.get('tolerance_a', 1e-6)
    assert world.granted_a() == pytest.approx(example['granted_a'], abs=tolerance_a)


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) == PAGE.read_text().count('*Example:*') >= 14
