"""
MCAP files as ``ros2 bag``, Foxglove and other readers of ROS 2 take them (profile ``ros2``).

The library ``mcap`` is optional; it is imported when a file is written or read.
"""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from evse_manager.recording.window import Line

MISSING = "the library mcap is missing; install it: pip install 'mcap>=1.2'"

PROFILE, LIBRARY = 'ros2', 'evse_manager'
CHUNK_BYTES = 1024 * 1024
"""A chunk of more is written at once; smaller ones when ``flush`` is called."""

TEXT_TYPE, TEXT_DEFINITION = 'std_msgs/msg/String', 'string data\n'
SNAPSHOTS, TURNS = 'black_box/snapshot', 'black_box/turn'
"""Topics of a journal in a file, relative to the connector's namespace."""

ABOUT = 'evse_manager'
"""Name of the metadata that says what a file is."""


class McapError(Exception):
    """A file cannot be written or read; the text is for people."""


class McapFile:
    """An MCAP file that is being written; readable by its owner alone, for tokens and cars are in it."""

    def __init__(self, path: Path, about: dict[str, str]) -> None:
        """
        Create the file, which must not exist; ``about`` is what it says of itself.

        Raises OSError, and McapError without the library.
        """
        try:
            from mcap.writer import Writer  # noqa: PLC0415 - optional
        except ImportError as error:
            raise McapError(MISSING) from error
        self.path = path
        self._stream: IO[bytes] = os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), 'wb'
        )
        self._writer: Any = Writer(self._stream, chunk_size=CHUNK_BYTES)
        self._writer.start(PROFILE, LIBRARY)
        self._writer.add_metadata(ABOUT, about)
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._sequence = 0

    @property
    def size(self) -> int:
        """The size of the file so far, in bytes, without what waits for its chunk."""
        return self._stream.tell()

    def has_channel(self, topic: str) -> bool:
        """Return whether the topic is known to the file."""
        return topic in self._channels

    def add_channel(self, topic: str, type_name: str, definition: str, qos: str = '') -> None:
        """Let the file know a topic; ``definition`` is that of its type and of all types in it."""
        if type_name not in self._schemas:
            self._schemas[type_name] = self._writer.register_schema(type_name, 'ros2msg', definition.encode())
        self._channels[topic] = self._writer.register_channel(
            topic, 'cdr', self._schemas[type_name], {'offered_qos_profiles': qos}
        )

    def write(self, topic: str, data: bytes, log_time: int, publish_time: int = 0) -> None:
        """Append a message in CDR; times are wall clock in ns."""
        self._sequence += 1
        self._writer.add_message(
            self._channels[topic], log_time, data, publish_time or log_time, self._sequence
        )

    def flush(self) -> None:
        """Write the present chunk: what was appended so far survives the end of the process."""
        # The library ends a chunk by its size alone; it has no public way to end one by time.
        self._writer._Writer__finalize_chunk()
        self._stream.flush()

    def close(self) -> None:
        """Write the rest and the index, and close."""
        try:
            self._writer.finish()
        finally:
            self._stream.close()

    def abandon(self) -> None:
        """Close without writing anything more, after an error."""
        with suppress(OSError):
            self._stream.close()

    def __enter__(self) -> 'McapFile':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()


def text_message(text: bytes) -> bytes:
    """Return ``std_msgs/String`` in CDR (little endian)."""
    return b'\0\1\0\0' + (len(text) + 1).to_bytes(4, 'little') + text + b'\0'


def text_of(message: bytes) -> bytes:
    """Return the text of a ``std_msgs/String`` in CDR that ``text_message`` made."""
    length = int.from_bytes(message[4:8], 'little')
    return message[8 : 7 + length]


def add_journal(file: McapFile, namespace: str) -> Callable[[Line], None]:
    """Return a function that appends the lines of a connector's journal to a file."""
    topics = {True: topic_of(namespace, SNAPSHOTS), False: topic_of(namespace, TURNS)}
    for topic in topics.values():
        file.add_channel(topic, TEXT_TYPE, TEXT_DEFINITION)

    def append(line: Line) -> None:
        file.write(topics[line.is_snapshot], text_message(line.text), line.wall)

    return append


def topic_of(namespace: str, name: str) -> str:
    """Return a topic of a connector (``/`` is the root namespace)."""
    return f'{namespace.rstrip("/")}/{name}'


class Recording(NamedTuple):
    """A journal in a file."""

    namespace: str
    about: dict[str, str]
    lines: Iterable[Line]


def read_journal(path: Path) -> Recording:
    """
    Return the journal in a file; its lines are read as they are iterated over.

    A file whose end is missing, because the process that wrote it was killed, is read up to there.  Raises
    McapError when the file cannot be read, or there is no journal in it.
    """
    about: dict[str, str] = {}
    namespace = None
    for record in _records(path):
        match record:
            case dict():
                about.update(record)
            case (str(topic), _, _):
                if topic.endswith(f'/{SNAPSHOTS}'):
                    namespace = topic.removesuffix(f'/{SNAPSHOTS}') or '/'
                    break
    if namespace is None:
        raise McapError(f'{path} has no black box of a connector in it; give a file that a manager wrote.')
    return Recording(namespace, about, _lines(path, namespace))


def _lines(path: Path, namespace: str) -> Iterator[Line]:
    snapshots, turns = topic_of(namespace, SNAPSHOTS), topic_of(namespace, TURNS)
    for record in _records(path):
        if isinstance(record, tuple) and record[0] in (snapshots, turns):
            topic, wall, data = record
            yield Line(wall, topic == snapshots, text_of(data))


def _records(path: Path) -> Iterator[dict[str, str] | tuple[str, int, bytes]]:
    """Yield metadata of ours and messages (topic, log time, data) in the order of the file."""
    try:
        from mcap.exceptions import EndOfFile  # noqa: PLC0415 - optional
        from mcap.records import Channel, Message, Metadata  # noqa: PLC0415
        from mcap.stream_reader import StreamReader  # noqa: PLC0415
    except ImportError as error:
        raise McapError(MISSING) from error
    topics: dict[int, str] = {}
    try:
        with path.open('rb') as stream:
            for record in StreamReader(stream).records:
                match record:
                    case Channel():
                        topics[record.id] = record.topic
                    case Message():
                        yield topics[record.channel_id], record.log_time, record.data
                    case Metadata() if record.name == ABOUT:
                        yield record.metadata
    except (EndOfFile, struct.error):  # the process that wrote it was killed
        return
    except OSError as error:
        raise McapError(f'{path} cannot be read: {error.strerror}.') from error
    except Exception as error:
        raise McapError(f'{path} is no MCAP file, or damaged: {error}') from error
