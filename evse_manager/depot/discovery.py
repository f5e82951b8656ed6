"""How many participants of DDS there are on this machine, and whether more would find each other."""

import os
from collections.abc import Mapping
from pathlib import Path

from evse_manager.nodes.middleware import most_participants

_UDP = Path('/proc/net/udp')
_PARTICIPANTS = 120
"""Participants of one domain on one machine (RTPS 2.2, section 9.6.1)."""


def participants_here(domain: int, table: Path = _UDP) -> int:
    """Return how many participants of a domain run on this machine, by the ports they listen to."""
    first = 7400 + 250 * domain + 10  # unicast discovery of participant 0
    ports = set()
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return 0
    for line in lines:
        ports.add(int(line.split()[1].rpartition(':')[2], 16))
    return sum(first + 2 * number in ports for number in range(_PARTICIPANTS))


def too_many(planned: int, environment: Mapping[str, str] = os.environ) -> str:
    """Return a warning when ``planned`` more participants would not find each other; empty = they will."""
    most = most_participants(environment)
    if most is None:
        return ''
    domain = environment.get('ROS_DOMAIN_ID', '0')
    there = participants_here(int(domain)) if domain.isdecimal() else 0
    if planned + there <= most:
        return ''
    return (
        f'{planned} processes beside {there} others on domain {domain} are more than the {most} of one'
        ' machine that find each other with ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST; use SUBNET, a discovery'
        ' server or Zenoh (docs/depot.md).'
    )
