"""
Write docs/hardware.md and the pages in docs/boards/: templates, filled in from drivers and virtual boards.

``make docs`` runs it, in a sourced workspace.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from evse_manager.board.driver import DRIVERS, Driver, DriverContext, driver_class
from evse_manager.board.meters.metered import MeterParameters
from evse_manager.interface.types import BoardCapabilities, Time
from evse_manager.nodes.parameters import rows
from evse_manager.simulation.virtual import host, line
from evse_manager.simulation.virtual.board import BOARDS, board_class

DOCS = Path(__file__).resolve().parent
TEMPLATES = (DOCS / 'hardware.template.md', *sorted((DOCS / 'boards').glob('*.template.md')))

WORDS = {
    'runs_iec61851': 'runs IEC 61851-1',
    'supports_cp_state_e': 'state E (0 V)',
    'supports_cp_state_f': 'state F (-12 V)',
    'supports_hlc_duty': '5 % for ISO 15118',
    'supports_free_duty': 'any duty cycle',
    'has_lock': 'connector lock',
    'has_proximity': 'reads the cable',
    'has_meter': 'meter',
    'supports_rcd_reset': 'residual current device reset by command',
    'supports_phase_switch': 'phase switch',
    'supports_replug': 'virtual replug',
    'has_watchdog': 'opens by a watchdog of its own',
    'simulated': 'simulated',
}


_YES = {True: 'yes', False: 'no'}


def _driver(name: str) -> Driver:
    cls = driver_class(name)
    context = DriverContext(clock=lambda: 0.0, wall=lambda: Time(0), wake=lambda: None)
    return cls(cls.Parameters(), context)


def capabilities(name: str) -> BoardCapabilities | None:
    """Return the data of a driver before it has connected to a board."""
    return _driver(name).capabilities()


def capability_table() -> str:
    """Return the table of all drivers."""
    found = {name: capabilities(name) for name in sorted(DRIVERS)}
    lines = [_row('', *(f'`{name}`' for name in found)), _row('---', *('---' for _ in found))]
    for field in fields(BoardCapabilities):
        if field.type is bool:
            cells = ['?' if each is None else _YES[getattr(each, field.name)] for each in found.values()]
            lines.append(_row(WORDS[field.name], *cells))
    differing = (', '.join(f'{number}' for number in driver_class(name).differs) for name in found)
    cells = [f'all but {numbers}' if numbers else 'all' for numbers in differing]
    lines.append(_row('sequences of [charging.md](charging.md#sequences) as they are written', *cells))
    return '\n'.join(lines)


def differences() -> str:
    """Return what comes instead of the sequences that a board cannot bring about."""
    return '\n'.join(
        f'- `{name}`, sequence {number}: {instead}'
        for name in sorted(DRIVERS)
        for number, instead in driver_class(name).differs.items()
    )


def parameter_table(name: str) -> str:
    """Return the table of a driver's parameters."""
    return _parameters(driver_class(name).Parameters)


def _parameters(of: type) -> str:
    lines = [_row('Parameter', 'Default', 'Allowed', 'Meaning'), _row('---', '---', '---', '---')]
    for row in rows(of):
        default = f'{row.default}' if row.default != '' else '(empty)'
        lines.append(_row(f'`{row.name}`', default, row.allowed, row.description))
    return '\n'.join(lines)


def definition_list(entries: Mapping[str, str]) -> str:
    """Return names with their texts."""
    return '\n'.join(f'- `{name}` {text}' for name, text in entries.items())


def virtual_board(name: str) -> str:
    """Return what can be made wrong on a virtual board beyond the line's faults."""
    board = board_class(name)()
    values = {value: found.description for value, found in board.values.items()}
    faults, wrong = definition_list(board.known_faults()), definition_list(values)
    return f'`inject` knows:\n\n{faults}\n\n`wrong` knows:\n\n{wrong}'


def pages() -> dict[Path, str]:
    """Return every page."""
    parts = {
        'capabilities': capability_table(),
        'differences': differences(),
        'commands': definition_list(host.COMMANDS),
        'line_faults': definition_list(line.FAULTS),
        'parameters_meter': _parameters(MeterParameters),
        **{f'parameters_{name}': parameter_table(name) for name in DRIVERS},
        **{f'virtual_{name}': virtual_board(name) for name in BOARDS},
    }
    made = {}
    for template in TEMPLATES:
        text = template.read_text()
        for name, part in parts.items():
            text = text.replace('{' + name + '}', part)
        made[template.with_name(template.name.replace('.template', ''))] = text
    return made


def _row(*cells: str) -> str:
    return '| ' + ' | '.join(cells) + ' |'


if __name__ == '__main__':
    for path, text in pages().items():
        path.write_text(text)
