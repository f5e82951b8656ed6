"""Bad arguments to every service: a clear message, nothing changed, nothing switched on."""

import math

import pytest
from builtin_interfaces.msg import Time

from evse_manager.interface import endpoints
from evse_manager.msg import (
    AuthorizationStatus,
    CertificateAction,
    ExternalLimits,
    LimitsReq,
    ProvidedIdToken,
    ResponseExiStreamStatus,
    ScheduleReqEntry,
    StopTransactionRequest,
    ValidationResult,
)
from evse_manager.srv import EnableDisable
from harness import Connector, authorization


def limits(**fields) -> dict:
    return {'value': ExternalLimits(schedule_import=[ScheduleReqEntry(limits_to_root=LimitsReq(**fields))])}


def schedule(*seconds: int) -> dict:
    entries = [
        ScheduleReqEntry(timestamp=Time(sec=sec), limits_to_root=LimitsReq(ac_max_current_a=16.0))
        for sec in seconds
    ]
    return {'value': ExternalLimits(schedule_import=entries)}


def broken_time(sec: int, nanosec: int) -> dict:
    entry = ScheduleReqEntry(
        timestamp=Time(sec=sec, nanosec=nanosec), limits_to_root=LimitsReq(ac_max_current_a=16.0)
    )
    return {'value': ExternalLimits(schedule_import=[entry])}


BAD = {
    'enable': [{'connector_id': 2}, {'connector_id': -1}],
    'disable': [{'connector_id': 99}],
    'enable_disable': [
        {},
        {'state': 9},
        {'state': EnableDisable.Request.STATE_DISABLE, 'source': 77},
        {'state': EnableDisable.Request.STATE_DISABLE, 'priority': 10_001},
        {'state': EnableDisable.Request.STATE_DISABLE, 'priority': -1},
        {'state': EnableDisable.Request.STATE_DISABLE, 'connector_id': 2},
    ],
    'force_unlock': [{'connector_id': 7}],
    'authorize_response': [
        authorization('', authorization_status=AuthorizationStatus.ACCEPTED),
        authorization('T', authorization_status=99),
        authorization('T', expiry_time=Time(sec=1)),
        authorization('T', expiry_time=Time(sec=-5)),
        authorization('T', expiry_time=Time(sec=2_000_000_000, nanosec=4_000_000_000)),
        authorization('T', evse_ids=[2, 3]),
        {
            'provided_token': ProvidedIdToken(id_token='T', authorization_type=77),
            'validation_result': ValidationResult(authorization_status=1),
        },
        {
            'provided_token': ProvidedIdToken(id_token='T', connectors=[5]),
            'validation_result': ValidationResult(authorization_status=1),
        },
        {},
    ],
    'stop_transaction': [
        {'request': StopTransactionRequest(reason=200)},
        {'request': StopTransactionRequest(reason=8)},  # valid, but there is none
    ],
    'set_external_limits': [
        limits(ac_max_current_a=math.nan),
        limits(ac_max_current_a=math.inf),
        limits(ac_max_current_a=-5.0),
        limits(ac_max_current_a=80.5),
        limits(total_power_w=math.nan),
        limits(total_power_w=-math.inf),
        limits(ac_max_phase_count=4, ac_max_current_a=16.0),
        limits(),
        schedule(2_000_000_000, 1_900_000_000),
        broken_time(-1, 0),
        broken_time(1_900_000_000, 4_000_000_000),
    ],
    'set_get_certificate_response': [
        {'certificate_reponse': ResponseExiStreamStatus(status=9, certificate_action=1)},
        {
            'certificate_reponse': ResponseExiStreamStatus(
                status=1, certificate_action=CertificateAction.INSTALL
            )
        },
    ],
    'pause_charging': [{}],
    'resume_charging': [{}],
    'switch_three_phases_while_charging': [{'three_phases': True}],
    'clear_fault': [],
    'simulation/plug_in': [
        {'profile': 'rocket'},
        {'max_current_a': -3.0},
        {'max_current_a': math.inf},
        {'phases': 9},
        {'soc_percent': 250.0},
        {'battery_capacity_wh': -1.0},
    ],
    'save_black_box': [{}],  # these connectors have no folder for one
    'simulation/unplug': [{}],
    'simulation/set_proximity': [{'ampacity_a': 14.0}, {'ampacity_a': math.nan}, {'ampacity_a': -13.0}],
    'simulation/inject_fault': [{'fault': 'gremlins'}, {'fault': ''}],
    'simulation/clear_fault': [{'fault': 'gremlins'}],
    'records/list': [{'page_size': 1000}, {'stop_reason': 200}],
    'records/get': [{}, {'uuid': 'none', 'page': 'x'}],
}
CASES = [(name, fields) for name, many in BAD.items() for fields in many]


@pytest.mark.parametrize(('name', 'fields'), CASES, ids=[name for name, _ in CASES])
def test_refused_with_a_sentence_and_nothing_changed(name: str, fields: dict, shared: Connector):
    shared.to_rest()
    states = shared.listen('board/state')
    before = shared.status
    answer = shared.call(name, **fields)
    assert not getattr(answer, 'success', False)
    assert len(answer.message) > 10, 'refused without a word'
    assert 'Traceback' not in answer.message
    shared.sees_nothing(0.05)
    for field in ('state', 'availability', 'authorized', 'plugged', 'limit_a', 'paused_by_user', 'contactor'):
        assert getattr(shared.status, field) == getattr(before, field)
    shared.probe.wait(lambda: states, 'a board state')
    assert states[-1].contactor == 1


def test_every_service_was_asked():
    harmless = {'get_id', 'withdraw_authorization', 'cancel_reservation', 'set_faulted', 'reserve'}
    harmless |= {
        'external_ready_to_start_charging',
        'simulation/ev_pause',
        'simulation/ev_resume',
        'simulation/replug',
    }
    assert set(BAD) | harmless == {service.name for service in endpoints.SERVICES}


def test_simulation_names_the_faults_and_profiles_it_knows(shared: Connector):
    assert 'relay_weld' in shared.refused('simulation/inject_fault', fault='gremlins')
    assert 'never_asks' in shared.refused('simulation/plug_in', profile='rocket')


def test_a_refused_limit_leaves_the_one_in_force(connector: Connector):
    connector.accepted('set_external_limits', **limits(ac_max_current_a=10.0))
    connector.reaches(lambda s: s.limit_a == 10.0, '10 A')
    connector.refused('set_external_limits', **limits(ac_max_current_a=math.nan))
    connector.probe.spin(0.2)
    assert connector.status.limit_a == 10.0


def test_no_reservation_while_plugged_or_reserved(connector: Connector):
    connector.accepted('reserve', reservation_id=3)
    connector.sees('ReservationStart')
    connector.refused('reserve', reservation_id=4)
    connector.accepted('reserve', reservation_id=3)
    connector.sees_nothing(0.1)


def test_malformed_board_messages_change_nothing(connector: Connector):
    """Another program on the board's topics cannot bring the manager down."""
    from evse_manager.msg import Powermeter, Telemetry

    telemetry = connector.publisher('board/telemetry')
    telemetry.publish(Telemetry(temperature_c=math.inf))
    meter = connector.publisher('board/powermeter')
    sample = Powermeter()
    sample.energy_wh_import.total = -math.inf
    meter.publish(sample)
    connector.sees_nothing(0.3)
    assert connector.call('get_id').connector_id == 1
