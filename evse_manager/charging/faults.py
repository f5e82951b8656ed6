"""
Table of the faults: effect and recovery of each (docs/charging.md; docs/faults.md).

The active errors are a set: each is announced once, and the last to go takes all with it.  Only what blocks
power is an error; everything else is a warning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from evse_manager.interface.enums import BoardErrorEnum, ErrorEnum
from evse_manager.interface.types import Error


class Severity(Enum):
    """Effect of an error on the power."""

    EMERGENCY = auto()
    """The contactor opens at once, whatever the state."""
    CONTROLLED = auto()
    """The pilot is withdrawn; the contactor opens when the EV leaves C, or after 6 s."""


class Recovery(Enum):
    """Condition that ends an error."""

    CLEAR = auto()
    """Its cause is gone."""
    VALID_PILOT = auto()
    """Its cause is gone and the pilot valid for a second."""
    UNPLUG = auto()
    """Its cause is gone and the EV was unplugged since, whichever is later."""
    OPERATOR = auto()
    """Latched: the operator's reset, after the board reports the contactor open."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of error; ``code`` is stable, ``sentence`` names cause and remedy for people."""

    code: str
    error: ErrorEnum
    severity: Severity
    recovery: Recovery
    sentence: str


def _fault(code: str, error: ErrorEnum, recovery: Recovery, sentence: str, controlled: bool = False) -> Fault:
    return Fault(code, error, Severity.CONTROLLED if controlled else Severity.EMERGENCY, recovery, sentence)


_E = ErrorEnum
_R = Recovery

PILOT = _fault(
    'PilotFault', _E.CAR, _R.VALID_PILOT, 'The control pilot is shorted or out of range; check cable and car.'
)
DIODE = _fault(
    'DiodeFault',
    _E.CAR_DIODE_FAULT,
    _R.UNPLUG,
    'The diode of the pilot circuit is missing in the car; unplug it.',
)
VENTILATION = _fault(
    'VentilationNotAvailable',
    _E.VENTILATION_NOT_AVAILABLE,
    _R.CLEAR,
    'The car asks for ventilation, which this bay lacks.',
)
NOT_CLOSING = _fault(
    'ContactorNotClosing', _E.RELAIS, _R.UNPLUG, 'The contactor did not close in 3 s; have it checked.'
)
OPENED = _fault('ContactorOpened', _E.RELAIS, _R.UNPLUG, 'The contactor opened by itself; have it checked.')
CONTACTOR = _fault(
    'ContactorFault', _E.RELAIS, _R.UNPLUG, 'The board reports a contactor fault; have it checked.'
)
WELD = _fault(
    'ContactorWelded', _E.RELAIS, _R.OPERATOR,
    'The contactor did not open, the outlet may be live; switch off the supply and have it replaced.',
)  # fmt: skip
RCD_AC = _fault(
    'RcdAc', _E.RCD, _R.UNPLUG, 'The residual current device tripped (AC); unplug and check the car.'
)
RCD_DC = _fault(
    'RcdDc', _E.RCD, _R.UNPLUG, 'The residual current device tripped (6 mA DC); unplug and check the car.'
)
RCD_SELF_TEST = _fault(
    'RcdSelfTest',
    _E.RCD,
    _R.UNPLUG,
    'The residual current device failed its self-test; have the board checked.',
)
GROUND = _fault(
    'GroundFault', _E.RCD, _R.UNPLUG, 'The protective earth is missing; have the installation checked.'
)
OVER_CURRENT = _fault(
    'OverCurrent', _E.OVER_CURRENT, _R.UNPLUG, 'The car draws more than it was offered; unplug it.'
)
BOARD_OVER_CURRENT = _fault(
    'BoardOverCurrent',
    _E.OVER_CURRENT,
    _R.UNPLUG,
    "The board's over-current protection tripped; unplug the car.",
)
BOARD_LOST = _fault(
    'BoardLost', _E.INTERNAL, _R.CLEAR, 'The board cannot be reached; check the board node and its link.'
)
BAD_DATA = _fault(
    'BadData',
    _E.INTERNAL,
    _R.CLEAR,
    'The board refuses or sends impossible data; check versions of both nodes.',
)
DISAGREEMENT = _fault(
    'BoardDisagrees',
    _E.INTERNAL,
    _R.CLEAR,
    'The board offers more current than ordered; check its firmware.',
)
PERMANENT = _fault(
    'BoardPermanentFault', _E.INTERNAL, _R.CLEAR, 'The board reports a permanent fault; have it replaced.'
)
PROXIMITY = _fault(
    'ProximityFault',
    _E.OTHER,
    _R.UNPLUG,
    "The cable's rating cannot be read; unplug it and use another cable.",
)
LOCK_FAILED = _fault(
    'LockFailed', _E.OTHER, _R.UNPLUG, 'The connector cannot be locked; unplug and plug in firmly.'
)
UNLOCK_FAILED = _fault(
    'UnlockFailed', _E.OTHER, _R.CLEAR, 'The connector cannot be unlocked; move the plug a little.'
)
LOCK_OPENED = _fault(
    'LockOpened', _E.OTHER, _R.UNPLUG, 'The connector lock opened by itself; unplug the car.'
)
EMERGENCY_STOP = _fault(
    'EmergencyStop',
    _E.OTHER,
    _R.UNPLUG,
    'The emergency stop is pressed; release it when safe and unplug the car.',
)
ENCLOSURE = _fault('EnclosureOpen', _E.OTHER, _R.CLEAR, 'The enclosure is open; close it.')
WATER = _fault('WaterIngress', _E.OTHER, _R.CLEAR, 'There is water in the enclosure; switch off the supply.')
TILT = _fault('Tilt', _E.OTHER, _R.CLEAR, 'The charger is tilted; set it upright.')
OVER_VOLTAGE = _fault(
    'OverVoltage', _E.OTHER, _R.CLEAR, 'The supply voltage is too high; charging resumes when it is normal.'
)
UNDER_VOLTAGE = _fault(
    'UnderVoltage', _E.OTHER, _R.CLEAR, 'The supply voltage is too low; charging resumes when it is normal.'
)
SUPPLY = _fault('SupplyLost', _E.OTHER, _R.CLEAR, 'The supply is gone; charging resumes when it is back.')
VENDOR = _fault('VendorError', _E.OTHER, _R.CLEAR, 'The board reports an error of its own.')
SAFETY_TESTS = _fault(
    'SafetyTestsOff', _E.OTHER, _R.CLEAR, 'Safety tests of the board are switched off; switch them on.'
)  # fmt: skip
BOARD_TEMPERATURE = _fault(
    'BoardOverTemperature',
    _E.OTHER,
    _R.CLEAR,
    'The board is too hot; charging resumes when it has cooled.',
    controlled=True,
)
CABLE_TEMPERATURE = _fault(
    'CableOverTemperature',
    _E.OTHER,
    _R.CLEAR,
    'The cable is too hot; check the plug for damage.',
    controlled=True,
)
TEMPERATURE = _fault(
    'TemperatureStop',
    _E.OTHER,
    _R.CLEAR,
    'The charger is too hot; charging resumes when it has cooled.',
    controlled=True,
)
METER = _fault(
    'MeterLost', _E.OTHER, _R.CLEAR, 'The billing meter is silent; check its wiring.', controlled=True
)
PHASES = _fault(
    'PhaseSwitchFailed',
    _E.OTHER,
    _R.UNPLUG,
    'The phases could not be switched; the old count stays.',
    controlled=True,
)
BOARD_FAULTS: dict[BoardErrorEnum, Fault] = {
    BoardErrorEnum.DIODE_FAULT: DIODE,
    BoardErrorEnum.PILOT_FAULT: PILOT,
    BoardErrorEnum.CONTACTOR_WELDED: WELD,
    BoardErrorEnum.CONTACTOR_FAULT: CONTACTOR,
    BoardErrorEnum.RCD_AC: RCD_AC,
    BoardErrorEnum.RCD_DC: RCD_DC,
    BoardErrorEnum.RCD_SELF_TEST: RCD_SELF_TEST,
    BoardErrorEnum.GROUND_FAULT: GROUND,
    BoardErrorEnum.OVER_CURRENT: BOARD_OVER_CURRENT,
    BoardErrorEnum.OVER_TEMPERATURE: BOARD_TEMPERATURE,
    BoardErrorEnum.CABLE_OVER_TEMPERATURE: CABLE_TEMPERATURE,
    BoardErrorEnum.LOCK_FAILED_TO_LOCK: LOCK_FAILED,
    BoardErrorEnum.LOCK_FAILED_TO_UNLOCK: UNLOCK_FAILED,
    BoardErrorEnum.LOCK_UNEXPECTEDLY_OPEN: LOCK_OPENED,
    BoardErrorEnum.PROXIMITY_FAULT: PROXIMITY,
    BoardErrorEnum.EMERGENCY_STOP: EMERGENCY_STOP,
    BoardErrorEnum.ENCLOSURE_OPEN: ENCLOSURE,
    BoardErrorEnum.WATER_INGRESS: WATER,
    BoardErrorEnum.TILT: TILT,
    BoardErrorEnum.OVER_VOLTAGE: OVER_VOLTAGE,
    BoardErrorEnum.UNDER_VOLTAGE: UNDER_VOLTAGE,
    BoardErrorEnum.SUPPLY_LOST: SUPPLY,
    BoardErrorEnum.PERMANENT_FAULT: PERMANENT,
    BoardErrorEnum.BAD_DATA: BAD_DATA,
    BoardErrorEnum.VENDOR_ERROR: VENDOR,
}
"""The board's errors that block power; the others are warnings, or depend on a parameter."""

RCD_FAULTS = (RCD_AC, RCD_DC, RCD_SELF_TEST, GROUND)
SUPPLY_FAULTS = (OVER_VOLTAGE, UNDER_VOLTAGE, SUPPLY)

VALID_PILOT_S = 1.0
"""How long the pilot must be valid before a pilot fault ends (catalogue F3)."""


@dataclass(slots=True)
class ActiveError:
    """An error of the set: whether its cause lasts, and what its recovery has seen."""

    fault: Fault
    detail: str
    present: bool = True
    absent_since: float = 0.0
    unplugged: bool = False

    def message(self) -> Error:
        """Return it as people read it."""
        return Error(self.fault.error, f'{self.fault.code}: {self.detail or self.fault.sentence}')


class ErrorSet:
    """The active errors, in the order in which they were raised."""

    def __init__(self) -> None:
        """Begin without any."""
        self._active: dict[str, ActiveError] = {}

    def __bool__(self) -> bool:
        """Tell whether anything blocks power."""
        return bool(self._active)

    def __iter__(self) -> Iterator[ActiveError]:
        """Yield the active errors, oldest first."""
        return iter(self._active.values())

    def __contains__(self, fault: Fault) -> bool:
        """Tell whether ``fault`` is active."""
        return fault.code in self._active

    @property
    def emergency(self) -> bool:
        """Tell whether the contactor must be open now."""
        return any(active.fault.severity is Severity.EMERGENCY for active in self)

    def present(self, fault: Fault) -> bool:
        """Tell whether ``fault`` is active and its cause lasts."""
        return fault.code in self._active and self._active[fault.code].present

    def raise_(self, fault: Fault, detail: str = '') -> ActiveError | None:
        """Add an error; return it when it is new, so that it is announced once."""
        known = self._active.get(fault.code)
        if known is not None:
            known.present = True
            known.unplugged = False
            return None
        active = ActiveError(fault, detail)
        self._active[fault.code] = active
        return active

    def cause_gone(self, fault: Fault, steady: float) -> None:
        """Note that the cause of an error no longer lasts; its recovery decides when it ends."""
        known = self._active.get(fault.code)
        if known is not None and known.present:
            known.present = False
            known.absent_since = steady

    def unplugged(self) -> None:
        """Note that the EV is seen unplugged."""
        for active in self:
            active.unplugged = True

    def expire(self, steady: float) -> bool:
        """Remove every error whose recovery is complete; return whether that emptied the set."""
        if not self._active:
            return False
        for code in [code for code, active in self._active.items() if self._over(active, steady)]:
            del self._active[code]
        return not self._active

    def next_expiry(self) -> float | None:
        """Return when an error ends by time alone."""
        times = [
            active.absent_since + VALID_PILOT_S
            for active in self
            if active.fault.recovery is Recovery.VALID_PILOT and not active.present
        ]
        return min(times, default=None)

    def reset_latched(self) -> None:
        """Remove the latched errors: the operator's reset."""
        for code in [
            code for code, active in self._active.items() if active.fault.recovery is Recovery.OPERATOR
        ]:
            del self._active[code]

    @staticmethod
    def _over(active: ActiveError, steady: float) -> bool:
        if active.present:
            return False
        match active.fault.recovery:
            case Recovery.CLEAR:
                return True
            case Recovery.VALID_PILOT:
                return steady >= active.absent_since + VALID_PILOT_S
            case Recovery.UNPLUG:
                return active.unplugged
            case Recovery.OPERATOR:
                return False
