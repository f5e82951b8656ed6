"""Random tokens, cars, faults, lost calls and kills at three connectors; the invariants after each step."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from authorization.site_model import SECOND, Site
from evse_manager.authorization.config import KnownToken, Rules, token_list
from evse_manager.authorization.events import Authorize, TokenPresented
from evse_manager.authorization.saved import from_json
from evse_manager.interface.tokens import normal_form
from evse_manager.interface.types import ProvidedIdToken

TIMEOUT_S = 8.0
TOKENS = ('A', 'B', 'FLEET_1', 'FLEET_2', 'ONLY_2')
LISTED = token_list(
    (
        KnownToken('A'),
        KnownToken('B', priority=3),
        KnownToken('FLEET_1', parent='FLEET'),
        KnownToken('FLEET_2', parent='FLEET'),
        KnownToken('ONLY_2', connectors=frozenset({'c2'})),
    )
)
NUMBERS = st.integers(1, 3)


class RandomSite(RuleBasedStateMachine):
    """What people, cars, networks and kills do."""

    def __init__(self) -> None:
        super().__init__()
        self.silent_ever = False
        self.presented: set[str] = set()
        self.acknowledged: dict[int, tuple[str, int, int]] = {}
        """Reservations whose clients have an answer: token, expiry, its transactions before."""
        self.ended: set[int] = set()

    @initialize(prefer_start=st.booleans())
    def begin(self, prefer_start: bool) -> None:
        rules = Rules(tokens=LISTED, connection_timeout_s=TIMEOUT_S, prefer_start=prefer_start)
        self.site = Site(rules, 3)

    # --- readers and cars ------------------------------------------------------------------------------

    @rule(token=st.sampled_from((*TOKENS, 'a', 'STRANGER')), at=st.none() | NUMBERS)
    def present(self, token: str, at: int | None) -> None:
        self.presented.add(normal_form(token))
        self.site.present(token, at)

    @rule(number=NUMBERS)
    def plug_or_unplug(self, number: int) -> None:
        if self.site.connectors[number].plugged:
            self.site.unplug(number)
        else:
            self.site.plug(number)

    @rule(number=NUMBERS, fact=st.sampled_from(('error', 'faulted', 'enabled')), value=st.booleans())
    def change(self, number: int, fact: str, value: bool) -> None:
        self.site.set(number, **{fact: value})

    @rule(seconds=st.sampled_from((0.1, 1.5, 4.0, 9.0)))
    def wait(self, seconds: float) -> None:
        self.site.wait(seconds)

    # --- reservations ----------------------------------------------------------------------------------

    @rule(token=st.sampled_from(TOKENS), at=st.none() | NUMBERS, for_s=st.sampled_from((5.0, 30.0, 600.0)))
    def reserve(self, token: str, at: int | None, for_s: float) -> None:
        site = self.site
        expiry, before = site.wall + round(for_s * SECOND), self._begun(token)
        try:
            answer = site.reserve(token, at, for_s=for_s)
        except KeyError:  # the call is held back: no answer yet
            return
        if answer.success:
            self.acknowledged[answer.reservation_id] = (token, expiry, before)
            self.ended.discard(answer.reservation_id)

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.acknowledged)))
        self.site.cancel(number)
        self.acknowledged.pop(number)
        self.ended.add(number)

    # --- what goes wrong -------------------------------------------------------------------------------

    @rule(hold=st.booleans())
    def hold_calls(self, hold: bool) -> None:
        self.site.hold = hold
        while self.site.held and not hold:
            self.site.deliver()

    @precondition(lambda self: self.site.held)
    @rule(lose_answer=st.booleans())
    def deliver(self, lose_answer: bool) -> None:
        self.site.deliver(lose_answer=lose_answer)

    @rule(number=NUMBERS)
    def vanish_for_a_while(self, number: int) -> None:
        self.silent_ever = True
        self.site.set(number, up=False)

    @rule(number=NUMBERS)
    def come_back(self, number: int) -> None:
        self.site.connectors[number].up = True
        self.site.changed(number)

    @rule()
    def kill(self) -> None:
        self.site.restart()

    # --- invariants ------------------------------------------------------------------------------------

    @invariant()
    def no_car_charges_on_a_token_that_was_not_presented(self) -> None:
        for connector in self.site.connectors.values():
            for _, token, _ in connector.begun:
                assert normal_form(token.id_token) in self.presented
                assert normal_form(token.id_token) in LISTED
                if token.id_token == 'ONLY_2':
                    assert connector.name == 'c2'

    @invariant()
    def no_token_charges_twice_at_a_time(self) -> None:
        tokens = [normal_form(token) for token in self.site.charging().values()]
        assert self.silent_ever or len(tokens) == len(set(tokens))

    @invariant()
    def every_authorization_was_called_for_here(self) -> None:
        called = {
            (call.connector, call.command.provided_token.id_token)
            for call in self.site.calls
            if isinstance(call.command, Authorize)
        }
        for number, token in self.site.authorized().items():
            assert (f'c{number}', token) in called

    def _begun(self, id_token: str) -> int:
        """Return how many transactions have begun with a token."""
        begun = [token for each in self.site.connectors.values() for _, token, _ in each.begun]
        return sum(normal_form(token.id_token) == id_token for token in begun)

    @invariant()
    def no_reservation_is_lost(self) -> None:
        held = self.site.reservations()
        for number, (token, expiry, before) in list(self.acknowledged.items()):
            if number not in held:
                used = self._begun(token) > before
                assert used or self.site.wall >= expiry
                del self.acknowledged[number]
                self.ended.add(number)

    @invariant()
    def no_reservation_is_resurrected(self) -> None:
        assert not self.ended & set(self.site.reservations())

    @invariant()
    def what_is_stored_is_what_is_known(self) -> None:
        assert from_json(self.site.stored) == self.site.authorizer.saved

    def teardown(self) -> None:
        """Whatever has happened: once the connectors answer, every time-out ends and nothing stays behind."""
        if not hasattr(self, 'site'):
            return
        site = self.site
        site.hold = site.lose = False
        while site.held:
            site.deliver()
        for connector in site.connectors.values():
            connector.up = True
        site.wait(2 * TIMEOUT_S + 40.0)
        assert site.authorized() == {}, 'an authorization without transaction has ended'
        held = site.reservations()
        for number, mark in site.marks().items():
            assert held.get(mark) == f'c{number}', 'a mark belongs to a reservation'
        for number in site.connectors:
            site.set(number, error=False, faulted=False, enabled=True)
            site.unplug(number)
        for number in list(held):
            site.cancel(number)
        site.wait(TIMEOUT_S + 40.0)
        before = len(site.outcomes)
        site.plug(1)
        site.react(TokenPresented(ProvidedIdToken('A'), 'c1'))
        assert site.charging() == {1: 'A'}, site.outcomes[before:]


RandomSite.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestRandomSite = RandomSite.TestCase
