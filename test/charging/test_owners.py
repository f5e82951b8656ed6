"""Several owners enable and disable: the lowest priority number wins, and each keeps its say."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charging.kernel_harness import KernelHarness, token
from evse_manager.charging import owners
from evse_manager.charging.inputs import Command, Disable, Enable, EnableDisable, SetFaulted, Start
from evse_manager.charging.owners import Owner
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.enums import Availability, EnableSource, EnableState, StatusReason

ENABLE, DISABLE, UNASSIGNED = EnableState.ENABLE, EnableState.DISABLE, EnableState.UNASSIGNED
CSMS, KEY, APP = EnableSource.CSMS, EnableSource.LOCAL_KEY_LOCK, EnableSource.MOBILE_APP


def say(source: EnableSource, state: EnableState, priority: int) -> EnableDisable:
    return EnableDisable(0, source, state, priority)


class Case(NamedTuple):
    """Commands in turn: whether each is as asked for, and the events that it brings."""

    name: str
    steps: tuple[tuple[Command, bool, str], ...]


CASES = (
    Case('one owner', ((say(CSMS, DISABLE, 50), True, 'Disabled'), (say(CSMS, ENABLE, 50), True, 'Enabled'))),
    Case('the same again changes nothing', (
        (say(CSMS, DISABLE, 50), True, 'Disabled'), (say(CSMS, DISABLE, 50), True, ''),
        (say(CSMS, ENABLE, 50), True, 'Enabled'), (say(CSMS, ENABLE, 50), True, ''))),
    Case('the lower number wins over a later say', (
        (say(KEY, DISABLE, 10), True, 'Disabled'), (say(CSMS, ENABLE, 50), False, ''),
        (say(KEY, ENABLE, 10), True, 'Enabled'))),
    Case('an enable of a lower number wins over a disable', (
        (say(CSMS, DISABLE, 50), True, 'Disabled'), (say(KEY, ENABLE, 10), True, 'Enabled'),
        (say(APP, DISABLE, 20), False, ''))),
    Case('of equal numbers the disable wins', (
        (say(CSMS, ENABLE, 50), True, ''), (say(KEY, DISABLE, 50), True, 'Disabled'),
        (say(APP, ENABLE, 50), False, ''))),
    Case('a say that is taken back leaves the next one in force', (
        (say(CSMS, DISABLE, 50), True, 'Disabled'), (say(KEY, ENABLE, 10), True, 'Enabled'),
        (say(KEY, UNASSIGNED, 10), True, 'Disabled'), (say(CSMS, UNASSIGNED, 0), True, 'Enabled'))),
    Case('enable and disable are one of the owners', (
        (Disable(), True, 'Disabled'), (say(CSMS, ENABLE, 101), False, ''), (Enable(), True, 'Enabled'),
        (say(CSMS, DISABLE, 99), True, 'Disabled'), (Enable(), False, ''),
        (say(EnableSource.LOCAL_API, ENABLE, 98), True, 'Enabled'))),
    Case('after enable a weaker source disables only once that say is taken back', (
        (Enable(), True, ''), (say(CSMS, DISABLE, 5000), False, ''),
        (say(EnableSource.LOCAL_API, UNASSIGNED, 100), True, 'Disabled'))),
    Case('a new say of an owner replaces its priority', (
        (say(CSMS, DISABLE, 5), True, 'Disabled'), (say(KEY, ENABLE, 10), False, ''),
        (say(CSMS, DISABLE, 50), False, 'Enabled'))),
)  # fmt: skip


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_the_lowest_number_decides(case: Case) -> None:
    harness = KernelHarness()
    for command, success, events in case.steps:
        since = len(harness.events)
        answer = harness.command(command)
        harness.run(1.5)
        assert (answer.success, harness.codes(since)) == (success, events), command


@given(
    st.lists(
        st.builds(
            Owner,
            st.sampled_from(EnableSource),
            st.sampled_from([ENABLE, DISABLE, UNASSIGNED]),
            st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_each_source_has_one_say_and_the_order_does_not_matter(says: list[Owner]) -> None:
    held: owners.Owners = ()
    newest = {}
    for owner in says:
        held = owners.with_say(held, owner)
        newest[owner.source] = owner
    kept = [owner for owner in newest.values() if owner.state is not UNASSIGNED]
    assert sorted(held, key=repr) == sorted(kept, key=repr)
    strongest = min((owner.priority for owner in kept), default=0)
    disabled = any(owner.priority == strongest and owner.state is DISABLE for owner in kept)
    assert owners.enabled(held) is not disabled


@pytest.mark.parametrize(
    ('command', 'names'),
    [
        (EnableDisable(0, CSMS, EnableState.UNSPECIFIED, 5), 'state is missing'),
        (EnableDisable(0, CSMS, DISABLE, -1), 'priority is -1'),
        (EnableDisable(0, CSMS, DISABLE, 10_001), 'priority is 10001'),
        (EnableDisable(7, CSMS, DISABLE, 5), 'Connector 7 is not here'),
    ],
)
def test_a_say_that_makes_no_sense_is_refused_as_a_whole(command: EnableDisable, names: str) -> None:
    harness = KernelHarness()
    answer = harness.command(command)
    assert not answer.success
    assert names in answer.message
    assert harness.status.availability is Availability.ENABLED
    assert harness.last.memory is None


def test_the_status_names_who_disabled_and_the_refusal_who_decides() -> None:
    harness = KernelHarness()
    harness.command(say(CSMS, DISABLE, 50))
    harness.run(0.5)
    status = harness.status
    assert (status.reason, status.availability) == (StatusReason.DISABLED, Availability.DISABLED)
    assert 'the back end (CSMS), priority 50' in status.reason_text
    assert 'the back end (CSMS), priority 50' in harness.command(Enable()).message
    assert not harness.command(token()).success


def test_a_stronger_owner_ends_a_running_session_in_order() -> None:
    harness = KernelHarness().charging()
    harness.command(Enable())
    ended = harness.says(lambda: harness.command(say(KEY, DISABLE, 0)) and harness.run(10.0))
    assert ended == 'SC CF TF(Other) SF Disabled'


def test_a_permanent_fault_refuses_every_enable() -> None:
    harness = KernelHarness()
    harness.command(SetFaulted())
    assert not harness.command(say(KEY, ENABLE, 0)).success


def test_every_say_outlives_a_restart() -> None:
    harness = KernelHarness()
    for command in (Enable(), say(CSMS, DISABLE, 50), say(KEY, ENABLE, 70)):
        harness.command(command)
    memory = next(output.memory for _, _, output in reversed(harness.tape) if output.memory is not None)
    again = KernelHarness(boot=False)
    again.do(Start(memory))
    again.observe()
    assert again.codes() == 'Disabled'
    assert 'CSMS' in again.status.reason_text
    assert again.says(lambda: again.command(say(CSMS, UNASSIGNED, 0))) == 'Enabled'


def test_a_record_without_owners_that_is_disabled_is_enabled_by_enable() -> None:
    harness = KernelHarness(boot=False)
    harness.do(Start(PersistedState(enabled=False)))
    harness.observe()
    assert harness.codes() == 'Disabled'
    assert harness.says(lambda: harness.command(Enable())) == 'Enabled'
