"""
Which commands a board takes, and which errors keep its contactor open.

A command that asks for anything impossible is not corrected: nothing of it is applied, power is withdrawn.
"""

import math

from evse_manager.interface.enums import BoardErrorEnum, PilotMode
from evse_manager.interface.pilot import HLC_DUTY_PERCENT, MAXIMUM_CURRENT_A, current
from evse_manager.interface.types import BoardCapabilities, BoardCommand, HardwareCapabilities

CURRENT_TOLERANCE_A = 0.1
"""Largest difference between a duty cycle and the current beside it: duty cycles are rounded."""

HLC_DUTY_TOLERANCE_PERCENT = 0.1

_E = BoardErrorEnum

BLOCKING = frozenset({_E.OVER_TEMPERATURE, _E.CABLE_OVER_TEMPERATURE})
"""Errors with which the contactor is not closed; one that is closed stays so until the manager decides."""

OPENING = frozenset(
    {
        _E.DIODE_FAULT, _E.PILOT_FAULT, _E.CONTACTOR_WELDED, _E.CONTACTOR_FAULT, _E.RCD_AC, _E.RCD_DC,
        _E.RCD_SELF_TEST, _E.GROUND_FAULT, _E.OVER_CURRENT, _E.LOCK_UNEXPECTEDLY_OPEN, _E.PROXIMITY_FAULT,
        _E.EMERGENCY_STOP, _E.ENCLOSURE_OPEN, _E.WATER_INGRESS, _E.TILT, _E.OVER_VOLTAGE, _E.UNDER_VOLTAGE,
        _E.SUPPLY_LOST, _E.PERMANENT_FAULT, _E.BAD_DATA, _E.VENDOR_ERROR,
    }
)  # fmt: skip
"""Errors that open the contactor at once, before the manager knows of them."""


def reject_reason(
    command: BoardCommand, capabilities: BoardCapabilities | None, hardware: HardwareCapabilities | None
) -> str:
    """
    Return why a command cannot be applied, empty when it can; the text names field, value and what is
    allowed.
    """
    for name in ('duty_cycle_percent', 'current_a', 'over_current_limit_a', 'lease'):
        value = getattr(command, name)
        if not math.isfinite(value) and not (name == 'lease' and value == math.inf):
            return f'{name} is {value}, but must be a finite number.'
        if value < 0.0:
            return f'{name} is {value:g}, but must not be negative.'
    if command.phases not in {0, 1, 3}:
        return f'phases is {command.phases}, but must be 0, 1 or 3.'
    if command.pilot_mode not in {PilotMode.X1, PilotMode.PWM, PilotMode.F, PilotMode.E}:
        return f'pilot_mode is {int(command.pilot_mode)}, which is no pilot mode.'
    if (
        command.pilot_mode is PilotMode.E
        and capabilities is not None
        and not capabilities.supports_cp_state_e
    ):
        return 'pilot_mode is E, which this board cannot do.'
    if (
        command.pilot_mode is PilotMode.F
        and capabilities is not None
        and not capabilities.supports_cp_state_f
    ):
        return 'pilot_mode is F, which this board cannot do.'
    if hardware is not None and command.phases > hardware.max_phase_count_import:
        return f'phases is {command.phases}, but the board has {hardware.max_phase_count_import}.'
    most = MAXIMUM_CURRENT_A if hardware is None else hardware.max_current_a_import
    if command.current_a > most + CURRENT_TOLERANCE_A:
        return f'current_a is {command.current_a:g}, but the board carries {most:g} A.'
    if command.pilot_mode is PilotMode.PWM:
        return _duty_objection(command, capabilities, most)
    return ''


def _duty_objection(command: BoardCommand, capabilities: BoardCapabilities | None, most_a: float) -> str:
    duty = command.duty_cycle_percent
    if abs(duty - HLC_DUTY_PERCENT) <= HLC_DUTY_TOLERANCE_PERCENT:
        if capabilities is not None and not capabilities.supports_hlc_duty:
            return 'duty_cycle_percent is 5, which this board cannot do.'
        return ''
    signalled = current(duty)
    if signalled <= 0.0:
        return f'duty_cycle_percent is {duty:g}, but must be 5 or 8 to 97.'
    if signalled > most_a + CURRENT_TOLERANCE_A:
        return f'duty_cycle_percent is {duty:g} ({signalled:.1f} A), but the board carries {most_a:g} A.'
    if signalled > command.current_a + CURRENT_TOLERANCE_A:
        return f'duty_cycle_percent is {duty:g} ({signalled:.1f} A), but current_a is {command.current_a:g}.'
    return ''
