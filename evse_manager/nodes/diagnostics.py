"""
Content of ``/diagnostics`` for a connector, its board, a site and a worker (REP 107).

A status is named ``NAMESPACE: PART``, such as ``depot/bay_1: meter``; the groups for an aggregator are in
``config/diagnostics_analyzers.yaml``.  STALE means that a part has fallen silent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from evse_manager.board.driver import PORT, PROBLEM
from evse_manager.charging.allowance import Grant
from evse_manager.charging.status import MeterReport
from evse_manager.interface.enums import Availability, LinkState
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import EvseStatus, SiteStatus, Time
from evse_manager.nodes.conversions import time_to_message

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)

PARTS = ('connector', 'board link', 'meter', 'energy', 'records', 'worker')
"""Everything that has a status of its own."""

Digest = tuple[tuple[bytes, str], ...]
"""Levels and sentences of parts: what a person sees first, and what is worth a message when it changes."""


@dataclass(frozen=True, slots=True)
class Part:
    """The status of one part: its level, a sentence for people, and values."""

    name: str
    level: bytes
    sentence: str
    hardware: str = ''
    values: Mapping[str, str] = field(default_factory=dict)


def digest(parts: Sequence[Part]) -> Digest:
    """Return the values whose change is published at once."""
    return tuple((part.level, part.sentence) for part in parts)


def array(source: str, parts: Sequence[Part], stamp: Time | None) -> DiagnosticArray:
    """Return the message; ``source`` is the namespace that the parts belong to."""
    message = DiagnosticArray()
    message.header.stamp = time_to_message(stamp)
    message.status = [
        DiagnosticStatus(
            level=part.level,
            name=f'{source.strip("/") or "evse"}: {part.name}',
            message=part.sentence,
            hardware_id=part.hardware,
            values=[KeyValue(key=key, value=value) for key, value in part.values.items()],
        )
        for part in parts
    ]
    return message


# --- of a manager -----------------------------------------------------------------------------------


def connector(status: EvseStatus) -> Part:
    """Return the connector itself: its errors, else its warnings, else why it is (not) charging."""
    level, sentence = OK, status.reason_text
    if status.active_errors:
        level, sentence = ERROR, '; '.join(error.vendor_error for error in status.active_errors)
    elif status.availability is Availability.FAULTED:
        level = ERROR
    elif status.warnings:
        level, sentence = WARN, '; '.join(status.warnings)
    values = {
        'state': status.state.name,
        'reason': status.reason.name,
        'availability': status.availability.name,
        'session': status.session_uuid,
        'signalled current [A]': f'{status.signalled_current_a:.1f}',
        'power [W]': '' if status.power_w is None else f'{status.power_w:.0f}',
        'contactor': status.contactor.name,
        'lock': status.lock.name,
        'control pilot': status.cp_state.name,
        'link to the board': status.link_state.name,
        'contactor cycles': str(status.contactor_cycles),
        'openings under load': str(status.openings_under_load),
    }
    return Part('connector', level, sentence, status.evse_id, values)


def meter(report: MeterReport) -> Part:
    """Return the meter: stale while it is silent, a warning while its values are odd."""
    level, sentence = OK, 'The meter reports.'
    if not report.present:
        sentence = 'The board has no meter.'
    elif report.silent:
        level, sentence = STALE, 'The meter is silent: energy is not counted; check its wiring.'
    elif report.warnings:
        level, sentence = WARN, '; '.join(report.warnings)
    values = {
        'register [Wh]': '' if report.register_wh is None else f'{report.register_wh:.1f}',
        'power [W]': '' if report.power_w is None else f'{report.power_w:.0f}',
    }
    return Part('meter', level, sentence, values=values)


def energy(status: EvseStatus, config: Config, grant: Grant | None) -> Part:
    """Return the limit in force: stale while the energy manager is silent."""
    source = status.limit_source.name.lower().replace('_', ' ')
    node = f', site node {status.limit_node}' if status.limit_node else ''
    level, sentence = OK, f'The limit is {status.limit_a:.1f} A ({source}{node}).'
    if config.energy_source == 'manager' and grant is None:
        level = STALE
        sentence = (
            f'The energy manager is silent, so that {config.failsafe_current_a:.1f} A are the most '
            '(failsafe_current_a); check that it runs.'
        )
    values = {
        'limit [A]': f'{status.limit_a:.1f}',
        'source': status.limit_source.name,
        'site node': status.limit_node,
        'energy manager': grant.limits.manager_id if grant is not None else '',
    }
    return Part('energy', level, sentence, values=values)


def records(warnings: Sequence[str], file: str, black_box: str) -> Part:
    """
    Return the session records and the black box.

    ``warnings`` are problems of either, empty for none; ``file`` is that of the records and ``black_box`` the
    folder of the black boxes, empty where none are kept.
    """
    values = {'file': file, 'black box': black_box}
    problems = ' '.join(filter(None, warnings))
    if problems:
        return Part('records', WARN, problems, values=values)
    kept = (
        'All session records are written.'
        if file
        else 'No session records are kept (session_store is empty).'
    )
    return Part('records', OK, kept, values=values)


# --- of a board node ----------------------------------------------------------------------------------


def board_link(driver: str, link: LinkState, facts: Mapping[str, str]) -> Part:
    """Return the line to the board, as its driver sees it."""
    problem = facts.get(PROBLEM, '')
    level, sentence = _LINKS.get(link, _LINKS[LinkState.LOST])
    if problem and link is LinkState.UP:
        level = WARN
    hardware = f'{driver} {facts.get(PORT, "")}'.strip()
    return Part('board link', level, problem or sentence, hardware, {'driver': driver, **facts})


_LINKS: dict[LinkState, tuple[bytes, str]] = {
    LinkState.UP: (OK, 'The board answers.'),
    LinkState.CONNECTING: (WARN, 'The board is being connected.'),
    LinkState.LOST: (ERROR, 'The board does not answer.'),
}


# --- of a site ------------------------------------------------------------------------------------------


def site(status: SiteStatus) -> Part:
    """Return the energy manager: a warning while something at the site needs attention."""
    waiting = {name for node in status.nodes for name in node.waiting}
    values = {f'limit of {node.name} [A]': f'{node.limit_a:.1f}' for node in status.nodes if node.limit_a}
    values['waiting for energy'] = ', '.join(sorted(waiting))
    if status.warnings:
        return Part('energy', WARN, '; '.join(status.warnings), status.name, values)
    sentence = f'{len(status.connectors)} connectors share the power; {len(waiting)} waiting.'
    return Part('energy', OK, sentence, status.name, values)


# --- of a worker ------------------------------------------------------------------------------------------


def worker(host: str, running: int, failing: Sequence[str], callbacks_failed: int) -> Part:
    """Return a process that hosts ``running`` nodes; ``failing`` ones are started again and again."""
    count = running + len(failing)
    level, sentence = OK, f'{running} of {count} nodes run.'
    if failing:
        level = WARN if running else ERROR
        sentence += f' Started again, see the log: {", ".join(failing)}.'
    elif callbacks_failed:
        level, sentence = WARN, f'{sentence} {callbacks_failed} callbacks failed, see the log.'
    return Part('worker', level, sentence, host, {'nodes': str(count), 'running': str(running)})
