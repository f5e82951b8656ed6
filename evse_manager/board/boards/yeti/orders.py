"""
Orders to a Yeti board: the last ones, and those that are due.

Nothing is acknowledged on this line.  So what takes power away is repeated, at once and with each keep-alive.
An order to close stands only for as long as the controller wants it and the pilot asks, and is taken back
when either ends: on firmware 2.2 a permission outlasts the unplugging, and the board closes by itself on it.
"""

import math

from evse_manager.board.boards.yeti.codes import LOCKED, UNLOCKED
from evse_manager.board.boards.yeti.messages import (
    F_DUTY,
    X1_DUTY,
    AllowPower,
    Duty,
    HostMessage,
    Lock,
    ThreePhases,
)
from evse_manager.board.driver_io import Outputs
from evse_manager.interface.enums import PilotMode
from evse_manager.interface.pilot import current, duty_cycle
from evse_manager.interface.types import HardwareCapabilities

WITHDRAWN_AGAIN_S = (0.1, 0.4)
"""A withdrawal is sent again so long after it, whatever the board reports."""

REPEAT_OPEN_S = 0.3
REPEAT_CLOSE_S = 1.0
CLOSE_TRIES = 3
PULSE_S = 0.2
"""
A permission that had no effect is taken back for so long and given again.

The board then reports its contactor, when it was the report that got lost.  A turn of its loop takes 50 to
80 ms, an opening 100 ms more.
"""

CLOSES_WITHIN_S = 0.5
OPENS_WITHIN_S = 0.8
"""A withdrawn permission is reported as an open contactor within this, or a message was lost."""

REPORTED_AFTER_S = 0.4
"""A report that comes so long after the withdrawal is newer than its effect."""

REPEAT_LOCK_S = 2.0
LOCK_TRIES = 3


class YetiOrders:
    """Times are seconds of one clock; messages are returned in the order in which they have to be sent."""

    def __init__(self) -> None:
        """Begin without any order."""
        self.wanted = Outputs()
        """Outputs that the controller has set."""
        self.lock_ordered: bool | None = None
        self._revoked = False
        self.forget()

    def forget(self) -> None:
        """Begin again with a board that has forgotten everything; a permission has to be given again."""
        self._revoked = self._revoked or self.wanted.power
        self.duty = X1_DUTY
        """Duty cycle ordered last, in 0.01 %."""
        self.phases = 0
        """Phases ordered last, 0 for none."""
        self.power: bool | None = None
        """Whether the contactor was ordered to close or open."""
        self._power_at = self._withdrawn_at = -math.inf
        self._ever_permitted = False
        self._tries = 0
        self._again: list[float] = []
        self._pulse_ends = math.inf
        self.lock_ordered = None
        self._lock_at = -math.inf
        self._lock_tries = 0

    # --- what changes -----------------------------------------------------------------------------

    def want(self, outputs: Outputs) -> None:
        """Take what the controller wants."""
        self.wanted = outputs
        if not outputs.power:
            self._revoked = False

    def revoke(self) -> None:
        """End the permission now, until the controller has withdrawn it and gives it again."""
        self._revoked = self._revoked or self.wanted.power

    def car_left(self) -> None:
        """Take into account that the board itself ends the PWM when no car is plugged in."""
        if F_DUTY < self.duty < X1_DUTY:
            self.duty = X1_DUTY

    # --- what has to be sent ----------------------------------------------------------------------

    def due(
        self, hardware: HardwareCapabilities | None, *, contactor_open: bool, has_lock: bool, now: float
    ) -> list[HostMessage]:
        """Return orders for what is not as wanted: what takes power away first, what gives it last."""
        orders: list[HostMessage] = []
        power = self.wanted.power and not self._revoked
        if not power and self.power is not False:
            orders.append(self._withdraw(now))
        duty = self._wanted_duty(hardware)
        if duty != self.duty:
            self.duty = duty
            orders.append(Duty(duty))
        lock = self.wanted.lock
        if has_lock and lock is not None and lock is not self.lock_ordered:
            self._lock_tries = 0
            orders.append(self._order_lock(lock, now))
        switches = hardware is not None and hardware.supports_changing_phases_during_charging
        if switches and self.wanted.phases not in {0, self.phases} and contactor_open:
            self.phases = self.wanted.phases
            orders.append(ThreePhases(self.phases == 3))
        if power and self.power is not True:
            self._tries = 0
            orders.append(self._permit(now))
        return orders

    def repeated(self, now: float, *, relay: bool, lock: int | None) -> list[HostMessage]:
        """Return orders that had no effect in their time."""
        orders: list[HostMessage] = []
        if self.power is False:
            again = bool(self._again) and now >= self._again[0]
            if again:
                del self._again[0]
            if again or (relay and now >= self._power_at + REPEAT_OPEN_S):
                self._power_at = now
                orders.append(AllowPower(False))
        elif self.power is True and now >= self._pulse_ends:
            orders.append(self._permit(now))
        elif now >= self._pulse_at(relay):
            self._pulse_ends = now + PULSE_S
            orders.append(AllowPower(False))
        if now >= self._lock_again_at(lock) and self.lock_ordered is not None:
            orders.append(self._order_lock(self.lock_ordered, now))
        return orders

    def refreshed(self) -> list[HostMessage]:
        """Return the orders that go with each keep-alive; a closing is never repeated."""
        permitted = self.power is True and self._pulse_ends == math.inf
        return [*([] if permitted else [AllowPower(False)]), Duty(self.duty)]

    def deadline(self, *, relay: bool, lock: int | None) -> float:
        """Return when ``repeated`` has something by itself."""
        times = [self._lock_again_at(lock)]
        if self.power is False:
            times += self._again[:1]
            if relay:
                times.append(self._power_at + REPEAT_OPEN_S)
        else:
            times += [self._pulse_at(relay), self._pulse_ends]
        return min(times)

    def insisted(self, now: float) -> bool:
        """Return whether the contactor should be closed since some time, and no report of it can be lost."""
        return (
            self.power is True
            and self._tries > 1
            and self._pulse_ends == math.inf
            and now >= self._power_at + CLOSES_WITHIN_S
        )

    def opening_overdue_at(self, *, relay: bool, relay_reported_at: float) -> float:
        """Return when a closed contactor that was ordered open means that a report was lost."""
        fresh = relay_reported_at >= self._withdrawn_at + REPORTED_AFTER_S
        if self.power is not False or not relay or not self._ever_permitted or fresh:
            return math.inf
        return self._withdrawn_at + OPENS_WITHIN_S

    # --- inside -----------------------------------------------------------------------------------

    def _withdraw(self, now: float) -> AllowPower:
        self.power, self._power_at, self._withdrawn_at = False, now, now
        self._again = [now + each for each in WITHDRAWN_AGAIN_S]
        self._pulse_ends = math.inf
        return AllowPower(False)

    def _permit(self, now: float) -> AllowPower:
        self.power, self._power_at, self._ever_permitted = True, now, True
        self._tries += 1
        self._pulse_ends = math.inf
        return AllowPower(True)

    def _order_lock(self, lock: bool, now: float) -> Lock:
        self.lock_ordered, self._lock_at = lock, now
        self._lock_tries += 1
        return Lock(lock)

    def _wanted_duty(self, hardware: HardwareCapabilities | None) -> int:
        """Return the duty cycle to order in 0.01 %, never more current than the outputs say."""
        outputs = self.wanted
        if outputs.pilot_mode in {PilotMode.F, PilotMode.E}:
            return F_DUTY
        percent = outputs.duty_cycle_percent
        if outputs.pilot_mode is not PilotMode.PWM or hardware is None or not math.isfinite(percent):
            return X1_DUTY
        if current(percent) > hardware.max_current_a_import:
            percent = duty_cycle(hardware.max_current_a_import)
        duty = math.floor(percent * 100.0 + 1e-6)
        return duty if 0 < duty < 10_000 else X1_DUTY

    def _pulse_at(self, relay: bool) -> float:
        if self.power is not True or relay or self._tries >= CLOSE_TRIES or self._pulse_ends < math.inf:
            return math.inf
        return self._power_at + REPEAT_CLOSE_S

    def _lock_again_at(self, lock: int | None) -> float:
        reached = LOCKED if self.lock_ordered else UNLOCKED
        if self.lock_ordered is None or lock == reached or self._lock_tries >= LOCK_TRIES:
            return math.inf
        return self._lock_at + REPEAT_LOCK_S
