"""``evse record``: topics into MCAP files until Ctrl-C, a signal, or the time given."""

import signal
import sys
import time
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from evse_manager.cli.errors import ExitCode
from evse_manager.cli.graph import Graph, no_connector_message
from evse_manager.cli.json_output import emit
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.recorder import Recorder
from evse_manager.cli.version import versions

SLICE_S = 0.1
MEGABYTE = 1024 * 1024


def run_record(given: Namespace, graph: Graph) -> ExitCode:
    """Record until it is ended; return 0 also for Ctrl-C, which is how it ends."""
    path = given.output or Path(datetime.now(UTC).strftime('evse-%Y%m%dT%H%M%SZ.mcap'))
    recorder = Recorder(
        graph,
        path,
        given.connectors,
        max_bytes=round(given.max_size * MEGABYTE),
        about={'version': versions(), 'tokens': 'readable' if given.show_tokens else 'masked'},
        show_tokens=given.show_tokens,
        notify=_notify,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    _notify(f'writing {path}; Ctrl-C ends it')
    begun = time.monotonic()
    warned = False
    try:
        while given.duration is None or time.monotonic() < begun + given.duration:
            recorder.turn(SLICE_S)
            if not warned and not recorder.topics and time.monotonic() > begun + (given.timeout or FIND_S):
                warned = True
                _notify(f'{no_connector_message(given.timeout or FIND_S)}; those that appear are recorded')
    except KeyboardInterrupt:
        pass
    recorder.close()
    size = sum(each.stat().st_size for each in recorder.paths)
    if given.json:
        emit(
            {
                'files': [str(each) for each in recorder.paths],
                'messages': recorder.messages,
                'topics': sorted(recorder.topics),
                'bytes': size,
            }
        )
    else:
        names = ', '.join(map(str, recorder.paths))
        counted = f'{recorder.messages} messages of {len(recorder.topics)} topics'
        print(f'{counted} in {names} ({size / MEGABYTE:.1f} MB)')
    return ExitCode.OK


def _notify(sentence: str) -> None:
    print(f'evse: {sentence}', file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
