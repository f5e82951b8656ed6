"""AUTHORIZED, DEAUTHORIZED and PLUGIN_TIMEOUT: only with ``extended_events``, each exactly once."""

from collections.abc import Callable

import pytest

from charging.kernel_harness import KernelHarness, token
from evse_manager.charging.inputs import ForceUnlock, WithdrawAuthorization
from evse_manager.interface.enums import BoardErrorEnum
from evse_manager.interface.parameters import Config

Step = Callable[[KernelHarness], object]


def card(harness: KernelHarness) -> None:
    assert harness.command(token()).success


def withdraw(harness: KernelHarness) -> None:
    assert harness.command(WithdrawAuthorization()).success


def unlock(harness: KernelHarness) -> None:
    harness.command(ForceUnlock())


def plug(harness: KernelHarness) -> None:
    harness.plug()


def unplug(harness: KernelHarness) -> None:
    harness.pilot('A')


CASES: dict[str, tuple[tuple[Step, str], ...]] = {
    'plug first': (
        (plug, 'SS(EVConnected) AR'), (card, '+Authorized TS PC'), (unplug, 'SC CF TF(EVDisconnected) SF')),
    'token first': ((card, 'SS(Authorized) +Authorized'), (plug, 'TS PC')),
    'token first, withdrawn': ((card, 'SS(Authorized) +Authorized'), (withdraw, '+Deauthorized SF')),
    'plugged, no token in time': (
        (plug, 'SS(EVConnected) AR'), (withdraw, '+PluginTimeout'), (card, '+Authorized TS PC')),
    'nothing to withdraw': (
        (withdraw, ''), (plug, 'SS(EVConnected) AR'), (card, '+Authorized TS PC'), (withdraw, '')),
    'the same token twice': ((card, 'SS(Authorized) +Authorized'), (card, ''), (plug, 'TS PC'), (card, '')),
    'unlocked by force': ((plug, 'SS(EVConnected) AR'), (unlock, '')),
}  # fmt: skip
"""Steps, and the events that each brings; those with + only with ``extended_events``."""


@pytest.mark.parametrize('extended', [False, True])
@pytest.mark.parametrize('name', CASES)
def test_the_events_of_a_token(name: str, extended: bool) -> None:
    harness = KernelHarness(Config(extended_events=extended)).run(4.0)
    for step, events in CASES[name]:
        since = len(harness.events)
        step(harness)
        harness.run(1.5)
        expected = [event.lstrip('+') for event in events.split() if extended or not event.startswith('+')]
        assert harness.codes(since).split() == expected, step.__name__


def test_a_token_withdrawn_while_an_error_keeps_the_transaction_waiting_may_come_again() -> None:
    harness = KernelHarness(Config(extended_events=True)).run(4.0).plug()
    harness.report(BoardErrorEnum.ENCLOSURE_OPEN)
    card_twice = harness.says(lambda: (card(harness), withdraw(harness), card(harness)))
    assert card_twice == 'Authorized Deauthorized AR Authorized'
