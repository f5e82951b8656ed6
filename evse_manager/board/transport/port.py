"""Opening a serial port exclusively, with a message of its own for everything that can be wrong."""

import contextlib
import errno
import termios
from dataclasses import dataclass
from pathlib import Path

import serial

from evse_manager.board.driver import PortBusyError, PortDeniedError, PortError, PortMissingError

SILENCE_S = 5.0
"""Nothing valid read for so long: the link is lost (docs/architecture.md; docs/faults.md, D7)."""


@dataclass(frozen=True, slots=True)
class PortSettings:
    """A port and how to speak on it."""

    port: str
    baud_rate: int = 115_200
    parity: str = 'N'
    """``N``, ``E`` or ``O``."""
    stop_bits: int = 1
    silence_s: float = SILENCE_S
    """Nothing valid for so long is a lost link."""


def open_port(settings: PortSettings) -> serial.Serial:
    """
    Open a port exclusively; reading and writing never block.

    Raises PortMissingError, PortDeniedError, PortBusyError or PortError, each with the cause and what to do.
    """
    name = settings.port
    if not name:
        raise PortError('Parameter port is empty; set it to the serial port of the board, as /dev/ttyUSB0.')
    try:
        return serial.Serial(
            name,
            settings.baud_rate,
            parity=settings.parity,
            stopbits=settings.stop_bits,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
    except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
        raise _explained(settings, error) from error


def _explained(settings: PortSettings, error: Exception) -> PortError:
    name = settings.port
    code = error.errno if isinstance(error, OSError) else None
    match code:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV | errno.EIO:
            return PortMissingError(
                f'There is no port {name}; plug the adapter in or correct parameter port.'
            )
        case errno.EACCES | errno.EPERM:
            return PortDeniedError(
                f'No permission to open {name}; add the user to its group (usually: sudo usermod -aG dialout '
                '$USER, then log in again).'
            )
        case errno.EBUSY | errno.EAGAIN:
            return PortBusyError(f'{name} is in use by {_holder(name)}; end it, or correct parameter port.')
    if isinstance(error, ValueError):
        return PortError(f'{name} does not do {settings.baud_rate} baud; correct parameter baud_rate.')
    return PortError(f'{name} is no serial port ({error}); correct parameter port.')


def _holder(name: str) -> str:
    """Return the process that has locked a port, as far as the system reports it."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # a hint only; /proc may be hidden
        inode = str(Path(name).stat().st_ino)
        for lock in Path('/proc/locks').read_text().splitlines():
            _, kind, _, _, process, place, *_ = lock.split()
            if kind == 'FLOCK' and place.rpartition(':')[2] == inode:
                return f'process {process} ({Path(f"/proc/{process}/comm").read_text().strip()})'
    return 'another process'
