"""The example site as the energy manager sees it."""

import math
from pathlib import Path

from evse_manager.depot.energy_tree import energy_tree
from evse_manager.depot.site_file import parse_site
from evse_manager.energy.tree import ConnectorSpec, FuseSpec, MeteredQuantity, MeterSpec, ScheduleStep

TEXT = """
site: {name: yard, namespace: /depot}
grid:
  limit_a: 80.0
  safe_limit_a: 32.0
  meter: {topic: /site/grid_meter, timeout_s: 5.0, measures: total}
  schedule:
    - {from: "06:00", limit_a: 60.0}
    - {from: "22:00", limit_a: 80.0}
  children:
    row_a: {limit_a: 40.0, limit_w: 20000.0, children: [bay_1, bay_2]}
defaults: {driver: simulated}
connectors:
  bay_1: {phases: [L1], failsafe_current_a: 6.0}
  bay_2: {phases: [L2, L3, L1], max_current_a: 16.0, priority: 10, weight: 2.0}
"""


def test_a_site_becomes_a_tree() -> None:
    tree = energy_tree(parse_site(TEXT, 'site.yaml'))
    assert tree.fuses == (
        FuseSpec(
            'grid',
            limit_a=80.0,
            safe_limit_a=32.0,
            meter=MeterSpec('/site/grid_meter', 5.0, MeteredQuantity.TOTAL),
            schedule=(ScheduleStep(21600.0, 60.0), ScheduleStep(79200.0, 80.0)),
        ),
        FuseSpec('row_a', 'grid', 40.0, 20000.0),
    )
    assert tree.connectors == (
        ConnectorSpec('bay_1', '/depot/bay_1', 'row_a', (0,), failsafe_current_a=6.0),
        ConnectorSpec('bay_2', '/depot/bay_2', 'row_a', (1, 2, 0), 16.0, priority=10, weight=2.0),
    )
    assert tree.nominal_voltage_v == 230.0
    assert math.isinf(tree.fuses[0].limit_w)


def test_every_installed_example_is_a_tree() -> None:
    examples = sorted((Path(__file__).parents[2] / 'config').glob('depot*.yaml'))
    for path in examples:
        assert energy_tree(parse_site(path.read_text(), path.name)).connectors
