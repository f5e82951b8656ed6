"""What ``/diagnostics`` says of a connector (REP 107)."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from evse_manager.charging.enums import Availability
from evse_manager.charging.types import EvseStatus

from .conversions import time_to_message

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
    level, sentence = digest(status)
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
    array = DiagnosticArray()
    array.header.stamp = time_to_message(status.stamp)
    array.status = [
        DiagnosticStatus(
            level=level,
            name=f'{name}: connector {status.connector_id}',
            message=sentence,
            hardware_id=status.evse_id,
            values=[KeyValue(key=key, value=value) for key, value in facts.items()],
        )
    ]
    return array
