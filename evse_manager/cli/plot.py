"""``evse plot``: a recorded session as a picture."""

import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evse_manager.cli import formatting
from evse_manager.cli.errors import CliError, ExitCode, NotFoundError, UsageError
from evse_manager.cli.json_output import emit
from evse_manager.cli.record_source import Source, source
from evse_manager.interface.enums import ControlPilotState, LimitSource, SessionEventEnum
from evse_manager.interface.record_requests import ListRecords
from evse_manager.interface.text import printable
from evse_manager.interface.types import SECOND_NS, SessionRecord, SessionRecordSample

if TYPE_CHECKING:
    from evse_manager.cli.graph import Graph

NEEDED = (
    'evse plot draws with matplotlib, which is not installed; install it with: pip install matplotlib'
    ' (or: apt install python3-matplotlib)'
)

FORMATS = ('.png', '.svg', '.pdf')

COLOURS = {
    LimitSource.UNSPECIFIED: '#999999',
    LimitSource.HARDWARE: '#000000',
    LimitSource.PARAMETER: '#56B4E9',
    LimitSource.CABLE: '#CC79A7',
    LimitSource.ENERGY_MANAGER: '#009E73',
    LimitSource.EXTERNAL: '#E69F00',
    LimitSource.TEMPERATURE: '#D55E00',
}
"""Colours of Okabe and Ito, distinct with any common colour blindness."""

BLUE, GREY, RED = '#0072B2', '#555555', '#D55E00'

PILOT_STATES = [state for state in ControlPilotState if state]

NAMED_EVENTS = 18
"""More events than this are drawn without their names but for the most important."""

IMPORTANT = frozenset(
    {
        SessionEventEnum.SESSION_STARTED,
        SessionEventEnum.TRANSACTION_STARTED,
        SessionEventEnum.CHARGING_STARTED,
        SessionEventEnum.TRANSACTION_FINISHED,
        SessionEventEnum.SESSION_FINISHED,
        SessionEventEnum.ERROR,
        SessionEventEnum.PERMANENT_FAULT,
    }
)


def run_plot(given: Namespace, graph: 'Graph | None') -> ExitCode:
    """Draw the session into a file."""
    if given.output and Path(given.output).suffix.lower() not in FORMATS:
        raise UsageError(f'--output must end in one of {", ".join(FORMATS)}')
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise CliError(NEEDED, ExitCode.USAGE) from None
    with ExitStack() as leaving:
        records = source(given, graph, leaving)
        uuid = _newest(records, given.connector) if given.session == 'last' else given.session
        session = records.whole(uuid)
    path = Path(given.output or f'session-{session.uuid[:8]}.png')
    figure = Figure(figsize=(11, 7), layout='constrained')
    draw(session, figure)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise CliError(f'{path} can not be written: {error.strerror}', ExitCode.USAGE) from error
    if given.json:
        emit({'session': session.uuid, 'file': str(path)})
    else:
        print(printable(f'{session.uuid} is drawn in {path}'))
    return ExitCode.OK


def _newest(records: Source, connector: str | None) -> str:
    newest = next(records.sessions(ListRecords(connector=connector or '', page_size=1)), None)
    if newest is None:
        raise NotFoundError('there are no session records')
    return newest.uuid


def draw(session: SessionRecord, figure: Any, zone: tzinfo | None = None) -> None:
    """Draw a session: power, limit and whose it is, pilot state, events; times are local unless ``zone``."""

    def moment(stamp: int | None) -> datetime:
        return datetime.fromtimestamp((stamp or 0) / 1e9, UTC).astimezone(zone)

    power, limit, pilot = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1.4])
    begin, end = _span(session)
    samples = [each for each in session.samples if begin <= (each.stamp or 0) <= end]
    _draw_power(power, samples, moment)
    _draw_limit(limit, samples, moment, end)
    _draw_pilot(pilot, samples, moment, end)
    _draw_events(session, (power, limit, pilot), moment)
    energy = formatting.energy(session.energy_wh)
    figure.suptitle(
        _plain(
            f'Session {session.uuid[:8]} at {session.connector or "unknown connector"}: {energy},'
            f' {formatting.date_and_time(session.started)}'
        ),
        fontsize=11,
    )
    margin = max(SECOND_NS, (end - begin) // 100)
    pilot.set_xlim(moment(begin - margin), moment(end + margin))
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - optional

    locator = AutoDateLocator(tz=moment(begin).tzinfo)
    pilot.xaxis.set_major_locator(locator)
    pilot.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=moment(begin).tzinfo))
    for axes in (power, limit, pilot):
        axes.grid(axis='y', color='#dddddd', linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)


def _span(session: SessionRecord) -> tuple[int, int]:
    """
    Return the beginning and the end of what is drawn, in nanoseconds.

    Events may have stamps far outside, from before the clock was set; they are left out.
    """
    stamps = [each.stamp for each in session.samples if each.stamp is not None]
    begin = session.started or min(stamps, default=session.finished or SECOND_NS)
    return begin, max(begin, session.finished or max(stamps, default=begin))


Moment = Callable[[int | None], datetime]


def _draw_power(axes: Any, samples: Sequence[SessionRecordSample], moment: Moment) -> None:
    measured = [(moment(each.stamp), each.power_w / 1000) for each in samples if each.power_w is not None]
    axes.set_ylabel('power in kW', color=BLUE)
    if measured:
        axes.plot(*zip(*measured, strict=True), color=BLUE, linewidth=1.2, drawstyle='steps-post')
        axes.fill_between(*zip(*measured, strict=True), color=BLUE, alpha=0.12, step='post')
        axes.set_ylim(bottom=min(0.0, *(each for _, each in measured)))
    else:
        axes.text(0.5, 0.5, 'no power was recorded', transform=axes.transAxes, ha='center', color=GREY)
    registers = [(moment(each.stamp), each.energy_wh) for each in samples if each.energy_wh is not None]
    if registers:
        counted = axes.twinx()
        first = registers[0][1]
        counted.plot(
            [at for at, _ in registers],
            [(register - first) / 1000 for _, register in registers],
            color=GREY,
            linewidth=1.0,
            linestyle='--',
        )
        counted.set_ylabel('energy in kWh', color=GREY)
        counted.set_ylim(bottom=0.0)
        counted.spines['top'].set_visible(False)


def _draw_limit(axes: Any, samples: Sequence[SessionRecordSample], moment: Moment, end: int) -> None:
    """Draw the limit in the colour of whoever set it, and what was offered to the EV."""
    known = [each for each in samples if each.limit_a is not None]
    axes.set_ylabel('current in A')
    axes.set_ylim(bottom=0.0)
    for label, (colour, steps) in _limits_by_owner(known, moment, end).items():
        axes.plot(
            [at for at, _ in steps],
            [current for _, current in steps],
            color=colour,
            linewidth=2.2,
            solid_capstyle='butt',
            label=label,
        )
    if known:
        offered = [(moment(each.stamp), each.signalled_current_a or 0.0) for each in known]
        offered.append((moment(end), offered[-1][1]))
        axes.plot(
            *zip(*offered, strict=True),
            color='black',
            linewidth=1.0,
            linestyle=':',
            drawstyle='steps-post',
            label='offered to the EV',
        )
        axes.set_ylim(0.0, max(1.0, *(each.limit_a or 0.0 for each in known)) * 1.15)
        axes.legend(loc='upper center', bbox_to_anchor=(0.5, -0.02), ncols=4, frameon=False, fontsize=8)


def _limits_by_owner(
    known: Sequence[SessionRecordSample], moment: Moment, end: int
) -> dict[str, tuple[str, list[tuple[datetime, float]]]]:
    """Return for each owner of a limit its colour and its steps, with gaps while another's was lower."""
    owners: dict[str, tuple[str, list[tuple[datetime, float]]]] = {}
    for place, each in enumerate(known):
        until = known[place + 1].stamp if place + 1 < len(known) else end
        owner = formatting.SOURCES[each.limit_source] or 'unknown'
        label = _plain(f'limit by {owner}{f" ({each.limit_node})" if each.limit_node else ""}')
        _, steps = owners.setdefault(label, (COLOURS[each.limit_source], []))
        begin, current = moment(each.stamp), each.limit_a or 0.0
        if steps and steps[-1][0] != begin:
            steps.append((begin, math.nan))
        steps += [(begin, current), (moment(until), current)]
    return owners


def _draw_pilot(axes: Any, samples: Sequence[SessionRecordSample], moment: Moment, end: int) -> None:
    known = [each for each in samples if each.cp_state]
    axes.set_ylabel('pilot')
    axes.set_yticks(range(len(PILOT_STATES)), [state.name for state in PILOT_STATES], fontsize=8)
    axes.set_ylim(-0.5, len(PILOT_STATES) - 0.5)
    if known:
        steps = [(moment(each.stamp), PILOT_STATES.index(each.cp_state)) for each in known]
        steps.append((moment(end), steps[-1][1]))
        axes.plot(*zip(*steps, strict=True), color='#CC79A7', linewidth=1.6, drawstyle='steps-post')


def _draw_events(session: SessionRecord, panels: Sequence[Any], moment: Moment) -> None:
    """Draw a line at each event, with its name above the uppermost panel."""
    begin, end = _span(session)
    events = [each for each in session.events if begin <= (each.stamp or 0) <= end]
    upper = panels[0]
    named_at: list[float] = []
    for event in events:
        bad = event.event in formatting.BAD
        for axes in panels:
            axes.axvline(moment(event.stamp), color=RED if bad else '#bbbbbb', linewidth=0.8, zorder=0)
        position = ((event.stamp or 0) - begin) / max(SECOND_NS, end - begin)
        crowded = any(abs(position - other) < 0.018 for other in named_at)
        if crowded or (len(events) > NAMED_EVENTS and event.event not in IMPORTANT):
            continue
        named_at.append(position)
        upper.annotate(
            formatting.event_name(event),
            (moment(event.stamp), 1.0),
            xycoords=('data', 'axes fraction'),
            xytext=(1, 3),
            textcoords='offset points',
            rotation=45,
            fontsize=7,
            color=RED if bad else GREY,
            annotation_clip=False,
        )


def _plain(text: str) -> str:
    """Return foreign text as matplotlib takes it: a dollar would begin a formula."""
    return printable(text).replace('$', r'\$')
