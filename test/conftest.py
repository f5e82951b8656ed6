"""
The marker of the fault catalogue, its table (``make faults``), and the fixtures of real processes.

The fixtures of processes need the generated interfaces; the tests of the pure packages run without ROS 2.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from faults.page import Page, numbers

# A busy machine fails no property.  CI draws the same examples each time, all others new ones.
settings.register_profile('suite', deadline=None, derandomize=bool(os.environ.get('CI')))
settings.load_profile('suite')

pytest_plugins = ('process_fixtures',) if find_spec('evse_manager.msg') else ()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line('markers', 'fault(number, ...): the test is one of the fault catalogue (F16, L4)')
    config.addinivalue_line('markers', 'alone: the file needs the processors, or a process, for itself')
    path = os.environ.get('EVSE_FAULTS_PAGE')
    if path:
        config.pluginmanager.register(Page(Path(path)))


REAL_TIME = frozenset(
    {
        'board/serial/test_openevse_link.py',
        'board/serial/test_phoenix_sessions.py',
        'board/serial/test_port.py',
        'board/serial/test_sdm630_line.py',
        'board/serial/test_yeti_link.py',
        'board/test_writing_a_driver.py',
        'simulation/test_script.py',
        'simulation/test_virtual_boards.py',
        'store/test_kill.py',
        'store/test_session_store.py',
    }
)
"""Files of pure packages with threads, ports or processes in real time, which a busy machine may fail."""


LONG = (
    'nodes/test_fenced_pages.py',
    'nodes/test_typed_pages.py',
    'nodes/test_kills.py',
    'depot/test_depot_failures.py',
    'cli/test_demo.py',
    'cli/test_commands.py',
    'demo/test_depot_demo.py',
)
"""Files of minutes; they begin first, so that nothing waits for one of them at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Let the long files begin first.

    Mark every test of the catalogue, so that ``-m fault`` finds it; let tests in real time be retried.
    """
    folder = Path(__file__).parent
    first = [folder / name for name in LONG]
    items.sort(key=lambda item: first.index(item.path) if item.path in first else len(first))
    for item in items:
        path = item.path.relative_to(folder).as_posix() if item.path.is_relative_to(folder) else ''
        if path in REAL_TIME and config.pluginmanager.hasplugin('rerunfailures'):
            item.add_marker(pytest.mark.flaky(reruns=2))
        found = numbers(item)
        if found:
            item.add_marker(pytest.mark.fault(*found))
            item.user_properties.extend(('fault', number) for number in dict.fromkeys(found))


def pytest_terminal_summary(terminalreporter: 'pytest.TerminalReporter') -> None:
    """Report why a test was retried: one that needs that is a fault to be found."""
    tries = [report for report in terminalreporter.getreports('rerun') if report.longreprtext]
    if tries:
        terminalreporter.section('retried')
    for report in tries:
        terminalreporter.line(f'{report.nodeid}\n{report.longreprtext}\n')


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Take a reaction in seconds and its bound; it goes into the table."""

    def take(seconds: float, bound: float, least: float = 0.0) -> None:
        record_property('measured', seconds)
        assert least <= seconds <= bound, f'{seconds:.3f} s, but {least:g} to {bound:g} s are allowed.'

    return take
