"""The file of what the authorization of a site remembers: one JSON document, replaced as a whole."""

import os
from collections.abc import Mapping
from pathlib import Path

from evse_manager.authorization.saved import Saved, SavedError, from_json, to_json
from evse_manager.store.document import replace_document
from evse_manager.store.location import FileLock, location, set_aside

LARGEST_FILE = 4_000_000
"""A larger file is not ours, in bytes."""


def authorization_location(
    setting: str, namespace: str, environment: Mapping[str, str] = os.environ
) -> Path | None:
    """
    Return the file that the parameter ``store`` means, or None for memory only.

    ``auto`` is ``evse_manager/<namespace>.authorization.json`` under ROS_HOME (default ``~/.ros``).
    """
    found = location(setting, namespace, environment)
    return found.with_suffix('.authorization.json') if found is not None and setting == 'auto' else found


class AuthorizationFile:
    """
    The file, held by one process; it contains tokens, so only its owner may read it.

    A write either replaces the document or changes nothing, whenever the process or the machine stops.
    """

    def __init__(self, path: Path) -> None:
        """Take the file; raises LockedError when another process has it, OSError when there can be none."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._lock = FileLock(path)

    def load(self) -> tuple[Saved, Path | None]:
        """Return what was stored, and where a damaged file was moved to; raises OSError."""
        try:
            with self.path.open('rb') as file:
                content = file.read(LARGEST_FILE + 1)
            if len(content) > LARGEST_FILE:
                raise SavedError('The file is too large.')
            return from_json(content.decode()), None
        except FileNotFoundError:
            return Saved(), None
        except (SavedError, UnicodeDecodeError):
            return Saved(), set_aside(self.path)

    def save(self, saved: Saved) -> None:
        """Replace the document; raises OSError and has changed nothing then."""
        replace_document(self.path, to_json(saved))

    def close(self) -> None:
        """Give the file back."""
        self._lock.release()
