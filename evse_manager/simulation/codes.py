"""Session events in short codes, as the golden sequences of the documentation write them."""

from evse_manager.interface.enums import SessionEventEnum, StartSessionReason
from evse_manager.interface.types import SessionEvent

CODES = {
    SessionEventEnum.SESSION_STARTED: 'SS',
    SessionEventEnum.AUTH_REQUIRED: 'AR',
    SessionEventEnum.TRANSACTION_STARTED: 'TS',
    SessionEventEnum.PREPARE_CHARGING: 'PC',
    SessionEventEnum.CHARGING_STARTED: 'CS',
    SessionEventEnum.CHARGING_PAUSED_EV: 'PEV',
    SessionEventEnum.CHARGING_PAUSED_EVSE: 'PEVSE',
    SessionEventEnum.WAITING_FOR_ENERGY: 'WE',
    SessionEventEnum.CHARGING_RESUMED: 'CR',
    SessionEventEnum.STOPPING_CHARGING: 'SC',
    SessionEventEnum.CHARGING_FINISHED: 'CF',
    SessionEventEnum.TRANSACTION_FINISHED: 'TF',
    SessionEventEnum.SESSION_FINISHED: 'SF',
}
"""The events of a session; the others are written out, as ``AllErrorsCleared``."""


def short(kind: SessionEventEnum) -> str:
    """Return the code of a kind of event."""
    return CODES.get(kind, _words(kind.name))


def code(event: SessionEvent, *, details: bool = False) -> str:
    """Return an event's code; ``details`` adds reason, error or reservation, as ``TF(Remote)``."""
    text = short(event.event)
    if not details:
        return text
    detail = ''
    if event.session_started is not None:
        detail = _START_REASONS.get(event.session_started.reason, '')
    elif event.transaction_finished is not None:
        detail = _words(event.transaction_finished.reason.name)
    elif event.error is not None:
        detail = _words(event.error.error_code.name)
    elif event.transaction_started is not None and event.transaction_started.reservation_id is not None:
        detail = str(event.transaction_started.reservation_id)
    return f'{text}({detail})' if detail else text


_START_REASONS = {StartSessionReason.EV_CONNECTED: 'EVConnected', StartSessionReason.AUTHORIZED: 'Authorized'}
_ABBREVIATIONS = {'Ev': 'EV', 'Rcd': 'RCD', 'Hlc': 'HLC', 'Soc': 'SOC'}


def _words(name: str) -> str:
    """Return ``EV_DISCONNECTED`` as ``EVDisconnected``, as the original interface spells it."""
    parts = (part.capitalize() for part in name.split('_'))
    return ''.join(_ABBREVIATIONS.get(part, part) for part in parts)
