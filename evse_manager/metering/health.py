"""Irregularities of a meter that block nothing: one sentence each, for people."""

from dataclasses import replace

from evse_manager.interface.types import Powermeter
from evse_manager.metering import current
from evse_manager.metering.register import RegisterEvent
from evse_manager.metering.thresholds import PHASE_ORDER_S, REVERSED_CURRENT_S, REVERSED_POWER_S

REGISTER_WARNINGS = {
    RegisterEvent.FELL: 'The register of the meter ran back; energy is counted from its highest value.',
    RegisterEvent.LEAPT: 'The register of the meter jumped; what cannot have flowed is not counted.',
    RegisterEvent.RESTARTED: 'The register of the meter went on from another value; energy is counted on.',
}


class _Lasting:
    """How long a condition has lasted."""

    def __init__(self) -> None:
        self.since: float | None = None

    def lasts(self, *, holds: bool, seconds: float, now: float) -> bool:
        """Return whether the condition has held for at least ``seconds``."""
        if not holds:
            self.since = None
            return False
        if self.since is None:
            self.since = now
        return now >= self.since + seconds


class MeterHealth:
    """Watches the samples of one meter; a warning about the register stays until the next transaction."""

    def __init__(self) -> None:
        """Begin without a sample."""
        self.left_out = 0
        """Impossible numbers that were left out since the start of the last transaction."""
        self.is_reversed = False
        """Whether current or power flows back; it holds until they certainly flow forward."""
        self._event = RegisterEvent.NONE
        self._reversed_power = _Lasting()
        self._reversed_current = _Lasting()
        self._disordered = _Lasting()
        self._phase_order_wrong: bool | None = None

    def begin(self) -> None:
        """Forget what belongs to the transaction before."""
        self.left_out = 0
        self._event = RegisterEvent.NONE

    def take(self, sample: Powermeter, left_out: int, now: float) -> Powermeter:
        """Take a validated sample; return it with the order of the phases where the meter reports none."""
        self.left_out += left_out
        by_power = self._reversed_power.lasts(
            holds=current.power_is_reversed(sample), seconds=REVERSED_POWER_S, now=now
        )
        by_current = self._reversed_current.lasts(
            holds=current.current_is_reversed(sample), seconds=REVERSED_CURRENT_S, now=now
        )
        if by_power or by_current:
            self.is_reversed = True
        elif current.flows_forward(sample):
            self.is_reversed = False
        if sample.phase_seq_error is not None:
            self._phase_order_wrong = sample.phase_seq_error
            return sample
        on_others = current.is_on_other_phases(sample)
        if self._disordered.lasts(holds=on_others is True, seconds=PHASE_ORDER_S, now=now):
            self._phase_order_wrong = True
        elif on_others is False:
            self._phase_order_wrong = False
        if self._phase_order_wrong is None:
            return sample
        return replace(sample, phase_seq_error=self._phase_order_wrong)

    def note(self, event: RegisterEvent) -> None:
        """Note what the register did."""
        if event is not RegisterEvent.NONE:
            self._event = event

    def warnings(self) -> list[str]:
        """Return what needs attention."""
        warnings = []
        if self._event is not RegisterEvent.NONE:
            warnings.append(REGISTER_WARNINGS[self._event])
        if self.left_out:
            warnings.append('The meter sent impossible values, which are left out; check its connection.')
        if self.is_reversed:
            warnings.append(
                'The meter measures power flowing back; check the direction of its current transformers.'
            )
        if self._phase_order_wrong:
            warnings.append('The meter sees the phases in the wrong order; have the wiring checked.')
        return warnings
