"""The screen of ``evse watch``, without ROS: order, pages, filter, details, commands of many connectors."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.test_views import CHARGING, FAILED, NOW, monitor_of, text
from evse_manager.cli import actions
from evse_manager.cli.details import LimitsView
from evse_manager.cli.monitor import Monitor
from evse_manager.cli.screen import SEQUENCE, Keys
from evse_manager.cli.watch_screen import WatchScreen
from evse_manager.cli.watch_state import KEY_ACTIONS, MOVES, ConfirmedCommand, ScreenMode, WatchState
from evse_manager.interface.enums import (
    ChargerState,
    LimitOrigin,
    LimitSource,
    SessionEventEnum,
    StatusReason,
)
from evse_manager.interface.types import (
    BoardState,
    Current,
    EnforcedLimits,
    EvseStatus,
    HardwareCapabilities,
    LimitsRes,
    SessionEvent,
    SiteNodeStatus,
    SiteStatus,
    Time,
)

IDLE = EvseStatus(
    state=ChargerState.IDLE,
    reason=StatusReason.AVAILABLE,
    reason_text='Available; plug in a car.',
    power_w=0.0,
)
WAITING = EvseStatus(
    state=ChargerState.WAITING_FOR_ENERGY,
    reason=StatusReason.NO_ENERGY,
    reason_text='The limit of 0.0 A from the external limits is below the 6 A that charging needs; '
    'set_external_limits changes it.',
)
KEYS = (
    *MOVES,
    *KEY_ACTIONS,
    'y',
    'n',
    'enter',
    'escape',
    'left',
    'right',
    'backspace',
    '/',
    'o',
    'é',
    '\x1b[Z',
)


def depot(count: int = 100, events: int = 0) -> Monitor:
    """Return a hundred connectors: every tenth is broken, every seventh waits, half of the others charge."""
    statuses = []
    for number in range(1, count + 1):
        if number % 10 == 0:
            statuses.append(FAILED)
        elif number % 7 == 0:
            statuses.append(WAITING)
        else:
            statuses.append(CHARGING if number % 2 else IDLE)
    return monitor_of(*statuses, events=events)


def site(measured_a: float = 55.0, limit_a: float = 80.0) -> SiteStatus:
    node = SiteNodeStatus(
        name='grid',
        limit_a=limit_a,
        limit_a_origin=LimitOrigin.SCHEDULE,
        measured_a=Current(l1=measured_a, l2=3.0, l3=1.0),
        house_load_a=Current(l1=5.0, l2=0.0, l3=0.0),
        waiting=('bay_1', 'bay_2'),
    )
    return SiteStatus(name='north_yard', nodes=(node, SiteNodeStatus(name='row_a', parent='grid')))


def draw(screen: WatchScreen, monitor: Monitor, width: int = 80, height: int = 24) -> list[str]:
    lines = screen.draw(monitor, width, height, NOW)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines), [
        line.plain for line in lines if line.cell_len > width
    ]
    return [line.plain for line in lines]


def names(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines if line.startswith('/depot/')]


def press(screen: WatchScreen, monitor: Monitor, *keys: str) -> ConfirmedCommand | None:
    """Press keys one by one, with a screen drawn between them as a person sees it."""
    order = None
    for key in keys:
        draw(screen, monitor)
        order = screen.state.press([key], monitor, NOW) or order
    return order


# --- 100 connectors at 80 by 24 ---------------------------------------------------------------------


def test_a_hundred_connectors_at_80_by_24() -> None:
    monitor = depot(events=3)
    monitor.site('/depot', site(), NOW)
    lines = draw(WatchScreen(), monitor)
    assert len(lines) == 24
    assert '100 connectors · 43 charging · 474.72 kW · 10 in trouble' in lines[0]
    assert lines[1].startswith('north_yard  L1 60.0 of 80.0 A (schedule)  2 wait')
    assert names(lines)[:10] == [f'/depot/evse_{number}' for number in range(10, 101, 10)]
    assert 'The diode of the car is missing' in lines[3]
    assert any(
        line.startswith('1 to ') and 'of 100, those first that need attention' in line for line in lines
    )
    assert 'last events' in lines
    assert lines[-1].startswith('↑↓')


def test_what_needs_attention_comes_first_and_each_group_is_in_the_order_of_names() -> None:
    screen = WatchScreen()
    monitor = monitor_of(IDLE, CHARGING, WAITING, FAILED, replace(IDLE, warnings=('Warm.',)), FAILED)
    monitor.offered([f'/depot/evse_{number}' for number in (1, 2, 3, 4, 5, 6, 7)])
    assert [view.name[-1] for view in screen.state.listed(monitor, NOW)] == [
        '4',
        '6',
        '3',
        '5',
        '7',
        '2',
        '1',
    ]
    press(screen, monitor, 'o')
    assert [view.name[-1] for view in screen.state.listed(monitor, NOW)] == [
        '1',
        '2',
        '3',
        '4',
        '5',
        '6',
        '7',
    ]


def test_pages_show_every_connector_once() -> None:
    screen, monitor = WatchScreen(), depot()
    seen: list[str] = []
    while '/depot/evse_96' not in seen:
        seen += names(draw(screen, monitor))
        press(screen, monitor, 'page down')
        assert len(seen) <= 100
    assert len(set(seen)) == len(seen) == 100


def test_the_selection_follows_its_connector_when_the_order_changes() -> None:
    screen, monitor = WatchScreen(), depot()
    press(screen, monitor, 'end')
    assert screen.state.selected == '/depot/evse_96'
    monitor.status('/depot/evse_96', FAILED, NOW)
    assert any(line.startswith('/depot/evse_96 ') for line in draw(screen, monitor))
    assert screen.state.selected == '/depot/evse_96'
    press(screen, monitor, 'up')
    assert screen.state.selected == '/depot/evse_90'


def test_a_filter_finds_by_name_state_and_reason() -> None:
    screen, monitor = WatchScreen(), depot()
    press(screen, monitor, '/', *'energy _7')
    assert names(draw(screen, monitor)) == [f'/depot/evse_{number}' for number in (7, 77)]
    assert 'filter: energy _7' in draw(screen, monitor)[-1]
    press(screen, monitor, 'enter')
    assert any(
        "1 to 2 of 2, those first that need attention, with 'energy _7'" in line
        for line in draw(screen, monitor)
    )
    press(screen, monitor, 'escape')
    assert 'of 100' in '\n'.join(draw(screen, monitor))


def test_letters_typed_into_a_filter_are_no_commands() -> None:
    screen, monitor = WatchScreen(), depot()
    assert press(screen, monitor, '/', *'qsdyk', 'backspace') is None
    assert (screen.state.filter, screen.state.ends, screen.state.mode) == ('qsdy', False, ScreenMode.FILTER)
    assert "No connector with 'qsdy'; Esc shows all." in draw(screen, monitor)


# --- details ----------------------------------------------------------------------------------------


def test_details_name_every_limit_and_whose_binds() -> None:
    status = replace(
        CHARGING,
        limit_a=10.0,
        limit_source=LimitSource.ENERGY_MANAGER,
        limit_node='row_a',
        stamp=Time(90 * 10**9),
    )
    monitor = monitor_of(status, FAILED)
    event = SessionEvent(stamp=Time(30 * 10**9), event=SessionEventEnum.CHARGING_STARTED)
    monitor.event('/depot/evse_1', event)
    screen = WatchScreen()
    press(screen, monitor, 'down', 'enter')
    assert screen.state.selected == '/depot/evse_1'
    screen.limits = LimitsView(
        '/depot/evse_1',
        HardwareCapabilities(32.0, 6.0, 3, 1),
        BoardState(cable_ampacity_a=20.0),
        EnforcedLimits(
            stamp=Time(0), valid_until=Time(10 * 10**9), limits_root_side=LimitsRes(ac_max_current_a=10.0)
        ),
        NOW - 4.0,
        {'max_current_import_a': 16.0, 'failsafe_current_a': 0.0},
    )
    shown = '\n'.join(draw(screen, monitor))
    for words in (
        'limits     hardware 32.0 A, 1 to 3 phases',
        '  parameter 16.0 A',
        '  cable 20.0 A',
        '▸ energy manager 10.0 A, at node row_a, for 6 s unless renewed',
        'since    0:01:00 since the last event',
        'ChargingStarted',
    ):
        assert words in shown, shown
    assert '/depot/evse_2' not in shown
    press(screen, monitor, 'escape')
    assert '/depot/evse_2' in '\n'.join(draw(screen, monitor))


def test_one_connector_alone_is_shown_with_all_details() -> None:
    assert any(
        '16.0 A \N{MULTIPLICATION SIGN} 3 signalled' in line
        for line in draw(WatchScreen(), monitor_of(CHARGING))
    )


# --- commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize('key', KEY_ACTIONS)
def test_a_key_asks_and_y_gives_the_command(key: str) -> None:
    screen, monitor = WatchScreen(), depot()
    press(screen, monitor, 'down', key)
    question = draw(screen, monitor)[-1]
    assert question.startswith('[y/n] ')
    assert '/depot/evse_20' in question
    assert press(screen, monitor, 'y') == ConfirmedCommand('/depot/evse_20', KEY_ACTIONS[key])
    assert screen.state.mode is ScreenMode.LIST


@pytest.mark.parametrize('key', ['n', 'enter', 'escape', 'Y', 'down', 's'])
def test_any_other_key_gives_no_command(key: str) -> None:
    screen, monitor = WatchScreen(), depot()
    assert press(screen, monitor, 's', key) is None
    assert 'Nothing was done.' in draw(screen, monitor)[-1]
    assert press(screen, monitor, 'y') is None


def test_a_burst_of_keys_confirms_nothing() -> None:
    screen, monitor = WatchScreen(), depot()
    draw(screen, monitor)
    assert screen.state.press(['s', 'y'], monitor, NOW) is None
    assert screen.state.mode is ScreenMode.CONFIRM


def test_a_command_goes_to_the_connector_that_was_named_whatever_the_list_does() -> None:
    screen, monitor = WatchScreen(), depot()
    press(screen, monitor, 's')
    monitor.status('/depot/evse_10', IDLE, NOW)
    monitor.status('/depot/evse_1', FAILED, NOW)
    assert press(screen, monitor, 'y') == ConfirmedCommand('/depot/evse_10', actions.STOP)


def test_a_question_from_the_details_keeps_them_and_returns_to_them() -> None:
    screen, monitor = WatchScreen(), monitor_of(CHARGING, FAILED)
    press(screen, monitor, 'enter', 'p')
    assert any('signalled' in line for line in draw(screen, monitor))
    press(screen, monitor, 'n')
    assert screen.state.mode is ScreenMode.DETAILS


def test_without_connectors_no_key_gives_a_command() -> None:
    screen, monitor = WatchScreen(), Monitor()
    assert press(screen, monitor, *KEY_ACTIONS, 'y', 'enter', 'down') is None


def test_keys_of_terminals() -> None:
    typed = '\x1b[A\x1bOB\x1b[5~\x1b[1;5Cq\x1b'
    assert [Keys.NAMES.get(each, each) for each in SEQUENCE.findall(typed)] == [
        'up', 'down', 'page up', '\x1b[1;5C', 'q', 'escape',
    ]  # fmt: skip


# --- sites ------------------------------------------------------------------------------------------


def test_the_site_line_shows_the_fullest_phase_and_its_history() -> None:
    monitor = depot(3)
    for measured in (0.0, 20.0, 40.0, 75.0):
        monitor.site('/depot', site(measured), NOW)
    line = draw(WatchScreen(), monitor)[1]
    assert 'L1 80.0 of 80.0 A' in line
    assert line.endswith('▁▃▅█')
    late = '\n'.join(piece.plain for piece in WatchScreen().draw(monitor, 80, 24, NOW + 9.0))
    assert 'the energy manager is silent since 0:00:09' in late


# --- any size, any keys -----------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.tuples(st.integers(0, 40), st.integers(0, 30)),
    st.tuples(st.integers(10, 250), st.integers(3, 80)),
    st.lists(st.sampled_from(KEYS), max_size=12),
    st.booleans(),
)
def test_the_screen_fits_every_terminal(
    load: tuple[int, int], size: tuple[int, int], keys: list[str], with_site: bool
) -> None:
    monitor = depot(*load)
    if with_site:
        monitor.site('/depot', site(), NOW)
    screen = WatchScreen()
    for key in keys:
        screen.state.press([key], monitor, NOW)
        draw(screen, monitor, *size)
    draw(screen, monitor, *size)
    draw(WatchScreen(keys=False), monitor, *size)


def test_a_state_without_a_terminal_selects_nothing() -> None:
    state = WatchState()
    assert state.position([]) == 0
    assert state.selected == ''
    assert text(WatchScreen(state).draw(Monitor(), 80, 24, NOW))
