"""The window as a person sees it: what it shows of statuses, what it asks before it commands."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evse_manager.cli.actions import ACTIONS, Action
from evse_manager.interface.enums import (
    AuthorizationStatus,
    ChargerState,
    ErrorEnum,
    LimitSource,
    SessionEventEnum,
    StatusReason,
)
from evse_manager.interface.types import Error, EvseStatus, SessionEvent, Time

CHARGING = EvseStatus(
    state=ChargerState.CHARGING,
    reason=StatusReason.CHARGING,
    reason_text='Charging; the limit of 16.0 A comes from row_a.',
    power_w=11040.0,
    limit_a=16.0,
    limit_source=LimitSource.ENERGY_MANAGER,
    signalled_current_a=16.0,
    phases=3,
)
IDLE = EvseStatus(
    state=ChargerState.IDLE, reason=StatusReason.AVAILABLE, reason_text='Available.', power_w=0.0
)
FAILED = EvseStatus(
    state=ChargerState.ERROR,
    reason=StatusReason.ERROR,
    reason_text='The diode of the car is missing; unplug it.',
    active_errors=(Error(ErrorEnum.CAR_DIODE_FAULT, 'Diode: no diode in the car'),),
    warnings=('The temperature sensor is absent.',),
)
BAY = '/depot/bay_1'


# --- what is shown ------------------------------------------------------------------------------------


def test_the_table_shows_state_power_limit_and_reason(window: Any) -> None:
    window.link.status('/depot/bay_10', IDLE)
    window.link.status('/depot/bay_2', CHARGING)
    window.redraw()
    assert window.cells() == [
        ['/depot/bay_2', 'charging', '11.04 kW', '16.0 A, by the energy manager', CHARGING.reason_text],
        ['/depot/bay_10', 'idle', '0 W', '0.0 A', 'Available.'],
    ]
    assert '2 connectors · 1 charging · 11.04 kW' in window.panel.headline.text()


def test_an_empty_graph_is_looked_at(window: Any) -> None:
    window.redraw()
    assert window.cells() == []
    assert 'Looking for connectors' in window.panel.headline.text()
    assert not any(button.isEnabled() for button in window.panel.detail.buttons.values())


def test_a_silent_connector_is_not_shown_as_charging(window: Any) -> None:
    window.link.status(BAY, CHARGING, time.monotonic() - 60.0)
    window.redraw()
    ((_, state, *_, reason),) = window.cells()
    assert state == 'silent'
    assert 'No status' in reason
    assert 'silent' in window.panel.detail.title.text()


def test_the_detail_shows_reason_errors_and_warnings(window: Any) -> None:
    window.link.status(BAY, FAILED)
    window.redraw()
    assert window.panel.detail.reason.text() == FAILED.reason_text
    assert 'no diode in the car' in window.panel.detail.complaints.text()
    assert 'The temperature sensor is absent.' in window.panel.detail.complaints.text()


def test_the_names_of_the_values_can_be_read(window: Any) -> None:
    window.link.status(BAY, CHARGING)
    window.redraw()
    names = [name for name, _ in window.panel.detail._shown if name.isVisible()]
    assert 'power' in [name.text() for name in names]
    for name in names:
        image = name.grab().toImage()
        background = image.pixelColor(0, 0).lightness()
        shades = {
            image.pixelColor(x, y).lightness() for x in range(image.width()) for y in range(image.height())
        }
        assert max(abs(shade - background) for shade in shades) > 60, name.text()


def test_numbers_are_sorted_as_numbers(window: Any) -> None:
    from evse_manager.rqt.binding import QtCore

    for number, power_w in enumerate((900.0, 11040.0, None, 7.0)):
        window.link.status(f'/evse_{number}', replace(CHARGING, power_w=power_w))
    window.redraw()
    window.panel.table.sortByColumn(2, QtCore.Qt.SortOrder.DescendingOrder)
    assert [row[0] for row in window.cells()] == ['/evse_1', '/evse_0', '/evse_3', '/evse_2']


def test_sorted_by_state_what_needs_attention_comes_first(window: Any) -> None:
    from evse_manager.rqt.binding import QtCore

    for number, status in enumerate((IDLE, CHARGING, FAILED, FAILED)):
        window.link.status(f'/evse_{number}', status)
    window.redraw()
    window.panel.table.sortByColumn(1, QtCore.Qt.SortOrder.AscendingOrder)
    assert [row[0] for row in window.cells()] == ['/evse_2', '/evse_3', '/evse_1', '/evse_0']


def test_the_filter_keeps_rows_by_name_state_or_reason(window: Any) -> None:
    window.link.status('/depot/bay_1', CHARGING)
    window.link.status('/depot/bay_2', FAILED)
    window.redraw()
    for text, names in (('bay_1', ['/depot/bay_1']), ('DIODE', ['/depot/bay_2']), ('nothing like it', [])):
        window.panel.filter.setText(text)
        assert [row[0] for row in window.cells()] == names
    window.panel.filter.setText('')
    assert len(window.cells()) == 2


def test_the_selected_connector_stays_selected_when_others_come(window: Any) -> None:
    window.link.status('/depot/bay_5', CHARGING)
    window.redraw()
    assert window.panel.table.selected == '/depot/bay_5'
    window.link.status('/depot/bay_1', IDLE)
    window.link.status('/depot/bay_9', IDLE)
    window.redraw()
    assert window.panel.table.selected == '/depot/bay_5'
    assert '/depot/bay_5' in window.panel.detail.title.text()


def test_events_are_in_the_order_of_their_time_the_newest_on_top(window: Any) -> None:
    def event(second: int, kind: SessionEventEnum) -> SessionEvent:
        return SessionEvent(stamp=Time(second * 10**9), sequence_number=second, event=kind)

    window.link.events += [
        ('/a', event(1, SessionEventEnum.ENABLED)),
        ('/a', event(9, SessionEventEnum.SESSION_STARTED)),
        ('/b', event(5, SessionEventEnum.DISABLED)),
    ]
    window.redraw()
    assert [(row[1], row[2]) for row in window.events()] == [
        ('/a', 'SessionStarted'), ('/b', 'Disabled'), ('/a', 'Enabled'),
    ]  # fmt: skip
    assert window.link.events == []


def pixels(window: Any, colour: tuple[int, int, int], *, lower: bool) -> list[tuple[int, int]]:
    """Return where a colour is drawn in the upper or lower pane of the plot, without its legend."""
    plot = window.panel.detail.plot
    image, line = plot.grab().toImage(), plot.fontMetrics().height()
    middle = (image.height() + line) // 2
    rows = range(middle + line, image.height()) if lower else range(int(1.7 * line), middle - line)
    return [
        (x, y) for y in rows for x in range(image.width()) if image.pixelColor(x, y).getRgb()[:3] == colour
    ]


def test_the_plot_draws_power_and_limit_where_their_values_are(window: Any) -> None:
    from evse_manager.interface.appearance import COLOURS, StateKind

    now = time.monotonic()
    for age in range(30, -1, -1):
        window.link.status(BAY, replace(CHARGING, limit_a=32.0, signalled_current_a=8.0), now - age)
    window.redraw()
    power = pixels(window, COLOURS[StateKind.CHARGING], lower=False)
    limit = pixels(window, COLOURS[StateKind.TROUBLE], lower=True)
    offered = pixels(window, COLOURS[StateKind.PREPARING], lower=True)
    assert power
    assert limit
    assert offered
    assert max(y for _, y in limit) < min(y for _, y in offered)  # 32 A is drawn above 8 A


def test_the_plot_draws_nothing_over_a_time_without_status(window: Any) -> None:
    from evse_manager.interface.appearance import COLOURS, StateKind

    now = time.monotonic()
    window.link.status(BAY, CHARGING, now - 50.0)
    window.link.status(BAY, CHARGING, now)
    window.redraw()
    columns = {x for x, _ in pixels(window, COLOURS[StateKind.CHARGING], lower=False)}
    assert columns
    width = window.panel.detail.plot.width()
    assert not columns & set(range(width // 2, width * 4 // 5))


# --- commands -----------------------------------------------------------------------------------------


@pytest.fixture
def charging(window: Any) -> Any:
    window.link.status(BAY, CHARGING)
    window.redraw()
    return window


@pytest.mark.parametrize(
    'action', [each for each in ACTIONS if each.confirmed], ids=lambda each: each.service
)
def test_what_moves_energy_or_opens_a_lock_is_sent_only_after_yes(charging: Any, action: Action) -> None:
    charging.press(action.service)
    (box,) = charging.dialogs('QMessageBox')
    assert box.text() == action.question(BAY)
    charging.answer('Cancel')
    assert charging.link.calls == []
    charging.press(action.service)
    charging.answer('Yes')
    assert charging.link.calls == [(BAY, action.service, action.fields)]


def test_escape_means_no(charging: Any) -> None:
    charging.press('force_unlock')
    (box,) = charging.dialogs('QMessageBox')
    box.reject()
    charging.application.processEvents()
    assert charging.link.calls == []


def test_a_pause_is_sent_at_once(charging: Any) -> None:
    charging.press('pause_charging')
    assert charging.dialogs('QMessageBox') == []
    assert charging.link.calls == [(BAY, 'pause_charging', {})]


def test_a_confirmed_command_goes_to_the_connector_of_the_question(charging: Any) -> None:
    charging.link.status('/depot/bay_2', IDLE)
    charging.redraw()
    charging.press('stop_transaction')
    charging.panel.table.select('/depot/bay_2')
    charging.answer('Yes')
    assert [call[:2] for call in charging.link.calls] == [(BAY, 'stop_transaction')]


def test_a_refusal_is_shown_with_its_reason(charging: Any) -> None:
    charging.press('pause_charging')
    assert 'waiting' in charging.reply
    charging.link.answer(False, 'There is no transaction to pause.')
    assert charging.reply == 'Pause refused: There is no transaction to pause.'


def test_an_acceptance_is_shown(charging: Any) -> None:
    charging.press('pause_charging')
    charging.link.answer(True)
    assert charging.reply == 'Pause: accepted'


def test_the_answer_of_another_connector_is_not_shown(charging: Any) -> None:
    charging.link.status('/depot/bay_2', IDLE)
    charging.press('pause_charging')
    charging.redraw()
    charging.panel.table.select('/depot/bay_2')
    charging.link.answer(False, 'no')
    assert charging.reply == ''


def test_a_token_is_asked_for_and_not_echoed(charging: Any) -> None:
    from evse_manager.rqt.binding import QtWidgets

    charging.press('authorize_response')
    (dialog,) = charging.dialogs('QInputDialog')
    assert dialog.textEchoMode() == QtWidgets.QLineEdit.EchoMode.PasswordEchoOnEdit
    dialog.setTextValue(' 04A1B2C3 ')
    dialog.accept()
    ((connector, service, fields),) = charging.link.calls
    assert (connector, service) == (BAY, 'authorize_response')
    assert fields['provided_token'].id_token == '04A1B2C3'
    assert fields['validation_result'].authorization_status is AuthorizationStatus.ACCEPTED


def test_no_token_is_no_command(charging: Any) -> None:
    charging.press('authorize_response')
    (dialog,) = charging.dialogs('QInputDialog')
    dialog.setTextValue('  ')
    dialog.accept()
    assert charging.link.calls == []


def test_a_limit_is_asked_for_beginning_with_the_present_one(charging: Any) -> None:
    charging.press('set_external_limits')
    (dialog,) = charging.dialogs('QInputDialog')
    assert dialog.doubleValue() == 16.0
    dialog.setDoubleValue(10.5)
    dialog.accept()
    ((_, service, fields),) = charging.link.calls
    assert service == 'set_external_limits'
    (step,) = fields['value'].schedule_import
    assert step.limits_to_root.ac_max_current_a == 10.5


# --- foreign text -------------------------------------------------------------------------------------

MARKUP = '<h1>Free</h1><a href="file:///etc/passwd">power</a>'
STEERING = '\u202ereversed\x1b[2J'


@pytest.mark.parametrize('text', [MARKUP, STEERING], ids=['markup', 'control characters'])
def test_foreign_text_is_shown_as_plain_text(window: Any, text: str) -> None:
    from evse_manager.interface.text import printable
    from evse_manager.rqt.binding import QtCore, QtWidgets

    window.link.status(BAY, replace(FAILED, reason_text=text, warnings=(text,), evse_id=text, token=text))
    window.redraw()
    window.press('pause_charging')
    window.link.answer(False, text)
    window.redraw()
    shown = printable(text)
    assert window.panel.detail.reason.text() == shown
    assert shown in window.panel.detail.complaints.text()
    assert window.reply == f'Pause refused: {shown}'
    assert window.cells()[0][-1] == shown
    labels = window.panel.detail.findChildren(QtWidgets.QLabel)
    foreign = [label for label in labels if shown in label.text()]
    assert len(foreign) >= 4
    assert {label.textFormat() for label in foreign} == {QtCore.Qt.TextFormat.PlainText}


# --- failures -----------------------------------------------------------------------------------------


def test_what_a_message_cannot_carry_is_refused(charging: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from evse_manager.nodes.conversions import ConversionError

    def refuse(*_: Any) -> None:
        raise ConversionError('04\0A1', 'text without a zero byte', 'provided_token.id_token')

    monkeypatch.setattr(charging.link, 'call', refuse)
    charging.press('pause_charging')
    assert charging.reply.startswith('Pause refused: provided_token.id_token')


def test_a_failure_is_shown_and_printed_once_and_the_window_goes_on(
    charging: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        charging.link.turns += 1
        raise RuntimeError('the middleware broke')

    with monkeypatch.context() as patched:
        patched.setattr(charging.link, 'turn', broken)
        turns = charging.link.turns
        charging.until(lambda: charging.link.turns >= turns + 3, lambda: 'three turns that fail')
    assert 'the middleware broke' in charging.panel.headline.text()
    assert capsys.readouterr().err.count('RuntimeError: the middleware broke') == 1
    charging.until(lambda: '1 connector' in charging.panel.headline.text(), charging.panel.headline.text)


# --- the end ------------------------------------------------------------------------------------------


def test_closing_the_window_closes_the_link_and_ends_the_turns(window: Any) -> None:
    window.until(lambda: window.link.turns > 1, lambda: 'the timer turns the link')
    window.panel.close()
    assert window.link.closed
    turns = window.link.turns
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        window.application.processEvents()
    assert window.link.turns == turns


def test_the_window_is_drawn_into_a_picture(charging: Any, tmp_path: Path) -> None:
    from evse_manager.cli.errors import UsageError
    from evse_manager.rqt.standalone import save_picture

    save_picture(charging.panel, str(tmp_path / 'window.png'))
    assert (tmp_path / 'window.png').read_bytes().startswith(b'\x89PNG')
    with pytest.raises(UsageError, match='can not be written'):
        save_picture(charging.panel, str(tmp_path / 'missing' / 'window.png'))
