"""The inputs and outputs of a driver."""

from dataclasses import dataclass

from evse_manager.interface.enums import (
    ContactorState,
    ControlPilotState,
    LinkState,
    LockState,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.types import BoardError


@dataclass(frozen=True, slots=True)
class Outputs:
    """
    The complete outputs that a board shall have.

    Every number is finite, at least 0 and within the board's capability.  Counters make it idempotent: the
    driver does what they stand for once each time they have grown.
    """

    pilot_mode: PilotMode = PilotMode.X1
    """Steady +12 V, PWM, steady -12 V (F) or 0 V (E)."""

    duty_cycle_percent: float = 100.0
    """Duty cycle of the PWM, 0 to 100; only with ``PilotMode.PWM``."""

    current_a: float = 0.0
    """Current in A per phase that the duty cycle signals; high-level boards get this value."""

    power: bool = False
    """Low-level boards: the contactor shall be closed now.  High-level boards: the firmware may close it."""

    lock: bool | None = None
    """Whether the connector shall be locked; ``None`` leaves the lock as it is."""

    phases: int = 0
    """1 or 3; 0 leaves them as they are.  Changes only while the contactor is confirmed open."""

    ventilation_allowed: bool = False
    """Whether state D may be charged."""

    over_current_limit_a: float = 0.0
    """Limit in A of the board's own over-current protection; 0 is the board's own default."""

    rcd_resets: int = 0
    """Grows each time the residual current device shall be reset and tested."""

    replugs: int = 0
    """
    Grows each time a virtual replug is wanted; high-level boards only, others are led through it by the
    pilot.
    """


@dataclass(frozen=True, slots=True)
class Observation:
    """The complete state of a board as its driver knows it at one moment."""

    link: LinkState = LinkState.CONNECTING
    """``UP`` while the board answers; anything else makes the contactor unknown."""

    cp_state: ControlPilotState = ControlPilotState.UNSPECIFIED
    """State of the pilot; a value that the driver does not understand is ``E``, never a guess."""

    pilot_mode: PilotMode = PilotMode.UNSPECIFIED
    """The output on the pilot, read back from the board where possible."""

    duty_cycle_percent: float = 100.0
    """Duty cycle in force."""

    current_a: float = 0.0
    """Current in A that is signalled; 0 when the pilot is no PWM."""

    contactor: ContactorState = ContactorState.UNKNOWN
    """Feedback of the contactor, not the order."""

    lock: LockState = LockState.NONE
    """State of the connector lock."""

    proximity: ProximityState = ProximityState.NOT_AVAILABLE
    """Reading of the proximity resistor."""

    cable_ampacity_a: float | None = None
    """Ampacity that the cable's resistor codes, in A; ``None`` without a reading."""

    phases: int = 0
    """Phases that the contactor connects, 0 when unknown."""

    errors: tuple[BoardError, ...] = ()
    """Errors and warnings that are active now."""

    replug_active: bool = False
    """High-level boards: a virtual replug is under way."""

    resets: int = 0
    """Grows each time the board has restarted by itself and lost its outputs."""

    firmware: str = ''
    """Name and version of what runs on the board."""
