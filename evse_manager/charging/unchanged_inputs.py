"""
Inputs that can be skipped: board states and temperatures that repeat the last ones.

A charging connector receives four states a second, and nearly all of them are repetitions.  Skipping one
costs a tenth of evaluating it (``make benchmarks``, unchanged board state).  A random walk gives the same
outputs with and without skipping (``test_random_walks.py``).
"""

import math

from evse_manager.charging import supervision, timers
from evse_manager.charging.connector import Connector
from evse_manager.charging.inputs import Input, MeterSampled, Now, TelemetrySampled
from evse_manager.interface.types import SECOND_NS, BoardState, Time, all_but
from evse_manager.lease.manager import BoardObserved
from evse_manager.metering.validation import plausible_temperature

LOOKED_AT = 2
"""Number of states of the same content, and without effect, that are evaluated before one is skipped."""

JUMP_NS = 100_000_000
"""The wall clock has jumped when it has advanced by this much more or less than the steady one."""

WHAT_IS_OBSERVED = all_but(BoardState, 'stamp', 'answered_sequence_number', 'transitions')
"""Fields of a board state that can be new; its transitions are covered by their counter."""


class UnchangedInputs:
    """Watches the inputs of one kernel."""

    def __init__(self) -> None:
        """Begin with everything to be looked at."""
        self._quiet_states = 0
        self._looked_at = Now(0.0, Time(0))
        self._quiet_until = -math.inf

    def record(self, happened: Input, connector: Connector, deadline: float | None, *, news: bool) -> None:
        """Note an input that was looked at, whether it brought anything, and when something is due next."""
        if news or not isinstance(happened, BoardObserved | MeterSampled | TelemetrySampled):
            self._quiet_states = 0
        elif isinstance(happened, BoardObserved):
            self._quiet_states += 1
        self._looked_at = connector.now
        times = (deadline, timers.next_notice(connector))
        self._quiet_until = min((time for time in times if time is not None), default=math.inf)

    def is_redundant(self, happened: Input, connector: Connector) -> bool:
        """Tell whether an input says only what the last of its kind said, and nothing can follow from it."""
        match happened:
            case BoardObserved(state, answered):
                before = connector.board
                return (
                    self._quiet(connector)
                    and before is not None
                    and answered == connector.answered
                    and state.transition_counter == connector.transition_counter
                    and WHAT_IS_OBSERVED(state) == WHAT_IS_OBSERVED(before)
                )
            case TelemetrySampled(telemetry):
                celsius = plausible_temperature(telemetry.temperature_c)
                return (
                    self._quiet(connector)
                    and (celsius is None) == connector.temperature.is_absent
                    and supervision.temperature_rung(celsius, connector.config)
                    == supervision.temperature_rung(connector.temperature.celsius, connector.config)
                )
            case _:
                return False

    def _quiet(self, connector: Connector) -> bool:
        """
        Tell whether nothing can happen by itself at this moment.

        That is when the last states brought nothing either, only samples came since, nothing is due by time,
        and no verdict waits for the board to show something for longer.
        """
        now = connector.now
        elapsed_ns = (now.steady - self._looked_at.steady) * SECOND_NS
        return (
            self._quiet_states >= LOOKED_AT
            and not connector.board_lost
            and connector.shutting_down is None
            and not timers.verdict_pending(connector)
            and now.steady < self._quiet_until
            and (connector.external_change is None or now.wall < connector.external_change)
            and abs(now.wall - self._looked_at.wall - elapsed_ns) < JUMP_NS
        )
