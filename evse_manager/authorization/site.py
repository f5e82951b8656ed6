"""State shared by the parts of the authorization: connectors, rules, current time, outputs."""

from collections.abc import Sequence

from evse_manager.authorization.config import Rules
from evse_manager.authorization.connectors import SiteConnector
from evse_manager.authorization.outbox import Outbox
from evse_manager.interface.types import Time


class AuthorizationState:
    """
    The connectors of a site at the moment of one reaction.

    ``now`` is steady time in seconds, ``wall`` is UTC.  ``changed``: something that is stored has changed.
    """

    def __init__(self, rules: Rules, connectors: Sequence[str]) -> None:
        """``connectors`` are names, in the order of the site."""
        self.rules = rules
        self.connectors: dict[str, SiteConnector] = {}
        self.outbox = Outbox()
        self.now = 0.0
        self.wall = Time(0)
        self.changed = False
        self.configure(rules, connectors)

    def configure(self, rules: Rules, connectors: Sequence[str]) -> None:
        """Replace the rules and the connectors; connectors that stay keep what is known of them."""
        self.rules = rules
        known = self.connectors
        self.connectors = {
            name: known.get(name) or SiteConnector(name, order) for order, name in enumerate(connectors)
        }
        for order, connector in enumerate(self.connectors.values()):
            connector.order = order
        self.changed = self.changed or bool(known.keys() - self.connectors.keys())

    def reports(self, connector: SiteConnector) -> bool:
        """Return whether the connector reports."""
        return connector.reachable(self.now)

    def named(self, names: Sequence[str]) -> list[SiteConnector]:
        """Return the connectors of these names that are still at the site."""
        return [self.connectors[name] for name in names if name in self.connectors]
