"""
The black box of a connector: the last minutes of its manager in memory, written to a file at a fault.

Whatever goes wrong with it is a warning in the log and in ``/diagnostics``; it never stops or delays the
connector.
"""

import importlib.util
import random as random_module
import re
import time
import uuid as uuid_module
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.serialization import serialize_message

from evse_manager.charging import faults, inputs
from evse_manager.charging.kernel import Output
from evse_manager.interface import endpoints
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import EvseStatus
from evse_manager.lease.manager import BoardLeaseClient
from evse_manager.manager import ConnectorManager, ManagerCallbacks, Records
from evse_manager.nodes.conversions import ConversionError, to_message
from evse_manager.nodes.definitions import DefinitionError, definition, qos_text
from evse_manager.nodes.qos import profile
from evse_manager.nodes.runtime import NodeTime
from evse_manager.nodes.services import DeferredReply, create_service
from evse_manager.nodes.version import package_version
from evse_manager.recording.decoder import Turn
from evse_manager.recording.journal import Journal, JournaledManager
from evse_manager.recording.mcap_file import MISSING
from evse_manager.recording.saver import MEGABYTE, SAVER, Job, Message
from evse_manager.recording.secrets import Pseudonyms
from evse_manager.recording.window import Window
from evse_manager.store import location

AFTER_S = 3.0
"""A black box is written so long after its fault, to hold what followed."""

PAUSE_S = 60.0
"""Shortest time between two black boxes of a connector; faults in between share the next one."""

BOARD_LOST = faults.BOARD_LOST.code

SUBFOLDER = 'black_box'

PUBLISHED = ('limits', 'ev_info', 'car_manufacturer', 'hw_capabilities', 'enforced_limits', 'powermeter')
"""Values of an output that are published under their own names."""

PSEUDONYMS = Pseudonyms()
"""One key for the process: a token stands for the same one in all files that it writes."""

Done = Callable[[Path | None, str], None]
"""Gets the file, or None and why there is none; called in the executor's thread."""


class BlackBox:
    """Keeps and writes the last minutes of one manager."""

    def __init__(self, node: Node, config: Config, clock: NodeTime) -> None:
        """Begin with nothing."""
        self._node = node
        self._log = node.get_logger()
        self._config = config
        self._clock = clock
        self._namespace: str = node.get_namespace()
        self._folder = folder(config, self._namespace)
        self._why_not = 'black_box_folder is empty, or auto without a file of session records'
        if self._folder is not None and importlib.util.find_spec('mcap') is None:
            self._folder, self._why_not = None, MISSING
            self._log.info(f'There is no black box: {MISSING}.')
        self._window = Window(config.black_box_minutes)
        self._journal: Journal | None = None
        self._errors: frozenset[str] = frozenset()
        self._wanted = ''
        """The fault for which a black box is to be written."""
        self._due = 0.0
        self._written_at = -PAUSE_S
        self._problem = ''
        """Why the last black box was not written."""
        self._failure_reported = False
        self.writing = 0
        """Black boxes that are being written."""

    @property
    def warning(self) -> str:
        """Problem of the black box, for people; empty when there is none."""
        failure = self._journal.failure if self._journal is not None else ''
        if failure:
            return f'The black box ended with a failure, report it ({failure}); a new start begins another.'
        return self._problem

    @property
    def folder(self) -> str:
        """Where black boxes are written; empty for nowhere."""
        return '' if self._folder is None else str(self._folder)

    def manager(
        self,
        config: Config,
        lease: BoardLeaseClient,
        callbacks: ManagerCallbacks,
        records: Records,
        *,
        uuid: str,
    ) -> ConnectorManager:
        """Return a manager of the connector, with a journal when there is a black box."""
        if self._folder is None:
            return ConnectorManager(config, lease, callbacks, records, uuid=uuid)
        self._journal = Journal(self._window, PSEUDONYMS.hide)
        return JournaledManager(
            self._journal,
            config,
            lease,
            callbacks,
            records,
            uuid=uuid,
            new_uuid=lambda: str(uuid_module.uuid4()),
            random=random_module.random,
        )

    def observe(self, status: EvseStatus) -> None:
        """Look for new errors in a status, and write what is due."""
        if self._journal is not None and self._journal.failure and not self._failure_reported:
            self._failure_reported = True
            self._log.warning(self.warning)
        errors = frozenset(error.vendor_error.partition(':')[0] for error in status.active_errors)
        new, self._errors = errors - self._errors, errors
        if new:
            self.fault(min(new))
        if self._wanted and time.monotonic() >= self._due:
            self._write_wanted()

    def fault(self, reason: str) -> None:
        """Write the last minutes soon, because of a fault; ``reason`` is a word for the name of the file."""
        if self._folder is not None and not self._wanted:
            self._wanted = reason
            self._due = max(time.monotonic() + AFTER_S, self._written_at + PAUSE_S)

    def save(self, reason: str, done: Done) -> None:
        """Write the last minutes at once."""
        segments = self._window.copy()
        if self._folder is None or not segments:
            why = self._why_not if self._folder is None else 'nothing happened yet'
            done(None, f'there is no black box: {why}.')
            return
        self.writing += 1
        SAVER.submit(
            Job(
                folder=self._folder,
                name=location('auto', self._namespace).stem,  # type: ignore[union-attr]
                namespace=self._namespace,
                reason=re.sub(r'[^A-Za-z0-9]+', '_', reason)[:40],
                wall=self._clock.wall(),
                segments=segments,
                about={
                    'version': package_version(),
                    'connector': self._namespace,
                    'reason': reason,
                    'tokens': 'replaced',
                },
                files_max=self._config.black_box_files_max,
                bytes_max=self._config.black_box_size_max_mb * MEGABYTE,
                messages=messages,
                done=partial(self._hand_over, done),
            )
        )

    def offer(self, silent: Callable[[], bool]) -> None:
        """Offer the service that writes the last minutes; while ``silent`` another manager answers."""
        service = endpoints.SAVE_BLACK_BOX

        def asked(_request: Any, reply: DeferredReply) -> None:
            def written(path: Path | None, why: str) -> None:
                reply.response.success = path is not None
                reply.response.message = str(path or f'{service.name} refused: {why}')
                reply.give()

            if not silent():
                self.save('asked', written)

        create_service(self._node, service, asked)

    def finish(self, limit_s: float) -> None:
        """
        Write what is wanted, and wait for what is being written for at most so long.

        A board that is lost just before the end was ended together with the manager.
        """
        if self._wanted and self._wanted != BOARD_LOST:
            self._write_wanted()
        end = time.monotonic() + limit_s
        while self.writing and time.monotonic() < end:
            time.sleep(0.01)

    def _write_wanted(self) -> None:
        reason, self._wanted = self._wanted, ''
        self._written_at = time.monotonic()
        self.save(reason, self._log_result)

    def _log_result(self, path: Path | None, why: str) -> None:
        if path is None:
            self._log.warning(f'After a fault {why}')
        else:
            self._log.info(f'The last minutes before the fault are in {path}.')

    def _hand_over(self, done: Done, path: Path | None, why: str) -> None:
        """Call ``done`` in the executor's thread."""
        self.writing -= 1
        self._problem = f'{why[:1].upper()}{why[1:]}'
        executor = self._node.executor
        if executor is not None:
            executor.create_task(done, path, why)


def folder(config: Config, namespace: str) -> Path | None:
    """Return where the black boxes of a connector are written; None for nowhere."""
    if config.black_box_folder == 'auto':
        store = location(config.session_store, namespace)
        return store.parent / SUBFOLDER if store is not None else None
    return Path(config.black_box_folder).expanduser().absolute() if config.black_box_folder else None


def messages(turn: Turn) -> Iterator[Message]:
    """Yield the messages of ROS 2 that a turn stands for."""
    for name, value in _values(turn):
        topic = endpoints.topic(name)
        try:
            data = serialize_message(to_message(value))
            yield Message(name, topic.type, definition(topic.type), qos_text(profile(topic.qos)), data)
        except (ConversionError, DefinitionError):
            continue  # its line is in the journal


def _values(turn: Turn) -> Iterator[tuple[str, Any]]:
    if turn.do == 'observe':
        yield 'board/state', turn.arguments['state']
    match turn.arguments.get('event'):
        case inputs.MeterSampled(sample):
            yield 'board/powermeter', sample
        case inputs.TelemetrySampled(telemetry):
            yield 'board/telemetry', telemetry
        case inputs.CapabilitiesReceived(capabilities):
            yield 'board/hw_capabilities', capabilities
        case inputs.BoardCapabilitiesReceived(board_capabilities):
            yield 'board/capabilities', board_capabilities
        case inputs.LimitsEnforced(limits):
            yield 'energy/limits', limits
        case inputs.EvInfoReceived(info):
            yield 'hlc/ev_info', info
        case _:
            pass  # what is no message on a topic stands in the journal
    for what, value, _flags in turn.gave:
        match what:
            case 'command':
                yield 'board/command', value
            case 'status':
                yield 'status', value
            case _:
                yield from _outputs(value)


def _outputs(output: Output) -> Iterator[tuple[str, Any]]:
    for event in output.events:
        yield 'session_event', event
    for name in PUBLISHED:
        value = getattr(output, name)
        if value is not None:
            yield name, value
