"""A wall clock that a test sets, of the processes that start with its environment (``shifted_clock.c``)."""

import struct
import subprocess
from pathlib import Path


class WallClock:
    """The wall clock of the processes that start with ``environment``."""

    def __init__(self, directory: Path) -> None:
        library = directory / 'shifted_clock.so'
        source = Path(__file__).with_name('shifted_clock.c')
        subprocess.run(
            ['cc', '-shared', '-fPIC', '-O1', '-o', str(library), str(source), '-ldl'], check=True, timeout=60
        )
        self._file = directory / 'shift'
        self._file.write_bytes(struct.pack('q', 0))
        self._shift_s = 0.0
        self.environment = {'LD_PRELOAD': str(library), 'SHIFTED_CLOCK': str(self._file)}

    def shift(self, seconds: float) -> None:
        """Set the clock forward or back."""
        self._shift_s += seconds
        with self._file.open('r+b') as file:
            file.write(struct.pack('q', round(self._shift_s * 1e9)))
