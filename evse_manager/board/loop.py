"""One driver and its controller, run to completion; the board node and the in-process bench share it."""

from evse_manager.board.controller import BoardController
from evse_manager.board.driver import Driver
from evse_manager.board.driver_io import Outputs
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.types import BoardCommand


class BoardLoop:
    """Hands every observation of the driver to the controller, one by one, and the outputs back at once."""

    def __init__(self, driver: Driver, controller: BoardController) -> None:
        """Take an open driver; nothing is asked of it yet."""
        self.driver = driver
        self.controller = controller
        self._applied: Outputs | None = None
        self._link_and_resets: object = None

    def run(self, now: ClockReadings) -> None:
        """Read the driver, decide, apply; then advance the controller's time."""
        self._refresh_capabilities()
        self._drain(now)
        self.controller.tick(now)
        if self._apply():
            self._drain(now)

    def command(self, command: BoardCommand, now: ClockReadings) -> bool:
        """
        Hand a manager's command to the controller, after everything that happened before it.

        False when it only renewed the lease, and nothing else was looked at.
        """
        if self.controller.renew(command, now):
            return False
        self._drain(now)
        self.controller.command(command, now)
        self._apply()
        self._drain(now)
        return True

    def refuse(
        self, board_id: str, manager_id: str, sequence_number: int, reason: str, now: ClockReadings
    ) -> None:
        """Take a command that could not be read; see ``BoardController.refuse``."""
        self._drain(now)
        self.controller.refuse(board_id, manager_id, sequence_number, reason, now)
        self._apply()
        self._drain(now)

    def fail(self, reason: str, now: ClockReadings) -> None:
        """Withdraw power until the next good command."""
        self.controller.fail(reason, now)
        self._apply()

    def replug(self, now: ClockReadings) -> None:
        """Begin a virtual replug of the board's own."""
        self._drain(now)
        self.controller.replug(now)
        self._apply()
        self._drain(now)

    def shut_down(self, now: ClockReadings) -> None:
        """Withdraw power for good."""
        self.controller.shut_down(now)
        self._apply()
        self._drain(now)

    def _drain(self, now: ClockReadings) -> None:
        while (observed := self.driver.poll()) is not None:
            self.controller.observe(observed, now)
            link_and_resets = (observed.link, observed.resets)
            if link_and_resets != self._link_and_resets:
                self._link_and_resets = link_and_resets
                self._applied = None
            self._apply()

    def _apply(self) -> bool:
        """Hand the outputs to the driver when they changed; return whether they did."""
        if self.controller.outputs == self._applied:
            return False
        self._applied = self.controller.outputs
        self.driver.apply(self._applied)
        return True

    def _refresh_capabilities(self) -> None:
        self.controller.capabilities = self.driver.capabilities()
        self.controller.hardware = self.driver.hw_capabilities()
