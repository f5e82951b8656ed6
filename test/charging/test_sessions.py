"""Sessions, transactions and what belongs to them: meter, tokens, reservations, lock, shutdown."""

import math

import pytest

from charging.kernel_harness import BOARD, EPOCH, SECOND, KernelHarness, remote_stop, token
from evse_manager.charging.inputs import (
    AuthorizeResponse,
    Disable,
    Enable,
    EvccIdReceived,
    ForceUnlock,
    HlcPresence,
    PauseCharging,
    Reserve,
    SetFaulted,
    SetGetCertificateResponse,
    Shutdown,
    WithdrawAuthorization,
)
from evse_manager.interface.enums import (
    AuthorizationStatus,
    AuthorizationType,
    BoardErrorEnum,
    CarManufacturerEnum,
    CertificateAction,
    ContactorState,
    ExiStreamStatus,
    LockState,
    PilotMode,
    StatusReason,
)
from evse_manager.interface.enums import SessionEventEnum as E
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import (
    BoardCapabilities,
    ProvidedIdToken,
    ResponseExiStreamStatus,
    SessionEvent,
    Time,
    ValidationResult,
)
from evse_manager.metering.thresholds import METER_WAIT_S
from evse_manager.simulation.bench import Bench


def last(harness: KernelHarness, kind: E) -> SessionEvent:
    return next(event for _, event in reversed(harness.events) if event.event is kind)


def when(harness: KernelHarness, kind: E) -> float:
    return next(at for at, event in reversed(harness.events) if event.event is kind)


def registers(harness: KernelHarness) -> tuple[float | None, float | None]:
    """Return the start and the stop value of the newest transaction."""
    started = last(harness, E.TRANSACTION_STARTED).transaction_started
    finished = last(harness, E.TRANSACTION_FINISHED).transaction_finished
    assert started is not None
    assert finished is not None
    return started.meter_value.energy_wh_import.total, finished.meter_value.energy_wh_import.total


# --- the meter ---------------------------------------------------------------------------------


def test_the_stop_value_is_sampled_after_the_contactor_opened() -> None:
    harness = KernelHarness().charging()
    harness.run(1.25)
    harness.energy_wh = 5010.0
    harness.pilot('A')
    assert harness.says(lambda: harness.run(0.2)) == '', 'The newest sample is older than the opening.'
    harness.run(2.0)
    assert registers(harness) == (5000.0, 5010.0)


def test_a_meter_that_fell_silent_is_waited_for_2_s() -> None:
    harness = KernelHarness().charging().run(0.3)
    harness.metered = False
    harness.command(remote_stop())
    harness.pilot('B')
    opened = harness.t
    harness.until(lambda: 'TF' in harness.codes(), 10.0)
    assert harness.t - opened == pytest.approx(2.0, abs=0.01)
    assert registers(harness) == (5000.0, 5000.0)


def test_without_a_meter_the_values_are_unknown() -> None:
    harness = KernelHarness(board=BoardCapabilities(supports_cp_state_f=True))
    harness.metered = False
    harness.charging().pilot('A')
    assert registers(harness) == (None, None)
    assert harness.status.session_energy_wh is None


def through(harness: KernelHarness, *registers_wh: float | None) -> KernelHarness:
    for register in registers_wh:
        harness.energy_wh = register
        harness.run(1.0)
    return harness


@pytest.mark.parametrize(
    ('readings', 'counted_wh'),
    [
        ((5001.0, 5003.0, 5006.0), 6.0),
        ((5004.0, 0.0, 3.0), 7.0),
        ((5004.0, *(105_004.0 + 3.0 * second for second in range(12))), 37.0),
        ((5004.0, 105_004.0, 5_008.0, 5_010.0), 10.0),
        ((5004.0, None, 5008.0), 8.0),
        ((5004.0, math.nan, 5008.0), 8.0),
        ((5004.0, math.inf, -math.inf, -3.0, 5008.0), 8.0),
        ((0.0, 1.0), 1.0),
    ],
    ids=['counts', 'reset', 'jump', 'jump and back', 'gap', 'NaN', 'nonsense', 'reset at once'],
)
def test_energy_never_runs_backwards_and_never_jumps(
    readings: tuple[float | None, ...], counted_wh: float
) -> None:
    harness = through(KernelHarness().charging(), *readings)
    assert harness.status.session_energy_wh == pytest.approx(counted_wh)
    harness.pilot('A').run(3.0)
    start, stop = registers(harness)
    assert start is not None
    assert stop is not None
    assert stop - start == pytest.approx(counted_wh)


def test_a_reset_of_the_meter_is_a_warning() -> None:
    assert any('ran back' in warning for warning in through(KernelHarness().charging(), 10.0).status.warnings)


def test_the_next_transaction_begins_with_what_the_meter_shows() -> None:
    harness = through(KernelHarness().charging(), 0.0, 4.0)
    harness.pilot('A').run(3.0)
    harness.charging().pilot('A').run(3.0)
    assert registers(harness) == (4.0, 4.0)


def test_durations() -> None:
    harness = KernelHarness().charging().run(60.0)
    harness.command(PauseCharging())
    harness.pilot('B').run(40.0)
    assert harness.status.charging_duration == pytest.approx(60.5, abs=0.01)
    assert harness.status.session_duration == pytest.approx(101.0, abs=0.01)


# --- tokens ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'status',
    [s for s in AuthorizationStatus if s not in (AuthorizationStatus.ACCEPTED,
    AuthorizationStatus.UNSPECIFIED)],
    ids=lambda status: status.name,
)  # fmt: skip
def test_any_other_status_is_delivered_and_authorizes_nothing(status: AuthorizationStatus) -> None:
    harness = KernelHarness().run(4.0).plug()
    assert harness.command(AuthorizeResponse(ProvidedIdToken('A'), ValidationResult(status))).success
    assert harness.run(5.0).codes() == 'Enabled SS(EVConnected) AR'


NOW = Time(EPOCH + 1000 * SECOND)
RFID = AuthorizationType.RFID
ACCEPTED = ValidationResult(AuthorizationStatus.ACCEPTED)


@pytest.mark.parametrize(
    ('command', 'accepted'),
    [
        (token(expiry_time=Time(NOW + 3600 * SECOND)), True),
        (token(expiry_time=NOW), False),
        (token(expiry_time=Time(1)), False),
        (token(evse_ids=(1,)), True),
        (token(evse_ids=(2, 3)), False),
        (token(evse_ids=(2, 1)), True),
        (AuthorizeResponse(ProvidedIdToken('A', RFID, connectors=(2,)), ACCEPTED), False),
        (AuthorizeResponse(ProvidedIdToken('A', RFID, connectors=(1, 2)), ACCEPTED), True),
        (AuthorizeResponse(ProvidedIdToken('A', RFID), ValidationResult()), False),
        (token(''), False),
        (token('x' * 36), True),
        (token('x' * 37), False),
        (token('tüte'), False),
        (token('a\nb'), False),
    ],
)  # fmt: skip
def test_whom_a_validation_is_for(command: AuthorizeResponse, accepted: bool) -> None:
    harness = KernelHarness().sample().plug()
    assert harness.command(command).success == accepted
    assert harness.status.transaction_active == accepted


@pytest.mark.parametrize(('kind', 'off'), [
    (AuthorizationType.RFID, Config(payment_enable_eim=False)),
    (AuthorizationType.PLUG_AND_CHARGE, Config(payment_enable_contract=False)),
])  # fmt: skip
def test_ways_to_pay_can_be_switched_off(kind: AuthorizationType, off: Config) -> None:
    command = AuthorizeResponse(ProvidedIdToken('A', kind), ValidationResult(AuthorizationStatus.ACCEPTED))
    assert KernelHarness().command(command).success
    assert not KernelHarness(off).command(command).success


def test_without_authentication_every_car_charges() -> None:
    harness = KernelHarness(Config(disable_authentication=True)).run(4.0)
    assert harness.says(lambda: harness.plug().run(1.0).pilot('C').run(1.0)) == 'SS(EVConnected) TS PC CS'


def test_a_token_that_charges_is_the_same_in_upper_and_lower_case() -> None:
    harness = KernelHarness().sample().plug()
    harness.command(token('DEADBEEF'))
    assert harness.status.transaction_active
    assert harness.command(token('deadbeef')).success
    assert not harness.command(token('deadbeff')).success


def test_a_second_plug_in_needs_a_token_of_its_own() -> None:
    harness = KernelHarness().charging().pilot('A').run(3.0)
    assert harness.says(lambda: harness.plug().run(10.0)) == 'SS(EVConnected) AR'


ANEW = 'SC CF TF(EVDisconnected) SF SS(EVConnected) AR'


@pytest.mark.parametrize(('grace_s', 'away_s', 'says'), [(0.0, 1.0, ANEW), (3.0, 1.0, ''), (3.0, 4.0, ANEW)])
def test_a_cable_that_bounces_may_be_given_a_grace(grace_s: float, away_s: float, says: str) -> None:
    harness = KernelHarness(Config(replug_grace_s=grace_s)).offered()
    assert harness.says(lambda: harness.pilot('A').run(away_s).pilot('B').run(3.0)) == says


def test_after_30_s_there_is_no_grace() -> None:
    harness = KernelHarness(Config(replug_grace_s=3.0, legacy_wakeup_enabled=False)).charging().run(30.0)
    assert harness.says(lambda: harness.pilot('A').run(2.0)).startswith('SC')


def test_an_unplug_before_anything_began() -> None:
    harness = KernelHarness().run(4.0)
    assert harness.says(lambda: harness.plug().run(1.0).pilot('A').run(1.0)) == 'SS(EVConnected) AR SF'
    assert harness.says(lambda: harness.pilot('E', 'B', 'A').run(5.0)).startswith('Error(Car)')


# --- reservations ------------------------------------------------------------------------------


def test_a_reservation_survives_a_visitor_without_a_token() -> None:
    harness = KernelHarness().run(4.0)
    harness.command(Reserve(7))
    harness.plug().run(1.0).pilot('A').run(1.0)
    assert harness.status.reservation_id == 7
    harness.charging().pilot('A').run(3.0)
    started = last(harness, E.TRANSACTION_STARTED).transaction_started
    assert started is not None
    assert started.reservation_id == 7
    assert harness.status.reservation_id is None


@pytest.mark.parametrize('end', [Disable(), SetFaulted()], ids=lambda end: type(end).__name__)
def test_a_reservation_ends_with_the_availability(end: Disable | SetFaulted) -> None:
    harness = KernelHarness().run(4.0)
    harness.command(Reserve(7))
    assert harness.says(lambda: harness.command(end)).startswith('ReservationEnd ')


# --- availability ------------------------------------------------------------------------------


def test_a_car_plugged_in_while_disabled_starts_a_session_at_enable() -> None:
    harness = KernelHarness().run(4.0)
    harness.command(Disable())
    assert harness.outputs.pilot_mode is PilotMode.F
    assert harness.says(lambda: harness.plug().run(10.0)) == ''
    assert harness.says(lambda: (harness.command(Enable()), harness.run(1.0))) == 'Enabled SS(EVConnected) AR'


def test_a_car_that_left_while_disabled_starts_none() -> None:
    harness = KernelHarness().charging()
    harness.command(Disable())
    harness.run(10.0).pilot('A').run(10.0)
    assert harness.says(lambda: (harness.command(Enable()), harness.run(3.0))) == 'Enabled'


def test_disable_and_enable_again_before_it_came_to_that() -> None:
    harness = KernelHarness().charging().run(0.3)
    harness.metered = False
    harness.send(Disable())
    harness.send(Enable())
    assert harness.pilot('B').run(5.0).codes().endswith('CS SC CF TF(Other) SF SS(EVConnected) AR')


def test_disable_answers_when_the_board_has_acknowledged_or_after_a_second() -> None:
    harness = KernelHarness().charging()
    harness.deaf = True
    ticket = harness.send(Disable())
    assert harness.until(lambda: ticket in harness.answers, 5.0) == pytest.approx(1.0)
    assert not harness.answers[ticket].success
    assert harness.answers[ticket].message.endswith('the disable stays wanted.')
    harness.deaf = False
    ticket = harness.send(Disable())
    harness.observe()
    assert harness.answers[ticket].success


def test_a_disable_that_an_enable_overtakes_does_not_claim_to_stay_wanted() -> None:
    harness = KernelHarness().charging()
    harness.deaf = True
    ticket = harness.send(Disable())
    assert harness.command(Enable()).success
    harness.run(1.0)
    assert harness.answers[ticket].message.endswith('it was enabled again meanwhile.')


# --- the lock ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('config', 'locked'),
    [
        (Config(), ('B', 'authorized', 'charging', 'stopped')),
        (Config(lock_connector_in_state_b=False), ('authorized', 'charging', 'stopped')),
        (Config(unlock_when_deauthorized=True), ('authorized', 'charging')),
    ],
    ids=['from B', 'from authorization', 'unlock when not authorized'],
)
def test_when_the_connector_is_locked(config: Config, locked: tuple[str, ...]) -> None:
    harness = KernelHarness(config).run(4.0)
    seen = [('A', harness.outputs.lock)]
    harness.plug().run(1.0)
    seen.append(('B', harness.outputs.lock))
    harness.authorize().run(1.0)
    seen.append(('authorized', harness.outputs.lock))
    harness.pilot('C').run(1.0)
    seen.append(('charging', harness.outputs.lock))
    harness.command(remote_stop())
    harness.pilot('B').run(3.0)
    seen.append(('stopped', harness.outputs.lock))
    harness.pilot('A').run(1.0)
    seen.append(('A again', harness.outputs.lock))
    assert tuple(name for name, is_locked in seen if is_locked) == locked


def test_no_power_before_the_lock_is_confirmed() -> None:
    harness = KernelHarness()
    harness.jammed = True
    harness.run(4.0).plug().authorize().pilot('C')
    harness.run(5.0)
    assert not harness.flows
    assert harness.status.reason is StatusReason.WAITING_FOR_LOCK
    harness.jammed = False
    harness.run(0.5)
    assert harness.flows


def test_pulled_under_load_it_is_opened_first_and_unlocked_last() -> None:
    harness = KernelHarness().charging()
    harness.welded = True
    harness.pilot('A')
    assert harness.outputs.lock
    harness.welded = False
    harness.observe()
    assert not harness.outputs.lock


@pytest.mark.parametrize(
    'board', [BOARD, BoardCapabilities(has_lock=True, has_meter=True)], ids=['with F', 'without F']
)
@pytest.mark.parametrize('end', [Disable(), SetFaulted()], ids=lambda end: type(end).__name__)
def test_disabled_it_is_unlocked_5_s_after_the_opening(
    board: BoardCapabilities, end: Disable | SetFaulted
) -> None:
    harness = KernelHarness(board=board).charging()
    harness.command(end)
    harness.pilot('B')
    harness.until(lambda: not harness.outputs.allow_power_on)
    opened = harness.t
    assert harness.until(lambda: not harness.outputs.lock, 20.0) <= 7.1
    assert harness.t >= opened + 5.0


def test_a_lost_board_leaves_the_lock_as_it_is() -> None:
    harness = KernelHarness().charging().lose_board()
    assert harness.run(30.0).outputs.lock


def test_a_contactor_that_opens_and_closes_between_two_reports_keeps_the_lock() -> None:
    """An opening that is reported late may be over: the lock does not open for it."""
    harness = KernelHarness().charging().pilot_unseen('A', 'C')
    told = [command.lock for _, command in harness.history]
    assert told[told.index(True) :] == [True] * (len(told) - told.index(True))


def test_force_unlock_is_never_under_load() -> None:
    harness = KernelHarness().charging()
    ticket = harness.send(ForceUnlock())
    assert harness.outputs.lock
    assert harness.until(lambda: ticket in harness.answers, 10.0) == pytest.approx(6.0, abs=0.1)
    assert harness.answers[ticket].success
    assert (harness.contactor, harness.lock) == (ContactorState.OPEN, LockState.UNLOCKED)
    harness.run(10.0)
    assert not harness.outputs.lock, 'Until it is unplugged.'


def test_force_unlock_ends_a_token_that_waits_for_the_end_of_an_error() -> None:
    """Otherwise a transaction would begin that waits for the lock without end."""
    harness = KernelHarness().run(4.0).plug().report(BoardErrorEnum.ENCLOSURE_OPEN).authorize()
    assert harness.says(lambda: harness.command(ForceUnlock())) == 'AR'
    assert harness.lock is LockState.UNLOCKED
    assert harness.says(lambda: harness.report().run(5.0)) == 'AllErrorsCleared'
    assert harness.says(lambda: harness.authorize().run(1.0).pilot('C').run(1.0)) == 'TS PC CS'
    assert harness.lock is LockState.LOCKED


def test_force_unlock_that_does_not_move_is_answered_after_8_s() -> None:
    harness = KernelHarness().charging()
    harness.pilot('B')
    harness.jammed = True
    ticket = harness.send(ForceUnlock())
    assert harness.until(lambda: ticket in harness.answers, 10.0) == pytest.approx(8.0)
    assert not harness.answers[ticket].success


def test_without_a_lock_force_unlock_changes_nothing() -> None:
    harness = KernelHarness(board=BoardCapabilities()).charging()
    assert not harness.command(ForceUnlock()).success
    assert harness.run(5.0).flows


# --- the shutdown ------------------------------------------------------------------------------


def test_a_shutdown_while_idle_is_done_at_once() -> None:
    harness = KernelHarness().run(4.0)
    assert harness.do(Shutdown()).finished


def test_a_shutdown_while_charging_opens_at_once_and_is_done_within_3_s() -> None:
    harness = KernelHarness().charging()
    harness.metered = False
    harness.do(Shutdown())
    assert not harness.flows
    assert harness.until(lambda: harness.finished, 5.0) <= 2.5
    assert harness.codes().endswith('CS SC CF TF(Reboot) SF')


def test_a_shutdown_with_a_contactor_that_does_not_open_ends_all_the_same() -> None:
    harness = KernelHarness().charging()
    harness.welded = True
    harness.do(Shutdown())
    assert harness.until(lambda: harness.finished, 5.0) <= 2.5 + 1e-6


# --- high-level communication ------------------------------------------------------------------


def test_the_answer_to_a_certificate_request_is_relayed_where_there_is_somebody_to_take_it() -> None:
    harness = KernelHarness()
    response = ResponseExiStreamStatus(ExiStreamStatus.ACCEPTED, CertificateAction.UPDATE, 'AA==')
    assert not harness.command(SetGetCertificateResponse(response)).success
    harness.do(HlcPresence(True))
    assert harness.command(SetGetCertificateResponse(response)).success
    assert harness.last.certificate_response == response
    for bad in (
        ResponseExiStreamStatus(),
        ResponseExiStreamStatus(ExiStreamStatus.ACCEPTED),
        ResponseExiStreamStatus(ExiStreamStatus.FAILED, CertificateAction.INSTALL, 'AA=='),
        ResponseExiStreamStatus(ExiStreamStatus.ACCEPTED, CertificateAction.INSTALL, 'A' * 5601),
    ):
        assert not harness.command(SetGetCertificateResponse(bad)).success
        assert harness.last.certificate_response is None


@pytest.mark.parametrize(
    ('address', 'maker'),
    [
        ('00:7d:fa:01:02:03', CarManufacturerEnum.VOLKSWAGEN_GROUP),
        ('98-ED-5C-00-00-00', CarManufacturerEnum.TESLA),
        ('dc:44:27:1f:00:00', CarManufacturerEnum.TESLA),
        ('dc:44:27:2f:00:00', CarManufacturerEnum.UNKNOWN),
        ('', CarManufacturerEnum.UNKNOWN),
    ],
)
def test_who_made_the_car(address: str, maker: CarManufacturerEnum) -> None:
    harness = KernelHarness().plug()
    harness.do(EvccIdReceived(address))
    made = [output.car_manufacturer for _, _, output in harness.tape if output.car_manufacturer is not None]
    assert made[-1].manufacturer is maker


def test_withdrawn_while_plugged_a_token_is_asked_for_again() -> None:
    harness = KernelHarness().run(4.0).plug().report(BoardErrorEnum.TILT).authorize()
    assert harness.says(lambda: harness.command(WithdrawAuthorization())) == 'AR'


def test_a_transaction_waits_a_moment_for_the_first_meter_value() -> None:
    harness = KernelHarness().plug().authorize()
    assert not harness.status.transaction_active
    harness.sample()
    assert harness.status.transaction_active
    assert harness.status.session_energy_wh == 0.0


def test_a_transaction_begins_without_a_meter_value_when_none_comes() -> None:
    harness = KernelHarness()
    harness.metered = False
    harness.plug().authorize().run(METER_WAIT_S)
    assert harness.status.transaction_active
    assert harness.status.session_energy_wh is None


def test_an_open_contactor_draws_no_power_though_the_last_sample_is_from_before() -> None:
    bench = Bench()
    bench.plug_in()
    bench.authorize()
    bench.run_until(lambda b: (b.status.power_w or 0.0) > 1000.0)
    bench.inject('meter_silent')
    bench.ev_pause()
    bench.run_for(1.0)
    assert bench.status.contactor is ContactorState.OPEN
    assert bench.status.power_w == 0.0
    bench.run_for(10.0)
    assert bench.status.power_w is None
