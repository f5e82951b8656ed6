"""A session with a meter beside the board, on the board's line or on a port of its own."""

import time
from typing import Any

from board.serial.session import Session
from evse_manager.board.driver import DriverContext
from evse_manager.board.loop import BoardLoop
from evse_manager.board.metered import MeteredDriver, MeterParameters
from evse_manager.charging.config import Config
from evse_manager.charging.types import Time


def metered(board: str, config: Config | None = None, meter_port: str = '', **parameters: Any) -> Session:
    """Return a session whose meter is an SDM630."""
    session = Session(board, config, **parameters)
    context = DriverContext(clock=time.monotonic, wall=lambda: Time(time.time_ns()), wake=session._woken.set)
    wanted = MeterParameters(meter='sdm630', meter_port=meter_port)
    session.driver = MeteredDriver(session.driver, wanted, context)
    session._loop = BoardLoop(session.driver, session.board)
    return session
