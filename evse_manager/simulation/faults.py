"""
Every fault of the simulated world by name: what happens, what ends it, and how the world does it.

``simulation/inject_fault`` and ``simulation/clear_fault`` take these names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from evse_manager.interface.enums import BoardErrorEnum
from evse_manager.simulation.contactor import Contactor
from evse_manager.simulation.enclosure import Enclosure
from evse_manager.simulation.lock import ConnectorLock
from evse_manager.simulation.protection import Protection


class SimulationError(ValueError):
    """The simulated world cannot do that; the text names the reason, and what it can do."""


class FaultyWorld(Protocol):
    """The parts of the simulated world that can be made to fail."""

    contactor: Contactor
    lock: ConnectorLock
    protection: Protection
    enclosure: Enclosure

    def set_noise(self, active: bool) -> None:
        """Begin or end the noise on the pilot."""

    def set_ventilation(self, active: bool) -> None:
        """Let the EV ask for ventilation, or no longer."""

    def set_meter_jump(self, active: bool) -> None:
        """Let the meter's register jump, or fall back."""

    def cut_link(self, cut: bool) -> None:
        """Cut or restore the line to the board."""

    def reset_board(self, active: bool) -> None:
        """Restart the board."""


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One fault; ``set`` is called with True to inject and False to clear it."""

    description: str
    set: Callable[[FaultyWorld, bool], None]
    momentary: bool = False
    """It happens once and leaves nothing to clear."""


def _attribute(name: str) -> Callable[[FaultyWorld, bool], None]:
    def set_it(world: FaultyWorld, active: bool) -> None:
        setattr(world, name, active)

    return set_it


def _trip(code: BoardErrorEnum) -> Callable[[FaultyWorld, bool], None]:
    def set_it(world: FaultyWorld, active: bool) -> None:
        world.protection.cause(code, active)

    return set_it


FAULTS: dict[str, InjectedFault] = {
    'diode': InjectedFault(
        "The EV's diode is missing, on this and every later EV; the board sees it while the pilot is PWM, "
        'until unplugged.',
        _attribute('diode_missing'),
    ),
    'pilot_short': InjectedFault(
        'The pilot is shorted to earth: state E, until cleared.', _attribute('pilot_shorted')
    ),
    'pilot_noise': InjectedFault(
        'The pilot of a plugged EV flaps between B and C at 20 Hz, until cleared.',
        lambda world, active: world.set_noise(active),
    ),
    'ventilation': InjectedFault(
        'The EV asks for ventilation: D instead of C, until cleared.',
        lambda world, active: world.set_ventilation(active),
    ),
    'relay_weld': InjectedFault(
        'The contacts weld as soon as they touch: closed until cleared.',
        lambda world, active: world.contactor.weld(active),
    ),
    'relay_stuck_open': InjectedFault(
        'The contactor does not close, until cleared.', lambda world, active: world.contactor.block(active)
    ),
    'relay_drops': InjectedFault(
        'The contactor falls at once, and 1 s after each closing, until cleared.',
        lambda world, active: world.contactor.let_drop(active),
    ),
    'rcd_ac': InjectedFault(
        'The residual current device trips (30 mA AC); after clearing it needs a reset by the manager.',
        _trip(BoardErrorEnum.RCD_AC),
    ),
    'rcd_dc': InjectedFault(
        'The residual current device trips (6 mA DC); after clearing it needs a reset by the manager.',
        _trip(BoardErrorEnum.RCD_DC),
    ),
    'rcd_self_test': InjectedFault(
        'The self-test before the next closing fails; after clearing it needs a reset by the manager.',
        _attribute('self_test_fails'),
    ),
    'over_current': InjectedFault(
        "The EV draws twice the over-current limit until cleared; the board's protection trips after 1 s, "
        'until unplugged.',
        _attribute('draws_too_much'),
    ),
    'over_temperature': InjectedFault(
        'The enclosure heats up towards 95 °C or more, past 71 °C after about 20 s; cools after clearing.',
        lambda world, active: world.enclosure.heat(active),
    ),
    'lock_jam': InjectedFault(
        'The lock motor stalls: it neither locks nor unlocks, until cleared.',
        lambda world, active: world.lock.jam(active),
    ),
    'lock_opens': InjectedFault(
        'The lock springs open and does not hold, until cleared.',
        lambda world, active: world.lock.slip(active),
    ),
    'proximity': InjectedFault(
        'The proximity resistor cannot be read, until cleared.', _attribute('proximity_broken')
    ),
    'meter_silent': InjectedFault('The meter sends no samples, until cleared.', _attribute('meter_silent')),
    'meter_jump': InjectedFault(
        "The meter's register reads 100 kWh more, until cleared.",
        lambda world, active: world.set_meter_jump(active),
    ),
    'emergency_stop': InjectedFault(
        'The emergency stop is pressed, until cleared.', _trip(BoardErrorEnum.EMERGENCY_STOP)
    ),
    'link_lost': InjectedFault(
        "The line to the board is cut, until cleared; the board's watchdog opens the contactor after 3 s.",
        lambda world, active: world.cut_link(active),
    ),
    'board_reset': InjectedFault(
        'The board restarts once and loses its outputs.',
        lambda world, active: world.reset_board(active),
        momentary=True,
    ),
}
"""Every fault by name."""


def named(name: str) -> InjectedFault:
    """Return the fault of a name; raises SimulationError with the list of known names."""
    if name not in FAULTS:
        raise SimulationError(f'There is no fault {name!r:.60}; choose one of: {", ".join(FAULTS)}.')
    return FAULTS[name]
