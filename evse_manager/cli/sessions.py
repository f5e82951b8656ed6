"""``evse sessions``: recorded sessions, listed, shown, exported, and compared with the meter."""

import csv
import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from evse_manager.cli import formatting
from evse_manager.cli.errors import CliError, ExitCode, UsageError
from evse_manager.cli.json_output import emit, optional_time, record
from evse_manager.cli.record_arguments import SHOWN
from evse_manager.cli.record_source import Source, chosen, source, wanted
from evse_manager.cli.verify import verified
from evse_manager.interface.text import printable
from evse_manager.interface.types import SessionRecord

if TYPE_CHECKING:
    from evse_manager.cli.graph import Graph

DETAILS = ('events', 'errors', 'samples')
COLUMNS = tuple(field.name for field in fields(SessionRecord) if field.name not in DETAILS)
"""Columns of CSV, in this order; new ones come at the end."""

TIMES = {field.name for field in fields(SessionRecord) if optional_time(field.type)}
FORMULA = ('=', '+', '-', '@', '\t', '\r')
"""A spreadsheet would take a text that begins so for a formula."""


def run_sessions(given: Namespace, graph: 'Graph | None') -> ExitCode:
    """Do what is asked."""
    if given.session and given.action != 'show':
        raise UsageError(f'{given.action} takes no session; show does')
    if given.action == 'show' and not given.session:
        raise UsageError('say which session: evse sessions show SESSION')
    if given.details and (given.action != 'export' or given.format != 'json'):
        raise UsageError('--details goes with export --format json')
    if given.output and given.action != 'export':
        raise UsageError('--output goes with export')
    with ExitStack() as leaving:
        records = source(given, graph, leaving)
        match given.action:
            case 'list':
                return _list(given, records)
            case 'show':
                return _show(given, records)
            case 'export':
                return _export(given, records)
            case _:
                return verified(given, records)


# --- list and show ----------------------------------------------------------------------------------------


def _list(given: Namespace, records: Source) -> ExitCode:
    limit = given.limit or SHOWN
    found = list(islice(records.sessions(wanted(given, oldest_first=False)), limit + 1))
    shown = found[:limit]
    if given.json:
        for each in shown:
            emit(summary(each))
        return ExitCode.OK
    if not shown:
        print('There are no such sessions.')
        return ExitCode.OK
    several = len({each.connector for each in shown}) > 1
    rows = [_row(each, several=several) for each in shown]
    heading = (
        'BEGAN',
        *(('CONNECTOR',) if several else ()),
        'LASTED',
        'ENERGY',
        'PEAK',
        'TOKEN',
        'ENDED',
        'SESSION',
    )
    for line in table([heading, *rows]):
        print(line)
    if len(found) > limit:
        print(f'… and older ones; --limit shows more than {limit}')
    return ExitCode.OK


def _row(each: SessionRecord, *, several: bool) -> tuple[str, ...]:
    lasted = None if each.finished is None or each.started is None else (each.finished - each.started) / 1e9
    ended = formatting.known(each.stop_reason) if each.transaction_started else 'no transaction'
    if each.finished is None:
        ended = 'goes on'
    mark = ' at least' if each.energy_is_lower_bound else ''
    return (
        formatting.date_and_time(each.started),
        *((each.connector,) if several else ()),
        formatting.duration(lasted),
        formatting.energy(each.energy_wh) + mark,
        formatting.power(each.peak_power_w),
        each.token or formatting.ABSENT,
        f'{ended}{", errors" if each.error_count else ""}',
        each.uuid[:8],
    )


def table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a table; foreign text in it cannot steer the terminal."""
    clean = [tuple(printable(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    for row in clean:
        yield '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _show(given: Namespace, records: Source) -> ExitCode:
    each = records.whole(given.session)
    if given.json:
        emit(each)
        return ExitCode.OK
    for line in described(each):
        print(printable(line))
    return ExitCode.OK


def described(each: SessionRecord) -> Iterator[str]:
    """Yield what is known of a session, line by line."""
    place = f'{each.connector or "an unknown connector"}{" (simulated board)" if each.simulated else ""}'
    yield f'Session {each.uuid} at {place}'
    yield f'  began      {formatting.date_and_time(each.started)}, {formatting.known(each.start_reason)}'
    ended = formatting.date_and_time(each.finished) if each.finished else 'goes on'
    yield f'  finished   {ended}'
    if each.transaction_started:
        yield f'  token      {each.token or formatting.ABSENT}'
        reason = f', {formatting.known(each.stop_reason)}' if each.transaction_finished else ''
        yield (
            f'  charged    {formatting.date_and_time(each.transaction_started)} to '
            f'{formatting.date_and_time(each.transaction_finished)}{reason}'
        )
        marks = [
            text
            for text, holds in (
                ('at least', each.energy_is_lower_bound),
                ('from measured power', each.energy_is_integrated),
            )
            if holds
        ]
        said = f' ({", ".join(marks)})' if marks else ''
        yield f'  energy     {formatting.energy(each.energy_wh)}{said}'
        start, stop = _register(each.meter_start_wh), _register(each.meter_stop_wh)
        yield f'  meter      {start} to {stop}, {each.meter_id or "no name"}'
    yield f'  peak       {formatting.power(each.peak_power_w)}'
    if each.errors:
        yield 'Errors'
        for error in each.errors:
            until = formatting.clock(error.cleared) if error.cleared else 'not cleared'
            yield f'  {formatting.clock(error.raised)} to {until}  {formatting.error(error.error)}'
    yield 'Events'
    for event in each.events:
        yield f'  {formatting.clock(event.stamp)}  {formatting.sentence(formatting.event_sentence(event))}'
    yield f'{len(each.samples)} points of its course; evse plot {each.uuid[:8]} draws them'


def _register(watt_hours: float | None) -> str:
    return formatting.ABSENT if watt_hours is None else f'{watt_hours / 1000:.3f} kWh'


# --- export -----------------------------------------------------------------------------------------------


def summary(each: SessionRecord) -> dict[str, Any]:
    """Return a session as JSON has it, without events, errors and samples."""
    values: dict[str, Any] = record(each)
    return {name: values[name] for name in COLUMNS}


def _export(given: Namespace, records: Source) -> ExitCode:
    sessions = chosen(given, records)
    with _output(given.output) as file:
        count = _write_csv(sessions, file) if given.format == 'csv' else 0
        if given.format == 'json':
            for each in sessions:
                whole = record(records.whole(each.uuid)) if given.details else summary(each)
                file.write(json.dumps(whole, allow_nan=False) + '\n')
                count += 1
    if given.output:
        sessions_are = '1 session is' if count == 1 else f'{count} sessions are'
        print(f'{sessions_are} in {printable(given.output)}')
    return ExitCode.OK


@contextmanager
def _output(path: str | None) -> Iterator[IO[str]]:
    """Open the file of an export, which holds what its reader may not be shown; it is whole or not there."""
    if path is None:
        yield sys.stdout
        return
    fresh = f'{path}.new'
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, 'w', encoding='utf-8', newline='') as file:
            yield file
        os.replace(fresh, path)  # noqa: PTH105 - a path as it was typed
    except OSError as error:
        raise CliError(f'{path} can not be written: {error.strerror}', ExitCode.USAGE) from error


def _write_csv(sessions: Iterable[SessionRecord], file: IO[str]) -> int:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(COLUMNS)
    count = 0
    for each in sessions:
        values = summary(each)
        writer.writerow([_cell(values[name]) for name in COLUMNS])
        count += 1
    return count


def _cell(value: Any) -> Any:
    if value is None:
        return ''
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        clean = printable(value)
        return f"'{clean}" if clean.startswith(FORMULA) else clean
    return value
