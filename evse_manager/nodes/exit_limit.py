"""
A limit on the end of a process that nothing in the process can exceed.

Fast DDS can deadlock in a node that leaves the graph while others leave it too (its issue 6502 is one way);
of nodes that leave ten at once about one in a thousand does.  rclpy waits for it with the interpreter's lock
held: no signal handler and no thread of Python runs any more, and the process stays until it is killed.
Only code that needs no interpreter can end it then: a timer of the system that calls ``_exit``.
"""

import ctypes
import time
from types import TracebackType

LEAVING_S = 3.0
"""How long leaving the graph may take; it takes a tenth of a second, on a busy machine a second."""

_SIGEV_THREAD = 2
"""Call a function in a thread of its own (POSIX, ``<bits/types/sigevent_t.h>``)."""


class _Event(ctypes.Structure):
    """``struct sigevent`` of Linux, 64 bytes; ``value`` is what the function is called with."""

    _fields_ = (
        ('value', ctypes.c_void_p),
        ('signo', ctypes.c_int),
        ('notify', ctypes.c_int),
        ('function', ctypes.c_void_p),
        ('attributes', ctypes.c_void_p),
        ('reserved', ctypes.c_char * 32),
    )


class _Interval(ctypes.Structure):
    """``struct itimerspec``: the period (none) and the first expiry."""

    _fields_ = tuple((name, ctypes.c_long) for name in ('period_s', 'period_ns', 'first_s', 'first_ns'))


class ExitLimit:
    """
    Ends the process with an exit code when a time is over, whatever else goes on in it.

    Nothing is cleaned up then.  In a ``with`` block the limit holds for the block, else for good.
    """

    def __init__(self, seconds: float, code: int) -> None:
        """Start the time; what is printed and not flushed by then will be lost."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        ending = ctypes.cast(self._libc._exit, ctypes.c_void_p)
        event = _Event(value=code, notify=_SIGEV_THREAD, function=ending)
        self._call('timer_create', time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer))
        self.renew(seconds)

    def renew(self, seconds: float) -> None:
        """Start the time again, with another length."""
        whole, fraction = divmod(seconds, 1.0)
        first = _Interval(first_s=int(whole), first_ns=max(1, int(fraction * 1e9)))  # zero would be never
        self._call('timer_settime', self._timer, 0, ctypes.byref(first), None)

    def _call(self, name: str, *arguments: object) -> None:
        if getattr(self._libc, name)(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f'{name} failed')

    def __enter__(self) -> 'ExitLimit':
        """Nothing to do: the time has started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the limit back."""
        self._call('timer_delete', self._timer)
