"""The port of a virtual board: a pseudo-terminal, with a stable name if wanted."""

import contextlib
import os
import pty
import tty
from pathlib import Path

from evse_manager.simulation.faults import SimulationError

OUTBOX_BYTES = 16_384
"""Bytes beyond this that the host does not read are lost, as on a real line."""


class Terminal:
    """
    A pseudo-terminal that can be pulled out and put back, as a USB adapter.

    Its own end stays open all the time, so that hosts may come and go.
    """

    def __init__(self, link: Path | None = None) -> None:
        """``link`` becomes a symbolic link to the port as long as it exists."""
        self._link = link
        self._ends: tuple[int, int] | None = None
        self._outbox = bytearray()
        self.path = ''
        """The port's name while it is plugged in; ``link`` leads to it too."""

    @property
    def port(self) -> str:
        """Return the name to give to a driver."""
        return str(self._link) if self._link is not None else self.path

    @property
    def descriptor(self) -> int | None:
        """Return what to poll, ``None`` while it is pulled out."""
        return self._ends[0] if self._ends is not None else None

    @property
    def waiting(self) -> bool:
        """Return whether bytes wait for the host."""
        return bool(self._outbox)

    def plug_in(self) -> None:
        """
        Make the port appear.

        Raises SimulationError when the link's name is taken by something else, OSError when the link cannot
        be made there.
        """
        if self._ends is not None:
            return
        if self._link is not None and self._link.exists() and not self._link.is_symlink():
            raise SimulationError(f'{self._link} exists and is no link; choose another name.')
        board, host = pty.openpty()
        tty.setraw(host)
        os.set_blocking(board, False)
        self._ends = (board, host)
        self.path = os.ttyname(host)
        if self._link is not None:
            try:
                temporary = self._link.with_name(f'.{self._link.name}.{os.getpid()}')
                temporary.symlink_to(self.path)
                temporary.replace(self._link)
            except OSError:
                self.pull_out()
                raise

    def pull_out(self) -> None:
        """Make the port vanish; a host that has it open sees it hung up."""
        if self._ends is None:
            return
        if self._link is not None and self._link.is_symlink() and str(self._link.readlink()) == self.path:
            self._link.unlink()
        for end in self._ends:
            os.close(end)
        self._ends = None
        self._outbox.clear()
        self.path = ''

    def read(self) -> bytes:
        """Return the bytes that the host has sent."""
        with contextlib.suppress(OSError):  # nothing there, or the host has just closed its end
            if self._ends is not None:
                return os.read(self._ends[0], 4096)
        return b''

    def write(self, data: bytes) -> None:
        """Send to the host; what does not fit is lost."""
        if self._ends is not None:
            self._outbox += data[: OUTBOX_BYTES - len(self._outbox)]
            self.flush()

    def flush(self) -> None:
        """Send on what waits."""
        with contextlib.suppress(BlockingIOError):
            while self._ends is not None and self._outbox:
                del self._outbox[: os.write(self._ends[0], self._outbox)]
