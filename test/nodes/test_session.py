"""A whole session, driven by services alone."""

import math

import pytest

from evse_manager.msg import (
    EvseStatus,
    ExternalLimits,
    LimitsReq,
    PilotMode,
    Powermeter,
    ScheduleReqEntry,
    SessionStarted,
    StopTransactionReason,
    StopTransactionRequest,
)
from harness import Connector


def limited(amperes: float) -> ExternalLimits:
    return ExternalLimits(
        schedule_import=[ScheduleReqEntry(limits_to_root=LimitsReq(ac_max_current_a=amperes))]
    )


def test_plug_token_charge_limit_pause_stop_unplug(connector: Connector):
    """Golden sequences 2, 9 and 10 with a change of the limit on the way."""
    meter, telemetry, limits = (connector.listen(name) for name in ('powermeter', 'telemetry', 'limits'))
    connector.probe.wait(lambda: meter, 'the first sample of the meter')

    connector.accepted('simulation/plug_in')
    started, _ = connector.sees('SS AR')
    assert started.session_started[0].reason == SessionStarted.EV_CONNECTED
    assert (
        connector.reaches(lambda s: s.plugged, 'plugged').state == EvseStatus.STATE_WAITING_FOR_AUTHENTICATION
    )

    connector.authorize('CARD')
    transaction, _, _ = connector.sees('TS PC CS')
    assert transaction.transaction_started[0].id_tag.id_token == 'CARD'
    assert transaction.uuid == started.uuid
    first = transaction.transaction_started[0].meter_value.energy_wh_import.total
    status = connector.reaches(lambda s: s.power_w > 20_000.0, '22 kW flow')
    assert status.state == EvseStatus.STATE_CHARGING
    assert status.reason == EvseStatus.REASON_CHARGING
    assert status.contactor == 2
    assert 'CARD' not in status.token
    assert (status.signalled_current_a, status.phases) == (32.0, 3)

    connector.accepted('set_external_limits', value=limited(16.0))
    connector.reaches(lambda s: s.signalled_current_a == 16.0 and s.power_w < 11_500.0, '16 A are in force')
    connector.probe.wait(lambda: limits[-1].max_current_a == 16.0, 'the limits say so')
    assert connector.codes == []

    connector.accepted('pause_charging')
    connector.sees('PEVSE')
    connector.reaches(lambda s: s.contactor == 1, 'the contactor opens')
    connector.accepted('resume_charging')
    connector.sees('CR')

    connector.accepted('simulation/ev_pause')
    connector.sees('PEV')
    connector.accepted('simulation/ev_resume')
    connector.sees('CR')

    reason = StopTransactionRequest(reason=StopTransactionReason.REMOTE, id_tag='CARD')
    connector.accepted('stop_transaction', request=reason)
    _, _, finished = connector.sees('SC CF TF')
    ended = finished.transaction_finished[0]
    assert (ended.reason, ended.id_tag) == (StopTransactionReason.REMOTE, 'CARD')
    assert ended.meter_value.energy_wh_import.total > first
    assert 'stop' in connector.refused('stop_transaction', request=reason).lower()

    connector.accepted('simulation/unplug')
    connector.sees('SF')
    assert len(meter) >= 3
    assert all(isinstance(sample, Powermeter) for sample in meter)
    assert any(sample.relais_on for sample in telemetry)
    numbers = [event.sequence_number for event in connector.all_events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_error_that_clears_by_itself(connector: Connector):
    """Golden sequence 14."""
    connector.charge()
    connector.accepted('simulation/inject_fault', fault='ventilation')
    (error,) = connector.sees('Error')
    assert error.error[0].vendor_error
    connector.accepted('simulation/clear_fault', fault='ventilation')
    connector.sees('AllErrorsCleared CR')


def test_error_that_needs_unplug(connector: Connector):
    """Golden sequence 15."""
    connector.charge()
    connector.accepted('simulation/inject_fault', fault='diode')
    connector.sees('Error')
    connector.accepted('simulation/clear_fault', fault='')
    connector.sees_nothing(1.5)
    connector.accepted('simulation/unplug')
    connector.sees('AllErrorsCleared SC CF TF SF')


def test_cable_pulled_while_charging(connector: Connector):
    """Golden sequence 3."""
    connector.charge()
    connector.accepted('simulation/unplug')
    connector.sees('SC CF TF SF')


def test_disable_answers_when_the_power_is_withdrawn(connector: Connector):
    """Golden sequence 18: the board has taken the withdrawal when the answer comes."""
    connector.charge()
    commands, states = connector.listen('board/command'), connector.listen('board/state')
    connector.probe.wait(lambda: commands and states, 'what manager and board tell each other')
    connector.accepted('disable')
    withdrawn = connector.probe.wait(
        lambda: [command for command in commands if command.pilot_mode != PilotMode.PWM], 'the withdrawal'
    )
    connector.probe.wait(
        lambda: states[-1].answered_sequence_number >= withdrawn[0].sequence_number, 'its answer', 1.0
    )
    connector.sees('SC CF TF SF Disabled')
    connector.accepted('enable')
    connector.sees('Enabled SS AR')


def test_force_unlock_answers_when_it_is_unlocked(connector: Connector):
    connector.charge()
    connector.accepted('force_unlock', connector_id=1)
    connector.reaches(lambda s: s.lock == 1 and s.contactor == 1, 'open and unlocked')
    connector.sees('SC CF TF')


def test_reservation_is_carried_into_the_transaction(connector: Connector):
    """Golden sequence 20."""
    connector.accepted('reserve', reservation_id=0)
    connector.sees('ReservationStart')
    assert list(connector.status.reservation_id) == [0]
    connector.accepted('simulation/plug_in')
    connector.authorize()
    _, _, started, _, _ = connector.sees('SS AR TS PC CS')
    assert list(started.transaction_started[0].reservation_id) == [0]


def test_out_of_order_until_the_operator_clears(connector: Connector):
    """Golden sequence 22."""
    connector.charge()
    connector.accepted('set_faulted')
    connector.sees('PermanentFault SC CF TF SF')
    assert connector.refused('enable')
    connector.accepted('simulation/unplug')
    connector.accepted('clear_fault')
    connector.sees('AllErrorsCleared Enabled')


def test_phase_switch_while_charging(connector: Connector):
    from evse_manager.srv import SwitchThreePhasesWhileCharging

    results = SwitchThreePhasesWhileCharging.Response
    answer = connector.call('switch_three_phases_while_charging', three_phases=False)
    assert answer.result == results.ERROR_NOT_CHARGING
    assert not answer.success
    assert answer.message


@pytest.mark.parametrize('fault', ['relay_stuck_open'])
def test_contactor_that_does_not_close(connector: Connector, fault: str):
    """Golden sequence 27."""
    connector.accepted('simulation/inject_fault', fault=fault)
    connector.accepted('simulation/plug_in')
    connector.authorize()
    connector.sees('SS AR TS PC Error')
    assert not math.isnan(connector.status.limit_a)
