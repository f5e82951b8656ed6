"""
Gaps in the view of the cable: what continues, what ends, what is asked again.

No car charges on another car's token.  The table in ``docs/charging.md`` is made of ``ROWS``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from charging.kernel_harness import KernelHarness
from charging.test_memory import interrupted, restart
from evse_manager.charging.inputs import Disable, Enable
from evse_manager.charging.observation import SWAP_S
from evse_manager.interface.enums import BoardErrorEnum, ContactorState, ControlPilotState, PilotMode
from evse_manager.interface.parameters import Config

ENDS = 'Error(Internal) AllErrorsCleared SC CF TF(PowerLoss) SF SS(EVConnected) AR'
GOES_ON = 'Error(Internal) AllErrorsCleared CR'
CONTINUES = Config(after_power_loss='continue', continue_within_s=600.0, restart_delay_max_s=0.0)


def silent(seconds: float, *unseen: str) -> Callable[[KernelHarness], None]:
    """Let the board's states be lost for a while in which the pilot takes steps; the board numbers them."""

    def act(harness: KernelHarness) -> None:
        harness.lose_board().run(seconds)
        for state in unseen:
            harness.ev = state
            harness._act()
        harness.find_board()

    return act


def restarted(seconds: float) -> Callable[[KernelHarness], None]:
    """Let the board node end and begin its steps again."""

    def act(harness: KernelHarness) -> None:
        harness.lose_board().run(seconds)
        harness.transitions.clear()
        harness.find_board()

    return act


def forgot_steps(seconds: float) -> Callable[[KernelHarness], None]:
    """Let more steps happen than the board keeps."""
    return silent(seconds, *('B', 'C') * 10)


def hardware_lost(seconds: float) -> Callable[[KernelHarness], None]:
    """Let the board node lose its hardware: it cannot read the pilot itself."""

    def act(harness: KernelHarness) -> None:
        harness.lose_board()
        harness.contactor = ContactorState.UNKNOWN
        harness._note(harness.transitions[-1].counter + 1, ControlPilotState.C, PilotMode.PWM)
        harness.run(seconds)
        harness.contactor = ContactorState.OPEN
        harness.find_board()

    return act


def f_on_the_pilot(seconds: float) -> Callable[[KernelHarness], None]:
    """Let an error that shows F last for a while."""

    def act(harness: KernelHarness) -> None:
        harness.report(BoardErrorEnum.VENDOR_ERROR).run(seconds).report()

    return act


def disabled(harness: KernelHarness) -> None:
    assert harness.command(Disable()).success
    assert harness.run(60.0).command(Enable()).success


@dataclass(frozen=True)
class Row:
    """One kind of gap while a car charges, and what follows (``close``; ``continue`` where it differs)."""

    gap: str
    rule: str
    act: Callable[[KernelHarness], None]
    events: str
    config: Config = Config()


ROWS = (
    Row('board silent, its numbered steps go on', 'goes on', silent(600.0), GOES_ON),
    Row(
        'board silent, an unplug is among its steps',
        'ends like any unplug; the next car is asked for its token',
        silent(600.0, 'B', 'A', 'B'),
        'Error(Internal) AllErrorsCleared SC CF TF(EVDisconnected) SF SS(EVConnected) AR',
    ),
    Row('board silent, steps are missing, at most 5 s', 'goes on', forgot_steps(4.0), GOES_ON),
    Row('board silent, steps are missing, longer', 'ends', forgot_steps(6.0), ENDS),
    Row('board node restarted within 5 s', 'goes on', restarted(4.0), GOES_ON),
    Row('board node restarted, longer', 'ends', restarted(600.0), ENDS),
    Row('board node lost its hardware, at most 5 s', 'goes on', hardware_lost(4.0), GOES_ON),
    Row('board node lost its hardware, longer', 'ends', hardware_lost(6.0), ENDS),
    Row(
        'F on the pilot, at most 5 s (wake-up, after a fault)',
        'goes on',
        f_on_the_pilot(0.5),
        'Error(Other) AllErrorsCleared CR',
        Config(state_f_after_fault_s=4.0),
    ),
    Row(
        'F on the pilot, longer',
        'ends',
        f_on_the_pilot(0.5),
        'Error(Other) AllErrorsCleared SC CF TF(PowerLoss) SF SS(EVConnected) AR',
        Config(state_f_after_fault_s=8.0),
    ),
    Row(
        'disabled or faulted',
        'the session ended before; after `enable` a new one begins and asks for a token',
        disabled,
        'SC CF TF(Other) SF Disabled Enabled SS(EVConnected) AR',
    ),
)


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.gap)
def test_a_gap_in_the_view_of_the_cable(row: Row) -> None:
    harness = KernelHarness(row.config).charging()
    since = len(harness.events)
    row.act(harness)
    harness.run(13.0)
    assert harness.codes(since) == row.events


def test_a_manager_that_restarts_closes_what_was_open_and_asks_for_a_token() -> None:
    harness = restart(interrupted(), outage_s=1.0)
    assert harness.codes() == 'TF(PowerLoss) SF Enabled SS(EVConnected) AR'


@pytest.mark.parametrize(
    ('seconds', 'events'), [(599.0, ENDS.replace('AR', 'TS PC CS')), (601.0, ENDS)], ids=['short', 'long']
)
def test_with_continue_the_same_token_goes_on_after_a_short_outage(seconds: float, events: str) -> None:
    harness = KernelHarness(CONTINUES).charging()
    since = len(harness.events)
    restarted(seconds)(harness)
    harness.run(12.0)
    assert harness.codes(since) == events


def test_a_car_that_left_during_the_gap_does_not_continue() -> None:
    harness = KernelHarness(CONTINUES).charging()
    restarted(60.0)(harness)
    harness.ev = 'A'
    since = len(harness.events)
    harness.run(12.0).pilot('B').run(6.0)
    assert harness.codes(since).endswith('SF SS(EVConnected) AR')


def test_a_token_that_waits_for_the_end_of_an_error_is_not_for_the_next_car() -> None:
    harness = KernelHarness().run(4.0)
    harness.report(BoardErrorEnum.ENCLOSURE_OPEN).run(1.0).plug().authorize()
    harness.lose_board().run(60.0)
    harness.transitions.clear()
    harness.find_board().report()
    assert harness.run(3.0).codes().endswith('AllErrorsCleared SS(EVConnected) AR')


def test_a_session_that_waits_for_its_token_begins_again() -> None:
    harness = KernelHarness().run(4.0).plug()
    assert harness.says(lambda: restarted(60.0)(harness)) == (
        'Error(Internal) AllErrorsCleared SF SS(EVConnected) AR'
    )


def test_a_token_before_the_plug_outlasts_a_gap() -> None:
    harness = KernelHarness().run(4.0).authorize()
    assert harness.says(lambda: restarted(60.0)(harness)) == 'Error(Internal) AllErrorsCleared'
    assert harness.says(harness.plug) == 'TS PC'


@pytest.mark.parametrize('seconds', [0.5, 2.0, SWAP_S - 0.5, SWAP_S + 0.5, 60.0, 600.0])
@pytest.mark.parametrize('gap', [restarted, forgot_steps, hardware_lost])
def test_no_car_charges_on_another_cars_token(
    seconds: float, gap: Callable[[float], Callable[[KernelHarness], None]]
) -> None:
    harness = KernelHarness().charging()
    since = len(harness.events)
    gap(seconds)(harness)
    harness.pilot('B').run(5.0).pilot('C').run(6.0)
    charges_on = 'TF(PowerLoss)' not in harness.codes(since)
    assert charges_on == (seconds <= SWAP_S)
    assert harness.flows == charges_on
