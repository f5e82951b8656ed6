"""The kind of a connector's state as a monitor knows it, silence included."""

from evse_manager.cli.monitor import ConnectorView
from evse_manager.interface.appearance import StateKind, state_kind


def kind_of(view: ConnectorView, now: float) -> StateKind:
    """Return the kind of a connector's state; ``now`` is in seconds of the steady clock."""
    if view.status is None or view.trouble or view.silence(now) is not None:
        return StateKind.SILENT
    return state_kind(view.status.state)
