"""What the interface has beyond the original of 2023, over DDS: stamps, modes, pause reasons, events."""

import time

import pytest

from evse_manager.msg import (
    EvseStatus,
    ExternalLimits,
    LimitsReq,
    ScheduleReqEntry,
    SessionEvent,
    SupportedEnergyTransferModes,
)
from harness import Connector, Probe, Site

LATE_S = 30.0
"""A stamp is no older than this, on a busy machine."""


@pytest.mark.parametrize('topic', ['board/telemetry', 'telemetry', 'limits'])
def test_telemetry_and_limits_are_stamped(connector: Connector, topic: str) -> None:
    heard = connector.listen(topic)
    if topic == 'limits':
        connector.probe.wait(lambda: heard, 'the limits as they are')
        connector.accepted('set_external_limits', value=_limit(10.0))
        connector.probe.wait(lambda: heard[-1].max_current_a == 10.0, 'the new limit')
    connector.probe.wait(lambda: heard, topic)
    age_s = time.time() - (heard[-1].stamp.sec + heard[-1].stamp.nanosec * 1e-9)
    assert 0.0 <= age_s < LATE_S


def _limit(current_a: float) -> ExternalLimits:
    entry = ScheduleReqEntry(limits_to_root=LimitsReq(ac_max_current_a=current_a))
    return ExternalLimits(schedule_import=[entry])


def test_the_energy_transfer_modes_are_latched(connector: Connector) -> None:
    heard = connector.listen('supported_energy_transfer_modes')
    connector.probe.wait(lambda: heard, 'the modes')
    modes = SupportedEnergyTransferModes
    assert list(heard[-1].modes) == [modes.AC_SINGLE_PHASE_CORE, modes.AC_THREE_PHASE_CORE]


def test_the_status_lists_several_reasons_of_a_pause(connector: Connector) -> None:
    connector.charge()
    connector.accepted('pause_charging')
    connector.accepted('set_external_limits', value=_limit(0.0))
    both = [EvseStatus.PAUSE_REASON_USER_PAUSE, EvseStatus.PAUSE_REASON_NO_ENERGY]
    connector.reaches(lambda status: list(status.pause_reasons) == both, 'both reasons')
    connector.accepted('resume_charging')
    connector.reaches(lambda status: list(status.pause_reasons) == both[1:], 'one reason')


def test_further_events_come_only_where_they_are_wanted(site: Site, probe: Probe) -> None:
    connector = Connector(probe, '/extended')
    site.board('/extended')
    site.manager('/extended', extended_events=True)
    connector.sees('Enabled')
    connector.authorize()
    authorized = connector.sees('SS Authorized')[-1]
    assert authorized.event == SessionEvent.AUTHORIZED
    assert authorized.uuid
    connector.accepted('withdraw_authorization')
    connector.sees('Deauthorized SF')
    connector.accepted('simulation/plug_in')
    connector.sees('SS AR')
    connector.accepted('withdraw_authorization')
    connector.sees('PluginTimeout')
