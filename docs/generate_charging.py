"""
Write docs/charging.md: the template, filled in with the tables of the kernel and of its tests.

``make docs`` runs it.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / 'test'))

from charging import test_gaps_in_view, test_golden_sequences  # noqa: E402
from evse_manager.charging import faults, power, reasons, sessions, status, timers  # noqa: E402
from evse_manager.charging.connector import Cause  # noqa: E402
from evse_manager.charging.faults import Fault, Recovery, Severity  # noqa: E402
from evse_manager.interface.enums import ErrorEnum  # noqa: E402

ENDS_BY = {
    Recovery.CLEAR: 'cause gone',
    Recovery.VALID_PILOT: 'valid pilot for 1 s',
    Recovery.UNPLUG: 'cause gone, and unplug',
    Recovery.OPERATOR: '`clear_fault` once the board reports it open',
}
RESTART = 'TF(PowerLoss) SF Enabled SS(EVConnected) AR'
"""Sequence 25, which has its own test (``test_gaps_in_view.py``)."""

CLASSES = {Severity.EMERGENCY: 'emergency', Severity.CONTROLLED: 'controlled'}
CAUSES = {
    Cause.ERROR: 'an error is active',
    Cause.PAUSED_BY_EVSE: '`pause_charging`, or phases are being switched',
    Cause.NO_ENERGY: 'no limit, or less than can be signalled',
    Cause.PAUSED_BY_EV: 'the EV left C though a current was offered, or does not ask for it',
    Cause.OFFERED: 'a current is offered, or will be',
    Cause.FLOWING: 'the contactor is closed',
}
KINDS = {
    timers.TimerKind.WAKES: 'wakes',
    timers.TimerKind.NOTICED: 'noticed',
    timers.TimerKind.OBSERVED: 'observed',
}


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = ['| ' + ' | '.join(heads) + ' |', '|' + '---|' * len(heads)]
    return '\n'.join(rows + ['| ' + ' | '.join(line) + ' |' for line in lines])


def camel(name: str) -> str:
    """Return a constant's name as the original writes it."""
    parts = (part if part in {'RCD', 'EV', 'EVSE'} else part.capitalize() for part in name.split('_'))
    return ''.join(parts)


def sequences() -> str:
    """Return the golden sequences; a transaction that charges is shortened, and what brings nothing stays."""
    lines = []
    for row in test_golden_sequences.TABLE:
        steps = [codes or 'nothing' for _, codes in row.steps]
        events = ' · '.join(steps)
        if row.number > 3:
            events = events.replace('SS(EVConnected) AR · TS PC CS · ', '… CS · ')
        lines.append((25, 'power lost during a transaction, restart', RESTART))
    numbered = ((str(number), scenario, events) for number, scenario, events in sorted(lines))
    return table(('#', 'Scenario', 'Events'), numbered)


def errors() -> str:
    """Return every fault of the kernel."""
    known = [fault for fault in vars(faults).values() if isinstance(fault, Fault)]
    lines = (
        (
            fault.code,
            camel(ErrorEnum(fault.error).name),
            CLASSES[fault.severity] + (', latched' if fault.recovery is Recovery.OPERATOR else ''),
            ENDS_BY[fault.recovery],
            fault.sentence,
        )
        for fault in known
    )
    return table(('Code', 'ErrorEnum', 'Class', 'Ends by', 'Sentence'), lines)


def causes() -> str:
    """Return the causes by rank with their events."""
    events = {cause: event.name if event is not None else '' for cause, event in power.ANNOUNCED.items()}
    words = {cause: camel(name) if name else '-' for cause, name in events.items()}
    words[Cause.ERROR] = 'Error, AllErrorsCleared'
    words[Cause.FLOWING] = 'ChargingStarted the first time, then ChargingResumed'
    lines = ((cause.name, CAUSES[cause], words[cause]) for cause in Cause)
    return table(('Cause', 'When', 'Event'), lines)


def timer_table() -> str:
    """Return the named timers."""
    lines = (
        (f'`{timer.name}`', KINDS[kind], ' '.join(timer.meaning.split('\n\n', maxsplit=1)[0].split()))
        for kind, named in timers.TIMERS.items()
        for timer in named
    )
    return table(('Timer', 'Its end', 'Meaning'), lines)


def gaps() -> str:
    """Return the gaps in the view of the cable, with their rules."""
    lines = [(row.gap, row.rule) for row in test_gaps_in_view.ROWS]
    return table(('Gap while a car charges', 'Then'), [*lines, ('manager restarted', 'ends')])


def bullets(texts: Iterable[str]) -> str:
    """Return a list."""
    return '\n'.join(f'- {text}' for text in texts)


def page() -> str:
    """Return the page."""
    parts = {
        'states': table(('State', 'Meaning'), ((state.name, text) for state, text, _ in status.STATES)),
        'reasons': table(
            ('Reason', 'When'), ((f'`{row.reason.name}`', row.meaning) for row in reasons.REASONS)
        ),
        'sequences': sequences(),
        'causes': causes(),
        'silences': bullets(power.SILENT),
        'session_waits': bullets(sessions.SESSION_WAITS),
        'transaction_waits': bullets(sessions.TRANSACTION_WAITS),
        'gaps': gaps(),
        'timers': timer_table(),
        'errors': errors(),
    }
    text = (DOCS / 'charging.template.md').read_text(encoding='utf-8')
    for name, part in parts.items():
        assert f'{{{name}}}' in text, name
        text = text.replace(f'{{{name}}}', part)
    return text


if __name__ == '__main__':
    (DOCS / 'charging.md').write_text(page(), encoding='utf-8')
