"""Goals of the action ``charge``, each against the kernel itself."""

from collections import deque
from dataclasses import replace

import pytest

from charging.kernel_harness import BOARD, EPOCH, SECOND, KernelHarness, remote_stop, token
from evse_manager.charging.charge_goal import (
    FULL_AFTER_S,
    ChargeGoal,
    Ending,
    Goal,
    GoalOutput,
    KeepAliveLost,
    Policy,
)
from evse_manager.charging.inputs import Disable, Input, SetFaulted
from evse_manager.charging.kernel import Output
from evse_manager.interface.enums import ChargeResult, StatusReason, StopTransactionReason
from evse_manager.interface.types import ProvidedIdToken, Time

POLICY = Policy(default_token='ROBOT-7', connection_timeout_s=30.0)


class GoalHarness(KernelHarness):
    """A connector whose kernel a goal follows: what the action server does, without ROS."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.goal: ChargeGoal | None = None
        self.policy = policy
        self.ending: Ending | None = None
        self.presented: list[ProvidedIdToken] = []
        self.soc: float | None = None
        self._goal_deadline: float | None = None
        self._queue: deque[GoalOutput] = deque()
        self._busy = False
        super().__init__(board=BOARD)
        self.run(4.0)

    def ask(self, **fields: object) -> Ending | None:
        self.goal = ChargeGoal(replace(Goal(), **fields), self.policy)  # type: ignore[arg-type]
        self._take(self.goal.accept(self.kernel.status(self.now), self.soc, self.t, self.now.wall))
        return self.ending

    def cancel(self) -> None:
        assert self.goal is not None
        self._take(self.goal.cancel(self.t, self.now.wall))

    def keep_alive(self) -> None:
        assert self.goal is not None
        self._take(self.goal.keep_alive(self.t, self.now.wall))

    def do(self, happened: Input) -> Output:
        output = super().do(happened)
        goal = self.goal
        if goal is not None and not goal.over:
            for event in output.events:
                self._take(goal.happened(event, self.t, self.now.wall))
            self._take(goal.observe(self.kernel.status(self.now), self.soc, self.t, self.now.wall))
        return output

    def run(self, seconds: float) -> 'GoalHarness':
        end = self.t + seconds
        while self.t < end:
            due = self._goal_deadline
            step = end if due is None else max(self.t + 0.001, min(end, due))
            super().run(step - self.t)
            if due is not None and self.t >= due and self.goal is not None and not self.goal.over:
                self._take(self.goal.tick(self.t, self.now.wall))
        return self

    def _take(self, output: GoalOutput) -> None:
        self._queue.append(output)
        if self._busy:
            return
        self._busy = True
        while self._queue:
            taken = self._queue.popleft()
            self._goal_deadline = taken.deadline
            if taken.ending is not None:
                assert self.ending is None, 'a goal ends once'
                self.ending = taken.ending
            if taken.present is not None:
                self.presented.append(taken.present)
            for command in taken.commands:
                super().send(command)
        self._busy = False

    def charge(self) -> 'GoalHarness':
        """Plug a car in and let it ask for power."""
        self.sample().plug()
        self.run(1.0).pilot('C')
        return self.run(1.0)

    def deliver(self, energy_wh: float) -> 'GoalHarness':
        """Let energy flow as fast as 32 A on three phases carry it."""
        end = (self.energy_wh or 0.0) + energy_wh
        while self.energy_wh is not None and self.energy_wh < end:
            self.energy_wh = min(end, self.energy_wh + 5.0)
            self.run(1.0)
        return self

    @property
    def result(self) -> ChargeResult | None:
        return self.ending.result if self.ending is not None else None


def test_a_goal_before_the_plug_waits_for_it_and_charges() -> None:
    harness = GoalHarness()
    assert harness.ask() is None
    harness.charge()
    assert harness.status.transaction_active
    assert harness.says(lambda: harness.pilot('B').run(1.0)) == 'PEV'
    assert harness.result is None


def test_a_goal_after_the_plug_charges_with_its_own_token() -> None:
    harness = GoalHarness()
    harness.sample().plug().run(1.0)
    harness.ask(token='CARD')
    harness.run(1.0)
    assert harness.status.transaction_active
    assert harness.kernel.status(harness.now).token == '****'


def test_the_energy_target_ends_the_transaction_with_its_record() -> None:
    harness = GoalHarness()
    harness.ask(energy_wh=50.0)
    harness.charge()
    harness.deliver(48.0).run(1.0)
    assert harness.result is None
    harness.deliver(3.0).run(1.0).pilot('B').run(8.0)
    assert harness.ending is not None
    assert (harness.ending.result, harness.ending.message) == (ChargeResult.REACHED, '')
    record = harness.ending.record
    assert (record.energy_wh, record.meter_start_wh, record.meter_stop_wh) == (51.0, 5000.0, 5051.0)
    assert record.reason is StopTransactionReason.ENERGY_LIMIT_REACHED
    assert record.session_uuid == 'uuid-1'
    assert record.started is not None
    assert record.finished is not None
    assert record.started < record.finished


@pytest.mark.parametrize(
    ('goal', 'seconds', 'reason'),
    [
        ({'duration_s': 20.0}, 25.0, StopTransactionReason.TIME_LIMIT_REACHED),
        ({'departure': Time(EPOCH + 1040 * SECOND)}, 40.0, StopTransactionReason.TIME_LIMIT_REACHED),
    ],
)
def test_time_ends_the_transaction(
    goal: dict[str, object], seconds: float, reason: StopTransactionReason
) -> None:
    harness = GoalHarness()
    harness.ask(**goal)
    harness.charge()
    harness.run(seconds).pilot('B').run(8.0)
    assert harness.ending is not None
    assert harness.ending.result is ChargeResult.REACHED
    assert harness.ending.record.reason is reason


def test_the_state_of_charge_ends_the_transaction() -> None:
    harness = GoalHarness()
    harness.ask(soc_percent=80.0)
    harness.charge()
    harness.soc = 79.9
    harness.run(5.0)
    assert harness.result is None
    harness.soc = 80.0
    harness.run(2.0).pilot('B').run(8.0)
    assert harness.result is ChargeResult.REACHED


def test_the_first_target_that_is_reached_ends_it() -> None:
    harness = GoalHarness()
    harness.ask(energy_wh=10.0, duration_s=3600.0)
    harness.charge()
    harness.deliver(10.0).run(1.0).pilot('B').run(8.0)
    assert harness.result is ChargeResult.REACHED


def test_a_car_that_asks_no_more_is_full() -> None:
    harness = GoalHarness()
    harness.ask()
    harness.charge()
    harness.pilot('B').run(FULL_AFTER_S - 2.0)
    assert harness.result is None
    harness.run(10.0)
    assert harness.result is ChargeResult.FULL
    assert not harness.status.transaction_active


def test_a_car_that_pauses_and_goes_on_is_not_full() -> None:
    harness = GoalHarness()
    harness.ask()
    harness.charge()
    for _ in range(3):
        harness.pilot('B').run(FULL_AFTER_S / 2).pilot('C').run(20.0)
    assert harness.result is None
    assert harness.status.transaction_active


def test_unplugged() -> None:
    harness = GoalHarness()
    harness.ask(energy_wh=500.0)
    harness.charge()
    harness.deliver(100.0).run(1.0).pilot('B', 'A').run(8.0)
    assert harness.ending is not None
    assert harness.ending.result is ChargeResult.UNPLUGGED
    assert harness.ending.record.energy_wh == 100.0


def test_stopped_by_another() -> None:
    harness = GoalHarness()
    harness.ask()
    harness.charge()
    harness.command(remote_stop(StopTransactionReason.LOCAL))
    harness.pilot('B').run(8.0)
    assert harness.ending is not None
    assert harness.ending.result is ChargeResult.STOPPED
    assert 'local' in harness.ending.message


def test_set_faulted_ends_it_as_faulted() -> None:
    harness = GoalHarness()
    harness.ask()
    harness.charge()
    harness.command(SetFaulted())
    harness.pilot('B').run(8.0)
    assert harness.result is ChargeResult.FAULTED
    assert 'clear_fault' in harness.ending.message


def test_cancel_stops_the_transaction_in_order() -> None:
    harness = GoalHarness()
    harness.ask()
    harness.charge()
    harness.cancel()
    assert harness.result is None, 'it ends when the transaction has'
    harness.pilot('B').run(8.0)
    assert harness.ending is not None
    assert harness.ending.result is ChargeResult.CANCELLED
    assert harness.ending.record.reason is StopTransactionReason.REMOTE


def test_cancel_before_the_plug_takes_the_authorization_back() -> None:
    harness = GoalHarness()
    harness.ask()
    harness.run(1.0)
    assert harness.status.authorized
    harness.cancel()
    harness.run(2.0)
    assert harness.result is ChargeResult.CANCELLED
    harness.charge()
    assert not harness.status.transaction_active


def test_cancel_at_the_moment_of_the_plug_leaves_no_transaction_behind() -> None:
    harness = GoalHarness()
    harness.ask()
    harness.run(1.0)
    harness.sample().plug()
    harness.cancel()
    harness.run(1.0).pilot('B').run(8.0)
    assert harness.result is ChargeResult.CANCELLED
    assert not harness.status.transaction_active


def test_without_a_car_the_connection_time_out_ends_the_goal() -> None:
    harness = GoalHarness()
    harness.ask()
    harness.run(29.0)
    assert harness.result is None
    harness.run(3.0)
    assert harness.ending is not None
    assert harness.ending.result is ChargeResult.REFUSED
    assert 'No car' in harness.ending.message
    assert not harness.status.authorized


@pytest.mark.parametrize(
    ('goal', 'words'),
    [
        ({'energy_wh': 0.0}, 'energy_wh'),
        ({'energy_wh': -5.0}, 'energy_wh'),
        ({'energy_wh': float('inf')}, 'energy_wh'),
        ({'energy_wh': float('nan')}, 'energy_wh'),
        ({'soc_percent': 0.0}, 'soc_percent'),
        ({'soc_percent': 100.1}, 'soc_percent'),
        ({'departure': Time(1)}, 'departure'),
        ({'duration_s': -1.0}, 'duration'),
        ({'token': 'x' * 37}, 'token'),
        ({'token': 'a\x1bb'}, 'token'),
    ],
)
def test_an_impossible_goal_is_refused_with_the_reason(goal: dict[str, object], words: str) -> None:
    harness = GoalHarness()
    ending = harness.ask(**goal)
    assert ending is not None
    assert ending.result is ChargeResult.REFUSED
    assert words in ending.message
    assert not harness.kernel.status(harness.now).authorized


def test_without_any_token_a_goal_is_refused() -> None:
    ending = GoalHarness(replace(POLICY, default_token='')).ask()
    assert ending is not None
    assert 'default_token' in ending.message


def test_a_disabled_connector_refuses() -> None:
    harness = GoalHarness()
    harness.command(Disable())
    harness.run(2.0)
    ending = harness.ask()
    assert ending is not None
    assert 'disabled' in ending.message


def test_a_transaction_of_another_token_refuses() -> None:
    harness = GoalHarness()
    harness.sample().plug()
    harness.command(token('SOMEBODY'))
    harness.run(1.0)
    ending = harness.ask(token='ROBOT-7')
    assert ending is not None
    assert ending.result is ChargeResult.REFUSED
    assert harness.status.transaction_active


def test_a_transaction_of_the_same_token_is_joined() -> None:
    harness = GoalHarness()
    harness.sample().plug()
    harness.command(token('ROBOT-7'))
    harness.run(1.0)
    assert harness.ask(token='robot-7', duration_s=10.0) is None
    harness.run(12.0).run(8.0)
    assert harness.result is ChargeResult.REACHED


def test_with_a_site_the_token_goes_to_the_authorization_node() -> None:
    harness = GoalHarness(replace(POLICY, by_site=True))
    harness.sample().plug()
    harness.ask()
    harness.run(1.0)
    assert [each.id_token for each in harness.presented] == ['ROBOT-7']
    assert not harness.status.authorized
    harness.command(token('ROBOT-7'))
    harness.run(1.0)
    assert harness.status.transaction_active
    harness.cancel()
    harness.run(8.0)
    assert harness.result is ChargeResult.CANCELLED


def test_a_site_that_does_not_authorize_ends_the_goal_by_its_time_out() -> None:
    harness = GoalHarness(replace(POLICY, by_site=True))
    harness.sample().plug()
    harness.ask()
    harness.run(33.0)
    assert harness.ending is not None
    assert harness.ending.result is ChargeResult.REFUSED
    assert 'No authorization' in harness.ending.message


@pytest.mark.parametrize('lost', KeepAliveLost, ids=lambda lost: lost.name)
def test_a_client_that_falls_silent(lost: KeepAliveLost) -> None:
    harness = GoalHarness(replace(POLICY, keep_alive_lost=lost))
    harness.ask(keep_alive_s=5.0)
    harness.charge()
    harness.keep_alive()
    harness.run(4.0)
    harness.keep_alive()
    harness.run(4.5)
    assert harness.status.transaction_active
    assert not harness.status.paused_by_user
    harness.run(1.0).pilot('B' if lost is not KeepAliveLost.CONTINUE else 'C').run(8.0)
    match lost:
        case KeepAliveLost.CONTINUE:
            assert harness.status.transaction_active
            assert harness.result is None
        case KeepAliveLost.PAUSE:
            assert harness.status.paused_by_user
            harness.keep_alive()
            harness.run(1.0)
            assert not harness.status.paused_by_user
        case KeepAliveLost.STOP:
            assert harness.result is ChargeResult.KEEP_ALIVE_LOST


def test_what_the_energy_manager_is_asked_for() -> None:
    harness = GoalHarness()
    leave = Time(EPOCH + 9000 * SECOND)
    harness.ask(energy_wh=2000.0, departure=leave)
    harness.charge()
    harness.deliver(50.0).run(1.0)
    assert harness.goal is not None
    target = harness.goal.target()
    assert target is not None
    assert (target.energy_amount_needed_kwh, target.leave_time) == (1.95, leave)
    assert ChargeGoal(Goal(), POLICY).target() is None


def test_the_feedback_says_when_the_departure_is_at_risk() -> None:
    harness = GoalHarness()
    harness.ask(energy_wh=2000.0, departure=Time(EPOCH + 1300 * SECOND))
    harness.charge()
    status = replace(harness.kernel.status(harness.now), power_w=1000.0, session_energy_wh=0.0)
    assert harness.goal is not None
    harness.goal.observe(status, None, harness.t, harness.now.wall)
    progress = harness.goal.progress()
    assert progress is not None
    assert progress.time_to_go_s == 7200.0
    assert progress.departure_at_risk


@pytest.mark.parametrize(
    ('limit_a', 'reason', 'time_to_go_s', 'at_risk'),
    [
        (32.0, StatusReason.WAITING_FOR_PLUG, 326.1, False),
        (8.0, StatusReason.WAITING_FOR_PLUG, 1304.3, True),
        (0.0, StatusReason.WAITING_FOR_PLUG, None, False),
        (0.0, StatusReason.WAITING_FOR_FIRST_LIMIT, None, False),
        (0.0, StatusReason.NO_ENERGY, None, True),
        (0.0, StatusReason.LIMIT_EXPIRED, None, True),
    ],
)
def test_before_energy_flows_the_estimate_is_from_what_the_limits_allow(
    limit_a: float, reason: StatusReason, time_to_go_s: float | None, at_risk: bool
) -> None:
    harness = GoalHarness()
    harness.ask(energy_wh=2000.0, departure=Time(harness.now.wall + 1000 * SECOND))
    assert harness.goal is not None
    status = harness.kernel.status(harness.now)
    status = replace(status, limit_a=limit_a, reason=reason, phases=3, power_w=0.0)
    harness.goal.observe(status, None, harness.t, harness.now.wall)
    progress = harness.goal.progress()
    assert progress is not None
    assert progress.time_to_go_s == pytest.approx(time_to_go_s, abs=0.1)
    assert progress.departure_at_risk == at_risk
