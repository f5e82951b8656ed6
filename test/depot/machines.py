"""Two machines on one: network namespaces with a cable between them, which can be pulled."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
"""``<sched.h>``"""

_LIBC = ctypes.CDLL(None, use_errno=True)


class NoNamespacesError(Exception):
    """Network namespaces cannot be made here; the text is the reason."""


def _ip(*words: str) -> None:
    try:
        subprocess.run(['ip', *words], check=True, capture_output=True, text=True, timeout=20)
    except subprocess.CalledProcessError as error:
        raise NoNamespacesError(f'ip {" ".join(words)}: {error.stderr.strip()}') from error


class Machines:
    """Two network namespaces, ``yard`` and ``office``, joined by a cable."""

    def __init__(self, stack: ExitStack) -> None:
        """Make them; raises NoNamespacesError.  ``stack`` removes them."""
        if os.geteuid() != 0:
            raise NoNamespacesError('network namespaces need root')
        if shutil.which('ip') is None:
            raise NoNamespacesError('the program ip (iproute2) is not installed')
        tag = f'evse{os.getpid()}'
        self._names = {'yard': f'{tag}y', 'office': f'{tag}o'}
        for name in self._names.values():
            _ip('netns', 'add', name)
            stack.callback(_ip, 'netns', 'del', name)
        cable = {where: f've{os.getpid()}{where[0]}' for where in self._names}
        _ip('link', 'add', cable['yard'], 'netns', self._names['yard'], 'type', 'veth',
            'peer', 'name', cable['office'], 'netns', self._names['office'])  # fmt: skip
        for number, (where, name) in enumerate(self._names.items(), start=1):
            _ip('-n', name, 'address', 'add', f'10.213.77.{number}/24', 'dev', cable[where])
            _ip('-n', name, 'link', 'set', 'lo', 'up')
            _ip('-n', name, 'link', 'set', cable[where], 'up')
        self._cable = cable

    def prefix(self, where: str) -> tuple[str, ...]:
        """Return the words that start a program on a machine."""
        return 'ip', 'netns', 'exec', self._names[where]

    def pull(self) -> None:
        """Pull the cable."""
        _ip('-n', self._names['office'], 'link', 'set', self._cable['office'], 'down')

    def plug(self) -> None:
        """Put the cable back."""
        _ip('-n', self._names['office'], 'link', 'set', self._cable['office'], 'up')

    @contextmanager
    def on(self, where: str) -> Iterator[None]:
        """Let this thread, and those that it starts, be on a machine."""
        with (
            Path('/proc/thread-self/ns/net').open() as here,
            Path('/run/netns', self._names[where]).open() as there,
        ):
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise NoNamespacesError(os.strerror(ctypes.get_errno()))
