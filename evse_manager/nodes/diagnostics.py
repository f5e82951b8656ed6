"""What ``/diagnostics`` says of a connector and of its board (REP 107)."""

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from evse_manager.board.driver import PORT, PROBLEM
from evse_manager.interface.enums import Availability, LinkState
from evse_manager.interface.types import EvseStatus, Time
from evse_manager.nodes.conversions import time_to_message

Digest = tuple[bytes, str]
"""Level and sentence: what a person sees first, and what is worth a message of its own when it changes."""


def digest(status: EvseStatus) -> Digest:
    """Return the level (error, warning, OK) and the sentence of a connector."""
    if status.active_errors:
        return DiagnosticStatus.ERROR, '; '.join(error.vendor_error for error in status.active_errors)
    if status.availability is Availability.FAULTED:
        return DiagnosticStatus.ERROR, status.reason_text
    if status.warnings:
        return DiagnosticStatus.WARN, '; '.join(status.warnings)
    return DiagnosticStatus.OK, status.reason_text


def diagnostics(name: str, status: EvseStatus) -> DiagnosticArray:
    """Return the message; ``name`` is the fully qualified name of the node."""
    facts = {
        'state': status.state.name,
        'reason': status.reason.name,
        'availability': status.availability.name,
        'session': status.session_uuid,
        'signalled current [A]': f'{status.signalled_current_a:.1f}',
        'limit [A]': f'{status.limit_a:.1f}',
        'power [W]': '' if status.power_w is None else f'{status.power_w:.0f}',
        'contactor': status.contactor.name,
        'lock': status.lock.name,
        'control pilot': status.cp_state.name,
        'link to the board': status.link_state.name,
        'contactor cycles': str(status.contactor_cycles),
        'openings under load': str(status.openings_under_load),
    }
    title = f'{name}: connector {status.connector_id}'
    return _array(title, status.evse_id, digest(status), facts, status.stamp)


def board_diagnostics(
    name: str, driver: str, link: LinkState, facts: Mapping[str, str], stamp: Time
) -> DiagnosticArray:
    """Return what a board's driver tells; ``name`` is the fully qualified name of the node."""
    problem = facts.get(PROBLEM, '')
    level, sentence = _LINKS.get(link, _LINKS[LinkState.LOST])
    if problem and link is LinkState.UP:
        level = DiagnosticStatus.WARN
    hardware = f'{driver} {facts.get(PORT, "")}'.strip()
    return _array(f'{name}: {driver}', hardware, (level, problem or sentence), facts, stamp)


_LINKS: dict[LinkState, Digest] = {
    LinkState.UP: (DiagnosticStatus.OK, 'The board answers.'),
    LinkState.CONNECTING: (DiagnosticStatus.WARN, 'The board is being connected.'),
    LinkState.LOST: (DiagnosticStatus.ERROR, 'The board does not answer.'),
}


def _array(
    name: str, hardware: str, digest: Digest, facts: Mapping[str, str], stamp: Time | None
) -> DiagnosticArray:
    level, message = digest
    array = DiagnosticArray()
    array.header.stamp = time_to_message(stamp)
    values = [KeyValue(key=key, value=value) for key, value in facts.items()]
    array.status = [
        DiagnosticStatus(level=level, name=name, message=message, hardware_id=hardware, values=values)
    ]
    return array
