"""What a build leaves behind, by colcon or by pip: everything that ROS 2, a shell and Python look for."""

import importlib
import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from ament_index_python.resources import get_resource, get_resources

CHECKOUT = Path(__file__).resolve().parents[2]
PREFIX = Path(get_package_prefix('evse_manager'))
SHARE = Path(get_package_share_directory('evse_manager'))
SCRIPTS: dict[str, str] = tomllib.loads((CHECKOUT / 'pyproject.toml').read_text())['project']['scripts']
INTERFACES = sorted(
    path.relative_to(CHECKOUT).as_posix() for kind in ('msg', 'srv') for path in (CHECKOUT / kind).iterdir()
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command to its successful end; return what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_under_test_is_not_the_checkout() -> None:
    assert (
        CHECKOUT / 'evse_manager' not in Path(importlib.import_module('evse_manager').__file__ or '').parents
    )


def test_the_index_knows_the_package() -> None:
    assert get_resources('packages')['evse_manager'] == str(PREFIX)


def test_the_index_knows_every_interface() -> None:
    listed, _ = get_resource('rosidl_interfaces', 'evse_manager')
    assert {line for line in listed.split() if line.endswith(('.msg', '.srv'))} == set(INTERFACES)


@pytest.mark.parametrize('interface', INTERFACES)
def test_an_interface_is_importable_and_has_its_definition_in_share(interface: str) -> None:
    kind, name = interface.split('/')
    generated = getattr(importlib.import_module(f'evse_manager.{kind}'), name.split('.')[0])
    generated.__class__.__import_type_support__()
    assert generated.__class__._TYPE_SUPPORT is not None
    assert (SHARE / interface).read_text() == (CHECKOUT / interface).read_text()


@pytest.mark.parametrize('folder', ['launch', 'config', 'rqt', 'rviz'])
def test_share_holds_the_files_of(folder: str) -> None:
    ours = {path.name: path.read_text() for path in (CHECKOUT / folder).iterdir() if path.is_file()}
    assert ours
    assert {path.name: path.read_text() for path in (SHARE / folder).iterdir() if path.is_file()} == ours


def test_launch_files_are_python() -> None:
    for path in (SHARE / 'launch').glob('*.py'):
        compile(path.read_text(), path, 'exec')


@pytest.mark.parametrize('generator', ['c', 'cpp', 'py'])
def test_shared_libraries_and_cmake_targets_are_there(generator: str) -> None:
    assert list((SHARE / 'cmake').glob(f'*rosidl_generator_{generator}*.cmake'))
    if generator != 'cpp':  # headers only
        assert (PREFIX / 'lib' / f'libevse_manager__rosidl_generator_{generator}.so').exists()


@pytest.mark.parametrize(
    ('folder', 'name'), [('bin', 'evse'), *(('lib/evse_manager', name) for name in SCRIPTS)]
)
def test_an_executable_is_where_a_shell_and_ros2_run_look(folder: str, name: str) -> None:
    program = PREFIX / folder / name
    assert os.access(program, os.X_OK)
    module, function = SCRIPTS[name].split(':')
    text = program.read_text()
    assert module in text
    assert function in text


@pytest.mark.parametrize('folder', ['bin', 'lib/evse_manager'])
def test_no_executable_is_left_over(folder: str) -> None:
    left = {
        path.name
        for path in (PREFIX / folder).iterdir()
        if 'evse_manager.' in path.read_text(errors='replace')
    }
    assert left <= set(SCRIPTS)


@pytest.mark.parametrize('folder', ['bin', 'lib/evse_manager'])
def test_the_command_line_answers_from_anywhere(folder: str, tmp_path: Path) -> None:
    assert 'usage: evse' in run(PREFIX / folder / 'evse', '--help', cwd=tmp_path)


@pytest.mark.parametrize('inside', [True, False], ids=['in the checkout', 'elsewhere'])
def test_the_checkout_does_not_hide_the_interfaces(inside: bool, tmp_path: Path) -> None:
    statement = (
        'import evse_manager.msg, evse_manager.srv, evse_manager.charging; print(evse_manager.msg.__file__)'
    )
    found = run(sys.executable, '-c', statement, cwd=CHECKOUT if inside else tmp_path)
    assert PREFIX in Path(found.strip()).parents


def test_there_is_one_version() -> None:
    declared = ElementTree.parse(CHECKOUT / 'package.xml').findtext('version')
    assert ElementTree.parse(SHARE / 'package.xml').findtext('version') == declared
    assert version('evse_manager') == declared
    assert declared is not None
    assert declared in (CHECKOUT / 'CHANGELOG.rst').read_text()


def test_package_xml_and_pip_name_the_same_libraries() -> None:
    keys = {
        element.text
        for element in ElementTree.parse(CHECKOUT / 'package.xml').iter()
        if 'depend' in element.tag
    }
    project = tomllib.loads((CHECKOUT / 'pyproject.toml').read_text())['project']
    names = {requirement.split('>')[0].lower().removeprefix('py') for requirement in project['dependencies']}
    pinned = {
        line.split('==')[0].lower().removeprefix('py')
        for line in (CHECKOUT / 'requirements' / 'python.txt').read_text().splitlines()
        if '==' in line
    }
    # mcap has no rosdep key; it is an extra of pip.
    recording = {each.split('>')[0] for each in project['optional-dependencies']['recording']}
    assert recording == {'mcap'}
    assert pinned == names | recording
    assert names == {key.removeprefix('python3-') for key in keys & {'python3-' + name for name in names}}
