"""The surface on the graph: every topic and service of the interface, with type and QoS, and no other."""

import time

import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party, Qos
from evse_manager.msg import EvseStatus
from harness import Connector, Probe, Site

OWN_TOPICS = [topic for topic in endpoints.TOPICS if topic not in endpoints.ENERGY_TOPICS]
NODES = {Party.MANAGER: 'evse_manager', Party.BOARD: 'board_support'}
OF_EVERY_NODE = {
    'describe_parameters', 'get_parameter_types', 'get_parameters', 'list_parameters', 'set_parameters',
    'set_parameters_atomically', 'get_type_description',
}  # fmt: skip


OF_AN_ACTION = ('send_goal', 'cancel_goal', 'get_result')


def found_at(probe: Probe, path: str, party: Party, namespace: str, *, publishes: bool):
    ask = probe.node.get_publishers_info_by_topic if publishes else probe.node.get_subscriptions_info_by_topic
    return [info for info in ask(path) if info.node_name == NODES[party] and info.node_namespace == namespace]


@pytest.mark.parametrize('topic', OWN_TOPICS, ids=lambda topic: topic.name)
def test_a_topic_has_its_type_and_quality_of_service(topic, shared: Connector):
    path = shared.path(topic.name)
    for party, publishes in ((topic.publisher, True), (topic.subscriber, False)):
        if party not in NODES:
            continue
        (info,) = shared.probe.wait(
            lambda p=party, out=publishes: found_at(shared.probe, path, p, shared.namespace, publishes=out),
            f'{party} at {path}',
        )
        assert info.topic_type == topic.type
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        latched = info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert latched == topic.qos.value.latched


def test_no_other_topic_is_published(shared: Connector):
    known = {shared.path(topic.name) for topic in (*OWN_TOPICS, endpoints.TOKEN)}
    known |= {shared.path(f'{endpoints.CHARGE_NAME}/_action/{name}') for name in ('feedback', 'status')}
    known |= {'/rosout', '/parameter_events'}
    for node in NODES.values():
        published = shared.probe.node.get_publisher_names_and_types_by_node(node, shared.namespace)
        assert {name for name, _ in published} <= known


@pytest.mark.parametrize('service', endpoints.SERVICES, ids=lambda service: service.name)
def test_a_service_has_its_type_and_server(service, shared: Connector):
    def offered():
        node = NODES[service.server]
        found = dict(shared.probe.node.get_service_names_and_types_by_node(node, shared.namespace))
        return found.get(shared.path(service.name))

    assert shared.probe.wait(offered, f'service {service.name}') == [service.type]


def test_no_other_service_is_offered(shared: Connector):
    for party, node in NODES.items():
        own = {shared.path(service.name) for service in endpoints.SERVICES if service.server is party}
        common = {f'{shared.namespace}/{node}/{name}' for name in OF_EVERY_NODE}
        if party is Party.MANAGER:
            common |= {shared.path(f'{endpoints.CHARGE_NAME}/_action/{name}') for name in OF_AN_ACTION}
        offered = dict(shared.probe.node.get_service_names_and_types_by_node(node, shared.namespace))
        assert set(offered) - common == own


@pytest.mark.parametrize(
    'topic',
    [
        topic
        for topic in (*endpoints.VARIABLES, *endpoints.BOARD_TOPICS)
        if topic.qos is Qos.LATCHED and topic.name not in ('enforced_limits', 'car_manufacturer')
    ],
    ids=lambda topic: topic.name,
)
@pytest.mark.fault('P13')
def test_a_late_reader_gets_what_is_the_case(topic, shared: Connector, measured):
    begun = time.monotonic()
    heard = shared.listen(topic.name)
    shared.probe.wait(lambda: heard, f'{topic.name} for a late reader', 5.0)
    measured(time.monotonic() - begun, 1.0)


def test_a_late_reader_gets_the_last_hundred_events_in_order(connector: Connector):
    for _ in range(55):
        connector.accepted('disable')
        connector.accepted('enable')
    connector.probe.wait(lambda: len(connector.events) == 110, 'all events')
    history = connector.listen('session_event')
    connector.probe.wait(lambda: len(history) >= 100, 'the history')
    connector.probe.spin(0.3)
    assert [event.sequence_number for event in history] == [
        event.sequence_number for event in connector.all_events[-100:]
    ]
    numbers = [event.sequence_number for event in history]
    assert numbers == list(range(numbers[0], numbers[0] + 100))


def test_the_status_comes_once_a_second_though_nothing_changes(connector: Connector):
    heard = connector.listen('status')
    connector.probe.spin(3.2)
    assert 3 <= len(heard) <= 6


def test_get_id_tells_the_connector(shared: Connector):
    answer = shared.call('get_id')
    assert (answer.connector_id, answer.message) == (1, '')


def test_a_namespace_of_several_parts_and_another_node_name(site: Site, probe: Probe):
    deep = Connector(probe, '/depot_a/bay_7')
    site.board('/depot_a/bay_7')
    site.start('evse_manager', '/depot_a/bay_7', rename='boss', session_store='""', connector_id=7)
    deep.sees('Enabled')
    assert deep.call('get_id').connector_id == 7
    assert deep.status.connector_id == 7
    probe.wait(
        lambda: ('boss', '/depot_a/bay_7') in probe.node.get_node_names_and_namespaces(),
        'the graph knows its name',
    )
    assert deep.status.state == EvseStatus.STATE_IDLE
