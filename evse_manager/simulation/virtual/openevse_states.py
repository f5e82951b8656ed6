"""States and flags of an OpenEVSE's firmware, as RAPI codes them."""

UNKNOWN, READY, CONNECTED, CHARGING = 0x00, 0x01, 0x02, 0x03
VENTILATION, DIODE, RESIDUAL, NO_GROUND, STUCK, SELF_TEST, HOT, OVER_CURRENT = range(0x04, 0x0C)
ASLEEP, DISABLED = 0xFE, 0xFF

FAULTS = range(0x04, 0x0F)
"""States that the firmware leaves by way of state 00."""

NAMES = {
    UNKNOWN: 'starting', READY: 'ready', CONNECTED: 'connected', CHARGING: 'charging',
    VENTILATION: 'ventilation required', DIODE: 'diode fault', RESIDUAL: 'residual current',
    NO_GROUND: 'no ground', STUCK: 'stuck relay', SELF_TEST: 'self-test failed', HOT: 'too hot',
    OVER_CURRENT: 'over-current', ASLEEP: 'asleep', DISABLED: 'disabled',
}  # fmt: skip
"""Names of the states, for people."""


class Flag:
    """Flags of the state (``$GS``, ``$AT``)."""

    HARD_FAULT = 0x0002
    RELAY = 0x0040
    """The relay is driven; its contacts are not seen."""
    RESIDUAL_TRIPPED = 0x0080
    """Since the start."""
    CONNECTED = 0x0100
    """A car is plugged; kept as it was while the pilot is -12 V."""
    SESSION_ENDED = 0x0200
    WAS_CONNECTED = 0x0400
    """``CONNECTED`` of one loop before."""
    LOCK_IS_MANUAL = 0x8000


REPORTED = Flag.HARD_FAULT | Flag.CONNECTED
"""Flags whose change is reported unasked."""
