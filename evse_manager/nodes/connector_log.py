"""
Log lines of a connector: each transition once, in one line with connector, session and stable code.

A line begins with ``connector=1 session=UUID`` and a code that can be searched for: the name of the session
event, the code of a fault (``docs/faults.md``), ``Link``, ``LimitSource``, ``Warning``, or the name of a
refused command.  Nothing is logged periodically.
"""

from collections.abc import Iterator
from enum import Enum, auto
from typing import assert_never

from rclpy.impl.rcutils_logger import RcutilsLogger

from evse_manager.interface.enums import LimitSource, LinkState, SessionEventEnum
from evse_manager.interface.text import printable
from evse_manager.interface.tokens import masked
from evse_manager.interface.types import EvseStatus, SessionEvent


class LogSeverity(Enum):
    """Severity of a line: INFO normal operation, WARNING to be looked at, ERROR to be repaired."""

    INFO = auto()
    WARNING = auto()
    ERROR = auto()


Line = tuple[LogSeverity, str]

_SEVERITIES = {
    SessionEventEnum.ERROR: LogSeverity.ERROR,
    SessionEventEnum.PERMANENT_FAULT: LogSeverity.ERROR,
}
_LINKS = {
    LinkState.UP: (LogSeverity.INFO, 'the board answers.'),
    LinkState.CONNECTING: (LogSeverity.WARNING, 'the board is being connected.'),
    LinkState.LOST: (LogSeverity.WARNING, 'the board does not answer.'),
}


class ConnectorLog:
    """Makes the lines of one connector from what its manager publishes."""

    def __init__(self, connector_id: int) -> None:
        """Begin with nothing known: the first link and limit are not news."""
        self._connector_id = connector_id
        self._session = ''
        self._link = LinkState.UNSPECIFIED
        self._limit_source = LimitSource.UNSPECIFIED
        self._warnings: frozenset[str] = frozenset()
        self._stands_by = False

    def event(self, event: SessionEvent) -> Line:
        """Return the line of a session event."""
        name = _camel(event.event.name)
        details = ''
        match event:
            case SessionEvent(error=error) if error is not None:
                name, _, details = error.vendor_error.partition(': ')
                details = f'{_camel(error.error_code.name)}: {details}'
            case SessionEvent(session_started=started) if started is not None:
                details = f'reason={_camel(started.reason.name)}'
            case SessionEvent(transaction_started=started) if started is not None:
                details = f'token={masked(started.id_tag.id_token)}'
            case SessionEvent(transaction_finished=finished) if finished is not None:
                energy = '' if finished.energy_wh is None else f' energy_wh={finished.energy_wh:.0f}'
                details = f'reason={_camel(finished.reason.name)}{energy}'
        severity = _SEVERITIES.get(event.event, LogSeverity.INFO)
        return severity, self._line(event.uuid, name, details)

    def status(self, status: EvseStatus) -> Iterator[Line]:
        """Yield a line for each change of link, limit source and warnings."""
        self._session = status.session_uuid
        if status.link_state is not self._link:
            known = self._link is not LinkState.UNSPECIFIED or status.link_state is not LinkState.UNSPECIFIED
            self._link = status.link_state
            if known and status.link_state in _LINKS:
                severity, text = _LINKS[status.link_state]
                yield severity, self._line(self._session, 'Link', text)
        if status.link_state is LinkState.UP and status.limit_source is not self._limit_source:
            self._limit_source = status.limit_source
            if status.limit_source is not LimitSource.UNSPECIFIED:
                text = f'{_camel(status.limit_source.name)} sets the limit of {status.limit_a:.1f} A.'
                yield LogSeverity.INFO, self._line(self._session, 'LimitSource', text)
        warnings = frozenset(status.warnings)
        for warning in sorted(warnings - self._warnings):
            yield LogSeverity.WARNING, self._line(self._session, 'Warning', warning)
        for warning in sorted(self._warnings - warnings):
            yield LogSeverity.INFO, self._line(self._session, 'WarningEnded', warning)
        self._warnings = warnings

    def refused(self, command: str, why: str) -> Line:
        """Return the line of a refused command."""
        return LogSeverity.WARNING, self._line(self._session, f'{command} refused', why)

    def in_command(self, in_command: bool) -> Iterator[Line]:
        """Yield a line when another manager has taken the command."""
        if not in_command and not self._stands_by:
            text = (
                'another manager is in command in this namespace; stop one of the two, or give each its own.'
            )
            yield LogSeverity.WARNING, self._line('', 'StandsBy', text)
        self._stands_by = not in_command

    def _line(self, session: str, code: str, text: str) -> str:
        session = f' session={session}' if session else ''
        return printable(f'connector={self._connector_id}{session} {code} {text}'.rstrip())


def write(log: RcutilsLogger, line: Line) -> None:
    """Write a line to the log of a node."""
    severity, text = line
    match severity:
        case LogSeverity.INFO:
            log.info(text)
        case LogSeverity.WARNING:
            log.warning(text)
        case LogSeverity.ERROR:
            log.error(text)
        case _:
            assert_never(severity)


def _camel(name: str) -> str:
    return ''.join(part.capitalize() for part in name.split('_'))
