"""
Whether the energy of all sessions is what the meter has counted.

Registers are compared from the first transaction to the last: what the meter counted in between and no
session has is named, session by session.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from evse_manager.interface.types import SessionRecord

TOLERANCE_WH = 1.0
"""Largest difference between two values of one register that are the same: its resolution, in Wh."""


class Verdict(Enum):
    """Result of the comparison."""

    AGREES = auto()
    """The sum of the sessions is the difference of the registers."""
    DIFFERS = auto()
    """It is not."""
    UNKNOWN = auto()
    """There is no transaction with a register at its start and its stop."""


class DifferenceKind(Enum):
    """Kind of a difference at one place."""

    BETWEEN = auto()
    """The meter counted between two transactions: one is missing, or something else uses the meter."""
    BACKWARDS = auto()
    """The register went back: the meter was reset or replaced."""
    WITHIN = auto()
    """The energy of a session is not the difference of its registers."""
    NO_REGISTER = auto()
    """A session has no register at its start or stop; the sums leave it out."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where sum and registers differ: energy in Wh that no session has (negative: too much)."""

    kind: DifferenceKind
    uuid: str
    """The session; with BETWEEN and BACKWARDS the later one."""
    before: str = ''
    """The session before it."""
    energy_wh: float | None = None
    marked: bool = False
    """Whether the record says so itself: its energy is a lower bound, or integrated from power."""


@dataclass(frozen=True, slots=True)
class MeterVerification:
    """One meter of one connector."""

    connector: str
    meter_id: str
    verdict: Verdict
    transactions: int = 0
    sessions_wh: float = 0.0
    first_wh: float | None = None
    last_wh: float | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def registers_wh(self) -> float:
        """The difference of the registers."""
        return (self.last_wh or 0.0) - (self.first_wh or 0.0)

    @property
    def difference_wh(self) -> float:
        """Energy that the meter counted and no session has."""
        return self.registers_wh - self.sessions_wh


def verify(records: Iterable[SessionRecord]) -> list[MeterVerification]:
    """Compare the finished transactions of each connector and meter with the meter's register."""
    groups: dict[tuple[str, str], list[SessionRecord]] = defaultdict(list)
    for record in records:
        if record.transaction_started is not None and record.transaction_finished is not None:
            groups[record.connector, record.meter_id].append(record)
    return [
        _verify(connector, meter, sorted(group, key=lambda each: (each.transaction_started or 0, each.uuid)))
        for (connector, meter), group in sorted(groups.items())
    ]


def _verify(connector: str, meter: str, records: Sequence[SessionRecord]) -> MeterVerification:
    findings: list[Finding] = []
    counted: list[SessionRecord] = []
    energy = 0.0
    for record in records:
        start, stop = record.meter_start_wh, record.meter_stop_wh
        if start is None or stop is None:
            findings.append(
                Finding(DifferenceKind.NO_REGISTER, record.uuid, energy_wh=record.energy_wh, marked=True)
            )
            continue
        if counted:
            step = start - (counted[-1].meter_stop_wh or 0.0)
            if step < -TOLERANCE_WH:
                findings.append(Finding(DifferenceKind.BACKWARDS, record.uuid, counted[-1].uuid, step))
            elif step > TOLERANCE_WH:
                findings.append(Finding(DifferenceKind.BETWEEN, record.uuid, counted[-1].uuid, step))
        rest = stop - start - (record.energy_wh or 0.0)
        if record.energy_wh is None or abs(rest) > TOLERANCE_WH:
            marked = record.energy_is_lower_bound or record.energy_is_integrated
            findings.append(Finding(DifferenceKind.WITHIN, record.uuid, energy_wh=rest, marked=marked))
        counted.append(record)
        energy += record.energy_wh or 0.0
    if not counted:
        return MeterVerification(connector, meter, Verdict.UNKNOWN, findings=tuple(findings))
    first, last = counted[0].meter_start_wh or 0.0, counted[-1].meter_stop_wh or 0.0
    agrees = abs(last - first - energy) <= TOLERANCE_WH * len(counted) and all(
        finding.kind is DifferenceKind.NO_REGISTER for finding in findings
    )
    return MeterVerification(
        connector,
        meter,
        Verdict.AGREES if agrees and not findings else Verdict.DIFFERS,
        len(counted),
        energy,
        first,
        last,
        tuple(findings),
    )
