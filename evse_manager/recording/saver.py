"""
Writing black boxes: one thread for all connectors of a process, in small pieces, so that no loop waits.

Faults may come to all connectors of a process at once, so there is one thread and a queue of bounded length.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from evse_manager.recording.codec import CodecError
from evse_manager.recording.decoder import Decoder, Turn
from evse_manager.recording.mcap_file import McapError, McapFile, add_journal, topic_of
from evse_manager.recording.window import Line, Segment, lines_of

LINES_A_PIECE = 10
PAUSE_S = 0.001
"""After so many lines the thread sleeps, so that the loops of the process run in between."""

MOST_WAITING = 128
"""Black boxes that may wait to be written."""

MEGABYTE = 1024 * 1024

Done = Callable[[Path | None, str], None]
"""Gets the file, or None and why there is none (for people); called in the thread of the saver."""


class Message(NamedTuple):
    """A message of ROS 2 that follows from a turn, for readers who know no journals."""

    topic: str
    type_name: str
    definition: str
    qos: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """One black box that is to be written."""

    folder: Path
    name: str
    """The connector's part of the name of the file; it has no hyphen."""
    namespace: str
    reason: str
    """A word for the name of the file."""
    wall: int
    """UTC in ns, for the name of the file."""
    segments: Sequence[Segment]
    about: dict[str, str]
    files_max: int
    bytes_max: int
    messages: Callable[[Turn], Iterable[Message]]
    done: Done


class Saver:
    """Writes black boxes in a thread of its own, which begins with the first one."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Job] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Write a black box soon."""
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            job.done(None, 'the black box is not written: too many others wait to be.')
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name='black box', daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            try:
                path, why = write(job), ''
            except OSError as error:
                path, why = None, f'the black box can not be written to {job.folder}: {error.strerror}.'
            except McapError as error:
                path, why = None, f'the black box is not written: {error}.'
            except Exception as error:  # noqa: BLE001 - the entry point of the thread, which has to go on
                path, why = None, f'the black box is not written: {error!r}.'
            job.done(path, why)


SAVER = Saver()
"""The one of this process."""


def write(job: Job) -> Path:
    """Write a black box, delete the oldest beyond the limits, return the file; raises OSError, McapError."""
    job.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = datetime.fromtimestamp(job.wall / 1e9, UTC).strftime('%Y%m%dT%H%M%S.%f')[:-3]
    path = job.folder / f'{job.name}-{stamp}Z-{job.reason}.mcap'
    partial = path.with_name(f'.{path.name}.part')
    with suppress(FileNotFoundError):
        partial.unlink()
    try:
        with McapFile(partial, job.about) as file:
            _fill(file, job)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    prune(job)
    return path


def prune(job: Job) -> None:
    """Delete the oldest files of the connector beyond its limits, never the newest."""
    files = sorted(job.folder.glob(f'{job.name}-*.mcap'), reverse=True)  # the stamp is next in the name
    total = 0
    for number, path in enumerate(files):
        total += path.stat().st_size
        if number and (number >= job.files_max or total > job.bytes_max):
            path.unlink(missing_ok=True)


def _fill(file: McapFile, job: Job) -> None:
    append = add_journal(file, job.namespace)
    decoder = Decoder()
    count = 0
    for segment in job.segments:
        for line in lines_of(segment):
            append(line)
            _add_messages(file, job, decoder, line)
            count += 1
            if count % LINES_A_PIECE == 0:
                time.sleep(PAUSE_S)
        file.flush()


def _add_messages(file: McapFile, job: Job, decoder: Decoder, line: Line) -> None:
    if line.is_snapshot:
        decoder.snapshot(line)
        return
    try:
        turn = decoder.turn(line)
    except CodecError:
        return  # the line is in the file all the same
    for message in job.messages(turn):
        topic = topic_of(job.namespace, message.topic)
        if not file.has_channel(topic):
            file.add_channel(topic, message.type_name, message.definition, message.qos)
        file.write(topic, message.data, line.wall)
