"""The requests of ``records/list`` and ``records/get``, and what answers them; no ROS."""

from dataclasses import dataclass

from evse_manager.interface.enums import StopTransactionReason
from evse_manager.interface.types import SessionRecord, Time

PAGE_SIZE = 50
"""Sessions in one answer, unless the request has a number."""

PAGE_SIZE_MAX = 100
"""Most sessions in one answer."""

EVERY_CONNECTOR = '*'
"""In place of a connector: all that the file has."""


@dataclass(frozen=True, slots=True)
class ListRecords:
    """Which sessions are asked for; the fields are those of ``ListRecords.srv``."""

    since: Time | None = None
    until: Time | None = None
    connector: str = ''
    token: str = ''
    stop_reason: StopTransactionReason = StopTransactionReason.UNSPECIFIED
    page_size: int = 0
    page: str = ''
    show_tokens: bool = False
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class GetRecord:
    """Which session is asked for; the fields are those of ``GetRecord.srv``."""

    uuid: str = ''
    page: str = ''
    show_tokens: bool = False


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One page of an answer; ``next_page`` is empty on the last."""

    records: tuple[SessionRecord, ...] = ()
    next_page: str = ''
