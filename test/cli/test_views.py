"""The screen fits every terminal and answers why a connector is (not) charging."""

from dataclasses import replace

from evse_manager.cli import formatting
from evse_manager.cli.monitor import SILENT_AFTER_S, Monitor
from evse_manager.cli.views import card, event_line, name_width, rows
from evse_manager.cli.watch_screen import WatchScreen
from evse_manager.interface.enums import (
    Availability,
    ChargerState,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LinkState,
    LockState,
    PauseReason,
    SessionEventEnum,
    StatusReason,
)
from evse_manager.interface.types import (
    Duration,
    Error,
    EvseStatus,
    SessionEvent,
    Time,
)

NOW = 1000.0
CHARGING = EvseStatus(
    state=ChargerState.CHARGING,
    reason=StatusReason.CHARGING,
    reason_text='Charging with 16 A on 3 phases.',
    session_uuid='b1946ac9',
    power_w=11040.0,
    session_energy_wh=1234.0,
    session_duration=Duration(61.0),
    signalled_current_a=16.0,
    phases=3,
)
FAILED = EvseStatus(
    state=ChargerState.ERROR,
    reason=StatusReason.ERROR,
    reason_text='The diode of the car is missing; unplug it.',
    active_errors=(Error(ErrorEnum.CAR_DIODE_FAULT, 'Diode: no diode in the car'),),
    warnings=('The temperature sensor is absent.',),
)


def monitor_of(*statuses, events=0):
    monitor = Monitor()
    names = [f'/depot/evse_{number}' for number in range(1, len(statuses) + 1)]
    monitor.offered(names)
    for name, status in zip(names, statuses):
        monitor.status(name, status, NOW)
        for number in range(events):
            event = SessionEvent(
                stamp=Time(number + 1), sequence_number=number, event=SessionEventEnum.ENABLED
            )
            monitor.event(name, event)
    return monitor


def text(lines):
    return '\n'.join(line.plain for line in lines)


def test_80_by_24_shows_each_connector_with_its_reason_and_errors():
    shown = text(WatchScreen().draw(monitor_of(CHARGING, FAILED, events=3), 80, 24, NOW))
    assert '2 connectors · 1 charging · 11.04 kW · 1 in trouble' in shown
    assert '/depot/evse_1' in shown
    assert 'Charging with 16 A on 3 phases.' in shown
    assert 'The diode of the car is missing' in shown
    assert 'no diode in the car [Diode]' in shown
    assert 'The temperature sensor is absent.' in shown
    assert 'last events' in shown


def test_one_connector_gets_a_card_with_everything():
    shown = text(WatchScreen().draw(monitor_of(CHARGING, events=2), 80, 24, NOW))
    for word in (
        'charging',
        '16.0 A \N{MULTIPLICATION SIGN} 3',
        '11.04 kW',
        '1.234 kWh',
        '0:01:01',
        'contactor',
        'lock',
        'last events',
    ):
        assert word in shown


def test_the_card_of_a_disabled_connector_claims_nothing_of_a_car_that_it_cannot_see():
    disabled = replace(CHARGING, plugged=True, cp_state=ControlPilotState.F)
    shown = text(card(next(iter(monitor_of(disabled).in_order())), 80, NOW))
    assert 'not visible while the pilot shows F' in shown
    assert 'plugged in' not in shown


def test_the_card_of_an_empty_connector_leaves_out_what_there_is_not():
    idle = EvseStatus(
        state=ChargerState.IDLE,
        availability=Availability.ENABLED,
        reason=StatusReason.AVAILABLE,
        reason_text='Available; plug in a car.',
        evse_id='DE*PNX*E1*1',
        power_w=0.0,
        contactor=ContactorState.OPEN,
        lock=LockState.UNLOCKED,
        cp_state=ControlPilotState.A,
        link_state=LinkState.UP,
    )
    (view,) = monitor_of(idle).in_order()
    shown = text(card(view, 80, NOW))
    assert 'not plugged in, pilot state A' in shown
    assert formatting.ABSENT not in shown
    for label in ('energy', 'time', 'token', 'session', 'paused'):
        assert f'\n  {label:<9}' not in shown
    (view,) = monitor_of(replace(idle, session_uuid='b1946ac9', plugged=True)).in_order()
    for label in ('energy', 'time', 'token', 'session'):
        assert f'\n  {label:<9}' in text(card(view, 80, NOW))


def test_long_names_stand_in_a_column_and_keep_their_ends():
    monitor = Monitor()
    names = [f'/a/depot/far/away/bay_{number}' for number in (7, 8, 12)]
    monitor.offered(names)
    for name in names:
        monitor.status(name, CHARGING, NOW)
        event = SessionEvent(stamp=Time(1), event=SessionEventEnum.ENABLED)
        monitor.event(name, event)
    bays = monitor.in_order()
    lines = [row.plain for row in rows(bays, 80, NOW)][::2]
    assert [line.partition('  ')[0] for line in lines] == [f'…{name[-19:]}' for name in names]
    assert len({line.index('charging') for line in lines}) == 1
    events = [event_line(view.name, view.events[0], 80, name_width(bays, 80)).plain for view in bays]
    assert len({line.index('Enabled') for line in events}) == 1
    assert [line.split()[1] for line in events] == [f'…{name[-19:]}' for name in names]


def test_the_card_lists_everything_for_which_the_station_pauses():
    reasons = (PauseReason.USER_PAUSE, PauseReason.NO_ENERGY)
    paused = replace(CHARGING, state=ChargerState.CHARGING_PAUSED_EVSE, pause_reasons=reasons)
    assert 'paused   by pause_charging, too low a limit' in text(
        card(*monitor_of(paused).in_order(), 100, NOW)
    )
    assert 'paused' not in text(card(*monitor_of(CHARGING).in_order(), 100, NOW))


def test_a_silent_connector_is_told_from_one_that_is_gone():
    monitor = monitor_of(CHARGING)
    (view,) = monitor.in_order()
    assert view.silence(NOW + 1.0) is None
    late = NOW + SILENT_AFTER_S + 0.1
    assert 'still there' in text(card(view, 100, late))
    monitor.offered([])
    assert 'gone' in text(rows([view], 100, NOW + 0.1))
    assert '0 charging · 0 W · 1 in trouble' in text(WatchScreen().draw(monitor, 80, 24, late))
    monitor.offered([view.name])
    monitor.status(view.name, CHARGING, late)
    assert '1 charging' in text(WatchScreen().draw(monitor, 80, 24, late))


def test_connectors_stand_in_natural_order_and_repeated_history_is_dropped():
    monitor = Monitor()
    assert monitor.offered(['/evse_10', '/evse_9', '/evse_1']) == ['/evse_1', '/evse_9', '/evse_10']
    event = SessionEvent(stamp=Time(5), sequence_number=1, event=SessionEventEnum.ENABLED)
    assert monitor.event('/evse_1', event)
    assert not monitor.event('/evse_1', event)
    assert len(monitor.last_events(10)) == 1


def test_what_cannot_be_understood_is_said():
    monitor = Monitor()
    monitor.offered(['/evse_1'])
    monitor.garbled('/evse_1', 'status can not be understood: state is 99', NOW)
    assert 'state is 99' in text(WatchScreen().draw(monitor, 100, 24, NOW))


def test_an_empty_graph_says_that_it_waits():
    monitor = Monitor()
    monitor.began = NOW
    assert 'Looking for connectors' in text(WatchScreen().draw(monitor, 80, 24, NOW + 1.0))
    assert 'waiting' in text(WatchScreen().draw(monitor, 80, 24, NOW + 5.0))


def test_a_long_reason_is_wrapped_in_the_card_and_nothing_is_markup():
    status = EvseStatus(reason_text='word ' * 60 + '[bold]end[/bold]')
    (view,) = monitor_of(status).in_order()
    assert '[bold]end[/bold]' in text(card(view, 80, NOW))
    event = SessionEvent(event=SessionEventEnum.ERROR, error=Error(ErrorEnum.OTHER, '[red]x[/red]'))
    assert '[red]x[/red]' in event_line('/evse_1', event, 100, named=10).plain
