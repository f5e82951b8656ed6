"""The few QoS profiles of the package, built here only."""

from functools import cache

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from evse_manager.interface.endpoints import Qos


@cache
def profile(qos: Qos) -> QoSProfile:
    """Return the profile of rclpy for a quality of service: reliable, keep last."""
    return QoSProfile(
        reliability=ReliabilityPolicy.RELIABLE,
        history=HistoryPolicy.KEEP_LAST,
        depth=qos.value.depth,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if qos.value.latched else DurabilityPolicy.VOLATILE,
    )


EVENTS = profile(Qos.EVENTS)
LATCHED = profile(Qos.LATCHED)
STREAM = profile(Qos.STREAM)
NEWEST = profile(Qos.NEWEST)
REQUESTS = profile(Qos.REQUESTS)
