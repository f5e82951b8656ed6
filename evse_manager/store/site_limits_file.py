"""The file of a site's run-time limits: one JSON document, replaced as a whole."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from evse_manager.energy.limits import RunTimeLimit, decode, encode
from evse_manager.store.document import replace_document
from evse_manager.store.location import location, set_aside

LARGEST_FILE = 4_000_000
"""A larger file is not ours, in bytes."""


def site_limits_location(
    setting: str, namespace: str, environment: Mapping[str, str] = os.environ
) -> Path | None:
    """
    Return the file that the parameter ``limit_store`` means, or None for memory only.

    ``auto`` is ``evse_manager/<namespace>.limits.json`` under ROS_HOME (default ``~/.ros``).
    """
    found = location(setting, namespace, environment)
    return found.with_suffix('.limits.json') if found is not None and setting == 'auto' else found


def load_site_limits(path: Path) -> tuple[list[RunTimeLimit], Path | None]:
    """Return the stored limits, and where a damaged file was moved to; raises OSError."""
    try:
        with path.open('rb') as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ValueError('the file is too large.')
        return decode(content.decode()), None
    except FileNotFoundError:
        return [], None
    except ValueError:
        return [], set_aside(path)


def save_site_limits(path: Path, limits: Iterable[RunTimeLimit]) -> None:
    """
    Replace the stored limits; raises OSError.

    The document is replaced or unchanged, whenever the process or the machine stops.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_document(path, encode(limits))
