"""``evse site`` and ``evse site limit``: the tree in words, and limits at a real energy manager."""

from pathlib import Path

import pytest

from cli.conftest import evse
from energy.virtual_site import VirtualSite, connector, fuse, site, wall
from evse_manager.cli.errors import ExitCode
from evse_manager.cli.parser import parse
from evse_manager.cli.site_tree import tree_lines
from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.energy.report import site_status
from harness import Probe, Site

SITE_FILE = """
site: {name: yard, namespace: /depot}
grid: {limit_a: 32, children: {row_a: {limit_a: 16, children: [bay_1]}, row_b: {children: [bay_2]}}}
connectors: {bay_1: {}, bay_2: {failsafe_current_a: 0.0}}
"""


def lines(world: VirtualSite) -> list[str]:
    return list(tree_lines(site_status(world.manager, world.now, wall(world.now))))


def test_the_tree_says_who_has_what_and_whose_limit_binds() -> None:
    world = VirtualSite(
        site(40.0, connector('bay_1'), connector('bay_2'), feeders=[fuse('row_a', 'grid', 16.0)])
    )
    world['bay_1'].wants_a = 32.0
    world.run(30.0)
    grid, row, first, second = lines(world)
    assert grid == 'grid: limit 40.0 A (fuse); measured 32.0 A; granted 32.0 A'
    assert row == '├─ row_a: limit 16.0 A (fuse); measured 0.0 A; granted 0.0 A'
    assert first == '├─ bay_1: 32.0 A of 32.0 A on 3 phases, draws 32.0 A'
    assert second == '└─ bay_2: asks for nothing'


def test_a_car_that_waits_says_why_and_the_node_counts_it() -> None:
    world = VirtualSite(site(10.0, connector('bay_1'), connector('bay_2')))
    for each in world.connectors:
        each.wants_a = 32.0
    world.run(30.0)
    grid, first, second = lines(world)
    assert grid.endswith('; 1 waiting')
    assert '10.0 A of 32.0 A on 3 phases, draws 10.0 A; limited by grid' in first
    assert second.startswith('└─ bay_2: 0.0 A of 32.0 A; limited by grid; ')
    assert 'turn' in second


def test_a_limit_set_at_run_time_shows_whose_it_is() -> None:
    world = VirtualSite(site(40.0, connector('bay_1')))
    limit = RunTimeLimit('grid', 'grid_operator', 5, (LimitStep(limit_a=20.0),))
    assert not world.manager.set_limit(limit, wall(world.now))
    world.run(5.0)
    assert lines(world)[0].startswith('grid: limit 20.0 A (grid_operator); ')
    assert lines(world)[-1] == 'limit set: 20.0 A at grid by grid_operator with priority 5'


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('limit grid -5', "'-5' is out of range"),
        ('limit grid nan', 'out of range'),
        ('limit grid 40 --for soon', "'soon' is no duration; give 90s, 30m, 2h or 1d"),
        ('limit grid 40 --for 0s', "'0s' is no duration"),
        ('limit', 'required: NODE'),
        ('limits grid 40', "unknown command 'limits'; did you mean limit?"),
    ],
)
def test_wrong_words_are_refused_in_one_sentence(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(['site', *words.split()])
    assert ended.value.code == ExitCode.USAGE
    assert message in capsys.readouterr().err


@pytest.mark.timeout(120)
def test_a_limit_is_set_shown_and_cleared_at_an_energy_manager(
    site: Site, probe: Probe, tmp_path: Path
) -> None:
    file = tmp_path / 'site.yaml'
    file.write_text(SITE_FILE)
    site.start('energy_manager', '/depot', site_file=file, limit_store=tmp_path / 'limits.json')
    shown = evse('site', '--timeout', '20')
    assert shown.code == ExitCode.OK, shown.err
    assert shown.out.splitlines()[0] == '/depot: yard'
    assert shown.out.splitlines()[1].startswith('grid: limit 32.0 A (fuse); measured 0.0 A; granted ')
    assert '│  └─ bay_1: ' in shown.out

    done = evse('site', 'limit', 'row_a', '10', '--for', '2h', '--source', 'grid_operator', '--timeout', '20')
    assert done.code == ExitCode.OK, done.err
    assert done.out.startswith('/depot: 10.0 A at row_a by grid_operator until ')

    def limit_of_row_a() -> tuple[float, str]:
        node = next(each for each in evse('site', '--json').record['nodes'] if each['name'] == 'row_a')
        return node['limit_a'], node['limit_a_source']

    # The status is published once a second; the one before may be the newest at first.
    probe.wait(lambda: limit_of_row_a() == (10.0, 'grid_operator'), 'the limit in the status')

    other = evse('site', 'limit', 'attic', '10')
    assert (other.code, other.out) == (ExitCode.REFUSED, '')
    assert "there is no node 'attic'; known are" in other.err
    both = evse('site', 'limit', 'row_a', '10', '--none')
    assert both.code == ExitCode.USAGE

    assert evse('site', 'limit', 'row_a', '--none', '--source', 'grid_operator').code == ExitCode.OK
    probe.wait(lambda: not evse('site', '--json').record['limits'], 'no limit in the status')


@pytest.mark.timeout(60)
def test_without_an_energy_manager_it_says_what_to_look_at(domain: int) -> None:
    silent = evse('site', '--timeout', '1')
    assert silent.code == ExitCode.NOT_FOUND
    assert 'no energy manager on the graph within 1 s' in silent.err
