"""The executable ``evse_virtual_board``: a virtual board, and where ROS is asked for its services."""

import sys
from collections.abc import Sequence

from evse_manager.simulation.virtual import main as virtual


def main(args: Sequence[str] | None = None) -> int:
    """Run a virtual board; return the exit code."""
    return virtual.main(sys.argv[1:] if args is None else args)
