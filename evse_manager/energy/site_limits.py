"""Run-time limits as messages: what is asked for, and what is in force."""

import math

from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.interface.types import LimitsReq, ScheduleReqEntry, SiteLimit, Time


def read_site_limit(asked: SiteLimit) -> RunTimeLimit:
    """Return the limit that is asked for, without steps when it is to be cleared; raises ValueError."""
    single = asked.limit_a is not None or asked.limit_w is not None
    if single and asked.schedule:
        raise ValueError('refused: give either limit_a and limit_w or a schedule.')
    steps: tuple[LimitStep, ...] = ()
    if single:
        steps = (LimitStep(limit_a=_or_infinite(asked.limit_a), limit_w=_or_infinite(asked.limit_w)),)
    elif asked.schedule:
        steps = tuple(_step(entry) for entry in asked.schedule)
    return RunTimeLimit(asked.node, asked.source, asked.priority, steps, asked.expires)


def write_site_limit(limit: RunTimeLimit) -> SiteLimit:
    """Return the message of a limit that is set."""
    if len(limit.steps) == 1:
        (step,) = limit.steps
        return SiteLimit(
            limit.node,
            limit.source,
            limit.priority,
            _or_absent(step.limit_a),
            _or_absent(step.limit_w),
            expires=limit.expires,
        )
    schedule = tuple(
        ScheduleReqEntry(
            timestamp=step.start or None,
            limits_to_root=LimitsReq(
                total_power_w=_or_absent(step.limit_w), ac_max_current_a=_or_absent(step.limit_a)
            ),
        )
        for step in limit.steps
    )
    return SiteLimit(limit.node, limit.source, limit.priority, schedule=schedule, expires=limit.expires)


def _step(entry: ScheduleReqEntry) -> LimitStep:
    limits = entry.limits_to_root
    return LimitStep(
        entry.timestamp or Time(0), _or_infinite(limits.ac_max_current_a), _or_infinite(limits.total_power_w)
    )


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _or_absent(value: float) -> float | None:
    return value if math.isfinite(value) else None
