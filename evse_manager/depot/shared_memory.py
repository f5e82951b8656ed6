"""What processes that were killed leave in shared memory, and its removal."""

import fcntl
import re
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path('/dev/shm')
SEGMENT = re.compile(r'fastrtps_[0-9a-f]{16}')
"""A segment of Fast DDS; its owner holds a lock on the file of the same name with ``_el``."""

YOUNGEST_S = 10.0
"""A younger segment may belong to a process that is about to lock it."""


def remove_left_segments(folder: Path = FOLDER) -> int:
    """
    Remove the segments of Fast DDS whose owner is dead; return how many there were.

    The lock of a segment ends with its process, however that ended.
    """
    removed = 0
    for lock in folder.glob('fastrtps_*_el'):
        segment = lock.with_name(lock.name.removesuffix('_el'))
        if SEGMENT.fullmatch(segment.name) is None:
            continue
        with suppress(OSError):  # another user's, or gone meanwhile
            if time.time() - segment.stat().st_mtime >= YOUNGEST_S and _is_free(lock):
                segment.unlink()
                lock.unlink()
                removed += 1
    return removed


def _is_free(lock: Path) -> bool:
    """Return whether no process holds a lock; raises OSError where it cannot be known."""
    with lock.open('rb') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
