"""``evse replay``: a black box through the manager of this version, without ROS 2."""

import sys
from argparse import Namespace
from itertools import islice

from evse_manager.cli import formatting
from evse_manager.cli.errors import CliError, ExitCode
from evse_manager.cli.json_output import emit
from evse_manager.interface.text import printable
from evse_manager.recording.mcap_file import McapError, read_journal
from evse_manager.recording.replay import Difference, ReplayError, ReplayReport, replay

SHOWN = 20
"""Differences that are printed unless all are asked for; the first is the most important."""


def run_replay(given: Namespace) -> ExitCode:
    """Replay a file; return 0 when every output is the recorded one, 1 when one is not."""
    report = ReplayReport()
    try:
        recording = read_journal(given.file)
        found = replay(recording.lines, report)
        for number, difference in enumerate(islice(found, None if given.all else SHOWN), 1):
            _show(given, number, difference)
        for _ in found:
            pass
    except (McapError, ReplayError) as error:
        raise CliError(str(error), ExitCode.USAGE) from error
    version = recording.about.get('version', 'an unknown version')
    _summary(given, report, recording.namespace, version)
    return ExitCode.REFUSED if report.differences else ExitCode.OK


def _show(given: Namespace, number: int, difference: Difference) -> None:
    if given.json:
        emit({'difference': difference})
        return
    where = f'{formatting.iso(difference.at)}  turn {difference.turn} ({difference.do})'
    values = f'recorded {printable(difference.recorded)}, replayed {printable(difference.replayed)}'
    print(f'{where}  {printable(difference.what)}: {values}')


def _summary(given: Namespace, report: ReplayReport, namespace: str, version: str) -> None:
    if given.json:
        emit({'connector': namespace, 'recorded_with': version, **_numbers(report)})
        return
    outcome = 'every one is the recorded one'
    if report.differences:
        outcome = f'{report.differences} differences'
        if report.differences > SHOWN and not given.all:
            outcome += f' (the first {SHOWN} are shown; --all shows all)'
    counted = f'{report.turns} inputs and {report.outputs} outputs'
    times = f'from {formatting.iso(report.begun)} to {formatting.iso(report.ended)}'
    print(f'{printable(namespace)}: {counted} {times}: {outcome}')
    if report.differences:
        print(f'evse: the file was recorded with version {printable(version)}', file=sys.stderr)


def _numbers(report: ReplayReport) -> dict[str, object]:
    return {
        'turns': report.turns,
        'outputs': report.outputs,
        'differences': report.differences,
        'begun': formatting.iso(report.begun),
        'ended': formatting.iso(report.ended),
    }
