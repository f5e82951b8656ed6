"""The other nodes around a connector: high-level communication and the energy manager."""

import time

import pytest
from builtin_interfaces.msg import Time

from evse_manager.msg import (
    CarManufacturer,
    CertificateAction,
    EnforcedLimits,
    EVInfo,
    EvseStatus,
    LimitsRes,
    RequestExiStreamSchema,
    ResponseExiStreamStatus,
)
from harness import Connector, Probe, Site

RESPONSE = ResponseExiStreamStatus(
    status=ResponseExiStreamStatus.STATUS_ACCEPTED,
    certificate_action=CertificateAction.INSTALL,
    exi_response='AAAA',
)


def test_certificate_response_is_refused_without_a_high_level_communication_node(connector: Connector):
    assert connector.refused('set_get_certificate_response', certificate_reponse=RESPONSE)


def test_high_level_communication_is_relayed(connector: Connector):
    from std_msgs.msg import String

    requests, infos, makers = (
        connector.listen(name) for name in ('iso15118_certificate_request', 'ev_info', 'car_manufacturer')
    )
    responses = connector.listen('hlc/certificate_response')
    certificate = connector.publisher('hlc/certificate_request')
    info, evcc = connector.publisher('hlc/ev_info'), connector.publisher('hlc/evcc_id')
    connector.probe.wait(lambda: infos, 'the latched ev_info')

    request = RequestExiStreamSchema(
        exi_request='BBBB', iso15118_schema_version='urn:iso:15118:2:2013:MsgDef', certificate_action=1
    )
    certificate.publish(request)
    connector.probe.wait(lambda: requests, 'the relayed request')
    assert requests == [request]

    connector.accepted('simulation/plug_in')
    connector.sees('SS AR')
    ev_info = EVInfo()
    ev_info.soc_percent = 42.0
    info.publish(ev_info)
    connector.probe.wait(lambda: infos[-1].soc_percent == 42.0, 'the relayed EV info')
    evcc.publish(String(data='98:ED:5C:00:00:01'))
    connector.probe.wait(lambda: makers and makers[-1].manufacturer == CarManufacturer.TESLA, 'the maker')

    connector.accepted('set_get_certificate_response', certificate_reponse=RESPONSE)
    connector.probe.wait(lambda: responses, 'the relayed response')
    assert responses == [RESPONSE]

    connector.accepted('simulation/unplug')
    connector.sees('SF')
    connector.probe.wait(lambda: infos[-1].soc_percent != infos[-1].soc_percent, 'ev_info emptied')


@pytest.fixture(scope='module')
def managed(shared_site: Site, probe: Probe) -> Connector:
    connector = Connector(probe, '/managed')
    shared_site.board('/managed')
    shared_site.manager('/managed', energy_source='manager', enforced_limits_max_age_s=2.0)
    connector.sees('Enabled')
    return connector


def grant(amperes: float, lifetime_s: float = 2.0, uuid: str = '/managed') -> EnforcedLimits:
    now = time.time()
    return EnforcedLimits(
        uuid=uuid,
        stamp=Time(sec=int(now)),
        valid_until=Time(sec=int(now + lifetime_s)),
        limits_root_side=[LimitsRes(ac_max_current_a=amperes)],
    )


def test_the_energy_manager_is_asked_once_a_second_and_on_change(managed: Connector):
    requests = managed.listen('energy/request')
    managed.probe.wait(lambda: len(requests) >= 2, 'two requests', 4.0)
    assert requests[-1].uuid == '/managed'
    assert requests[-1].schedule_import[0].limits_to_root.ac_max_current_a == 0.0
    managed.accepted('simulation/plug_in')
    managed.probe.wait(
        lambda: requests[-1].schedule_import[0].limits_to_root.ac_max_current_a == 32.0, 'a demand', 1.0
    )
    managed.sees('SS AR')
    managed.accepted('simulation/unplug')
    managed.sees('SF')


def test_no_limit_no_power_and_a_limit_that_ends_pauses(managed: Connector):
    """Golden sequences 12 and 13 with an energy manager."""
    limits, accepted = managed.publisher('energy/limits'), managed.listen('enforced_limits')
    managed.accepted('simulation/plug_in')
    managed.authorize()
    managed.sees('SS AR TS PC WE')
    limits.publish(grant(16.0, uuid='/somebody_else'))
    managed.sees_nothing(0.5)
    assert accepted == []
    limits.publish(grant(16.0))
    managed.sees('CS')
    managed.probe.wait(
        lambda: accepted and accepted[-1].limits_root_side[0].ac_max_current_a == 16.0, 'it is told'
    )
    assert (
        managed.reaches(lambda s: s.signalled_current_a == 16.0, '16 A').limit_source == 4
    )  # ENERGY_MANAGER
    managed.sees('WE', 4.0)  # the lifetime of 2 s is over
    managed.reaches(lambda s: s.reason == EvseStatus.REASON_LIMIT_EXPIRED, 'the limit expired')
    managed.accepted('simulation/unplug')
    managed.sees('SC CF TF SF')
