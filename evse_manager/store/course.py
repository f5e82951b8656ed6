"""
The course of a session: which changes of the status are worth a point, and many points in few bytes.

The meter is recorded every 30 s of a transaction.  Beside it a point is kept when something discrete changes
(pilot state, contactor, reason, whose limit binds), and when a current changes by ``STEP_A`` or the power by
``POWER_STEP`` or more, at most every ``EVERY_S``: an energy manager may change a limit every second.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

from evse_manager.interface.enums import ContactorState, ControlPilotState, LimitSource, StatusReason
from evse_manager.interface.types import EvseStatus, SessionRecordSample, Time
from evse_manager.store.codec import DecodeError

STEP_A = 0.5
"""Smallest change of a current that is worth a point, in amperes."""

POWER_STEP, POWER_STEP_W = 0.1, 200.0
"""Smallest change of the power that is worth a point: as a share of it, and in watts."""

EVERY_S = 10.0
"""Shortest time between two points for the sake of currents and power alone, in seconds."""

NAMES = tuple(field.name for field in fields(SessionRecordSample))
ENUMERATIONS = {
    'limit_source': LimitSource,
    'cp_state': ControlPilotState,
    'contactor': ContactorState,
    'reason': StatusReason,
}
DISCRETE = ('limit_source', 'limit_node', 'cp_state', 'contactor', 'reason', 'phases')
CURRENTS = ('signalled_current_a', 'limit_a')

LARGEST = 64_000_000
"""More is no packed course of ours, in bytes."""


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """A point in the course of a session."""

    session_uuid: str
    sample: SessionRecordSample


class CourseRecorder:
    """Decides for one connector which changes of its status are worth a point."""

    def __init__(self) -> None:
        self._last: CoursePoint | None = None

    def point(self, status: EvseStatus, now: Time) -> CoursePoint | None:
        """Return the point for a status, or None when the last one still says enough."""
        if not status.session_uuid:
            self._last = None
            return None
        sample = SessionRecordSample(
            stamp=now,
            power_w=status.power_w,
            signalled_current_a=status.signalled_current_a,
            phases=status.phases,
            limit_a=status.limit_a,
            limit_source=status.limit_source,
            limit_node=status.limit_node,
            cp_state=status.cp_state,
            contactor=status.contactor,
            reason=status.reason,
        )
        last = self._last
        if last is not None and last.session_uuid == status.session_uuid and not _news(last.sample, sample):
            return None
        self._last = CoursePoint(status.session_uuid, sample)
        return self._last


def _news(last: SessionRecordSample, sample: SessionRecordSample) -> bool:
    if any(getattr(last, name) != getattr(sample, name) for name in DISCRETE):
        return True
    if any(bool(getattr(last, name)) != bool(getattr(sample, name)) for name in CURRENTS):
        return True
    stepped = any(
        abs((getattr(last, name) or 0.0) - (getattr(sample, name) or 0.0)) >= STEP_A for name in CURRENTS
    )
    if last.power_w is not None and sample.power_w is not None:
        change = abs(last.power_w - sample.power_w)
        stepped |= change >= max(POWER_STEP_W, POWER_STEP * max(abs(last.power_w), abs(sample.power_w)))
    return stepped and not 0 <= (sample.stamp or 0) - (last.stamp or 0) < EVERY_S * 1e9


def pack(samples: Sequence[SessionRecordSample]) -> bytes:
    """Return samples as compressed columns: about a tenth of what rows take."""
    columns: dict[str, list[object]] = {}
    for name in NAMES:
        column = [getattr(sample, name) for sample in samples]
        if name == 'stamp':
            times = [stamp or 0 for stamp in column]
            column = [after - before for before, after in zip([0, *times], times, strict=False)]
        elif name in ENUMERATIONS:
            column = [member.name for member in column]
        columns[name] = column
    return zlib.compress(json.dumps(columns, separators=(',', ':')).encode(), 6)


def unpack(packed: bytes) -> tuple[SessionRecordSample, ...]:
    """Return what ``pack`` was given; raises DecodeError for anything else."""
    try:
        unzip = zlib.decompressobj()
        text = unzip.decompress(packed, LARGEST)
        if not unzip.eof:
            raise DecodeError('a course is damaged: it has no end.')
        columns = json.loads(text)
        times: list[int | None] = []
        moment = 0
        for step in columns.pop('stamp'):
            moment += step
            times.append(moment or None)
        for name, members in ENUMERATIONS.items():
            columns[name] = [members[member] for member in columns[name]]
        known = [name for name in NAMES if name in columns]  # a later version may know more
        return tuple(
            SessionRecordSample(
                stamp=None if stamp is None else Time(stamp), **dict(zip(known, row, strict=True))
            )
            for stamp, row in zip(times, zip(*(columns[name] for name in known), strict=True), strict=True)
        )
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DecodeError(f'a course is damaged: {error}') from error
