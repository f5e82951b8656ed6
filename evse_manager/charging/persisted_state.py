"""State that outlives the process: plain records of what is open, in force and wanted."""

from dataclasses import dataclass

from evse_manager.charging.owners import Owners
from evse_manager.interface.enums import StartSessionReason
from evse_manager.interface.types import ExternalLimits, Powermeter, ProvidedIdToken, Time
from evse_manager.metering.energy import TransactionEnergy


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that has not been finished; ``meter_value`` is the newest that is known of it."""

    token: ProvidedIdToken = ProvidedIdToken()
    started: Time | None = None
    start_wh: float | None = None
    reservation_id: int | None = None
    meter_value: Powermeter = Powermeter()
    reading_wh: float | None = None
    """Value of the meter's own register then; the one in ``meter_value`` may have continued from another."""
    energy: TransactionEnergy = TransactionEnergy()
    """The energy up to then."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has not been finished; its transaction may have been."""

    uuid: str = ''
    reason: StartSessionReason = StartSessionReason.UNSPECIFIED
    started: Time | None = None
    transaction: OpenTransaction | None = None


@dataclass(frozen=True, slots=True)
class PersistedState:
    """
    Everything that outlives the process.

    ``enabled`` is what the ``owners`` amount to; ``written`` is when the record was last known to be true:
    the outage is measured from it.
    """

    enabled: bool = True
    owners: Owners = ()
    faulted: bool = False
    welded: bool = False
    reservation_id: int | None = None
    external_limits: ExternalLimits = ExternalLimits()
    session: OpenSession | None = None
    written: Time | None = None
