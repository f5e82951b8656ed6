"""How connectors look on a terminal: rows, a card with all details, and the screen of ``evse watch``."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from evse_manager.cli import formatting
from evse_manager.cli.monitor import ConnectorView, Monitor
from evse_manager.cli.screen import shown
from evse_manager.interface.appearance import StateKind, state_kind
from evse_manager.interface.enums import ChargerState, ControlPilotState
from evse_manager.interface.text import printable
from evse_manager.interface.types import EvseStatus, SessionEvent

WIDE = 120
"""From this width on the reason stands in the connector's own line."""
BARS = '▁▂▃▄▅▆▇█'

STYLES = {
    StateKind.CHARGING: 'bold green',
    StateKind.PREPARING: 'cyan',
    StateKind.WAITING: 'yellow',
    StateKind.IDLE: 'bright_blue',
    StateKind.OFF: 'dim',
    StateKind.TROUBLE: 'bold red',
    StateKind.SILENT: 'bold red',
}
"""Colours of the kinds of states on a terminal."""

STATES = {
    ChargerState.WAITING_FOR_AUTHENTICATION: 'needs token',
    ChargerState.PREPARE_CHARGING: 'preparing',
    ChargerState.WAITING_FOR_ENERGY: 'no energy',
    ChargerState.CHARGING_PAUSED_EV: 'paused by EV',
    ChargerState.CHARGING_PAUSED_EVSE: 'paused',
    ChargerState.STOPPING_CHARGING: 'stopping',
    ChargerState.T_STEP_EF: 'waking up EV',
    ChargerState.T_STEP_X1: 'waking up EV',
}
"""States whose names are longer than a column; the others are shown by name."""


def state_word(status: EvseStatus) -> str:
    """Return the state in one or two words."""
    return STATES.get(status.state) or formatting.spoken(status.state)


def state_style(status: EvseStatus) -> str:
    """Return the colour of the state."""
    return STYLES[state_kind(status.state)]


def sparkline(values: Sequence[float], top: float, width: int) -> str:
    """Return the newest values as a row of bars; ``top`` is the height of a full one."""
    scale = (len(BARS) - 1) / top if top > 0 else 0.0
    return ''.join(BARS[max(0, min(len(BARS) - 1, round(value * scale)))] for value in list(values)[-width:])


def cell(text: str, width: int, style: str = '', right: bool = False) -> Text:
    """Return text cut or filled to a width."""
    piece = Text(printable(text), style=style, no_wrap=True)
    piece.truncate(width, overflow='ellipsis')
    if right:
        piece.pad_left(width - piece.cell_len)
    else:
        piece.pad_right(width - piece.cell_len)
    return piece


def line(text: str | Text, width: int, style: str = '') -> Text:
    """Return text as one line of a screen."""
    piece = shown(text) if isinstance(text, Text) else Text(printable(text), style=style)
    piece.no_wrap = True
    piece.truncate(width, overflow='ellipsis')
    return piece


def wrapped(text: Text, width: int) -> list[Text]:
    """Return text as indented lines, in full."""
    pieces = shown(text).wrap(Console(width=max(20, width - 2)), max(20, width - 2))
    return [line(Text('  ').append_text(piece), width) for piece in pieces]


# --- rows ---------------------------------------------------------------------------------------------


def name_width(bays: Sequence[ConnectorView], width: int) -> int:
    """Return the width of the column of names."""
    longest = max((len(view.name) for view in bays), default=0)
    return max(9, min(longest, width // 4))


def shortened(name: str, width: int) -> str:
    """Return a connector's name in a column; a long one keeps its end, in which connectors differ."""
    return name if len(name) <= width else f'…{name[1 - width :]}'


def heading(bays: Sequence[ConnectorView], width: int) -> Text:
    """Return the line above the rows."""
    columns = [
        cell('connector', name_width(bays, width)),
        cell('state', 13),
        cell('current', 12, right=True),
        cell('power', 9, right=True),
        cell('energy', 10, right=True),
        cell('session', 9, right=True),
    ]
    if width >= WIDE:
        columns.append(Text('why'))
    return styled(columns, width, 'bold')


def styled(columns: Sequence[Text], width: int, style: str = '') -> Text:
    """Return columns as one line, in one style on top of their own."""
    joined = line(Text('  ').join(columns), width)
    if style:
        joined.stylize(style)
    return joined


def row(view: ConnectorView, bays: Sequence[ConnectorView], width: int, now: float) -> Text:
    """Return a connector's line."""
    status, silence = view.status, view.silence(now)
    names = name_width(bays, width)
    name = cell(shortened(view.name, names), names, 'bold')
    if status is None:
        return styled([name, Text(view.trouble or 'no status yet', style='dim')], width)
    state = 'silent' if silence is not None else state_word(status)
    columns = [
        name,
        cell(state, 13, 'bold red' if silence is not None else state_style(status)),
        cell(formatting.current(status), 12, right=True),
        cell(formatting.power(status.power_w), 9, right=True),
        cell(formatting.energy(status.session_energy_wh), 10, right=True),
        cell(
            formatting.duration(status.session_duration) if status.session_uuid else formatting.ABSENT,
            9,
            right=True,
        ),
    ]
    if width >= WIDE:
        columns.append(reason(view, now))
    return styled(columns, width, 'dim' if silence is not None else '')


def reason(view: ConnectorView, now: float) -> Text:
    """Return why this connector is (not) charging."""
    silence = view.silence(now)
    if view.trouble:
        return Text(view.trouble, style='red')
    if silence is not None:
        gone = 'its node is gone' if not view.offered else 'its node is still there'
        return Text(f'No status for {formatting.duration(silence)}: {gone}', style='red')
    if view.status is None:
        return Text('No status yet', style='dim')
    return Text(formatting.why(view.status), style='green' if formatting.is_flowing(view.status) else '')


def complaints(view: ConnectorView) -> list[Text]:
    """Return a connector's active errors and warnings."""
    if view.status is None:
        return []
    why = formatting.why(view.status)
    errors = [
        Text(f'✖ {formatting.error(error, known=why)}', style='bold red')
        for error in view.status.active_errors
    ]
    return errors + [Text(f'! {warning}', style='yellow') for warning in view.status.warnings]


def rows(bays: Sequence[ConnectorView], width: int, now: float) -> list[Text]:
    """Return the connectors' lines, with what has no place in a connector's own line below it."""
    lines = []
    for view in bays:
        lines.append(row(view, bays, width, now))
        if width < WIDE and (view.status is not None):
            lines.append(line(Text('  ↳ ').append_text(reason(view, now)), width))
        lines += [line(Text('    ').append_text(complaint), width) for complaint in complaints(view)]
    return lines


def event_line(name: str, event: SessionEvent, width: int, named: int) -> Text:
    """Return an event as one line; ``named`` is the width of the column of names, 0 for none."""
    text = Text().append(f'{formatting.clock(event.stamp)}  ', style='dim')
    if named:
        text.append_text(cell(shortened(name, named), named, 'bold')).append('  ')
    text.append(f'{formatting.event_name(event):<19} ', style=formatting.event_style(event))
    return line(text.append(formatting.event_sentence(event)), width)


# --- the card of one connector ----------------------------------------------------------------------------


def facts(status: EvseStatus) -> list[tuple[str, str]]:
    """Return everything worth knowing of a connector, as label and value."""
    reservation = '' if status.reservation_id is None else f', reservation {status.reservation_id}'
    car = 'plugged in' if status.plugged else 'not plugged in'
    if status.cp_state is ControlPilotState.F:
        car = 'not visible while the pilot shows F'
    availability, contactor, lock, link = map(
        formatting.known, (status.availability, status.contactor, status.lock, status.link_state)
    )
    return [
        (
            'EVSE',
            f'{status.evse_id or formatting.ABSENT}, connector {status.connector_id}, '
            f'{availability}{reservation}',
        ),
        ('EV', f'{car}, pilot state {formatting.known(status.cp_state)}'),
        ('current', f'{formatting.current(status)} signalled, limit {formatting.limit(status)}'),
        *([('paused', f'by {formatting.pauses(status)}')] if status.pause_reasons else []),
        ('power', formatting.power(status.power_w)),
        *session_facts(status),
        ('board', f'contactor {contactor}, lock {lock}, link {link}'),
        (
            'wear',
            f'{plural(status.contactor_cycles, "cycle")} of the contactor, '
            f'{status.openings_under_load} under load',
        ),
    ]


def plural(count: int, word: str) -> str:
    """Return a number with its noun."""
    return f'{count} {word}{"" if count == 1 else "s"}'


def session_facts(status: EvseStatus) -> list[tuple[str, str]]:
    """Return what belongs to a session, where there is one."""
    if not status.session_uuid:
        return []
    token = status.token or ('accepted' if status.authorized else formatting.ABSENT)
    return [
        ('energy', f'{formatting.energy(status.session_energy_wh)} in this session'),
        (
            'time',
            f'{formatting.duration(status.session_duration)}, '
            f'charging {formatting.duration(status.charging_duration)}',
        ),
        ('token', token),
        ('session', status.session_uuid),
    ]


def card(view: ConnectorView, width: int, now: float, more: Sequence[tuple[str, str]] = ()) -> list[Text]:
    """Return all details of one connector; ``more`` labels and values stand below its power."""
    status = view.status
    title = Text().append(view.name, style='bold')
    if status is None:
        return [line(title.append('  ').append_text(reason(view, now)), width)]
    silent = view.silence(now) is not None
    title.append('  ')
    title.append(
        'silent' if silent else state_word(status), style='bold red' if silent else state_style(status)
    )
    lines = [line(title, width), *wrapped(reason(view, now), width)]
    lines += [piece for complaint in complaints(view) for piece in wrapped(complaint, width)]
    for label, value in facts(status):
        text = Text().append(f'  {label:<9}', style='dim')
        text.append(value, style='dim' if silent else '')
        if label == 'power' and len(view.powers) > 1:
            chart = sparkline(
                view.powers, max(*view.powers, 1.0), max(10, min(60, width - text.cell_len - 4))
            )
            text.append('  ' + chart, style='green')
        lines.append(line(text, width))
        if label == 'power':
            lines += [
                line(Text().append(f'  {name:<9}', style='dim').append(own), width) for name, own in more
            ]
    return lines


# --- totals ------------------------------------------------------------------------------------------


def summary(monitor: Monitor, now: float) -> str:
    """Return the totals of all connectors."""
    bays = [view for view in monitor.bays.values() if view.silence(now) is None and view.status is not None]
    charging = sum(1 for view in bays if view.status and formatting.is_flowing(view.status))
    total = sum(view.status.power_w or 0.0 for view in bays if view.status)
    failing = sum(1 for view in monitor.bays.values() if view.in_trouble(now))
    count = len(monitor.bays)
    parts = [f'{count} connector{"" if count == 1 else "s"}', f'{charging} charging', formatting.power(total)]
    return ' · '.join(parts + ([f'{failing} in trouble'] if failing else []))
