"""The energy transfer modes follow from phases that can be connected."""

import pytest

from charging.kernel_harness import HARDWARE, KernelHarness
from evse_manager.charging.inputs import CapabilitiesReceived
from evse_manager.charging.transfer_modes import transfer_modes
from evse_manager.interface.enums import EnergyTransferMode
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import HardwareCapabilities, SupportedEnergyTransferModes

ONE = EnergyTransferMode.AC_SINGLE_PHASE_CORE
TWO = EnergyTransferMode.AC_TWO_PHASE
THREE = EnergyTransferMode.AC_THREE_PHASE_CORE


@pytest.mark.parametrize(
    ('least', 'most', 'modes'),
    [(1, 1, (ONE,)), (1, 2, (ONE, TWO)), (1, 3, (ONE, THREE)), (3, 3, (THREE,)), (2, 2, (TWO,)), (0, 0, ())],
)
def test_the_modes_follow_from_the_phases(
    least: int, most: int, modes: tuple[EnergyTransferMode, ...]
) -> None:
    capabilities = HardwareCapabilities(32.0, 6.0, most, least)
    assert transfer_modes(capabilities) == SupportedEnergyTransferModes(modes)


def test_nothing_is_said_before_the_board_has_reported() -> None:
    assert transfer_modes(None) is None


def test_they_are_published_once_and_when_they_change() -> None:
    harness = KernelHarness(Config(three_phases=False), hardware=None, boot=False)
    first = harness.do(CapabilitiesReceived(HARDWARE)).energy_transfer_modes
    assert first == SupportedEnergyTransferModes((ONE,))
    assert harness.do(CapabilitiesReceived(HARDWARE)).energy_transfer_modes is None
