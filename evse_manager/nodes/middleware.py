"""
How the processes of the package use Fast DDS, unless the environment says otherwise.

- No shared memory.  A participant that was killed leaves its port there, and whoever wrote to that port may
  go on writing to it: the process that is started again never receives from that writer (docs/sources.md,
  *Middleware*).  A depot restarts what died, so its processes use UDP alone.
- A process announces itself ten times a second for its first four seconds.  Fast DDS itself announces five
  times before it listens, and then every 3 s: a third to a half of all starts waited for that.  Later it
  announces itself every 0.5 s on one machine, every second on a network: who starts is known to the others
  before it listens, and learns of them no sooner than they announce themselves again.
- ``LOCALHOST`` is expressed by a profile of Fast DDS (``fast_dds_loopback.xml``) that looks at the first 100
  processes of a machine.  With ``ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST`` itself rmw_fastrtps replaces the
  transports by its own, shared memory among them, and looks at 32.
- Memory is taken for the messages that come, not beforehand for the longest that a bounded type allows:
  18 MB of a connector for ``set_external_limits`` and ``energy/limits`` alone.  rmw_fastrtps leaves that to
  the profile with ``RMW_FASTRTPS_USE_QOS_FROM_XML``; what it sets otherwise stands in the profile.
"""

import functools
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

PROFILES_FILE = 'FASTDDS_DEFAULT_PROFILES_FILE'
"""Variable that names a file of profiles to Fast DDS 3."""

PROFILES_FILE_2 = 'FASTRTPS_DEFAULT_PROFILES_FILE'
"""The same variable of Fast DDS 2; version 3 warns of it."""

QOS_FROM_PROFILE = 'RMW_FASTRTPS_USE_QOS_FROM_XML'
"""With ``1`` rmw_fastrtps leaves to the profile how endpoints take memory and publish."""

CHOSEN_BY_USER = (
    PROFILES_FILE,
    PROFILES_FILE_2,
    'FASTDDS_BUILTIN_TRANSPORTS',
    'RMW_FASTRTPS_PUBLICATION_MODE',
    QOS_FROM_PROFILE,
    'ROS_DISCOVERY_SERVER',
    'ROS_STATIC_PEERS',
)
"""Whoever sets one of these configures Fast DDS, and nothing is changed."""

RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'

LOOPBACK_PARTICIPANTS = 100
"""Participants of one machine that find each other by the loopback profile (its ``maxInitialPeersRange``)."""

LOCALHOST_PARTICIPANTS = 33
"""Those that find each other by what rmw_fastrtps makes of ``LOCALHOST``."""

LOOPBACK = Path(__file__).with_name('fast_dds_loopback.xml')
NETWORK = Path(__file__).with_name('fast_dds_network.xml')


def is_fast_dds(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the middleware is Fast DDS, the default of ROS 2."""
    return 'fastrtps' in (environment.get('RMW_IMPLEMENTATION') or 'rmw_fastrtps_cpp')


@functools.cache
def profiles_variable() -> str:
    """Return the variable of a file of profiles, by the version of Fast DDS that the rmw was built on."""
    manifest = Path(get_package_share_directory('rmw_fastrtps_shared_cpp')) / 'package.xml'
    return PROFILES_FILE if '<build_depend>fastdds<' in manifest.read_text() else PROFILES_FILE_2


def is_localhost_only(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the environment limits discovery to this machine."""
    return (
        environment.get(RANGE, '').upper() == 'LOCALHOST' or environment.get('ROS_LOCALHOST_ONLY', '0') == '1'
    )


def most_participants(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return how many participants of one machine find each other; None = no limit of ours to know."""
    configured = dict(environment)
    configure(configured)
    if not is_fast_dds(configured) or configured.get('ROS_DISCOVERY_SERVER'):
        return None
    if configured.get(profiles_variable()) == str(LOOPBACK):
        return LOOPBACK_PARTICIPANTS
    return LOCALHOST_PARTICIPANTS if is_localhost_only(configured) else None


def configure(environment: MutableMapping[str, str] = os.environ) -> None:
    """
    Choose the profile of Fast DDS for this process and its children; call it before ``rclpy.init``.

    Nothing happens with another middleware, with discovery off, or where the user has configured Fast DDS.
    """
    if not is_fast_dds(environment) or any(environment.get(name) for name in CHOSEN_BY_USER):
        return
    if is_localhost_only(environment):
        profile = LOOPBACK
        environment[RANGE] = 'SYSTEM_DEFAULT'  # else rmw_fastrtps replaces the transports of the profile
        environment.pop('ROS_LOCALHOST_ONLY', None)
    elif environment.get(RANGE, '').upper() in {'', 'SUBNET', 'SYSTEM_DEFAULT'}:
        profile = NETWORK
    else:
        return
    environment[profiles_variable()] = str(profile)
    environment[QOS_FROM_PROFILE] = '1'
