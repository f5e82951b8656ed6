"""Scripts of timed steps, and the page about them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from evse_manager.board.driver import DriverContext, DriverError
from evse_manager.simulation.__main__ import main
from evse_manager.simulation.bench import Bench
from evse_manager.simulation.driver import SimulatedDriver, SimulatedParameters
from evse_manager.simulation.faults import FAULTS
from evse_manager.simulation.profiles import PROFILES
from evse_manager.simulation.script import STEPS, ScriptError, parse

PAGE = (Path(__file__).parents[2] / 'docs' / 'simulation.md').read_text(encoding='utf-8')


def part(mark):
    return re.search(rf'<!-- {mark} -->\n```\w+\n(.*?)```', PAGE, re.DOTALL)[1]


def test_times_are_absolute_or_after_the_step_before():
    steps = parse('1 plug_in\n+2.5 ev_pause\n1:00 ev_resume\n+1:00 unplug\n1:00:00 end\n')
    assert [step.at for step in steps] == [1.0, 3.5, 60.0, 120.0, 3600.0]


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        ('1', 'a time and a name'),
        ('x unplug', 'must be a number'),
        ('nan unplug', 'at least 0'),
        ('-1 unplug', 'at least 0'),
        ('1:2:3:4 unplug', 'is no time'),
        ('1 fly', r"no step 'fly'; choose one of: plug_in"),
        ('1 plug_in tesla', r"no EV profile 'tesla'; choose one of: default"),
        ('1 plug_in default colour=3', "no 'colour'; choose one of: phases"),
        ('1 plug_in soc_percent=much', 'must be a number'),
        ('1 inject', 'written: inject FAULT'),
        ('1 inject relais', r"no fault 'relais'; choose one of: diode"),
        ('1 limit many', 'must be a number'),
        ('1 unplug now', 'written: unplug'),
    ],
)
def test_a_wrong_line_is_named_with_its_cause(text, complaint):
    with pytest.raises(ScriptError, match=f'Line 2: .*{complaint}'):
        parse(f'# comment\n{text}\n')


def test_a_step_before_the_one_before_is_refused():
    with pytest.raises(ScriptError, match=r'Line 2: .*before'):
        parse('5 plug_in\n4 unplug')


def test_the_script_of_the_page_prints_what_the_page_says():
    result = subprocess.run(
        [sys.executable, '-m', 'evse_manager.simulation', '-'],
        input=part('script'), capture_output=True, text=True, check=True, timeout=50,
    )  # fmt: skip
    assert result.stdout == part('printed')


def test_a_wrong_script_ends_with_code_2_and_a_sentence():
    result = subprocess.run(
        [sys.executable, '-m', 'evse_manager.simulation', '-'],
        input='1 fly', capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert result.returncode == 2
    assert 'Line 1' in result.stderr
    assert 'Traceback' not in result.stderr


def test_a_script_that_is_not_there_is_named_in_a_sentence(capsys):
    assert main(['no/such/script']) == 2
    assert capsys.readouterr().err == 'The script no/such/script cannot be read: No such file or directory.\n'


def test_the_bench_of_the_page_runs(capsys):
    exec(compile(part('bench'), 'simulation.md', 'exec'), {})
    assert 'SS(EVConnected) AR TS PC CS' in capsys.readouterr().out


def test_the_page_tells_every_profile_fault_and_step():
    for name, profile in PROFILES.items():
        assert f'| `{name}` | {profile.description} |' in PAGE
    for name, fault in FAULTS.items():
        assert f'| `{name}` | {fault.description} |' in PAGE
    for kind in STEPS.values():
        assert f'| `{kind.usage}` | {kind.description} |' in PAGE


def test_every_step_of_the_vocabulary_can_be_played():
    bench = Bench()
    for name, kind in STEPS.items():
        if name != 'end':
            assert callable(getattr(bench, name)), kind.usage
            assert not kind.of_the_world or callable(getattr(bench.world, name))


class Clock:
    """A clock by hand."""

    now = 1000.0


def driver(path):
    context = DriverContext(clock=lambda: Clock.now, wall=lambda: 0, wake=lambda: None)
    return SimulatedDriver(SimulatedParameters(script=str(path)), context)


def test_the_simulated_driver_plays_a_script_on_the_nodes_clock(tmp_path):
    path = tmp_path / 'script.txt'
    path.write_text('1 unplug\n2 plug_in slow\n')
    simulated = driver(path)
    simulated.open()
    for Clock.now in (1000.0, 1001.5, 1003.0):
        while simulated.poll() is not None:
            pass
    assert simulated.world.ev.profile == PROFILES['slow']
    assert 'no EV' in simulated.diagnostics()['problem'], 'what was impossible is told, and the rest goes on'


@pytest.mark.parametrize('text', ['1 authorize', '1 fly', None])
def test_a_script_that_the_board_cannot_play_is_refused_at_the_start(tmp_path, text):
    path = tmp_path / 'script.txt'
    if text is not None:
        path.write_text(text)
    with pytest.raises(DriverError, match=r'script\.txt cannot be played'):
        driver(path).open()
