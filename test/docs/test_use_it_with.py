"""docs/use_it_with.md and docs/security.md name topics, fields and installed files that exist."""

import re
from pathlib import Path

import pytest

from evse_manager.interface import endpoints, security
from fenced import ROOT, commands

PAGE = (ROOT / 'docs' / 'use_it_with.md').read_text()
TOPICS = {topic.name: topic for topic in (*security.CONNECTOR_TOPICS, *security.SITE_TOPICS)}


def fields(kind: str) -> set[str]:
    """Return the names of the fields of one of our messages."""
    text = (ROOT / 'msg' / f'{kind.rpartition("/")[2]}.msg').read_text()
    return set(re.findall(r'^[\w/\[\]<=]+ (\w+)(?:\s|$)', text, re.MULTILINE))


def test_what_is_plotted_is_a_field() -> None:
    plotted = [
        word for line in commands('docs/use_it_with.md') if 'rqt_plot /' in line for word in line.split()[4:]
    ]
    plotted += re.findall(r'`/evse_1/(status\.\w+)`', PAGE)
    assert len(plotted) > 4
    for path in plotted:
        topic, _, field = path.removeprefix('/evse_1/').replace('.', '/').rpartition('/')
        assert field in fields(TOPICS[topic].type), path


@pytest.mark.parametrize(
    'name', ['power_w', 'session_energy_wh', 'current_l1_a', 'voltage_l1_v', 'temperature_c']
)
def test_the_flat_fields_of_the_page_are_those_of_the_status(name: str) -> None:
    assert f'`{name}`' in PAGE
    assert name in fields(endpoints.topic('status').type)


def test_the_number_of_charging_is_that_of_the_page() -> None:
    constant = re.search(r'STATE_CHARGING=(\d+)', (ROOT / 'msg' / 'EvseStatus.msg').read_text())
    assert constant is not None
    assert f'{constant[1]} is *charging*' in PAGE


@pytest.mark.parametrize('page', ['use_it_with.md', 'security.md'])
def test_the_installed_files_exist(page: str) -> None:
    named = re.findall(r'evse_manager\)?/(config/[\w./-]+)', (ROOT / 'docs' / page).read_text())
    assert named
    for name in named:
        assert (ROOT / name).is_file(), name


def test_the_files_of_the_docker_example_exist() -> None:
    folder = ROOT / 'examples' / 'docker'
    assert {'Dockerfile', 'compose.yaml', 'run'} == {path.name for path in folder.iterdir()}
    copied = re.findall(r'^COPY (\S+) ', (folder / 'Dockerfile').read_text(), re.MULTILINE)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert (folder / 'run').stat().st_mode & 0o111


@pytest.mark.parametrize(
    'page', ['README.md', 'docs/first_steps.md', 'docs/use_it_with.md', 'docs/security.md']
)
def test_the_links_lead_somewhere(page: str) -> None:
    here = (ROOT / page).parent
    for target in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', (ROOT / page).read_text()):
        assert (here / Path(target)).exists(), f'{page}: {target}'
