"""
Reservations for any connector: global scenarios 01 to 12 of EVerest (reservation_tests).

A type of connector there is here the list of connectors that a token may use.  EVerest accepts a reservation
only if every order of arrival can be served wherever cars park; here it is accepted if one assignment serves
all, because a token is refused at a connector that would break the last one.
"""

from itertools import permutations
from typing import NamedTuple

import pytest

from authorization.site_model import Site
from evse_manager.authorization.config import KnownToken, Rules, token_list
from evse_manager.interface.enums import ReservationStatus, TokenResultEnum

STATUSES = {
    'A': ReservationStatus.ACCEPTED,
    'O': ReservationStatus.OCCUPIED,
    'U': ReservationStatus.UNAVAILABLE,
}
"""U: no connector of the site fits; EVerest answers R, rejected."""


class Scenario(NamedTuple):
    """
    Types of each connector, the type that each reservation needs, and the answers here and in EVerest.

    C is CCS2, T Type 2, X Tesla, 3 Type 3, 1 Type 1; ? is unknown: any connector.
    """

    connectors: str
    reservations: str
    answers: str
    of_everest: str


SCENARIOS = (
    Scenario('C CT CT', 'C C C C T', 'A A A O O', 'A A A O O'),
    Scenario('C CT CT', 'T C T C', 'A A A O', 'A A O O'),
    Scenario('C CT CT', 'T T C T', 'A A A O', 'A A O O'),
    Scenario('C CT CT', 'C T T', 'A A A', 'A A O'),
    Scenario('C C CT C', 'C T C', 'A A A', 'A O A'),
    Scenario('C C CT', 'T T C', 'A O A', 'A O O'),
    Scenario('C3', 'T ?', 'U A', 'R A'),
    Scenario('CT CT CT', 'C ? ? C ?', 'A A A O O', 'A A A O O'),
    Scenario('CT CT CT', '? C T C', 'A A A O', 'A A A O'),
    Scenario('C3T1X C3T1X C3T1X', 'C ? 3 C', 'A A A O', 'A A A O'),
    Scenario('C C C', 'C ? T C C', 'A A U A O', 'A A R A O'),
    Scenario('CT TX XC', '1 C T X C T', 'U A A A O O', 'R A A O O O'),
)


def site_of(scenario: Scenario) -> tuple[Site, list[str]]:
    """Return the site, and the token of each reservation."""
    types = scenario.connectors.split()
    tokens = []
    for number, needed in enumerate(scenario.reservations.split(), start=1):
        fitting = frozenset(f'c{each}' for each, offered in enumerate(types, start=1) if needed in offered)
        tokens.append(KnownToken(f'TOKEN_{number}', connectors=None if needed == '?' else fitting))
    rules = Rules(tokens=token_list(tokens), connection_timeout_s=30.0)
    return Site(rules, len(types)), [token.id_token for token in tokens]


def reserve(scenario: Scenario) -> tuple[Site, list[str]]:
    """Make the reservations; return the site and the tokens whose reservation was accepted."""
    site, tokens = site_of(scenario)
    answers = [site.reserve(token).result for token in tokens]
    assert answers == [STATUSES[letter] for letter in scenario.answers.split()]
    return site, [token for token, answer in zip(tokens, answers) if answer is ReservationStatus.ACCEPTED]


NAMES = [f'scenario_{number:02}' for number in range(1, len(SCENARIOS) + 1)]


@pytest.mark.parametrize('scenario', SCENARIOS, ids=NAMES)
def test_whatever_is_accepted_is_served_in_every_order_wherever_cars_park(scenario: Scenario) -> None:
    _, accepted = reserve(scenario)
    for order in permutations(accepted):
        for preferred in permutations(range(1, len(scenario.connectors.split()) + 1)):
            site, _ = reserve(scenario)
            for token in order:
                assert arrive(site, token, preferred), f'{token} of {order} found no connector'
            assert sorted(site.charging().values()) == sorted(accepted)
            assert site.reservations() == {}


def arrive(site: Site, token: str, preferred: tuple[int, ...]) -> bool:
    """A car parks at one connector after the other until its token is accepted."""
    for number in preferred:
        if number in site.charging():
            continue
        site.plug(number)
        if site.present(token, at=number) is TokenResultEnum.ACCEPTED:
            return True
        site.unplug(number)
    return False


@pytest.mark.parametrize('scenario', SCENARIOS, ids=NAMES)
def test_no_reservation_that_everest_accepts_is_refused(scenario: Scenario) -> None:
    count = scenario.answers.count('A')
    assert count >= scenario.of_everest.count('A')
    for here, there in zip(scenario.answers.split(), scenario.of_everest.split()):
        assert here == 'A' or there != 'A'
