"""Every parameter that may change at run time acts in both directions, at once, and without a restart."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from charging.kernel_harness import HARDWARE, KernelHarness, token
from evse_manager.charging.energy_request import energy_request
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    ParametersChanged,
    PauseCharging,
    ResumeCharging,
    SwitchThreePhasesWhileCharging,
    WithdrawAuthorization,
)
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    BoardErrorEnum,
    LimitSource,
    PilotMode,
)
from evse_manager.interface.parameters import Config, parameters
from evse_manager.interface.types import ProvidedIdToken, ValidationResult


def change(harness: KernelHarness, config: Config, **changes: Any) -> Config:
    config = replace(config, **changes)
    harness.do(ParametersChanged(config))
    return config


# --- what each parameter does, as it is seen from outside ---------------------------------------


def signalled_current(harness: KernelHarness) -> float:
    return harness.run(6.0).signalled


def locked_without_token(harness: KernelHarness) -> bool:
    return harness.run(1.0).outputs.lock


def token_accepted(kind: AuthorizationType) -> Callable[[KernelHarness], bool]:
    def observed(harness: KernelHarness) -> bool:
        answer = harness.command(
            AuthorizeResponse(ProvidedIdToken('X', kind), ValidationResult(AuthorizationStatus.ACCEPTED))
        )
        harness.command(WithdrawAuthorization())
        return answer.success

    return observed


def open_before_phases_change(harness: KernelHarness) -> float:
    wanted = 1 if harness.outputs.phases == 3 else 3
    assert harness.command(SwitchThreePhasesWhileCharging(wanted == 3)).success
    harness.pilot('B')
    seconds = harness.until(lambda: harness.outputs.phases == wanted)
    harness.run(5.0).pilot('C').run(1.0)
    assert harness.flows
    return round(seconds, 2)


def f_after_an_emergency(harness: KernelHarness) -> float:
    harness.report(BoardErrorEnum.VENDOR_ERROR)
    assert harness.outputs.pilot_mode is PilotMode.F
    seconds = harness.until(lambda: harness.outputs.pilot_mode is not PilotMode.F)
    harness.report().run(10.0)
    return round(seconds, 2)


def wakes_the_car(harness: KernelHarness) -> bool:
    harness.command(PauseCharging())
    harness.run(4.0).command(ResumeCharging())
    harness.run(0.1)
    assert harness.signalled
    return harness.until(lambda: harness.outputs.pilot_mode is PilotMode.F, 35.0) < 35.0


def life_of_a_grant(harness: KernelHarness) -> float:
    harness.grant(16.0, 3600.0).run(4.0)
    assert harness.signalled == 16.0
    return round(4.0 + harness.until(lambda: harness.signalled == 0.0, 100.0), 2)


def charges_without_meter(harness: KernelHarness) -> bool:
    return not harness.run(6.0).status.active_errors


def session_survives_a_bounce(harness: KernelHarness) -> bool:
    harness.run(30.0).plug().authorize()
    session = harness.run(1.0).status.session_uuid
    harness.pilot('A').run(1.0).pilot('B')
    survives = harness.status.session_uuid == session
    harness.pilot('A')
    return survives


def silent_meter(harness: KernelHarness) -> KernelHarness:
    harness.metered = False
    return harness.charging().run(10.0)


def closings_in_two_minutes(harness: KernelHarness) -> int:
    harness.t += 3600.0  # at the end of the hour the waiting EV is switched on, which counts
    harness._next_report = harness.t
    harness.observe()
    before = harness.status.contactor_cycles
    for _ in range(12):
        harness.command(PauseCharging())
        harness.pilot('B').run(4.0).command(ResumeCharging())
        harness.run(0.1).pilot('C').run(5.9)
    return harness.status.contactor_cycles - before


@dataclass(frozen=True)
class Row:
    """The values of a parameter in turn, and what is seen with each of them."""

    seen: dict[Any, Any]
    observe: Callable[[KernelHarness], Any]
    prepare: Callable[[KernelHarness], KernelHarness] = lambda harness: harness
    config: Config = Config()


TABLE = {
    'max_current_import_a': Row(
        {16.0: 16.0, 10.0: 10.0, 32.0: 32.0, 0.0: 0.0}, signalled_current, KernelHarness.offered
    ),
    'lock_connector_in_state_b': Row({True: True, False: False}, locked_without_token, KernelHarness.plug),
    'unlock_when_deauthorized': Row({False: True, True: False}, locked_without_token, KernelHarness.plug),
    'payment_enable_eim': Row({True: True, False: False}, token_accepted(AuthorizationType.RFID)),
    'payment_enable_contract': Row(
        {True: True, False: False}, token_accepted(AuthorizationType.PLUG_AND_CHARGE)
    ),
    'switch_3ph1ph_delay_s': Row(
        {10.0: 10.0, 2.0: 2.0, 20.0: 20.0},
        open_before_phases_change,
        KernelHarness.charging,
        Config(closings_per_minute_max=60),
    ),
    'state_f_after_fault_s': Row({0.3: 0.3, 8.0: 8.0}, f_after_an_emergency),
    'legacy_wakeup_enabled': Row({True: True, False: False}, wakes_the_car, KernelHarness.offered),
    'enforced_limits_max_age_s': Row(
        {10.0: 10.0, 60.0: 60.0, 5.0: 5.0},
        life_of_a_grant,
        lambda harness: harness.grant(16.0).charging(),
        Config(energy_source='manager'),
    ),
    'closings_per_minute_max': Row({3: 6, 1: 2}, closings_in_two_minutes, KernelHarness.charging),
    'closings_per_hour_max': Row({20: 6, 2: 1}, closings_in_two_minutes, KernelHarness.charging),
    'fail_on_powermeter_errors': Row({False: True, True: False}, charges_without_meter, silent_meter),
    'replug_grace_s': Row({0.0: False, 5.0: True}, session_survives_a_bounce),
}


def test_the_table_holds_every_parameter_that_may_change() -> None:
    assert set(TABLE) == {spec.name for spec in parameters() if not spec.metadata['read_only']}


@pytest.mark.parametrize('name', TABLE)
def test_a_parameter_acts_in_both_directions(name: str) -> None:
    row = TABLE[name]
    there = list(row.seen)
    in_turn = [*there, *reversed(there[:-1])]
    config = replace(row.config, **{name: in_turn[0]})
    harness = row.prepare(KernelHarness(config))
    seen = []
    for value in in_turn:
        config = change(harness, config, **{name: value})
        seen.append((value, row.observe(harness)))
    assert seen == [(value, row.seen[value]) for value in in_turn]


def test_a_parameter_that_changes_while_it_is_in_use_is_not_remembered_as_it_was() -> None:
    config = Config(energy_source='manager')
    harness = KernelHarness(config).grant(16.0).charging()
    harness.grant(16.0, 3600.0).run(4.0)
    change(harness, config, enforced_limits_max_age_s=60.0)
    assert harness.until(lambda: harness.signalled == 0.0, 100.0) == pytest.approx(56.0, abs=0.01)


# --- the installation's limit: raise_the_limit ---------------------------------------------------


def test_a_raised_limit_is_signalled_published_and_asked_for_with_its_true_source() -> None:
    config = Config(max_current_import_a=16.0)
    harness = KernelHarness(config).charging()
    seen = []
    for amperes in (16.0, 10.0, 32.0):
        config = change(harness, config, max_current_import_a=amperes)
        published = [output.hw_capabilities for _, _, output in harness.tape if output.hw_capabilities]
        harness.run(6.0)
        request = energy_request('/evse_1', config, harness.status, HARDWARE, None, grant=None)
        seen.append(
            (
                harness.signalled,
                harness.status.limit_source,
                published[-1].max_current_a_import,
                request.schedule_import[0].limits_to_leaves.ac_max_current_a,
            )
        )
    assert seen == [
        (16.0, LimitSource.PARAMETER, 16.0, 16.0),
        (10.0, LimitSource.PARAMETER, 10.0, 10.0),
        (32.0, LimitSource.HARDWARE, 32.0, 32.0),
    ]


def test_a_limit_raised_during_derating_raises_the_derated_current_too() -> None:
    config = Config(max_current_import_a=16.0)
    harness = KernelHarness(config).charging().temperature(66.0)
    assert harness.signalled == 8.0
    change(harness, config, max_current_import_a=32.0)
    assert harness.run(6.0).signalled == 16.0


def test_a_token_is_still_good_after_a_change_of_any_parameter() -> None:
    for name, row in TABLE.items():
        harness = KernelHarness().run(4.0)
        assert harness.command(token()).success, name
        change(harness, Config(), **{name: list(row.seen)[-1]})
        assert harness.status.authorized, name
