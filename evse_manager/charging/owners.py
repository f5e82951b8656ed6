"""
Who wants the connector enabled or disabled, and whose word counts.

Each source has one say, its newest.  The lowest priority number wins, as in the original interface; of equal
numbers the disable wins.  Without any say the connector is enabled.
"""

from dataclasses import dataclass

from evse_manager.interface.enums import EnableSource, EnableState

PRIORITY_MAX = 10_000
"""The weakest priority; 0 is the strongest."""

LOCAL_PRIORITY = 100
"""Priority of the services ``enable`` and ``disable`` (docs/sources.md, owners of availability)."""

SOURCES = {
    EnableSource.UNSPECIFIED: 'a source without a name',
    EnableSource.LOCAL_API: 'enable and disable',
    EnableSource.LOCAL_KEY_LOCK: 'the key lock',
    EnableSource.SERVICE_TECHNICIAN: 'the service technician',
    EnableSource.REMOTE_KEY_LOCK: 'the remote key lock',
    EnableSource.MOBILE_APP: 'the mobile app',
    EnableSource.FIRMWARE_UPDATE: 'the firmware update',
    EnableSource.CSMS: 'the back end (CSMS)',
}
"""The sources, for people."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The say of one source: ENABLE or DISABLE, and how much it counts (0 is the strongest)."""

    source: EnableSource = EnableSource.UNSPECIFIED
    state: EnableState = EnableState.UNSPECIFIED
    priority: int = PRIORITY_MAX

    @property
    def text(self) -> str:
        """Return the owner for people."""
        return f'{SOURCES[self.source]}, priority {self.priority}'


Owners = tuple[Owner, ...]


def local(state: EnableState) -> Owner:
    """Return the say of the services ``enable`` and ``disable``."""
    return Owner(EnableSource.LOCAL_API, state, LOCAL_PRIORITY)


def with_say(owners: Owners, owner: Owner) -> Owners:
    """Return the owners after a new say of one of them; UNASSIGNED takes its old one back."""
    others = tuple(each for each in owners if each.source is not owner.source)
    return others if owner.state is EnableState.UNASSIGNED else (*others, owner)


def deciding(owners: Owners) -> Owner | None:
    """Return the owner that decides; ``None`` without an owner."""
    return min(owners, key=lambda owner: (owner.priority, owner.state is EnableState.ENABLE), default=None)


def enabled(owners: Owners) -> bool:
    """Return whether the connector is to be enabled."""
    owner = deciding(owners)
    return owner is None or owner.state is EnableState.ENABLE


def objection(owner: Owner) -> str:
    """Return what is wrong with a say; empty when nothing is."""
    if owner.state is EnableState.UNSPECIFIED:
        return 'state is missing; 1 is UNASSIGNED, 2 DISABLE, 3 ENABLE.'
    if not 0 <= owner.priority <= PRIORITY_MAX:
        return f'priority is {owner.priority}, but must lie in 0 (strongest) to {PRIORITY_MAX} (weakest).'
    return ''
