"""A message reaches every reader that could get it; one that no reader could get is not made."""

import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from evse_manager.interface import endpoints
from evse_manager.interface.types import Telemetry
from evse_manager.nodes.conversions import ConversionError
from evse_manager.nodes.publishers import Publishers
from evse_manager.nodes.qos import profile

STREAM = endpoints.topic('telemetry')
LATCHED = endpoints.topic('status')
COMMAND = endpoints.topic('board/command')
IMPOSSIBLE = Telemetry(temperature_c='warm')  # to convert it fails


@pytest.fixture
def node():
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node('publishing', start_parameter_services=False, enable_rosout=False)
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def listen(node: Node, topic: endpoints.Topic) -> list:
    heard = []
    node.create_subscription(endpoints.load(topic.type), topic.name, heard.append, profile(topic.qos))
    return heard


def until(node: Node, condition, limit_s: float = 5.0) -> bool:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    executor.remove_node(node)
    return bool(condition())


def test_a_sample_that_nobody_listens_to_is_not_made(node):
    publishers = Publishers(node, [STREAM])
    assert not publishers.listened_to(STREAM.name)
    publishers.publish(STREAM.name, IMPOSSIBLE)
    heard = listen(node, STREAM)
    assert until(node, lambda: publishers.listened_to(STREAM.name))
    with pytest.raises(ConversionError):
        publishers.publish(STREAM.name, IMPOSSIBLE)
    publishers.publish(STREAM.name, Telemetry(temperature_c=21.5))
    assert until(node, lambda: heard)
    publishers.relay(STREAM.name, heard[0])
    assert until(node, lambda: len(heard) == 2)
    assert [message.temperature_c for message in heard] == [21.5, 21.5]


@pytest.mark.parametrize('topic', [LATCHED, COMMAND])
def test_what_is_latched_and_every_command_is_published_in_any_case(node, topic):
    publishers = Publishers(node, [topic])
    assert topic.name in publishers
    assert STREAM.name not in publishers
    assert publishers.listened_to(topic.name)
    publishers.relay(topic.name, endpoints.load(topic.type)())
    publishers.wait_until_delivered(topic.name, 0.2)
    if topic is LATCHED:
        heard = listen(node, topic)
        assert until(node, lambda: heard)
