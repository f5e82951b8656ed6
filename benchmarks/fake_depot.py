"""A hundred connectors and their energy manager in one process: what they publish, and nothing else."""

import time
from dataclasses import replace

import rclpy
from rclpy.node import Node

from evse_manager.interface import endpoints
from evse_manager.interface.enums import ChargerState, LimitSource, SessionEventEnum, StatusReason
from evse_manager.interface.types import (
    Current,
    EvseStatus,
    SessionEvent,
    SiteNodeStatus,
    SiteStatus,
    Time,
)
from evse_manager.nodes.conversions import to_message
from evse_manager.nodes.qos import profile

COUNT = 100
EVENTS_KEPT = 100
PERIOD_S = 0.01
"""Between two connectors: each speaks once a second."""

STATUS = EvseStatus(
    state=ChargerState.CHARGING,
    reason=StatusReason.CHARGING,
    reason_text='Charging; the limit of 10.0 A comes from the site node row_1 (energy manager).',
    session_uuid='00000000-0000-4000-8000-000000000001',
    transaction_active=True,
    plugged=True,
    signalled_current_a=10.0,
    phases=3,
    limit_a=10.0,
    limit_source=LimitSource.ENERGY_MANAGER,
    limit_node='row_1',
    power_w=6900.0,
    session_energy_wh=1234.0,
)


def main() -> None:
    rclpy.init()
    node = Node('fake_depot')
    status, event = endpoints.topic('status'), endpoints.topic('session_event')
    publishers = [
        (
            node.create_publisher(
                endpoints.load(status.type), f'/depot/evse_{n}/status', profile(status.qos)
            ),
            node.create_publisher(
                endpoints.load(event.type), f'/depot/evse_{n}/session_event', profile(event.qos)
            ),
        )
        for n in range(1, COUNT + 1)
    ]
    row = endpoints.topic('site/status')
    site = node.create_publisher(endpoints.load(row.type), '/depot/site/status', profile(row.qos))
    for _, events in publishers:
        for number in range(EVENTS_KEPT):
            past = SessionEvent(
                stamp=Time(time.time_ns()), sequence_number=number, event=SessionEventEnum.CHARGING_RESUMED
            )
            events.publish(to_message(past))
    root = SiteNodeStatus(name='grid', limit_a=630.0, measured_a=Current(l1=500.0, l2=500.0, l3=500.0))
    turn = 0
    while rclpy.ok():
        rclpy.spin_once(node, timeout_sec=PERIOD_S)
        turn += 1
        statuses, events = publishers[turn % COUNT]
        now = Time(time.time_ns())
        statuses.publish(to_message(replace(STATUS, stamp=now, power_w=6900.0 + turn % 50)))
        if turn % (COUNT // 2) == 0:
            news = SessionEvent(stamp=now, sequence_number=turn, event=SessionEventEnum.CHARGING_RESUMED)
            events.publish(to_message(news))
        if turn % COUNT == 0:
            site.publish(to_message(SiteStatus(stamp=now, name='yard', nodes=(root,))))


if __name__ == '__main__':
    main()
