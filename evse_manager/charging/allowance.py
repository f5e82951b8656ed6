"""
The current and phases that the connector may draw now, and the source of the limit (docs/charging.md).

Every source gives an upper bound for current and phases; the minimum counts, whatever the order of arrival.
"""

import math
from dataclasses import dataclass, replace

from evse_manager.interface import pilot
from evse_manager.interface.enums import LimitSource, StatusReason
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    SECOND_NS,
    EnforcedLimits,
    ExternalLimits,
    HardwareCapabilities,
    LimitsReq,
    LimitsRes,
    ScheduleReqEntry,
    Time,
)


@dataclass(frozen=True, slots=True)
class Bound:
    """An upper bound of one source: amperes per phase, watts over all phases, phases."""

    source: LimitSource
    current_a: float = math.inf
    power_w: float = math.inf
    phases: int = 3
    node: str = ''
    """The node of the site's tree whose limit it is; empty = unknown."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The outcome: the limit, what is signalled of it (0 = no energy), phases, and why."""

    limit_a: float
    signalled_a: float
    phases: int
    source: LimitSource
    reason: StatusReason
    node: str = ''


def usable(capabilities: HardwareCapabilities, config: Config) -> HardwareCapabilities:
    """Return what the hardware can carry, reduced by what the installation's parameters allow."""
    phases = capabilities.max_phase_count_import
    if not config.three_phases and capabilities.min_phase_count_import <= 1:
        phases = min(1, phases)
    return replace(
        capabilities,
        max_current_a_import=min(capabilities.max_current_a_import, config.max_current_import_a),
        max_current_a_export=min(capabilities.max_current_a_export, config.max_current_export_a),
        max_phase_count_import=phases,
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """
    An energy manager's limit: it lasts ``life_s`` seconds from ``begins``, on the steady clock.

    ``limits`` is the message that granted it, ``received`` when it came.
    """

    bound: Bound
    received: float
    begins: float
    life_s: float
    limits: EnforcedLimits

    def ends(self, max_age_s: float) -> float:
        """Return when the grant ends on the steady clock; it never lasts longer than ``max_age_s``."""
        return self.begins + min(self.life_s, max_age_s)


def grant(limits: EnforcedLimits, steady: float, wall: Time) -> Grant:
    """
    Return the grant of a message that was received at ``steady`` and ``wall``.

    Its life is what the sender meant (``valid_until`` - ``stamp``); a message without both times, or without
    any number, grants nothing.  The life begins with the request that the message answers, so that a delayed
    message grants no more time than one that came at once.
    """
    life = 0.0
    age = 0.0 if limits.request_stamp is None else max(0.0, (wall - limits.request_stamp) / SECOND_NS)
    if limits.valid_until is not None and limits.stamp is not None:
        life = (limits.valid_until - limits.stamp) / SECOND_NS
    granted = limits.limits_root_side or LimitsRes()
    current, power = granted.ac_max_current_a, granted.total_power_w
    if current is None and power is None:
        current = 0.0
    bound = Bound(
        LimitSource.ENERGY_MANAGER,
        math.inf if current is None else max(0.0, current),
        math.inf if power is None else max(0.0, power),
        granted.ac_max_phase_count or 3,
        limits.binding_node,
    )
    return Grant(bound, steady, steady - age, max(0.0, life), limits)


def outdated(new: Grant, before: Grant | None, steady: float, max_age_s: float) -> bool:
    """
    Return whether a grant must be ignored because a newer one has been taken before it.

    Messages may be late or pass each other: a grant that has ended on its way is ignored, and so is an older
    grant of the same energy manager.  An older one of another energy manager is ignored for as long as it
    could have been on its way when the newer one was made.
    """
    mine, theirs = new.limits, before.limits if before is not None else None
    if mine.request_stamp is not None and new.ends(max_age_s) <= steady:
        return True
    if before is None or theirs is None or not mine.manager_id or not theirs.manager_id:
        return False
    if (mine.stamp or 0) >= (theirs.stamp or 0):
        return False
    return mine.manager_id == theirs.manager_id or steady < before.received + max_age_s


def external_bound(limits: ExternalLimits, wall: Time) -> tuple[Bound, Time | None]:
    """Return what the operator's schedule allows now, and when it changes next (UTC)."""
    entry, change = _active_entry(limits.schedule_import, wall)
    if entry is None:
        return Bound(LimitSource.EXTERNAL), None
    root, leaves = entry.limits_to_root, entry.limits_to_leaves
    efficiency = entry.conversion_efficiency
    current = min(_number(root.ac_max_current_a) * efficiency, _number(leaves.ac_max_current_a))
    power = min(_number(root.total_power_w) * efficiency, _number(leaves.total_power_w))
    phases = min(root.ac_max_phase_count or 3, leaves.ac_max_phase_count or 3)
    least = max(root.ac_min_current_a or 0.0, leaves.ac_min_current_a or 0.0)
    if current < least:
        current = 0.0
    return Bound(LimitSource.EXTERNAL, current, power, phases), change


def combine(
    bounds: list[Bound],
    *,
    voltage_v: float,
    connectable: tuple[int, ...],
    wanted_phases: int,
    hardware_minimum_a: float,
) -> Allowance:
    """
    Return the allowance that all bounds leave.

    ``connectable`` are the phase counts that the contactor can connect, ``wanted_phases`` the count that is
    asked for; power limits count through the voltage and the phases that are connected.
    """
    allowed = min(bound.phases for bound in bounds)
    fitting = [count for count in connectable if count <= min(allowed, wanted_phases)]
    phases = max(fitting, default=min(connectable))
    limit, source, node = math.inf, LimitSource.UNSPECIFIED, ''
    for bound in bounds:
        current = min(bound.current_a, bound.power_w / (voltage_v * phases))
        if current < limit:
            limit, source, node = current, bound.source, bound.node
    if phases > allowed:
        narrow = min(bounds, key=lambda bound: bound.phases)
        return Allowance(0.0, 0.0, phases, narrow.source, StatusReason.TOO_FEW_PHASES, narrow.node)
    signalled = pilot.signalled(limit, hardware_minimum_a)
    reason = StatusReason.CHARGING if signalled else StatusReason.NO_ENERGY
    return Allowance(limit, signalled, phases, source, reason, node)


def reject_reason(limits: ExternalLimits) -> str:
    """Return why external limits are refused as a whole; empty when they are not."""
    for name, schedule in (
        ('schedule_import', limits.schedule_import),
        ('schedule_export', limits.schedule_export),
    ):
        previous = -1
        for index, entry in enumerate(schedule):
            place = f'{name}[{index}]'
            time = entry.timestamp or 0
            if time <= previous:
                return f'{place}.timestamp is not later than the one before; sort the entries by time.'
            previous = time
            if not (math.isfinite(entry.conversion_efficiency) and 0.0 < entry.conversion_efficiency <= 1.0):
                return (
                    f'{place}.conversion_efficiency is {entry.conversion_efficiency}, but must lie in 0 to 1.'
                )
            sides = (('limits_to_root', entry.limits_to_root), ('limits_to_leaves', entry.limits_to_leaves))
            for side, values in sides:
                text = _side_objection(values)
                if text:
                    return f'{place}.{side}.{text}'
            if not any(_limits_something(values) for _, values in sides):
                return f'{place} limits nothing; give ac_max_current_a, total_power_w or ac_max_phase_count.'
    return ''


def _side_objection(values: LimitsReq) -> str:
    """Return what is wrong with one side of an entry."""
    for name in ('total_power_w', 'ac_max_current_a', 'ac_min_current_a'):
        number = getattr(values, name)
        if number is None:
            continue
        if not math.isfinite(number) or number < 0.0:
            return f'{name} is {number}, but must be a number of 0 or more.'
        if name != 'total_power_w' and number > pilot.MAXIMUM_CURRENT_A:
            return f'{name} is {number} A, but at most {pilot.MAXIMUM_CURRENT_A:.0f} A can be signalled.'
    for name in ('ac_max_phase_count', 'ac_min_phase_count'):
        count = getattr(values, name)
        if not 0 <= count <= 3:
            return f'{name} is {count}, but must lie in 1 to 3 (0 = not given).'
    return ''


def _limits_something(values: LimitsReq) -> bool:
    return (
        values.total_power_w is not None
        or values.ac_max_current_a is not None
        or values.ac_max_phase_count > 0
    )


def _number(value: float | None) -> float:
    return math.inf if value is None else value


def _active_entry(
    schedule: tuple[ScheduleReqEntry, ...], wall: Time
) -> tuple[ScheduleReqEntry | None, Time | None]:
    """Return the entry in force and the time of the next; the first holds already before its time."""
    active = schedule[0] if schedule else None
    for entry in schedule[1:]:
        if (entry.timestamp or 0) > wall:
            return active, entry.timestamp
        active = entry
    return active, None
