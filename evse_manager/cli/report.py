"""``evse report``: everything that a report of a problem needs, in one file without secrets."""

import io
import json
import os
import platform
import re
import sys
import tarfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from evse_manager.cli.calls import call_service
from evse_manager.cli.errors import CliError, ExitCode
from evse_manager.cli.graph import Graph, absolute
from evse_manager.cli.json_output import emit, record
from evse_manager.cli.node_parameters import read_parameters
from evse_manager.cli.parser import FIND_S
from evse_manager.cli.version import versions
from evse_manager.interface import endpoints, tokens
from evse_manager.interface.types import EvseStatus, SessionEvent
from evse_manager.nodes.concealment import MASKS
from evse_manager.nodes.topics import subscribe

LISTEN_S = 2.0
"""How long status, events and diagnostics are listened for; all of them come within a second."""

SAVE_S = 20.0
"""How long a black box is waited for."""

BLACK_BOXES = 3
"""Newest black boxes of each connector that go into a report."""

LOG_BYTES = 512 * 1024
LOG_FILES = 40
"""Bytes from the end of a log file, and number of the newest log files, that go into a report."""

LOGGER = re.compile(r'\[[^\]]*\b(evse_manager|board_support|energy_manager|authorization|depot)\b[^\]]*\]')
"""Lines of a log that come from this package."""

VARIABLES = ('ROS_', 'RMW_', 'FASTRTPS_', 'FASTDDS_', 'CYCLONEDDS_', 'ZENOH_')
"""Beginnings of the environment variables that decide how nodes see each other."""

LIBRARIES = ('mcap', 'rich', 'pyserial', 'PyYAML', 'numpy')

SECRET_NAME = re.compile('token|password|secret|credential|certificate|private', re.IGNORECASE)
"""Names of parameters whose values are left out."""

REMOVED = '(removed)'

SHORTEST_SECRET = 4
"""A shorter token is part of any other text; it stands nowhere but in fields that are masked."""

ABOUT = """\
A report of evse_manager.

versions.json, environment.txt, graph.txt: what runs here. One folder for each connector: status, session
events, parameters of its nodes, its black boxes (evse replay FILE). diagnostics.jsonl: what /diagnostics
said. logs/: the ends of log files. missing.txt: what could not be had.

Tokens are masked or replaced, certificates are left out.
"""


class ReportArchive:
    """The parts of a report; tokens that it learns of are masked in all texts when it is written."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self._parts: dict[str, bytes] = {}
        self._secrets: set[str] = set()

    def secret(self, text: str) -> None:
        """Remember a token, to be masked wherever it stands."""
        if len(text) >= SHORTEST_SECRET:
            self._secrets.add(text)

    def add(self, name: str, text: str) -> None:
        """Add a text."""
        self._parts[name] = text.encode(errors='replace')

    def add_json(self, name: str, *values: Any) -> None:
        """Add values as JSON, one a line, their secrets masked."""
        plain = (self._masked(record(value)) for value in values)
        self.add(name, ''.join(f'{json.dumps(each, ensure_ascii=False)}\n' for each in plain))

    def add_file(self, name: str, path: Path) -> None:
        """Add a file as it is: a black box, in which there are no secrets."""
        self._parts[name] = path.read_bytes()

    def names(self) -> list[str]:
        """Return the names of the parts."""
        return list(self._parts)

    def write(self, path: Path) -> None:
        """Write the archive, for its owner alone; raises OSError."""
        self.add('missing.txt', ''.join(f'{line}\n' for line in self.missing))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        top = path.name.partition('.')[0]
        with os.fdopen(descriptor, 'wb') as stream, tarfile.open(fileobj=stream, mode='w:gz') as archive:
            for name, data in self._parts.items():
                clean = data if name.endswith('.mcap') else self._scrubbed(data)
                entry = tarfile.TarInfo(f'{top}/{name}')
                entry.size, entry.mtime, entry.mode = len(clean), int(time.time()), 0o600
                archive.addfile(entry, io.BytesIO(clean))

    def _masked(self, plain: Any) -> Any:
        if isinstance(plain, dict):
            return {key: self._mask(key, value) for key, value in plain.items()}
        return [self._masked(item) for item in plain] if isinstance(plain, list) else plain

    def _mask(self, key: str, value: Any) -> Any:
        mask = MASKS.get(key)
        if mask is None or not isinstance(value, str) or value == REMOVED:
            return self._masked(value)
        if key in TOKEN_FIELDS:
            self.secret(value)
        return mask(value) if value else value

    def _scrubbed(self, data: bytes) -> bytes:
        text = data.decode(errors='replace')
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = re.sub(re.escape(secret), lambda found: tokens.masked(found[0]), text, flags=re.IGNORECASE)
        return text.encode()


TOKEN_FIELDS = frozenset({'id_token', 'id_tag', 'parent_id_token'})


def run_report(given: Namespace, graph: Graph) -> ExitCode:
    """Gather what there is, and write it; what is missing is no failure but a line in the report."""
    path = given.output or Path(datetime.now(UTC).strftime('evse-report-%Y%m%dT%H%M%SZ.tar.gz'))
    limit_s = given.timeout or FIND_S
    if given.connector:
        graph.require(given.connector, limit_s)
    names = [given.connector] if given.connector else graph.discover(limit_s)
    report = ReportArchive()
    report.add('README.txt', ABOUT)
    add_versions(report, graph)
    if not names:
        report.missing.append(f'no connector was on the graph within {limit_s:g} s')
    add_topics(report, graph, names)
    for name in names:
        add_parameters(report, graph, name, limit_s)
        add_black_boxes(report, graph, name, limit_s)
    add_logs(report, given.hours)
    try:
        report.write(path)
    except FileExistsError:
        raise CliError(f'{path} exists already; give another name.', ExitCode.USAGE) from None
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise CliError(f'{path} cannot be written: {error.strerror}.', ExitCode.USAGE) from error
    print_summary(given, path, report, names)
    return ExitCode.OK


def print_summary(given: Namespace, path: Path, report: ReportArchive, names: list[str]) -> None:
    """Print what was written, and what is missing."""
    if given.json:
        emit({'file': str(path), 'connectors': names, 'parts': report.names(), 'missing': report.missing})
        return
    for line in report.missing:
        print(f'evse: missing in the report: {line}', file=sys.stderr)
    boxes = sum(name.endswith('.mcap') for name in report.names())
    size = f'{path.stat().st_size / 1024:.0f} kB'
    counted = f'connectors: {len(names)}, black boxes: {boxes}'
    print(f'{path} ({size}; {counted}); tokens and certificates are removed')


def add_versions(report: ReportArchive, graph: Graph) -> None:
    """Add versions, environment, and who is on the graph."""
    libraries: dict[str, str] = {}
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            libraries[library] = version(library)
    report.add_json(
        'versions.json',
        {'evse': versions(), 'python': sys.version, 'platform': platform.platform(), 'libraries': libraries},
    )
    chosen = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
    report.add('environment.txt', ''.join(f'{name}={value}\n' for name, value in sorted(chosen.items())))
    nodes = sorted(absolute(space, name) for name, space in graph.node.get_node_names_and_namespaces())
    topics = sorted(f'{name} {" ".join(types)}' for name, types in graph.node.get_topic_names_and_types())
    report.add('graph.txt', '\n'.join(['nodes:', *nodes, '', 'topics:', *topics, '']))


def add_topics(report: ReportArchive, graph: Graph, names: list[str]) -> None:
    """Add status and events of the connectors, and the diagnostics."""
    statuses: dict[str, EvseStatus] = {}
    events: dict[str, list[SessionEvent]] = {name: [] for name in names}
    heard: list[DiagnosticArray] = []
    for name in names:
        graph.listen(name, 'status', EvseStatus, partial(statuses.__setitem__, name))
        graph.listen(name, 'session_event', SessionEvent, events[name].append)
    subscribe(graph.node, endpoints.DIAGNOSTICS, heard.append)
    graph.wait_until(lambda: False, LISTEN_S)
    for name in names:
        if name in statuses:
            report.add_json(f'{part_of(name)}/status.json', statuses[name])
        else:
            report.missing.append(f'{name}: no status within {LISTEN_S:g} s')
        report.add_json(f'{part_of(name)}/events.jsonl', *events[name])
    report.add_json('diagnostics.jsonl', *map(diagnostics, heard))


def diagnostics(message: DiagnosticArray) -> dict[str, Any]:
    """Return a message of /diagnostics as plain data."""
    return {
        'stamp': f'{message.header.stamp.sec}.{message.header.stamp.nanosec:09}',
        'status': [
            {
                'level': each.level[0] if isinstance(each.level, bytes) else each.level,
                'name': each.name,
                'message': each.message,
                'hardware_id': each.hardware_id,
                'values': {pair.key: pair.value for pair in each.values},
            }
            for each in message.status
        ],
    }


def add_parameters(report: ReportArchive, graph: Graph, name: str, limit_s: float) -> None:
    """Add the parameters of the connector's nodes; what may be a secret is left out."""
    for party in (endpoints.Party.MANAGER, endpoints.Party.BOARD):
        node = absolute(name, party.value)
        values = read_parameters(graph, node, limit_s)
        if values is None:
            report.missing.append(f'{node}: its parameters can not be read (it offers no parameter services)')
            continue
        for key, value in values.items():
            if SECRET_NAME.search(key) and isinstance(value, str) and value:
                report.secret(value)
                values[key] = REMOVED
        report.add_json(f'{part_of(name)}/{party.value}.parameters.json', values)


def add_black_boxes(report: ReportArchive, graph: Graph, name: str, limit_s: float) -> None:
    """Let the manager write its last minutes, and add them and the newest files beside."""
    try:
        reply = call_service(graph, name, endpoints.SAVE_BLACK_BOX.name, {}, find_s=limit_s, answer_s=SAVE_S)
    except CliError as error:
        report.missing.append(f'{name}: {error}')
        return
    if not reply.success:
        report.missing.append(f'{name}: {reply.message}')
        return
    newest = Path(reply.message)
    if not newest.is_file():
        report.missing.append(f'{name}: its black box is on another machine: {newest}')
        return
    beside = sorted(newest.parent.glob(f'{newest.name.partition("-")[0]}-*.mcap'), reverse=True)
    for path in beside[:BLACK_BOXES]:
        with suppress(OSError):  # it may have given way to a newer one
            report.add_file(f'{part_of(name)}/{path.name}', path)


def add_logs(report: ReportArchive, hours: float) -> None:
    """Add the ends of the newest log files of this package's processes on this machine."""
    for path in log_files(time.time() - hours * 3600):
        try:
            with path.open('rb') as stream:
                stream.seek(max(0, path.stat().st_size - LOG_BYTES))
                text = stream.read().decode(errors='replace')
        except OSError as error:
            report.missing.append(f'{path}: {error.strerror}')
            continue
        if LOGGER.search(text):
            report.add(f'logs/{path.name}', text)


def log_files(since: float) -> Iterator[Path]:
    """Yield the newest log files, newest first."""
    home = Path(os.environ.get('ROS_HOME') or Path.home() / '.ros')
    folder = Path(os.environ.get('ROS_LOG_DIR') or home / 'log').expanduser()
    dated = []
    for path in folder.rglob('*.log'):
        with suppress(OSError):
            dated.append((path.stat().st_mtime, path))
    yield from (path for date, path in sorted(dated, reverse=True)[:LOG_FILES] if date >= since)


def part_of(namespace: str) -> str:
    """Return the folder of a connector in the report."""
    return namespace.strip('/').replace('/', '.') or 'root-namespace'
