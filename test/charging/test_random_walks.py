"""
Random walks: commands, pilot, limits, errors, meter, link and time in any order.

The invariants are checked at every single step (``invariants.py``).  At the end of each walk everything that
was broken is repaired and a fresh session has to charge; then the node shuts down; then the same inputs have
to give the same outputs once more.
``EVSE_WALKS`` sets how many walks there are, ``EVSE_WALK_STEPS`` how long they are.
"""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from charging.kernel_harness import BOARD, HARDWARE, KernelHarness, entry, external, remote_stop, token
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    CancelReservation,
    CapabilitiesReceived,
    ClearFault,
    Command,
    Disable,
    Enable,
    EnableDisable,
    EvccIdReceived,
    EvInfoReceived,
    ForceUnlock,
    HlcPresence,
    ParametersChanged,
    PauseCharging,
    Reserve,
    ResumeCharging,
    SetFaulted,
    SetGetCertificateResponse,
    Shutdown,
    SwitchThreePhasesWhileCharging,
    Tick,
    WithdrawAuthorization,
)
from evse_manager.charging.kernel import Kernel
from evse_manager.interface.enums import (
    AuthorizationStatus,
    BoardErrorEnum,
    ContactorState,
    EnableSource,
    EnableState,
    OpeningReason,
    PilotMode,
    ProximityState,
    StopTransactionReason,
)
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    EVInfo,
    HardwareCapabilities,
    ProvidedIdToken,
    ValidationResult,
)
from evse_manager.lease.manager import BoardLost

WALKS = int(os.environ.get('EVSE_WALKS', '40'))
STEPS = int(os.environ.get('EVSE_WALK_STEPS', '30'))

OFTEN: dict[str, int] = {'closings_per_minute_max': 60, 'closings_per_hour_max': 1000}
"""The contactor may close as often as the walk brings about."""

CONFIGS = (
    Config(),
    Config(energy_source='manager', **OFTEN),
    Config(
        connector_type='socket',
        has_ventilation=True,
        lock_connector_in_state_b=False,
        after_power_loss='continue',
        **OFTEN,
    ),
    Config(disable_authentication=True, replug_grace_s=3.0, fail_on_powermeter_errors=True, **OFTEN),
    Config(unlock_when_deauthorized=True, legacy_wakeup_enabled=False, three_phases=False, **OFTEN),
    Config(state_f_after_fault_s=8.0, switch_3ph1ph_delay_s=1.0, max_current_import_a=80.0, **OFTEN),
    Config(energy_source='manager', failsafe_current_a=8.0, closings_per_minute_max=2),
)
BOARDS = (
    BOARD,
    BoardCapabilities(),
    BoardCapabilities(runs_iec61851=True, supports_cp_state_f=True, has_meter=True),
)
HARDWARES = (HARDWARE, HardwareCapabilities(80.0, 8.0, 3, 3), HardwareCapabilities(16.0, 6.0, 1, 1))

COMMANDS: tuple[Command, ...] = (
    Enable(), Disable(), Disable(1), Enable(9), token(), token(), token(), token('OTHER'),
    WithdrawAuthorization(),
    AuthorizeResponse(ProvidedIdToken('X'), ValidationResult(AuthorizationStatus.INVALID)),
    AuthorizeResponse(),
    Reserve(7), Reserve(8), CancelReservation(), SetFaulted(), ClearFault(), PauseCharging(), PauseCharging(),
    ResumeCharging(), ResumeCharging(), remote_stop(), remote_stop(StopTransactionReason.UNSPECIFIED,
    'x' * 40),
    ForceUnlock(), SwitchThreePhasesWhileCharging(False), SwitchThreePhasesWhileCharging(True),
    SetGetCertificateResponse(), external(), external(entry(16.0)), external(entry(0.0)),
    external(entry(math.nan)),
    EnableDisable(0, EnableSource.CSMS, EnableState.DISABLE, 50),
    EnableDisable(0, EnableSource.CSMS, EnableState.ENABLE, 50),
    EnableDisable(0, EnableSource.LOCAL_KEY_LOCK, EnableState.DISABLE, 200),
    EnableDisable(0, EnableSource.CSMS, EnableState.UNASSIGNED, 0), EnableDisable(),
)  # fmt: skip

WITHDRAWALS: tuple[Callable[[KernelHarness], object], ...] = (
    lambda harness: harness.send(PauseCharging()),
    lambda harness: harness.send(remote_stop()),
    lambda harness: harness.send(Disable()),
    lambda harness: harness.send(external(entry(0.0))),
    lambda harness: harness.send(SwitchThreePhasesWhileCharging(False)),
    lambda harness: harness.temperature(72.0),
    lambda harness: harness.report(BoardErrorEnum.RCD_DC),
    lambda harness: harness.lose_board(),
)
"""What takes the power from an EV that charges; it is given time to leave C where that is safe."""

AMPERES = st.floats(-10.0, 90.0) | st.sampled_from([0.0, 5.95, 6.0, 13.0, 51.7, 80.0, math.nan, math.inf])

WATTS = st.sampled_from([-1.0, 0.0, 1380.0, 3680.0, 7360.0, 11_040.0, 60_000.0, math.nan])

TEMPERATURES = (None, -40.0, 20.0, 20.5, 63.0, 65.0, 69.0, 72.0, math.nan)


class Walk(RuleBasedStateMachine):
    """One connector and everything that can happen to it."""

    harness: KernelHarness

    @initialize(
        config=st.sampled_from(CONFIGS), board=st.sampled_from(BOARDS), hardware=st.sampled_from(HARDWARES)
    )
    def begin(self, config: Config, board: BoardCapabilities, hardware: HardwareCapabilities) -> None:
        self.config = config
        self.harness = KernelHarness(config, hardware=hardware, board=board)
        if config.connector_type == 'socket':
            self.harness.ampacity_a, self.harness.proximity = 32.0, ProximityState.PLUG
        self.harness.run(4.0)

    # --- what people and cars do ---------------------------------------------------------------

    @rule(state=st.sampled_from('ABBBCCCCCDE'))
    def pilot(self, state: str) -> None:
        self.harness.pilot(state)

    @rule(states=st.lists(st.sampled_from('ABCCDE'), min_size=2, max_size=20))
    def pilot_between_two_reports(self, states: list[str]) -> None:
        self.harness.pilot_unseen(*states)

    @rule()
    def charge(self) -> None:
        self.harness.pilot('B').send(token())
        self.harness.run(4.0).pilot('C').run(1.0)

    @rule(command=st.sampled_from(COMMANDS))
    def command(self, command: Command) -> None:
        ticket = self.harness.send(command)
        slow = isinstance(command, Disable | EnableDisable | ForceUnlock)
        assert slow or ticket in self.harness.answers

    @rule(withdraw=st.sampled_from(WITHDRAWALS), seconds=st.sampled_from([5.0, 7.0]))
    def withdraw_from_an_ev_that_stays_in_c(
        self, withdraw: Callable[[KernelHarness], object], seconds: float
    ) -> None:
        self.charge()
        withdraw(self.harness)
        self.harness.run(seconds)

    # --- limits --------------------------------------------------------------------------------

    @rule(amperes=AMPERES, phases=st.integers(-1, 4), later=st.booleans())
    def external_limit(self, amperes: float, phases: int, later: bool) -> None:
        entries = [entry(amperes, phases=phases)]
        if later:
            entries.append(entry(16.0, at=self.harness.wall + 10_000_000_000))
        self.harness.command(external(*entries))

    @rule(amperes=AMPERES, life_s=st.sampled_from([-1.0, 0.0, 1.0, 10.0, 1e9]), phases=st.integers(0, 3))
    def grant(self, amperes: float, life_s: float, phases: int) -> None:
        self.harness.grant(amperes, life_s, phases=phases)

    @rule(power_w=WATTS, granted=st.booleans(), phases=st.integers(0, 3))
    def power_limit(self, power_w: float, granted: bool, phases: int) -> None:
        if granted:
            self.harness.grant(None, power_w=power_w, phases=phases)
        else:
            self.harness.command(external(entry(power_w=power_w, phases=phases)))

    @rule(celsius=st.sampled_from(TEMPERATURES))
    def temperature(self, celsius: float | None) -> None:
        self.harness.temperature(celsius)

    @rule(readings=st.lists(st.sampled_from(TEMPERATURES), min_size=2, max_size=4))
    def temperatures_among_quiet_states(self, readings: list[float | None]) -> None:
        for celsius in readings:
            for _ in range(3):
                self.harness.observe()
            self.harness.temperature(celsius)

    @rule(most_a=st.sampled_from([0.0, 6.0, 16.0, 32.0, 80.0]))
    def capabilities(self, most_a: float) -> None:
        self.harness.do(CapabilitiesReceived(HardwareCapabilities(most_a, 6.0, 3, 1, 0.0, 0.0, 0, 0, True)))

    @rule(most_a=st.sampled_from([0.0, 6.0, 10.0, 32.0, 80.0]), max_age_s=st.sampled_from([1.0, 10.0, 60.0]))
    def parameters(self, most_a: float, max_age_s: float) -> None:
        changed = replace(self.config, max_current_import_a=most_a, enforced_limits_max_age_s=max_age_s)
        self.harness.do(ParametersChanged(changed))

    # --- what breaks ---------------------------------------------------------------------------

    @rule(errors=st.lists(st.sampled_from([e for e in BoardErrorEnum if e]), max_size=2, unique=True))
    def errors(self, errors: list[BoardErrorEnum]) -> None:
        self.harness.report(*errors)

    @rule(
        what=st.sampled_from(['welded', 'blocked', 'jammed', 'deaf', 'phases_stuck', 'metered']),
        on=st.booleans(),
    )
    def breakage(self, what: str, on: bool) -> None:
        setattr(self.harness, what, on)

    @rule(reason=st.sampled_from(OpeningReason))
    def board_opens(self, reason: OpeningReason) -> None:
        harness = self.harness
        harness.fault_counter += 1
        harness.opening_reason = reason
        if not harness.welded:
            harness.contactor = ContactorState.OPEN
        harness.observe()

    @rule()
    def replug(self) -> None:
        self.harness.replugging = not self.harness.replugging
        self.harness.observe()

    @rule(more_a=st.sampled_from([0.0, 0.3, 5.0]))
    def board_disagrees(self, more_a: float) -> None:
        self.harness.offered_more_a = more_a

    @precondition(lambda self: not self.harness.silent)
    @rule()
    def lose_board(self) -> None:
        self.harness.lose_board()

    @precondition(lambda self: self.harness.silent)
    @rule()
    def find_board(self) -> None:
        self.harness.find_board()

    @precondition(lambda self: not self.harness.silent)
    @rule(seconds=st.sampled_from([0.5, 4.0, 60.0]))
    def restart_board(self, seconds: float) -> None:
        self.harness.lose_board().run(seconds)
        self.harness.transitions.clear()
        self.harness.find_board()

    @rule(proximity=st.sampled_from(ProximityState), ampacity_a=st.sampled_from([None, 13.0, 32.0]))
    def cable(self, proximity: ProximityState, ampacity_a: float | None) -> None:
        self.harness.proximity, self.harness.ampacity_a = proximity, ampacity_a

    @rule(register_wh=st.sampled_from([None, 0.0, 5000.0, 1e6, math.nan, -1.0, math.inf]), drawn_a=AMPERES)
    def meter(self, register_wh: float | None, drawn_a: float) -> None:
        self.harness.energy_wh, self.harness.drawn_a = register_wh, drawn_a
        self.harness.sample()

    # --- time and the rest ---------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.001, 0.3, 1.0, 1.0, 2.9, 3.1, 6.1, 12.0, 45.0]))
    def wait(self, seconds: float) -> None:
        self.harness.run(seconds)

    @rule(hours=st.sampled_from([-1_000_000, -24, 24, 1_000]))
    def wall_clock_jumps(self, hours: int) -> None:
        self.harness.wall_offset = hours * 3_600_000_000_000

    @rule(present=st.booleans())
    def others(self, present: bool) -> None:
        self.harness.do(HlcPresence(present))
        self.harness.do(EvInfoReceived(EVInfo(soc_percent=math.nan)))
        self.harness.do(EvccIdReceived('98:ED:5C:00:00:00'))
        self.harness.do(Tick())

    # --- the end -------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, 'harness'):
            return
        self.mend()
        self.charge_afresh()
        self.shut_down()
        self.repeat()

    def mend(self) -> None:
        """End every cause of trouble, and unplug."""
        harness = self.harness
        harness.welded = harness.blocked = harness.jammed = harness.deaf = harness.phases_stuck = (
            harness.replugging
        ) = False
        harness.metered, harness.energy_wh, harness.drawn_a = True, 5000.0, None
        harness.offered_more_a, harness.wall_offset = 0.0, 0
        harness.ampacity_a, harness.proximity = 32.0, ProximityState.PLUG
        harness.errors, harness.ev, harness.silent = (), 'A', False
        harness.temperature(20.0).sample().observe()
        harness.do(CapabilitiesReceived(HARDWARE))
        harness.do(ParametersChanged(self.config))
        harness.run(12.0)
        harness.command(external())
        harness.command(ClearFault())
        for source in (EnableSource.CSMS, EnableSource.LOCAL_KEY_LOCK):
            harness.command(EnableDisable(0, source, EnableState.UNASSIGNED))
        harness.command(Enable())
        harness.command(WithdrawAuthorization())
        harness.run(12.0)
        assert not harness.status.active_errors, harness.status.active_errors
        assert not harness.status.session_uuid, harness.codes()

    def charge_afresh(self) -> None:
        """Begin a fresh session: there is no dead end."""
        harness = self.harness
        harness.t += 3600.0
        harness._next_report = harness.t
        harness.observe()
        since = len(harness.events)
        harness.grant(16.0).plug().send(token('FRESH'))
        harness.run(4.0).grant(16.0).pilot('C')
        harness.until(lambda: harness.flows, 5.0)
        assert harness.codes(since).split('TS', 1)[-1].endswith('PC CS'), (
            harness.codes(),
            harness.status.reason_text,
        )

    def shut_down(self) -> None:
        harness = self.harness
        harness.do(Shutdown())
        assert not harness.outputs.allow_power_on
        assert harness.until(lambda: harness.finished, 3.0) <= 3.0
        assert harness.codes().endswith('SC CF TF(Reboot) SF')

    def repeat(self) -> None:
        """
        The same inputs at the same times give the same outputs, also where no state counts as repeated (its
        deadline may be later then: the next look at a schedule moves on with every step).
        """
        numbers, thorough_numbers = count(1), count(1)
        kernel = Kernel(self.config, lambda: f'uuid-{next(numbers)}')
        thorough = Kernel(self.config, lambda: f'uuid-{next(thorough_numbers)}')
        thorough._unchanged_inputs.is_redundant = lambda *_: False
        for happened, now, output in self.harness.tape:
            assert repr(kernel.step(happened, now)) == repr(output)
            looked_through = thorough.step(happened, now)
            assert repr(replace(looked_through, deadline=output.deadline)) == repr(output)


@pytest.mark.timeout(600)
def test_random_walks() -> None:
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=WALKS,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize='EVSE_WALKS' not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- deadlines ---------------------------------------------------------------------------------


def ticks(harness: KernelHarness, seconds: float) -> int:
    """Return how often the kernel asked to be woken for nothing but time."""
    before = len(harness.tape)
    harness.run(seconds)
    return sum(isinstance(happened, Tick) for happened, _, _ in harness.tape[before:])


def test_an_idle_connector_has_no_deadline() -> None:
    harness = KernelHarness().run(10.0)
    assert harness.deadline is None
    harness.charging().pilot('A').run(20.0)
    assert harness.deadline is None
    harness.command(Disable())
    assert harness.run(20.0).deadline is None


def test_a_connector_that_charges_has_none_either() -> None:
    harness = KernelHarness().charging().run(60.0)
    assert ticks(harness, 600.0) == 0
    assert harness.deadline is None


def test_a_waiting_car_costs_nothing() -> None:
    for states in ('B', 'BC'):
        harness = KernelHarness().run(4.0).pilot(*states).run(10.0)
        assert ticks(harness, 600.0) == 0


def test_a_board_lost_during_boot_does_not_hold_the_kernel_up() -> None:
    harness = KernelHarness(boot=False)
    harness.do(BoardLost('No board.'))
    assert harness.last.deadline is None, 'Nothing begins before Start.'


def test_no_power_before_start() -> None:
    harness = KernelHarness(boot=False)
    harness.ev = 'C'
    harness.observe()
    harness.send(token())
    harness.run(20.0)
    assert harness.events == []
    assert harness.outputs.pilot_mode in (PilotMode.UNSPECIFIED, PilotMode.X1)
    assert not harness.outputs.allow_power_on
