"""Whose records a file holds."""

from dataclasses import dataclass
from pathlib import Path

SIMULATED = '-simulated'
"""Ends the name of a file with the sessions of simulated boards; no namespace may have a hyphen."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A connector: its namespace (empty = not said), its number, and whether its board is a simulated one."""

    connector: str = ''
    connector_id: int = 0
    simulated: bool = False


UNNAMED = Identity()
"""Records without a known owner."""


def simulated_path(path: Path) -> Path:
    """Return the file beside ``path`` that takes the records of a simulated board."""
    return path.with_name(f'{path.stem}{SIMULATED}{path.suffix}')
