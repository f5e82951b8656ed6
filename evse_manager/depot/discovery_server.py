"""
The discovery server of Fast DDS that a depot can start: its address, its profile, and who may use it.

With a server the processes of a site do not look for each other: each reports to the server, which forwards
that to the others.  Messages go from process to process, and do not depend on it.
"""

import ipaddress
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from evse_manager.nodes import middleware

PROGRAM = 'fast-discovery-server'

DEFAULT_PORT, LAST_PORT = 11811, 65_535

_ADDRESS = re.compile(r'(?P<host>[0-9.]+)(:(?P<port>[0-9]{1,5}))?')

LEASE_S, ANNOUNCED_EVERY_S = 4.0, 1.0
"""
A server that was not heard for its lease is gone.  Fast DDS itself takes 20 s and 3 s; a server that is
back before its clients have missed it does not learn what they have reported (Fast DDS issue 2534).
"""

RETURNS_AFTER_S = LEASE_S + ANNOUNCED_EVERY_S
"""How long a server that has died stays away, at least."""

CLIENT_VARIABLES = ('ROS_DISCOVERY_SERVER', 'ROS_SUPER_CLIENT')
"""What a process needs in its environment: where the server is, and that it sees the whole graph."""

_PROFILE = """\
<?xml version="1.0" encoding="UTF-8" ?>
<profiles xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <transport_descriptors>
    <transport_descriptor>
      <transport_id>server</transport_id>
      <type>UDPv4</type>
      <sendBufferSize>4194304</sendBufferSize>
      <receiveBufferSize>4194304</receiveBufferSize>
      <interfaceWhiteList><address>{host}</address></interfaceWhiteList>
    </transport_descriptor>
  </transport_descriptors>
  <participant profile_name="server">
    <rtps>
      <userTransports><transport_id>server</transport_id></userTransports>
      <useBuiltinTransports>false</useBuiltinTransports>
      <builtin>
        <discovery_config>
          <discoveryProtocol>SERVER</discoveryProtocol>
          <leaseDuration><sec>{lease_s:.0f}</sec></leaseDuration>
          <leaseAnnouncement><sec>{announced_every_s:.0f}</sec></leaseAnnouncement>
        </discovery_config>
        <metatrafficUnicastLocatorList>
          <locator><udpv4><address>{host}</address><port>{port}</port></udpv4></locator>
        </metatrafficUnicastLocatorList>
      </builtin>
    </rtps>
  </participant>
</profiles>
"""


class ServerError(ValueError):
    """A discovery server cannot be used; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """IPv4 address and UDP port of a server."""

    host: str = '127.0.0.1'
    port: int = DEFAULT_PORT

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine reaches it."""
        return ipaddress.IPv4Address(self.host).is_loopback

    def __str__(self) -> str:
        return f'{self.host}:{self.port}'


def parse_address(text: str) -> ServerAddress:
    """Return the address that ``ADDRESS`` or ``ADDRESS:PORT`` means; raises ServerError."""
    found = _ADDRESS.fullmatch(text)
    with suppress(ValueError):
        if found is not None and 1 <= (port := int(found['port'] or DEFAULT_PORT)) <= LAST_PORT:
            host = ipaddress.IPv4Address(found['host'])
            if not (host.is_unspecified or host.is_multicast):
                return ServerAddress(str(host), port)
    raise ServerError(
        f'{text!r} is no address of a discovery server; write ADDRESS:PORT, such as {ServerAddress()}.'
    )


def client_environment(address: ServerAddress, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the processes that use a server; raises ServerError where that cannot be."""
    if not middleware.is_fast_dds(environment):
        raise ServerError(f'A discovery server is for Fast DDS, not for {environment["RMW_IMPLEMENTATION"]}.')
    if environment.get(CLIENT_VARIABLES[0]):
        raise ServerError(
            f'ROS_DISCOVERY_SERVER={environment[CLIENT_VARIABLES[0]]} names a discovery server already; '
            'unset it, or start no other one.'
        )
    if middleware.is_localhost_only(environment) and not address.is_loopback:
        raise ServerError(
            f'{address} is reached over the network, but ROS_AUTOMATIC_DISCOVERY_RANGE is LOCALHOST; '
            'use an address such as 127.0.0.1, or SUBNET.'
        )
    found = dict(environment)
    middleware.configure(found)
    return {**found, CLIENT_VARIABLES[0]: str(address), CLIENT_VARIABLES[1]: 'TRUE'}


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment of the server, which leaves it no other transport than that of its profile.

    The program takes the built-in ones besides, whatever its profile says.
    """
    own = {name: value for name, value in environment.items() if name not in middleware.CHOSEN_BY_USER}
    return {**own, 'FASTDDS_BUILTIN_TRANSPORTS': 'NONE'}


def server_program() -> Path:
    """Return the program; raises ServerError where Fast DDS has not brought it."""
    found = shutil.which(PROGRAM)
    if found is not None:
        return Path(found)
    try:
        program = Path(get_package_prefix('rmw_fastrtps_shared_cpp')) / 'bin' / PROGRAM
    except PackageNotFoundError:
        program = Path(PROGRAM)
    if not program.exists():
        raise ServerError(f'The program {PROGRAM} of Fast DDS is not installed.')
    return program


def server_profile(address: ServerAddress) -> str:
    """Return the profile of a server that listens at this address alone, and not to shared memory."""
    return _PROFILE.format(
        host=address.host, port=address.port, lease_s=LEASE_S, announced_every_s=ANNOUNCED_EVERY_S
    )
