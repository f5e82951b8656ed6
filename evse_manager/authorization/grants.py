"""
The authorizations that were given to connectors and whose transactions have not begun.

A grant is stored before the connector is called.  It ends with the transaction, with the connection time-out,
by request, or because the connector ended it; then it is taken back at the connector, again and again until
the connector has confirmed or shows that nothing is left.
"""

from collections.abc import Iterable

from evse_manager.authorization.connectors import SETTLE_S, SiteConnector, TokenGrant
from evse_manager.authorization.events import Authorize, ValidationAnswer, Withdraw
from evse_manager.authorization.saved import SavedGrant, SavedTransaction
from evse_manager.authorization.site import AuthorizationState
from evse_manager.interface.enums import TokenResultEnum
from evse_manager.interface.tokens import same_token
from evse_manager.interface.types import ProvidedIdToken, ValidationResult

RETRY_S = 2.0
"""Pause before a withdrawal that failed is called again."""


class Grants:
    """The grants of a site."""

    def __init__(self, site: AuthorizationState, restored: Iterable[SavedGrant]) -> None:
        """Begin with what was stored; it is taken up when its connector reports."""
        self._site = site
        self._restored = {each.connector: each for each in restored}

    @property
    def saved(self) -> tuple[SavedGrant, ...]:
        """Return what has to be stored."""
        grants = [
            SavedGrant(each.name, each.grant.id_token, each.grant.parent, each.grant.reservation_id)
            for each in self._site.connectors.values()
            if each.grant is not None
        ]
        return (*grants, *self._restored.values())

    def holders(self, id_token: str) -> list[SiteConnector]:
        """Return the connectors that a token is granted at: at most one of those that report."""
        return [
            each
            for each in self._site.connectors.values()
            if each.grant is not None and same_token(each.grant.id_token, id_token)
        ]

    def take_up(self, connector: SiteConnector) -> None:
        """Take up the grant of an earlier run; whether its call was made is unknown."""
        restored = self._restored.pop(connector.name, None)
        if restored is None or connector.grant is not None:
            return
        site = self._site
        elsewhere = bool(self.holders(restored.id_token))
        connector.grant = TokenGrant(
            restored.id_token,
            restored.parent,
            site.now + site.rules.connection_timeout_s,
            restored.reservation_id,
            answered=site.now,
            withdrawing=elsewhere,
        )

    def give(
        self, connector: SiteConnector, token: ProvidedIdToken, verdict: ValidationResult, reservation_id: int
    ) -> None:
        """Authorize a token at a connector."""
        site = self._site
        deadline = site.now + site.rules.connection_timeout_s
        grant = TokenGrant(
            token.id_token,
            verdict.parent_id_token,
            deadline,
            reservation_id,
            calling=True,
            request_id=token.request_id,
        )
        connector.grant = grant
        site.changed = True

        def done(success: bool | None, message: str) -> None:
            grant.calling = False
            if connector.grant is not grant:
                return
            status = connector.status
            if success or (success is None and status is not None and status.transaction_active):
                grant.answered = site.now
                if not grant.withdrawing:
                    self._report(connector, grant, TokenResultEnum.ACCEPTED)
            elif success is None:
                self.withdraw(connector, TokenResultEnum.REJECTED, 'The connector does not answer.')
            else:
                self._release(connector)
                self._report(connector, grant, TokenResultEnum.REJECTED, message)

        site.outbox.call(connector.name, Authorize(token, verdict), done)

    def withdraw(
        self, connector: SiteConnector, result: TokenResultEnum, reason: str, ticket: int | None = None
    ) -> None:
        """End a grant, and take it back at the connector as soon as that is possible."""
        grant = connector.grant
        if grant is None:
            return
        if ticket is not None:
            grant.tickets.append(ticket)
        if not grant.withdrawing:
            grant.withdrawing = True
            self._report(connector, grant, result, reason)

    def use_up(self, connector: SiteConnector, running: SavedTransaction) -> None:
        """End the grant of a transaction that has begun."""
        grant = connector.grant
        if grant is None or grant.calling:
            return
        if not same_token(running.id_token, grant.id_token):
            reason = 'Another token has begun the transaction.'
            self._report(connector, grant, TokenResultEnum.REJECTED, reason)
        elif grant.withdrawing:  # the transaction was faster than the withdrawal
            self._report(connector, grant, TokenResultEnum.ACCEPTED)
        self._release(connector)

    def settle(self, connector: SiteConnector) -> None:
        """Let a grant end: by its time-out, or because the connector has ended it."""
        grant, status, now = connector.grant, connector.status, self._site.now
        if grant is None:
            return
        if now >= grant.deadline:
            reason = 'No transaction began within the connection time-out.'
            self.withdraw(connector, TokenResultEnum.TIMED_OUT, reason)
        if status is None or grant.calling or not self._site.reports(connector):
            return
        over = not status.authorized and not status.transaction_active
        if over and grant.answered is not None and connector.seen >= grant.answered + SETTLE_S:
            if not grant.withdrawing:
                reason = 'The connector has ended the authorization.'
                self._report(connector, grant, TokenResultEnum.WITHDRAWN, reason)
            self._release(connector)
        elif grant.withdrawing and now >= grant.retry:
            self._call(connector, grant)

    def _call(self, connector: SiteConnector, grant: TokenGrant) -> None:
        certain = grant.answered is not None

        def done(success: bool | None, _message: str) -> None:
            grant.calling = False
            grant.retry = self._site.now + RETRY_S
            if connector.grant is not grant or not success:
                return
            if certain:
                self._release(connector)
            else:  # the authorization may be delivered after its withdrawal: the status decides
                grant.answered = self._site.now

        grant.calling = True
        self._site.outbox.call(connector.name, Withdraw(), done)

    def _report(
        self, connector: SiteConnector, grant: TokenGrant, result: TokenResultEnum, reason: str = ''
    ) -> None:
        """Report what became of the token of a grant."""
        self._site.outbox.outcome(grant.id_token, result, connector.name, reason, grant.request_id)

    def _release(self, connector: SiteConnector) -> None:
        grant = connector.grant
        if grant is None:
            return
        connector.grant = None
        self._site.changed = True
        for ticket in grant.tickets:
            self._site.outbox.answer(ValidationAnswer(ticket, True))

    def deadlines(self) -> list[float]:
        """Return when something here happens by time alone."""
        times = []
        for connector in self._site.connectors.values():
            grant = connector.grant
            if grant is None:
                continue
            if not grant.withdrawing:
                times.append(grant.deadline)
            elif not grant.calling and self._site.reports(connector):
                times.append(grant.retry)
        return times
