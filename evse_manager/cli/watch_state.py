"""
Key handling of ``evse watch``: selection, pages, filter, details, and commands that are confirmed.

Pure: ``press`` takes a key and returns the order that it gives, if any; ``watch_screen.py`` draws the state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from evse_manager.cli import actions, formatting
from evse_manager.cli.actions import Action
from evse_manager.cli.monitor import ConnectorView, Monitor

LONGEST_FILTER = 40


class ScreenMode(Enum):
    """Meaning of the keys at present."""

    LIST = auto()
    DETAILS = auto()
    FILTER = auto()
    """A filter is being typed."""
    CONFIRM = auto()
    """A command waits for y."""


KEY_ACTIONS = {
    'p': actions.PAUSE,
    'r': actions.RESUME,
    's': actions.STOP,
    'u': actions.UNLOCK,
    'e': actions.ENABLE,
    'd': actions.DISABLE,
    'c': actions.CLEAR_FAULT,
}
"""Commands of the keys for the selected connector; all are confirmed: a key is easily hit by mistake."""


@dataclass(frozen=True, slots=True)
class ConfirmedCommand:
    """A confirmed command for one connector."""

    connector: str
    action: Action


class WatchState:
    """The selection and mode of one screen."""

    def __init__(self) -> None:
        self.mode = ScreenMode.LIST
        self.selected = ''
        self.filter = ''
        self.by_name = False
        """Whether the list is in the order of names, not of attention."""
        self.page_size = 10
        """Rows of the list that fit on the screen; the screen sets it."""
        self.ends = False
        self.message = ''
        """Result of the last command."""
        self.order: ConfirmedCommand | None = None
        """The command that waits for confirmation."""
        self._before = ScreenMode.LIST
        self._position = 0

    @property
    def confirms_details(self) -> bool:
        """Whether a question was asked from the details, which stay."""
        return self.mode is ScreenMode.CONFIRM and self._before is ScreenMode.DETAILS

    # --- the list -------------------------------------------------------------------------------------

    def listed(self, monitor: Monitor, now: float) -> list[ConnectorView]:
        """Return the connectors that pass the filter, in order."""
        bays = monitor.in_order() if self.by_name else monitor.by_attention(now)
        return [view for view in bays if passes(view, self.filter)] if self.filter else bays

    def position(self, bays: Sequence[ConnectorView]) -> int:
        """Return where the selected connector is; one that left gives way to the one in its place."""
        at = next((index for index, view in enumerate(bays) if view.name == self.selected), None)
        if at is None:
            at = max(0, min(self._position, len(bays) - 1))
        self.selected = bays[at].name if bays else ''
        self._position = at
        return at

    # --- keys -----------------------------------------------------------------------------------------

    def press(self, keys: Sequence[str], monitor: Monitor, now: float) -> ConfirmedCommand | None:
        """
        Take the keys that were pressed since the last call; return the command that was confirmed.

        What stands behind a key that asks for confirmation is dropped, so that a burst confirms nothing.
        """
        for key in keys:
            self.message = ''
            if key == 'end of input':
                self.ends = True
                return None
            match self.mode:
                case ScreenMode.CONFIRM:
                    return self._confirm(key)
                case ScreenMode.FILTER:
                    self._type(key)
                case ScreenMode.LIST | ScreenMode.DETAILS:
                    self._command(key, monitor, now)
                    if self.order is not None:
                        return None
        return None

    def _confirm(self, key: str) -> ConfirmedCommand | None:
        order, self.order, self.mode = self.order, None, self._before
        if key == 'y':
            return order
        self.message = 'Nothing was done.'
        return None

    def _type(self, key: str) -> None:
        match key:
            case 'enter':
                self.mode = ScreenMode.LIST
            case 'escape':
                self.mode, self.filter = ScreenMode.LIST, ''
            case 'backspace':
                self.filter = self.filter[:-1]
            case _ if len(key) == 1 and key.isprintable():
                self.filter = (self.filter + key)[:LONGEST_FILTER]

    def _command(self, key: str, monitor: Monitor, now: float) -> None:
        bays = self.listed(monitor, now)
        if key in MOVES:
            self._move(bays, MOVES[key](self))
        elif key in KEY_ACTIONS and bays:
            self.position(bays)
            self._before, self.mode = self.mode, ScreenMode.CONFIRM
            self.order = ConfirmedCommand(self.selected, KEY_ACTIONS[key])
        else:
            self._other(key)

    def _move(self, bays: Sequence[ConnectorView], by: int) -> None:
        if bays:
            index = self.position(bays) + by
            self.selected = bays[max(0, min(len(bays) - 1, index))].name

    def _other(self, key: str) -> None:
        match key:
            case 'q' | 'Q' | '\x04':
                self.ends = True
            case 'enter' | 'right':
                self.mode = ScreenMode.DETAILS
            case 'escape' | 'left' | 'backspace':
                if self.mode is ScreenMode.LIST and key == 'escape':
                    self.filter = ''
                self.mode = ScreenMode.LIST
            case '/':
                self.mode = ScreenMode.FILTER
            case 'o':
                self.by_name = not self.by_name


FAR = 10**6
MOVES: dict[str, Callable[[WatchState], int]] = {
    'up': lambda _: -1,
    'k': lambda _: -1,
    'down': lambda _: 1,
    'j': lambda _: 1,
    'page up': lambda state: -state.page_size,
    'page down': lambda state: state.page_size,
    'home': lambda _: -FAR,
    'g': lambda _: -FAR,
    'end': lambda _: FAR,
    'G': lambda _: FAR,
}
"""How far a key moves the selection."""


def passes(view: ConnectorView, text: str) -> bool:
    """Return whether every word of a filter stands in a connector's name, state or reason."""
    known = view.name
    if view.status is not None:
        known += f' {formatting.spoken(view.status.state)} {formatting.why(view.status)}'
    known = known.lower()
    return all(word in known for word in text.lower().split())
