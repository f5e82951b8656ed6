"""
Yeti: whatever happens to car, board, line and manager, the coil follows what the control loop permits.

Manager, control loop, driver and virtual board are the real ones, in lock-step; the coil is looked at after
each event of the board.
"""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.serial.lock_step import BoardSession
from evse_manager.board.driver_io import Outputs
from evse_manager.charging.inputs import Disable, Enable, PauseCharging, ResumeCharging, StopTransaction
from evse_manager.interface.enums import StopTransactionReason
from evse_manager.interface.types import StopTransactionRequest
from evse_manager.simulation.faults import SimulationError
from evse_manager.simulation.virtual.yeti_firmware import VirtualYeti

pytestmark = pytest.mark.timeout(300)

GOOD_LINE_S = 0.3
"""A turn of the firmware, and two switchings that it waits for."""

AFTER_LOSS_S = 1.6
"""A withdrawal that is lost is repeated twice within 0.4 s, and then each second."""

FAULTS = ('diode', 'pilot_short', 'ventilation', 'rcd_dc', 'pilot_noise', 'relay_stuck_open', 'no_keep_alive')
LOSSES = tuple(
    f'{fault} {direction}'.strip()
    for fault in ('line_drop 1', 'line_corrupt 1', 'line_truncate 1', 'line_duplicate 1')
    for direction in ('', 'to_board')
)
CUTS = ('line_stall', 'line_echo', 'line_delay 0.4', 'line_garbage 40')
CAR = (
    'plug_in',
    'plug_in no_b_state',
    'plug_in stays_in_c',
    'plug_in flapping',
    'unplug',
    'ev_pause',
    'ev_resume',
)
MANAGER = (
    'token',
    'token',
    'pause',
    'resume',
    'stop',
    'disable',
    'enable',
    'limit 0',
    'limit 10',
    'limit none',
)
HAPPENINGS = (
    *CAR,
    *CAR,
    *MANAGER,
    *MANAGER,
    *(f'inject {each}' for each in (*FAULTS, *LOSSES, *CUTS)),
    'clear',
    'clear',
    'reset',
)


class WatchedSession(BoardSession):
    """Raises when the coil is on, or permitted, too long after the control loop has withdrawn power."""

    def __init__(self, variants: tuple[str, ...]) -> None:
        self.allowed_at = self.lost_at = self.cut_at = -100.0
        self.closings = 0
        super().__init__('yeti', variants=variants)

    @property
    def yeti(self) -> VirtualYeti:
        board = self.host.board
        assert isinstance(board, VirtualYeti)
        return board

    def _record(self) -> None:
        cut = {'line_stall', 'line_echo', 'line_delay'} & set(self.host.line.active_faults)
        if cut:
            self.cut_at = self.now
        if self.board.outputs.power or self.now < self.cut_at + AFTER_LOSS_S:
            self.allowed_at = self.now
        bound = AFTER_LOSS_S if self.now < self.lost_at + 3.0 else GOOD_LINE_S
        late = self.now > self.allowed_at + bound
        assert not (late and self.yeti.coil), 'the coil is on without a permission of the control loop'
        assert not (late and self.yeti.permitted), 'a permission that the next car could use'
        self.closings = max(self.closings, self.yeti.closings)

    def happen(self, what: str) -> None:
        commands: dict[str, Any] = {
            'pause': PauseCharging(),
            'resume': ResumeCharging(),
            'stop': StopTransaction(StopTransactionRequest(StopTransactionReason.REMOTE)),
            'disable': Disable(0),
            'enable': Enable(0),
        }
        if what in commands:
            self.command(commands[what])
        elif what == 'token':
            self.authorize()
        elif what.startswith('limit'):
            amperes = what.split()[1]
            self.limit(None if amperes == 'none' else float(amperes))
        else:
            if 'line' in what:
                self.lost_at = self.now
            with suppress(SimulationError):  # no car to unplug, or one is there already
                self.do(what)


def test_a_session_is_watched() -> None:
    with WatchedSession(()) as session:
        session.charge()
        assert session.closings == 1
        session.board.outputs = Outputs()
        session.allowed_at = session.now - 1.0
        with pytest.raises(AssertionError, match='without a permission'):
            session._record()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.sampled_from([0.02, 0.12, 0.5, 3.0])), max_size=18),
    st.sampled_from([(), (), ('sibling',)]),
)
def test_the_coil_follows_the_control_loop(
    happenings: list[tuple[str, float]], variants: tuple[str, ...]
) -> None:
    with WatchedSession(variants) as session:
        session.charge('soc_percent=20')
        for what, seconds in happenings:
            session.happen(what)
            session.pass_time(seconds)
        session.do('clear')
        session.pass_time(12.0)
        assert session.closings >= 1
