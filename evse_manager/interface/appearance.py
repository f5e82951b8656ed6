"""
How states are distinguished by sight: the kinds of states, and their colours for screens and markers.

The colours are those of Okabe and Ito, and a grey; they can be distinguished with any colour blindness, and
a text always stands beside them.
"""

from enum import StrEnum
from typing import assert_never

from evse_manager.interface.enums import ChargerState

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""


class StateKind(StrEnum):
    """The state of a connector in one word, for people."""

    CHARGING = 'charging'
    """Energy flows."""
    PREPARING = 'preparing'
    """Power is offered, or about to be; energy may flow at any moment."""
    WAITING = 'waiting'
    """An EV is there and does not charge: it waits for something."""
    IDLE = 'idle'
    """Nothing is wanted: no EV, or the transaction is over."""
    OFF = 'off'
    """Disabled, or not started yet."""
    TROUBLE = 'trouble'
    """An error or a fault blocks power."""
    SILENT = 'silent'
    """The connector is silent, so that its state is unknown."""


COLOURS: dict[StateKind, Colour] = {
    StateKind.CHARGING: (0, 158, 115),
    StateKind.PREPARING: (86, 180, 233),
    StateKind.WAITING: (230, 159, 0),
    StateKind.IDLE: (0, 114, 178),
    StateKind.OFF: (90, 90, 90),
    StateKind.TROUBLE: (213, 94, 0),
    StateKind.SILENT: (204, 121, 167),
}
"""The colour of each kind; each has another lightness or hue for every common colour blindness."""


def state_kind(state: ChargerState) -> StateKind:
    """Return the kind of a state that a connector reports."""
    match state:
        case ChargerState.CHARGING:
            return StateKind.CHARGING
        case ChargerState.PREPARE_CHARGING:
            return StateKind.PREPARING
        case (
            ChargerState.WAITING_FOR_AUTHENTICATION
            | ChargerState.WAITING_FOR_ENERGY
            | ChargerState.CHARGING_PAUSED_EV
            | ChargerState.CHARGING_PAUSED_EVSE
            | ChargerState.STOPPING_CHARGING
            | ChargerState.T_STEP_EF
            | ChargerState.T_STEP_X1
            | ChargerState.REPLUG
        ):
            return StateKind.WAITING
        case ChargerState.IDLE | ChargerState.FINISHED:
            return StateKind.IDLE
        case ChargerState.UNSPECIFIED | ChargerState.DISABLED | ChargerState.STARTING:
            return StateKind.OFF
        case ChargerState.ERROR | ChargerState.FAULTED:
            return StateKind.TROUBLE
        case _:
            assert_never(state)
