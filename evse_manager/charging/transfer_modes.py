"""The energy transfer modes that hardware and parameters allow."""

from evse_manager.interface.enums import EnergyTransferMode
from evse_manager.interface.types import HardwareCapabilities, SupportedEnergyTransferModes

TWO_PHASES, THREE_PHASES = 2, 3


def transfer_modes(capabilities: HardwareCapabilities | None) -> SupportedEnergyTransferModes | None:
    """
    Return the modes of usable capabilities; ``None`` before the board reported.

    A connector that must connect all of its phases serves no car of fewer (``min_phase_count_import``).
    """
    if capabilities is None:
        return None
    least, most = capabilities.min_phase_count_import, capabilities.max_phase_count_import
    modes = []
    if least <= 1 <= most:
        modes.append(EnergyTransferMode.AC_SINGLE_PHASE_CORE)
    if most == TWO_PHASES:
        modes.append(EnergyTransferMode.AC_TWO_PHASE)
    if most >= THREE_PHASES:
        modes.append(EnergyTransferMode.AC_THREE_PHASE_CORE)
    return SupportedEnergyTransferModes(tuple(modes))
