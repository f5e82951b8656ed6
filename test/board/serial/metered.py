"""A session with a meter beside the board, on the board's line or on a port of its own."""

from collections.abc import Callable
from typing import Any

from board.serial.session import Session
from evse_manager.board.meters.metered import MeteredDriver, MeterParameters
from evse_manager.interface.parameters import Config


def metered(
    board: str,
    session: Callable[..., Session] = Session,
    config: Config | None = None,
    meter_port: str = '',
    **parameters: Any,
) -> Session:
    """Return a session whose meter is an SDM630."""
    wanted = MeterParameters(meter='sdm630', meter_port=meter_port)
    return session(
        board,
        config,
        beside=lambda driver, context: MeteredDriver(driver, wanted, context),
        **parameters,
    )
