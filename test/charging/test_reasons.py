"""The sentence that answers why a connector is (not) charging: true, and with what helps."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from charging import reason_oracle, states
from charging.kernel_harness import EPOCH, KernelHarness, entry, external, remote_stop
from evse_manager.charging.inputs import Disable, Enable, SwitchThreePhasesWhileCharging
from evse_manager.charging.reasons import REASONS
from evse_manager.interface.enums import BoardErrorEnum, StatusReason
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import HardwareCapabilities

CASES: dict[str, tuple[Callable[[], KernelHarness], StatusReason, str]] = {
    'limit below the norm': (
        lambda: _limited(KernelHarness()),
        StatusReason.NO_ENERGY,
        'The limit of 5.3 A from the external limits is below the 6 A that charging needs; '
        'set_external_limits changes it.',
    ),
    'limit below the hardware': (
        lambda: _limited(KernelHarness(hardware=HardwareCapabilities(32.0, 10.0, 3, 3))),
        StatusReason.NO_ENERGY,
        'The limit of 5.3 A from the external limits is below the 10 A that charging needs; '
        'set_external_limits changes it.',
    ),
    'limit by parameter': (
        lambda: KernelHarness(Config(max_current_import_a=5.0)).offered(),
        StatusReason.NO_ENERGY,
        'The limit of 5.0 A from the parameter max_current_import_a is below the 6 A that charging needs; '
        'raise it.',
    ),
    'phases': (
        lambda: _sent(KernelHarness().charging(), SwitchThreePhasesWhileCharging(False)),
        StatusReason.SWITCHING_PHASES,
        'Switching to one phase, with the contactor open.',
    ),
    'disabled and the board lost': (
        lambda: _sent(KernelHarness().run(1.0), Disable()).lose_board(),
        StatusReason.DISABLED,
        'Disabled; enable makes it available. The board is silent.',
    ),
    'finished': (
        lambda: _sent(KernelHarness().charging(), remote_stop()).run(9.0),
        StatusReason.TRANSACTION_FINISHED,
        'The transaction has ended (stopped from remote); unplug the car.',
    ),
    'reserved': (
        states.reserved,
        StatusReason.RESERVED,
        'Reserved (reservation 7); present its token, or use cancel_reservation.',
    ),
    'plugged in and reserved': (
        lambda: states.reserved().plug().run(1.0),
        StatusReason.WAITING_FOR_AUTHORIZATION,
        'Plugged in and reserved (reservation 7); present its token.',
    ),
    'faulted and disabled': (
        states.faulted_and_disabled,
        StatusReason.FAULTED,
        'Put out of order and disabled; clear_fault and then enable end that.',
    ),
    'the car was plugged in while disabled': (
        lambda: _unread(_sent(KernelHarness().run(4.0), Disable()).run(2.0).plug()),
        StatusReason.AVAILABLE,
        'Available; the pilot is being read to see whether a car is plugged in.',
    ),
    'the cable bounced out': (
        lambda: KernelHarness(Config(replug_grace_s=3.0)).offered().pilot('A'),
        StatusReason.WAITING_FOR_PLUG,
        'The plug was pulled; the session ends unless it is plugged in again within 3 s.',
    ),
    'a step of a schedule': (
        lambda: _sent(KernelHarness(), external(entry(5.0), entry(16.0, at=EPOCH * 2))).offered(),
        StatusReason.NO_ENERGY,
        'The limit of 5.0 A from the schedule of the external limits is below the 6 A that charging needs; '
        'set_external_limits changes it.',
    ),
    'a site without energy': (
        lambda: _managed().grant(0.0).run(4.0),
        StatusReason.NO_ENERGY,
        'The limit of 0.0 A from the energy manager is below the 6 A that charging needs; '
        'charging goes on when the site has more to give.',
    ),
    'an energy manager that never spoke': (
        lambda: _managed().run(4.0),
        StatusReason.LIMIT_EXPIRED,
        'The energy manager has granted no limit; check that it runs and knows this connector.',
    ),
    'an energy manager that fell silent': (
        lambda: _managed(failsafe_current_a=8.0).grant(16.0, life_s=5.0).pilot('C').run(9.0),
        StatusReason.CHARGING,
        'Charging; the limit of 8.0 A comes from the parameter failsafe_current_a, because the energy '
        'manager is silent.',
    ),
    'an unreadable cable': (
        lambda: KernelHarness(Config(connector_type='socket')).offered(),
        StatusReason.NO_ENERGY,
        'The rating of the cable is not known; plug it in again or use another cable.',
    ),
    'the current rises': (
        lambda: _sent(_limited(KernelHarness(), 10.0).pilot('C').run(1.0), external()),
        StatusReason.CHARGING,
        'Charging; 10.0 A rise to the limit of 32.0 A, which comes from the hardware.',
    ),
    'warm': (
        lambda: KernelHarness().charging().temperature(66.0).run(1.0),
        StatusReason.CHARGING,
        'Charging; the limit of 16.0 A comes from the derating of a warm charger.',
    ),
    'a car that never asks': (
        lambda: KernelHarness().offered().run(60.0),
        StatusReason.PAUSED_BY_EV,
        'The car does not ask for power though it was woken up; check the settings of the car.',
    ),
    'a car that paused': (
        states.paused_by_ev,
        StatusReason.PAUSED_BY_EV,
        'Paused by the car; it resumes when the car asks for power.',
    ),
    'an error whose cause is gone': (
        lambda: KernelHarness().charging().report(BoardErrorEnum.RCD_SELF_TEST).report().run(5.0),
        StatusReason.ERROR,
        'The residual current device failed its self-test; have the board checked; unplug the car to end '
        'this error.',
    ),
    'an emergency comes before what came first': (
        lambda: (
            KernelHarness()
            .charging()
            .report(BoardErrorEnum.OVER_TEMPERATURE)
            .report(BoardErrorEnum.OVER_TEMPERATURE, BoardErrorEnum.RCD_AC)
        ),
        StatusReason.ERROR,
        'The residual current device tripped (AC); unplug and check the car.',
    ),
    'disabled with an error': (
        lambda: _sent(states.idle(), Disable()).run(1.0).report(BoardErrorEnum.ENCLOSURE_OPEN),
        StatusReason.DISABLED,
        'Disabled; enable makes it available. The enclosure is open; close it.',
    ),
    'meter awaited': (
        lambda: _without_meter().plug().authorize(),
        StatusReason.WAITING_FOR_METER,
        'Authorized; the first value of the meter is waited for, 2 s at most.',
    ),
}


def _limited(harness: KernelHarness, current_a: float = 5.3) -> KernelHarness:
    assert harness.command(external(entry(current_a))).success
    return harness.offered()


def _unread(harness: KernelHarness) -> KernelHarness:
    """Enable a connector whose board has not reported its pilot since."""
    harness.silent = True
    return _sent(harness, Enable())


def _managed(**parameters: float) -> KernelHarness:
    return KernelHarness(Config(energy_source='manager', **parameters)).offered()  # type: ignore[arg-type]


def _sent(harness: KernelHarness, command: object) -> KernelHarness:
    harness.send(command)  # type: ignore[arg-type]
    return harness


def _without_meter() -> KernelHarness:
    harness = KernelHarness()
    harness.metered = False
    return harness.run(1.0)


@pytest.mark.parametrize('name', CASES)
def test_the_reason_and_its_sentence(name: str) -> None:
    situation, reason, text = CASES[name]
    status = situation().status
    assert (status.reason, status.reason_text) == (reason, text)


def test_every_reason_has_a_row_and_an_oracle() -> None:
    every = set(StatusReason) - {StatusReason.UNSPECIFIED}
    assert {row.reason for row in REASONS} == set(reason_oracle.TRUE) == every


@pytest.mark.parametrize('state', states.STATES, ids=lambda state: state.__name__)
def test_in_every_state_the_oracle_refuses_every_other_reason(state: Callable[[], KernelHarness]) -> None:
    """The oracle has teeth: a false claim that energy flows, or that a current is offered, is noticed."""
    harness = state()
    status = harness.status
    facts = harness.invariants.facts(harness.now, status)
    reason_oracle.judge(facts)
    if status.reason is not StatusReason.CHARGING:
        with pytest.raises(AssertionError):
            reason_oracle.judge(replace(facts, status=replace(status, reason=StatusReason.CHARGING)))
    if not facts.offered:
        for reason in reason_oracle.OFFERED - {StatusReason.WAITING_FOR_PLUG, status.reason}:
            with pytest.raises(AssertionError):
                reason_oracle.judge(replace(facts, status=replace(status, reason=reason)))
