"""Every line to type of docs/interface.md does what it says (other pages: ``test_typed_pages.py``)."""

from collections.abc import Callable

import pytest

from charge_client import ChargeClient
from evse_manager.interface import endpoints
from evse_manager.msg import EvseStatus
from evse_manager.nodes.qos import STREAM
from harness import Connector, Probe
from typed import LINES, parse

NAMESPACE = '/evse_1'
"""That of the examples."""

SENT = {typed.path: typed for typed in (parse(line) for line in LINES if ' echo ' not in line)}

STORY: tuple[tuple[str, str, Callable[[EvseStatus], object]], ...] = (
    ('get_id', '', lambda s: s.connector_id == 1),
    ('external_ready_to_start_charging', '', lambda s: s.state == s.STATE_IDLE),
    ('disable', 'Disabled', lambda s: s.state == s.STATE_DISABLED),
    ('enable_disable', 'Enabled', lambda s: s.state == s.STATE_IDLE),
    ('enable', '', lambda s: s.state == s.STATE_IDLE),
    ('reserve', 'ReservationStart', lambda s: list(s.reservation_id) == [42]),
    ('cancel_reservation', 'ReservationEnd', lambda s: not s.reservation_id),
    ('authorize_response', 'SS', lambda s: s.authorized and s.token.endswith('BEEF')),
    ('withdraw_authorization', 'SF', lambda s: not s.authorized),
    ('simulation/set_proximity', '', lambda s: s.state == s.STATE_IDLE),
    ('simulation/plug_in', 'SS AR', lambda s: s.plugged),
    ('authorize_response', 'TS PC CS', lambda s: s.state == s.STATE_CHARGING),
    ('set_external_limits', '', lambda s: s.signalled_current_a == 16.0),
    ('switch_three_phases_while_charging', '', lambda s: s.phases == 3),
    ('pause_charging', 'PEVSE', lambda s: s.paused_by_user),
    ('resume_charging', 'CR', lambda s: s.state == s.STATE_CHARGING),
    ('simulation/ev_pause', 'PEV', lambda s: s.state == s.STATE_CHARGING_PAUSED_EV),
    ('simulation/ev_resume', 'CR', lambda s: s.state == s.STATE_CHARGING),
    ('simulation/replug', 'ReplugStarted ReplugFinished CR', lambda s: s.state == s.STATE_CHARGING),
    ('stop_transaction', 'SC CF TF', lambda s: s.state == s.STATE_FINISHED),
    ('force_unlock', '', lambda s: s.state == s.STATE_FINISHED),
    ('simulation/inject_fault', 'Error', lambda s: s.state == s.STATE_ERROR),
    ('simulation/clear_fault', '', lambda s: s.active_errors),  # the car has to be looked at
    ('simulation/unplug', 'SF AllErrorsCleared', lambda s: s.state == s.STATE_IDLE),
    ('set_faulted', 'PermanentFault', lambda s: s.state == s.STATE_FAULTED),
    ('clear_fault', 'AllErrorsCleared Enabled', lambda s: s.state == s.STATE_IDLE),
)
"""What is typed one after another, the events that follow, and what the status says then."""


@pytest.fixture(scope='module')
def namespace() -> str:
    return NAMESPACE


def send(probe: Probe, name: str) -> object:
    """Call the service as typed."""
    path, kind, request = SENT[f'{NAMESPACE}/{name}']
    client = probe.client(kind, path)
    future = client.call_async(request)
    return probe.wait(lambda: future.result() if future.done() else None, f'{name} answers')


def test_a_session_of_the_services_as_typed(connector: Connector):
    for name, codes, seen in STORY:
        answer = send(connector.probe, name)
        assert getattr(answer, 'success', True), f'{name}: {answer.message}'
        assert getattr(answer, 'result', 1) == 1, f'{name}: {answer.message}'
        assert answer.message == '', name
        connector.sees(codes)
        connector.reaches(seen, f'the effect of {name}')


def test_high_level_communication_as_typed(connector: Connector):
    connector.accepted('simulation/plug_in')  # what is known of the EV belongs to a session
    connector.sees('SS AR')
    publishers = {
        path: connector.probe.publisher(kind, path, STREAM)
        for path, kind, _ in SENT.values()
        if '/hlc/' in path
    }
    info = connector.listen('ev_info')
    manufacturer = connector.listen('car_manufacturer')
    request = connector.listen('iso15118_certificate_request')
    response = connector.listen('hlc/certificate_response')
    for path, publisher in publishers.items():
        publisher.publish(SENT[path].message)
    connector.probe.wait(lambda: info and info[-1].soc_percent == 41.0, 'ev_info')
    connector.probe.wait(lambda: manufacturer and manufacturer[-1].manufacturer == 1, 'the manufacturer')
    connector.probe.wait(lambda: request and request[-1].exi_request == 'gJgC', 'the request')
    assert send(connector.probe, 'set_get_certificate_response').success
    connector.probe.wait(lambda: response and response[-1].exi_response == 'gJgD', 'the response')


def test_a_charge_goal_as_typed(connector: Connector):
    path, _, goal = SENT[f'{NAMESPACE}/charge']
    assert path == connector.path('charge')
    client = ChargeClient(connector)
    handle = client.send_message(goal)
    connector.sees('SS')
    assert send(connector.probe, 'simulation/plug_in').success
    connector.sees('TS PC CS')
    ended = client.result(handle).result
    assert (ended.result, ended.message) == (ended.REACHED, '')
    client.close()


def test_a_black_box_is_asked_for_as_typed(connector: Connector):
    answer = send(connector.probe, 'save_black_box')
    assert not answer.success
    assert 'black_box_folder' in answer.message, 'a connector without files says why it has none'


def test_every_service_is_typed():
    typed = {name for name, _, _ in STORY} | {'set_get_certificate_response', 'save_black_box'}
    typed |= {service.name for service in endpoints.RECORD_SERVICES}  # test_record_services.py types these
    assert typed == {service.name for service in endpoints.SERVICES}
