"""A small file that is replaced as a whole, readable by its owner alone."""

import os
from pathlib import Path


def replace_document(path: Path, text: str) -> None:
    """
    Write the document; raises OSError and has changed nothing then.

    It is replaced or unchanged, whenever the process or the machine stops, and has mode 0600.
    """
    fresh = path.with_name(f'{path.name}.new')
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # one that was left behind may have another mode
        with os.fdopen(descriptor, 'w', closefd=False) as file:
            file.write(text)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
