"""The gate for bridges: with ``wait_for_external_ready`` nothing begins before the call."""

from harness import Connector, Probe, Site

NAMESPACE = '/gate'


def test_the_node_waits_for_the_call_and_leads_no_board_before(site: Site, probe: Probe) -> None:
    connector = Connector(probe, NAMESPACE)
    ready, waiting = connector.listen('ready'), connector.listen('waiting_for_external_ready')
    commands = connector.listen('board/command')
    site.board(NAMESPACE)
    site.manager(NAMESPACE, wait_for_external_ready=True)
    probe.wait(lambda: waiting and waiting[-1].data, 'it waits')
    assert 'external_ready_to_start_charging' in connector.refused('authorize_response')
    connector.accepted('simulation/plug_in')
    connector.sees_nothing(2.0)
    assert commands == []
    assert [each.data for each in ready] == [False]

    connector.accepted('external_ready_to_start_charging')
    connector.sees('Enabled SS AR')
    probe.wait(lambda: ready[-1].data and not waiting[-1].data, 'it is ready')
    connector.authorize()
    connector.sees('TS PC CS')
    connector.accepted('external_ready_to_start_charging')
    connector.sees_nothing()


def test_without_the_parameter_nothing_waits(connector: Connector) -> None:
    ready, waiting = connector.listen('ready'), connector.listen('waiting_for_external_ready')
    connector.probe.wait(lambda: ready and ready[-1].data, 'it is ready')
    connector.probe.wait(lambda: waiting and not waiting[-1].data, 'it does not wait')
