"""
The serial line that every driver of real hardware uses.

One thread per port opens it exclusively, reads, cuts frames, and hands them over in a bounded queue; it never
calls a driver, only ``wake``.  Whatever happens to the port (unplugged, hung up, silent), the thread goes on:
it closes the port and reopens it with growing pauses, without end.  A driver is used like this::

    link = SerialLink(PortSettings('/dev/ttyUSB0', 115200), Parser(), context.wake)
    link.open()                       # raises PortError: missing, denied, busy, no serial port
    link.write(b'...')                # never blocks; False when the bytes went nowhere
    for item in link.receive():       # oldest first
        match item:
            case PortOpened(): ...    # start over: withdraw power, read everything
            case PortLost(text): ...  # the contactor is unknown from here on
            case frame: ...           # whatever the parser makes
    link.close(goodbye=b'...')

``Frames`` is what a parser has to offer.  Everything but the thread itself runs in the caller's thread.  All
times are on the steady clock.
"""

import contextlib
import os
import select
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import serial

from evse_manager.board.driver import PORT, PROBLEM, PortError, PortMissingError
from evse_manager.board.transport.port import PortSettings, open_port

REOPEN_SILENT_S = 15.0
"""
A port that stays silent for this long is reopened.

Not sooner: on some boards opening the port resets the controller, whose start may take 5 s (hardware
reference 2.1.5).
"""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
"""Pauses before reopening grow from the first to the longest, each twice the one before."""

QUEUE_FRAMES = 512
"""Most frames that wait for the driver; more are dropped and counted."""

OUTBOX_BYTES = 4096
"""Most bytes that wait for a slow line; a write beyond is refused and counted."""

READ_BYTES = 4096
LEAST_BYTES_PER_S = 262_144
"""A line is read no faster than this, or four times its speed: a flood does not saturate a CPU core."""

CLOSE_WITHIN_S = 2.0

F = TypeVar('F')
F_co = TypeVar('F_co', covariant=True)


class Frames(Protocol[F_co]):
    """Cuts a stream of bytes into valid frames; never raises, keeps a bounded buffer, resynchronises."""

    dropped: int
    """Frames that failed their check."""

    skipped: int
    """Bytes outside of any frame."""

    def feed(self, data: bytes) -> Sequence[F_co]:
        """Take bytes as they come; return the frames that are complete."""

    def reset(self) -> None:
        """Discard a partial frame: the port was reopened."""


@dataclass(frozen=True, slots=True)
class PortOpened:
    """The port is open; nothing was received yet."""


@dataclass(frozen=True, slots=True)
class PortLost:
    """
    The link is lost; ``text`` is the reason, for people.

    With ``silent`` the port is still open: requests may go on, and the next frame ends it.
    """

    text: str
    silent: bool = False


@dataclass(slots=True)
class Counters:
    """Counters of the line since the start."""

    bytes_read: int = 0
    bytes_written: int = 0
    frames: int = 0
    overflows: int = 0
    """Frames that found the queue full."""
    refused_writes: int = 0
    opened: int = 0
    lost: int = 0


class SerialLink(Generic[F]):
    """See the module's description."""

    def __init__(
        self,
        settings: PortSettings,
        frames: Frames[F],
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the settings; nothing is opened yet.  ``wake`` is called from the link's thread."""
        self.settings = settings
        self.counters = Counters()
        self._frames = frames
        self._wake = wake
        self._clock = clock
        self._lock = threading.Lock()
        self._port: serial.Serial | None = None
        self._outbox = bytearray()
        self._queue: deque[F | PortOpened | PortLost] = deque()
        self._problem = ''
        self._unplugged = False
        self._heard_at: float | None = None
        self._stop = threading.Event()
        self._signal = -1
        self._thread: threading.Thread | None = None

    # --- the driver's side -------------------------------------------------------------------------------

    def open(self) -> None:
        """
        Open the port and begin to read.

        Raises PortError when the port cannot be opened at the start; later the link retries by itself without
        end.
        """
        port = open_port(self.settings)
        self._signal = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._attach(port)
        name = f'serial {self.settings.port}'
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self, goodbye: bytes = b'', within_s: float = 0.3) -> None:
        """Send the last bytes, end the thread and close the port; takes no longer than needed."""
        if self._thread is None:
            return
        if goodbye and self.write(goodbye):
            end = self._clock() + within_s
            while self._unsent() and self._clock() < end:
                time.sleep(0.005)
        self._stop.set()
        self._poke()
        self._thread.join(CLOSE_WITHIN_S)
        self._thread = None
        os.close(self._signal)
        self._signal = -1

    def write(self, data: bytes) -> bool:
        """Send bytes without waiting; return whether they are on their way."""
        with self._lock:
            if self._port is None or len(self._outbox) + len(data) > OUTBOX_BYTES:
                self.counters.refused_writes += 1
                return False
            if not self._outbox:
                data = data[self._write_now(data) :]
            self._outbox += data
            waiting = bool(self._outbox)
        if waiting:
            self._poke()
        return True

    def receive(self, limit: int = 64) -> list[F | PortOpened | PortLost]:
        """Return received frames, oldest first, at most ``limit``; ``pending`` is whether more wait."""
        with self._lock:
            return [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]

    @property
    def pending(self) -> bool:
        """Return whether ``receive`` has something."""
        return bool(self._queue)

    @property
    def is_open(self) -> bool:
        """Return whether the port is open at this moment."""
        return self._port is not None

    @property
    def problem(self) -> str:
        """Return the problem of the port in one sentence, empty when there is none."""
        return self._problem

    def diagnostics(self) -> Mapping[str, str]:
        """Return port, problem and counters, for ``/diagnostics``."""
        counters = self.counters
        return {
            PORT: self.settings.port,
            'baud rate': str(self.settings.baud_rate),
            PROBLEM: self._problem,
            'frames': str(counters.frames),
            'frames dropped (failed check)': str(self._frames.dropped),
            'bytes skipped (outside of frames)': str(self._frames.skipped),
            'frames dropped (too many)': str(counters.overflows),
            'bytes read': str(counters.bytes_read),
            'bytes written': str(counters.bytes_written),
            'writes refused': str(counters.refused_writes),
            'times opened': str(counters.opened),
            'times lost': str(counters.lost),
        }

    # --- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_PAUSE_S
        reason = ''
        while not self._stop.is_set():
            try:
                if self._port is None:
                    self._pause(pause)
                    pause = min(2.0 * pause, LONGEST_PAUSE_S)
                    if self._stop.is_set():
                        break
                    self._attach(open_port(self.settings))
                heard_before = self._heard_at
                reason = self._serve()
                if self._heard_at != heard_before:
                    pause = FIRST_PAUSE_S
            except PortError as error:
                if not (self._unplugged and isinstance(error, PortMissingError)):  # that is known already
                    self._problem = str(error)
                continue
            except Exception as error:  # noqa: BLE001 - without this thread a silent line would go unnoticed
                reason = f'Reading {self.settings.port} failed: {error!r}.'
            self._detach(reason)
        self._detach('')

    def _serve(self) -> str:
        """Read and write until the port is lost; return why."""
        port = self._port
        assert port is not None
        descriptor: int = port.fileno()
        poller = select.poll()
        poller.register(self._signal, select.POLLIN)
        rate = max(LEAST_BYTES_PER_S, 4 * self.settings.baud_rate // 10)
        allowance, refilled = float(READ_BYTES), self._clock()
        opened = last_heard = self._clock()
        read_before = self.counters.bytes_read
        while not self._stop.is_set():
            now = self._clock()
            allowance = min(float(READ_BYTES), allowance + (now - refilled) * rate)
            refilled = now
            silent = now - last_heard
            if silent >= REOPEN_SILENT_S:
                return self._problem
            if silent >= self.settings.silence_s and not self._problem:
                garbage = self.counters.bytes_read > read_before
                self._lose_hearing(heard=last_heard > opened, garbage=garbage)
            wait = (REOPEN_SILENT_S if self._problem else self.settings.silence_s) - silent
            events = 0
            if allowance > 0.0:
                events |= select.POLLIN
            else:
                wait = min(wait, -allowance / rate + 0.002)
            if self._outbox:
                events |= select.POLLOUT
            poller.register(descriptor, events)
            ready = dict(poller.poll(max(wait, 0.0) * 1000.0 + 1.0))
            if self._signal in ready:
                os.eventfd_read(self._signal)
            seen = ready.get(descriptor, 0)
            if seen & select.POLLOUT:
                with self._lock:
                    del self._outbox[: self._write_now(bytes(self._outbox))]
            if seen & (select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL):
                try:
                    data = os.read(descriptor, READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError as error:
                    return self._gone(f'is gone ({error.strerror})')
                if not data:
                    return self._gone('was hung up')
                allowance -= len(data)
                if self._take(data):
                    last_heard, read_before = self._clock(), self.counters.bytes_read
        return ''

    def _gone(self, how: str) -> str:
        """Note that the port has vanished; return the reason, which stands until the port is back."""
        self._unplugged = True
        return f'{self.settings.port} {how}; waiting until it is back.'

    def _take(self, data: bytes) -> bool:
        """Cut frames and queue them; return whether there were any."""
        self.counters.bytes_read += len(data)
        frames = self._frames.feed(data)
        if not frames:
            return False
        self._heard_at = self._clock()
        self._problem = ''
        self.counters.frames += len(frames)
        with self._lock:
            was_empty = not self._queue
            room = max(QUEUE_FRAMES - len(self._queue), 0)
            self._queue.extend(frames[:room])
            self.counters.overflows += len(frames) - min(room, len(frames))
        if was_empty:
            self._wake()
        return True

    def _lose_hearing(self, *, heard: bool, garbage: bool) -> None:
        """Report a silent link: whether frames, only bytes, or nothing came since the port was opened."""
        settings = self.settings
        start = f'no valid frame in {settings.silence_s:g} s: '
        if heard and garbage:
            text = (
                f'what comes from {settings.port} has become unreadable; check the cable, its ground, and '
                'what disturbs it.'
            )
        elif heard:
            text = f'the board on {settings.port} has fallen silent; check its supply and the cable.'
        elif garbage:
            text = (
                f'what comes from {settings.port} at {settings.baud_rate} baud is not the language of this '
                'board; check the baud rate and that it is the right device.'
            )
        else:
            text = (
                f'nothing at all comes from {settings.port}; check that the board has power and that TX and '
                'RX are crossed.'
            )
        self._problem = start + text
        self._announce(PortLost(self._problem, silent=True))

    def _attach(self, port: serial.Serial) -> None:
        self._frames.reset()
        self._problem, self._unplugged = '', False
        self.counters.opened += 1
        with self._lock:
            self._outbox.clear()
            self._port = port
        self._announce(PortOpened())

    def _detach(self, reason: str) -> None:
        with self._lock:
            port, self._port = self._port, None
            self._outbox.clear()
        if port is None:
            return
        with contextlib.suppress(OSError, termios.error):  # a device that is gone cannot be restored
            port.close()
        if reason:
            self._problem = reason
            self._announce(PortLost(reason))

    def _announce(self, change: PortOpened | PortLost) -> None:
        if isinstance(change, PortLost):
            self.counters.lost += 1
        with self._lock:
            was_empty = not self._queue
            self._queue.append(change)
        if was_empty:
            self._wake()

    def _write_now(self, data: bytes) -> int:
        """Write as much as the line accepts; the lock is held.  The reader handles a broken line."""
        assert self._port is not None
        try:
            written = os.write(self._port.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)
        self.counters.bytes_written += written
        return written

    def _unsent(self) -> bool:
        with self._lock:
            port = self._port
            if port is None:
                return False
            try:
                return bool(self._outbox) or port.out_waiting > 0
            except OSError:
                return False

    def _poke(self) -> None:
        if self._signal >= 0:
            os.eventfd_write(self._signal, 1)

    def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until ``close``."""
        end = self._clock() + seconds
        poller = select.poll()
        poller.register(self._signal, select.POLLIN)
        while not self._stop.is_set() and (left := end - self._clock()) > 0.0:
            if poller.poll(left * 1000.0 + 1.0):
                os.eventfd_read(self._signal)
