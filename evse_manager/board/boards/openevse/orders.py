"""Orders to an OpenEVSE: to sleep, to wake, to show -12 V, and the current."""

from evse_manager.board.boards.firmware_target import FirmwareTarget
from evse_manager.board.boards.openevse import codes, rapi
from evse_manager.board.boards.openevse.knowledge import Knowledge
from evse_manager.board.boards.openevse.readings import Readings

REPEAT_ORDER_S = 1.0
REPEAT_SLEEP_S = 4.0
"""An order that has no effect is repeated; going to sleep takes up to 3 s when the EV draws current."""


class OpenEvseOrders:
    """Brings the board nearer to the target; every method takes the time in seconds of one clock."""

    def __init__(self, known: Knowledge, readings: Readings) -> None:
        """Order nothing yet."""
        self._known = known
        self._readings = readings

    def power_order(self, now: float) -> str | None:
        """Return the order that brings the board nearer to the target, ``None`` when it is there."""
        known, state = self._known, self._known.view.state
        if state is None or known.looking:
            return None
        fault = known.view.fault
        if codes.is_fault(state) or (fault and state.state not in {rapi.CONNECTED, rapi.CHARGING}):
            return None  # the relay is open, and an order would erase the fault
        order: str | None = None
        match known.target(now):
            case FirmwareTarget.UNAVAILABLE:
                order = 'FD' if state.state != rapi.DISABLED else None
            case FirmwareTarget.CHARGE:
                rests = state.state in codes.RESTING and not state.relay_closed
                order = 'FE' if rests and known.current.may_wake(known.amperes()) else None
            case FirmwareTarget.STOP if state.relay_closed or (known.awake and known.client.waits(now)):
                order = 'FD'  # in its self-test the board may be about to close
            case _:
                order = 'FS' if state.state != rapi.ASLEEP else None
        if order is None:
            known.ordered = ''
        elif order != known.ordered or now >= self.repeat_at():
            return order
        return None

    def repeat_at(self) -> float:
        """Return when the order is repeated that was sent last."""
        slow = self._known.ordered == 'FS' and self._known.view.relay_closed
        return self._known.ordered_at + (REPEAT_SLEEP_S if slow else REPEAT_ORDER_S)

    def send(self, order: str, now: float) -> None:
        """Send an order of ``power_order``."""
        known = self._known
        known.ordered, known.ordered_at = order, now
        known.ask(order, self._obeyed, now, urgent=order != 'FE')

    def set_current(self, now: float) -> None:
        """Order a current; the reply gives what is in force, and it is read back once more."""
        known = self._known
        amperes = known.current_target(now)
        if not amperes:
            return

        def answered(frame: rapi.Frame, now: float) -> None:
            if known.current.replied(frame, amperes, now):
                known.ask('GC', read_back, now)

        def read_back(frame: rapi.Frame, now: float) -> None:
            if not known.current.take_capacity(frame):
                known.current.in_force_a = None
            known.current.read_back(amperes, now)

        known.ask(known.current.begin(amperes, now), answered, now)

    def _obeyed(self, frame: rapi.Frame, now: float) -> None:
        if self._known.ordered == 'FE':
            self._readings.state_now()
            self._known.current.doubt()  # a board that has cooled down wakes with its maximum
            self.set_current(now)
        else:
            self._readings.ask_state(now)
