"""Which commands a board takes: the exact reason of every refusal, and both sides of every limit."""

import math
from dataclasses import replace

import pytest

from evse_manager.interface.enums import PilotMode
from evse_manager.interface.types import BoardCapabilities, BoardCommand, Duration, HardwareCapabilities
from evse_manager.lease.validation import BLOCKING, OPENING, reject_reason

ABLE = BoardCapabilities(supports_cp_state_e=True, supports_cp_state_f=True, supports_hlc_duty=True)
PLAIN = BoardCapabilities()
HARDWARE = HardwareCapabilities(32.0, 6.0, 3, 1)
X1 = BoardCommand(pilot_mode=PilotMode.X1, duty_cycle_percent=100.0, lease=Duration(1.0))
PWM_16 = replace(X1, pilot_mode=PilotMode.PWM, duty_cycle_percent=16.0 / 0.6, current_a=16.0, phases=3)


@pytest.mark.parametrize(
    'command',
    [
        X1,
        PWM_16,
        replace(X1, pilot_mode=PilotMode.F),
        replace(X1, pilot_mode=PilotMode.E),
        replace(X1, lease=Duration(math.inf)),
        replace(X1, lease=Duration(0.0)),
        replace(X1, phases=1),
        replace(PWM_16, duty_cycle_percent=5.0),
        replace(PWM_16, duty_cycle_percent=5.1),
        replace(PWM_16, duty_cycle_percent=4.9),
        replace(PWM_16, current_a=32.05, duty_cycle_percent=32.0 / 0.6),
        replace(PWM_16, current_a=32.0, duty_cycle_percent=32.05 / 0.6),
        replace(PWM_16, current_a=16.0, duty_cycle_percent=16.05 / 0.6),
        replace(PWM_16, current_a=32.0, duty_cycle_percent=8.0),
    ],
)
def test_a_possible_command_is_taken(command: BoardCommand) -> None:
    assert reject_reason(command, ABLE, HARDWARE) == ''
    assert reject_reason(command, None, None) == '', 'unknown capabilities refuse nothing'


FINITE = ('duty_cycle_percent', 'current_a', 'over_current_limit_a')


@pytest.mark.parametrize('name', FINITE)
@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(name: str, value: float) -> None:
    assert reject_reason(replace(X1, **{name: value}), ABLE, HARDWARE) == (
        f'{name} is {value}, but must be a finite number.'
    )


@pytest.mark.parametrize('value', [math.nan, -math.inf])
def test_only_an_endless_lease_need_not_be_finite(value: float) -> None:
    assert reject_reason(replace(X1, lease=Duration(value)), ABLE, HARDWARE) == (
        f'lease is {value}, but must be a finite number.'
    )


@pytest.mark.parametrize('name', [*FINITE, 'lease'])
def test_a_negative_number_is_refused(name: str) -> None:
    assert reject_reason(replace(X1, **{name: -0.5}), ABLE, HARDWARE) == (
        f'{name} is -0.5, but must not be negative.'
    )


@pytest.mark.parametrize(
    ('command', 'reason'),
    [
        (replace(X1, phases=2), 'phases is 2, but must be 0, 1 or 3.'),
        (replace(X1, phases=-1), 'phases is -1, but must be 0, 1 or 3.'),
        (replace(X1, pilot_mode=PilotMode(0)), 'pilot_mode is 0, which is no pilot mode.'),
        (replace(X1, current_a=32.2), 'current_a is 32.2, but the board carries 32 A.'),
        (
            replace(PWM_16, current_a=32.0, duty_cycle_percent=54.0),
            'duty_cycle_percent is 54 (32.4 A), but the board carries 32 A.',
        ),
        (
            replace(PWM_16, duty_cycle_percent=30.0),
            'duty_cycle_percent is 30 (18.0 A), but current_a is 16.',
        ),
        (replace(PWM_16, duty_cycle_percent=0.0), 'duty_cycle_percent is 0, but must be 5 or 8 to 97.'),
        (replace(PWM_16, duty_cycle_percent=5.2), 'duty_cycle_percent is 5.2, but must be 5 or 8 to 97.'),
        (replace(PWM_16, duty_cycle_percent=98.0), 'duty_cycle_percent is 98, but must be 5 or 8 to 97.'),
    ],
)
def test_an_impossible_command_is_refused_with_field_value_and_range(
    command: BoardCommand, reason: str
) -> None:
    assert reject_reason(command, ABLE, HARDWARE) == reason


def test_without_known_hardware_the_norm_sets_the_highest_current() -> None:
    assert reject_reason(replace(X1, current_a=80.0), ABLE, None) == ''
    assert reject_reason(replace(X1, current_a=80.2), ABLE, None) == (
        'current_a is 80.2, but the board carries 80 A.'
    )


def test_more_phases_than_the_hardware_has_are_refused() -> None:
    single = HardwareCapabilities(32.0, 6.0, 1, 1)
    assert reject_reason(replace(X1, phases=1), ABLE, single) == ''
    assert reject_reason(replace(X1, phases=3), ABLE, single) == 'phases is 3, but the board has 1.'


@pytest.mark.parametrize('mode', ['E', 'F'])
def test_a_pilot_mode_that_the_board_lacks_is_refused(mode: str) -> None:
    command = replace(X1, pilot_mode=PilotMode[mode])
    assert reject_reason(command, PLAIN, HARDWARE) == f'pilot_mode is {mode}, which this board cannot do.'
    other = replace(ABLE, **{f'supports_cp_state_{mode.lower()}': False})
    assert reject_reason(command, other, HARDWARE) == f'pilot_mode is {mode}, which this board cannot do.'


def test_the_duty_cycle_of_high_level_communication_needs_a_board_that_has_it() -> None:
    command = replace(PWM_16, duty_cycle_percent=5.0)
    assert reject_reason(command, PLAIN, HARDWARE) == 'duty_cycle_percent is 5, which this board cannot do.'


def test_no_error_both_opens_and_merely_blocks() -> None:
    assert OPENING
    assert BLOCKING
    assert not OPENING & BLOCKING
