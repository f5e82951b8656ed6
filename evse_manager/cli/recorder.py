"""Recording of topics to MCAP files: what there is on the graph, as it comes, with rotation by size."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from evse_manager.cli.errors import CliError, ExitCode
from evse_manager.cli.graph import Graph
from evse_manager.interface import endpoints
from evse_manager.nodes.concealment import concealed
from evse_manager.nodes.definitions import DefinitionError, definition, qos_text
from evse_manager.recording.mcap_file import McapError, McapFile

LOOK_S = 0.5
"""How often the graph is searched for topics that are new."""

FLUSH_S = 2.0
"""Longest time of a chunk: what a kill of the process may lose."""

QUEUE = 1000
"""Messages of one topic that may wait for this process; the publishers of old ones keep fewer."""

EVERYWHERE = ('/diagnostics', '/clock', '/rosout')
"""Topics outside of all namespaces that belong to every recording."""

SITE = {topic.name: topic.type for topic in (*endpoints.SITE_TOPICS, *endpoints.AUTHORIZATION_TOPICS)}
"""Topics of a site by their relative name, in the namespace of the site."""

OWN = {topic.name for topic in endpoints.TOPICS} | {endpoints.TOKEN.name, endpoints.KEEP_ALIVE.name}
"""Relative names of a connector's topics."""


class RecordedMessage(NamedTuple):
    """A message as it was received."""

    topic: str
    at: int
    data: bytes


class Recorder:
    """Subscribes to the topics of connectors and of their site, and writes what arrives."""

    def __init__(
        self,
        graph: Graph,
        path: Path,
        connectors: Iterable[str],
        *,
        max_bytes: int,
        about: dict[str, str],
        show_tokens: bool,
        notify: Callable[[str], None],
    ) -> None:
        """``connectors`` are namespaces, empty for all; ``notify`` gets sentences for people."""
        self.messages = 0
        self.paths: list[Path] = []
        self.topics: dict[str, str] = {}
        """The recorded topics and their types."""
        self._graph = graph
        self._base = path
        self._wanted = list(connectors)
        self._joined: set[str] = set()
        self._max_bytes = max_bytes
        self._about = about
        self._show_tokens = show_tokens
        self._notify = notify
        self._channels: dict[str, tuple[str, str, str]] = {}
        """Type, definition and quality of service of each recorded topic."""
        self._refused: set[str] = set()
        """Topics whose types are not installed."""
        self._latched: dict[str, deque[bytes]] = {}
        """The newest messages of latched topics, with which each further file begins."""
        self._waiting: deque[RecordedMessage] = deque()
        self._head = 0
        """Size of what a further file begins with; it does not count, or a small file would never do."""
        self._file = self._open()
        self._flushed = self._looked = time.monotonic()

    # --- what is recorded -------------------------------------------------------------------------------

    def look(self) -> None:
        """Subscribe to what is new on the graph."""
        connectors = self._wanted or self._graph.connectors()
        present = set(self._graph.connectors()) & set(connectors)
        for namespace in sorted(present - self._joined):
            self._joined.add(namespace)
            self._notify(f'recording {namespace}')
        for topic, types in self._graph.node.get_topic_names_and_types():
            if (
                topic not in self.topics
                and topic not in self._refused
                and self._is_wanted(topic, types, connectors)
            ):
                self._subscribe(topic, types[0])

    def _is_wanted(self, topic: str, types: list[str], connectors: Iterable[str]) -> bool:
        if '/_' in topic:
            return False  # hidden: parts of actions
        if topic in EVERYWHERE:
            return True
        for name, kind in SITE.items():
            if topic.endswith(f'/{name}') and kind in types:
                site = topic.removesuffix(name)
                return not self._wanted or any(namespace.startswith(site) for namespace in connectors)
        return any(
            topic.startswith(f'{namespace}/') if namespace != '/' else topic[1:] in OWN
            for namespace in connectors
        )

    def _subscribe(self, topic: str, kind: str) -> None:
        offers = self._graph.node.get_publishers_info_by_topic(topic)
        if not offers:
            return  # no publisher yet
        try:
            text, message_class = definition(kind), endpoints.load(kind)
        except (DefinitionError, ImportError, AttributeError, ValueError):
            self._refused.add(topic)
            self._notify(f'{topic} is left out: its type {kind} is not installed here')
            return
        profiles = [offer.qos_profile for offer in offers]
        latched = all(each.durability is DurabilityPolicy.TRANSIENT_LOCAL for each in profiles)
        reliable = all(each.reliability is ReliabilityPolicy.RELIABLE for each in profiles)
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=QUEUE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        self.topics[topic] = kind
        if latched:
            self._latched[topic] = deque(maxlen=_depth(topic))
        self._channels[topic] = (kind, text, ''.join(map(qos_text, profiles)))
        self._file.add_channel(topic, *self._channels[topic])
        self._graph.node.create_subscription(
            message_class, topic, partial(self._received, topic, message_class), profile, raw=True
        )

    def _received(self, topic: str, message_class: Any, data: bytes) -> None:
        # Nothing is written here: a failure would break the executor, not the loop of the recording.
        if not self._show_tokens:
            data = concealed(data, message_class)
        self._waiting.append(RecordedMessage(topic, time.time_ns(), data))

    # --- files ------------------------------------------------------------------------------------------

    def turn(self, seconds: float) -> None:
        """Take what arrives for at most so long, and write it; raises CliError when that fails."""
        self._graph.spin(seconds)
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self.look()
        try:
            self._write()
            if now - self._flushed >= FLUSH_S:
                self._flushed = now
                self._file.flush()
            if self._max_bytes and self._file.size - self._head >= self._max_bytes:
                self._rotate()
        except OSError as error:
            self._file.abandon()
            raise CliError(
                f'{self._file.path} cannot be written any more ({error.strerror}); it holds what came until'
                f' {FLUSH_S:g} s before. Free some space, and record again.',
                ExitCode.REFUSED,
            ) from error

    def close(self) -> None:
        """Write the rest and the index."""
        try:
            self._write()
            self._file.close()
        except OSError as error:
            raise CliError(
                f'{self._file.path} cannot be completed: {error.strerror}; its last seconds are missing.',
                ExitCode.REFUSED,
            ) from error

    def _write(self) -> None:
        while self._waiting:
            message = self._waiting.popleft()
            self._file.write(message.topic, message.data, message.at)
            self.messages += 1
            if message.topic in self._latched:
                self._latched[message.topic].append(message.data)

    def _open(self) -> McapFile:
        number = len(self.paths) + 1
        path = self._base
        if number > 1:
            path = path.with_name(f'{path.stem}-{number}{path.suffix}')
        try:
            file = McapFile(path, {**self._about, 'part': str(number)})
        except FileExistsError:
            raise CliError(f'{path} exists already; give another name.', ExitCode.USAGE) from None
        except OSError as error:
            raise CliError(f'{path} cannot be written: {error.strerror}.', ExitCode.USAGE) from error
        except McapError as error:
            raise CliError(f'{error}', ExitCode.USAGE) from error
        self.paths.append(path)
        return file

    def _rotate(self) -> None:
        """Go on in a new file, which begins with the newest messages of the latched topics."""
        self._file.close()
        self._file = self._open()
        for topic, channel in self._channels.items():
            self._file.add_channel(topic, *channel)
        now = time.time_ns()
        for topic, kept in self._latched.items():
            for data in kept:
                self._file.write(topic, data, now)
        self._file.flush()
        self._head = self._file.size


def _depth(topic: str) -> int:
    """Return how many messages a latched topic keeps."""
    for known in (*endpoints.TOPICS, *endpoints.SITE_TOPICS, *endpoints.AUTHORIZATION_TOPICS):
        if topic.endswith(f'/{known.name}'):
            return known.qos.value.depth
    return 1
