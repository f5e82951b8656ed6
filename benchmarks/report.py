"""The tables of ``docs/performance.md``, made from the results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / 'docs' / 'performance.md'
BEGIN = '<!-- figures: written by `make benchmarks` -->'
END = '<!-- end of figures -->'

ECHO = 'echo'
FIRST = ', first session'

REACTIONS: Sequence[tuple[str, str, str]] = (
    ('C→B in → allow_power_on false', '1.18 / 8.75', '≤ 2.5 times the echo, median < 1 ms'),
    ('C in → allow_power_on true', '2.7 / 4.5 (max)', ''),
    ('C in → ChargingStarted', '2.3 / 3.9 (max)', ''),
    ('pause_charging → X1', '51 / 102', 'p99 < 3 ms'),
    ('pause_charging round trip', '1.66 / 9.45', ''),
    ('resume_charging → PWM', '72 / 102', ''),
    ('set_external_limits → new duty', '1000 to 3700', '< 10 ms'),
    ('get_id round trip', '0.71 / 1.16', ''),
)
"""Name, EVerest's p50 / p99 in ms, and what was asked for."""


DEPOT: Sequence[tuple[str, str, str]] = (
    ('start → all available, s', 'start_s', '8: < 2, 100: < 10'),
    ('idle, cores', 'idle_cores', ''),
    ('charging live, cores', 'charging_cores', '100: ≤ 0.5'),
    ('charging, MB PSS in all', 'charging_pss_mb', ''),
    ('charging, MB PSS each', 'charging_pss_mb_each', '100: ≤ 7'),
    ('new site limit → every offer reduced, s, median', 'limit_p50_s', ''),
    ('new site limit → every offer reduced, s, highest', 'limit_max_s', '100: < 0.5'),
)
"""Measured values of a depot, their keys, and the requirements."""


def write(results: dict[str, Any]) -> None:
    """Put the tables into the page, between the marks."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f'{before}{BEGIN}\n\n{tables(results)}\n\n{END}{after}')


def tables(results: dict[str, Any]) -> str:
    """Return everything that was measured, in Markdown."""
    makers = {
        'reactions': _reactions,
        'startup': _startup,
        'resources': _resources,
        'serial': _serial,
        'pure': _pure,
        'records': _records,
        'commands': _commands,
        'depot': _depot,
    }
    facts = '; '.join(f'{name} {value}' for name, value in results['machine'].items())
    sections = [f'Machine: {facts}.']
    sections += [make(results[name]) for name, make in makers.items() if name in results]
    return '\n\n'.join(sections)


def _commands(result: dict[str, Any]) -> str:
    figures, watch = result['figures'], result['watch']
    bare = figures['bare rclpy call']['median_s']
    rows = [
        [
            name,
            str(each['runs']),
            *(f'{each[key]:.2f}' for key in ('median_s', 'min_s', 'max_s')),
            f'{each["median_s"] - bare:+.2f}',
            f'{each["cpu_s"]:.2f}',
        ]
        for name, each in figures.items()
    ]
    head = [
        's, whole process',
        'runs',
        'median',
        'min',
        'max',
        'median above bare (asked: ≤ 0.7)',
        'processor time',
    ]
    cores = f'{watch["cores"]:.2f} of a core'
    text = f'`evse watch` of {watch["connectors"]} charging connectors at 80 by 24: {cores}.'
    return '\n\n'.join(('### Command line', _table(head, rows), text, _conditions(result)))


def _depot(result: dict[str, Any]) -> str:
    counts = result['figures']
    rows = [[what, *(f'{counts[count][key]:g}' for count in counts), wanted] for what, key, wanted in DEPOT]
    head = ['depot, connectors', *counts, 'asked for']
    return f'### Depot\n\n{_table(head, rows)}\n\n{_conditions(result)}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ['---'] + ['---:'] * (len(head) - 1), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _conditions(result: dict[str, Any]) -> str:
    """Return when and beside what it was measured."""
    machine = result['machine']
    words = [f'Measured {result["date"]}']
    if 'processor' in result:
        words.append(f'on {result["processor"]}')
    words.append(f'load average {machine["load"]}')
    words.append(f'other processes used {machine["foreign_share"] * 100:.0f} % of a core')
    if result['quick']:
        words.append('few samples')
    if machine['noisy']:
        words.append('**noisy: the machine was busy with other things, and the figures are too high**')
    return f'{"; ".join(words)}.'


def _reactions(result: dict[str, Any]) -> str:
    figures = result['figures']
    echo = figures[ECHO]
    rows = [['bare rclpy echo, round trip', *_times(echo), '1.0', '1.0', '', '']]
    for name, original, wanted in REACTIONS:
        figure = figures[name]
        ratios = [f'{figure[key] / echo[key]:.1f}' for key in ('p50_ms', 'p99_ms')]
        rows.append([name, *_times(figure), *ratios, wanted, original])
    head = [
        'ms',
        'samples',
        'p50',
        'p99',
        'max',
        'p50 / echo',
        'p99 / echo',
        'asked for',
        'EVerest p50 / p99',
    ]
    slowest = max(
        (figure['max_ms'], name.removesuffix(FIRST))
        for name, figure in figures.items()
        if name.endswith(FIRST)
    )
    return '\n\n'.join(
        (
            '### Reactions',
            _table(head, rows),
            f'The first session of each of the {result["managers"]} managers is not in the table; its slowest'
            f' reaction took {slowest[0]:.1f} ms ({slowest[1]}).',
            _conditions(result),
        )
    )


def _times(figure: dict[str, Any]) -> list[str]:
    return [str(figure['samples']), *(f'{figure[key]:.2f}' for key in ('p50_ms', 'p99_ms', 'max_ms'))]


def _startup(result: dict[str, Any]) -> str:
    figures = result['figures']
    bare = figures['bare rclpy node']
    originals = {
        'manager, its board running': '',
        'manager and board together': '0.16 to 0.25 (one EVSE)',
    }
    rows = [
        [
            name,
            str(figure['runs']),
            *(
                column
                for time in ('said', 'heard')
                for column in (
                    *(f'{figure[time][key]:.2f}' for key in ('median_s', 'min_s', 'max_s')),
                    f'{figure[time]["median_s"] / bare[time]["median_s"]:.1f}',
                )
            ),
            originals.get(name, ''),
        ]
        for name, figure in figures.items()
    ]
    spread = ['median', 'min', 'max', '/ bare']
    head = ['s', 'runs', 'stamp: ' + spread[0], *spread[1:], 'arrival: ' + spread[0], *spread[1:], 'EVerest']
    return '\n\n'.join(('### Process start → first `Enabled`', _table(head, rows), _conditions(result)))


def _resources(result: dict[str, Any]) -> str:
    rows = []
    for pair, members in result['figures'].items():
        for name, figure in members.items():
            rows.append([f'{pair}: {name}', *_resource_cells(figure)])
        keys = ('cpu_percent', 'pss_mb', 'rss_mb', 'threads')
        total = {key: sum(figure[key] for figure in members.values()) for key in keys}
        rows.append([f'**{pair}, both**', *_resource_cells(total)])
    rows.append(['EVerest per EVSE, charging', '1.5 to 2.7', '12', '47', '29'])
    head = ['', 'CPU, % of a core', 'PSS, MB', 'RSS, MB', 'threads']
    return '\n\n'.join(('### Processor time and memory', _table(head, rows), _conditions(result)))


def _resource_cells(figure: dict[str, Any]) -> list[str]:
    return [
        f'{figure["cpu_percent"]:.2f}',
        f'{figure["pss_mb"]:.0f}',
        f'{figure["rss_mb"]:.0f}',
        f'{figure["threads"]}',
    ]


def _serial(result: dict[str, Any]) -> str:
    figures = result['figures']
    times = [[name, *_times(figure)] for name, figure in figures.items() if name != ECHO]
    times.append(['bare rclpy echo, round trip', *_times(figures[ECHO])])
    charging, idle = (result['resources'][state] for state in ('charging', 'idle'))
    used = [[board, *_shares(charging[board]), *_shares(idle[board])] for board in charging]
    nodes = ('board_support', 'evse_manager', 'both')
    head = ['CPU, % of a core', *(f'{state}: {node}' for state in ('charging', 'idle') for node in nodes)]
    return '\n\n'.join(
        (
            '### On a serial line',
            _table(['ms', 'samples', 'p50', 'p99', 'max'], times),
            _table(head, used),
            _conditions(result),
        )
    )


def _shares(members: dict[str, Any]) -> list[str]:
    """Return the processor time of a connector's two processes, and of both."""
    shares = [figure['cpu_percent'] for figure in members.values()]
    return [f'{share:.2f}' for share in (*shares, sum(shares))]


def _pure(result: dict[str, Any]) -> str:
    figures = result['figures']
    steps = [[f'kernel: {name}', f'{rate:,}'] for name, rate in figures['kernel_steps_per_s'].items()]
    steps.append(['board loop with the simulated world', f'{figures["board_loop_steps_per_s"]:,}'])
    speeds = [
        [f'bench, times real time: {name}', f'{speed:,}']
        for name, speed in figures['times_real_time'].items()
    ]
    conversions = figures['conversion_us']
    columns = list(next(iter(conversions.values())))
    rows = [[name, *(f'{costs[key]:.0f}' for key in columns)] for name, costs in conversions.items()]
    parsers = [
        [name, f'{figure["mb_per_s"]:.1f}', f'{figure["frames_per_s"]:,}']
        for name, figure in figures['parsers'].items()
    ]
    return '\n\n'.join(
        (
            '### In one process',
            _table(['per second of processor time', ''], steps + speeds),
            _table(['µs per message', *columns], rows),
            _table(['parsers, per second of processor time', 'MB', 'frames'], parsers),
            _supervisor(figures['supervisor']),
            _conditions(result),
        )
    )


def _supervisor(figures: dict[str, float]) -> str:
    return (
        'The supervisor of a loop that waits 20 times a second needs '
        f'{figures["thread_percent_of_a_core"]:.2f} % of a core in its thread, and '
        f'{figures["us_per_wait"]:.2f} µs of the loop for each wait.'
    )


def _records(result: dict[str, Any]) -> str:
    rows = [[name, *_times(figure)] for name, figure in result['figures'].items()]
    table = _table(['ms until it may be published', 'samples', 'p50', 'p99', 'max'], rows)
    return '\n\n'.join(('### Session records', table, _conditions(result)))
