"""Exit codes of ``evse`` and the errors that lead to them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``evse``."""

    OK = 0
    """Done; a command was accepted by the charger."""
    REFUSED = 1
    """The charger refused; its reason is on stderr (``evse_demo``: a step failed)."""
    USAGE = 2
    """The arguments are wrong; nothing was sent."""
    NOT_FOUND = 3
    """No such connector, or no answer in time."""
    INTERRUPTED = 130
    """Ended by Ctrl-C, as shells count it; ``watch`` and ``events`` return 0: this is how they end."""


class CliError(Exception):
    """A failure with one sentence for people and the exit code of the process."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CliError):
    """The arguments contradict each other, or do not fit the graph."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.USAGE)


class NotFoundError(CliError):
    """A connector, a service or an answer did not come in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.NOT_FOUND)
