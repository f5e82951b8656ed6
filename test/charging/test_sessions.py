"""Sessions, transactions and what belongs to them: meter, tokens, reservations, lock, shutdown."""

import math

import pytest

from charging.desk import BOARD, EPOCH, SECOND, Desk, remote_stop, token
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
from evse_manager.metering.account import METER_WAIT_S


def last(desk: Desk, kind: E) -> SessionEvent:
    return next(event for _, event in reversed(desk.events) if event.event is kind)


def when(desk: Desk, kind: E) -> float:
    return next(at for at, event in reversed(desk.events) if event.event is kind)


def registers(desk: Desk) -> tuple[float | None, float | None]:
    """Return the start and the stop value of the newest transaction."""
    started = last(desk, E.TRANSACTION_STARTED).transaction_started
    finished = last(desk, E.TRANSACTION_FINISHED).transaction_finished
    assert started is not None
    assert finished is not None
    return started.meter_value.energy_wh_import.total, finished.meter_value.energy_wh_import.total


# --- the meter ---------------------------------------------------------------------------------


def test_the_stop_value_is_sampled_after_the_contactor_opened() -> None:
    desk = Desk().charging()
    desk.run(1.25)
    desk.energy_wh = 5010.0
    desk.pilot('A')
    assert desk.says(lambda: desk.run(0.2)) == '', 'The newest sample is older than the opening.'
    desk.run(2.0)
    assert registers(desk) == (5000.0, 5010.0)


def test_a_meter_that_fell_silent_is_waited_for_2_s() -> None:
    desk = Desk().charging().run(0.3)
    desk.metered = False
    desk.command(remote_stop())
    desk.pilot('B')
    opened = desk.t
    desk.until(lambda: 'TF' in desk.codes(), 10.0)
    assert desk.t - opened == pytest.approx(2.0, abs=0.01)
    assert registers(desk) == (5000.0, 5000.0)


def test_without_a_meter_the_values_are_unknown() -> None:
    desk = Desk(board=BoardCapabilities(supports_cp_state_f=True))
    desk.metered = False
    desk.charging().pilot('A')
    assert registers(desk) == (None, None)
    assert desk.status.session_energy_wh is None


def through(desk: Desk, *registers_wh: float | None) -> Desk:
    for register in registers_wh:
        desk.energy_wh = register
        desk.run(1.0)
    return desk


@pytest.mark.parametrize(
    ('readings', 'counted_wh'),
    [
        ((5001.0, 5003.0, 5006.0), 6.0),
        ((5004.0, 0.0, 3.0), 7.0),
        ((5004.0, 105_004.0, 105_007.0), 7.0),
        ((5004.0, 105_004.0, 5_008.0, 5_010.0), 6.0),
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
    desk = through(Desk().charging(), *readings)
    assert desk.status.session_energy_wh == pytest.approx(counted_wh)
    desk.pilot('A').run(3.0)
    start, stop = registers(desk)
    assert start is not None
    assert stop is not None
    assert stop - start == pytest.approx(counted_wh)


def test_a_reset_of_the_meter_is_a_warning() -> None:
    assert any('ran back' in warning for warning in through(Desk().charging(), 10.0).status.warnings)


def test_the_next_transaction_begins_with_what_the_meter_shows() -> None:
    desk = through(Desk().charging(), 0.0, 4.0)
    desk.pilot('A').run(3.0)
    desk.charging().pilot('A').run(3.0)
    assert registers(desk) == (4.0, 4.0)


def test_durations() -> None:
    desk = Desk().charging().run(60.0)
    desk.command(PauseCharging())
    desk.pilot('B').run(40.0)
    assert desk.status.charging_duration == pytest.approx(60.5, abs=0.01)
    assert desk.status.session_duration == pytest.approx(101.0, abs=0.01)


# --- tokens ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'status',
    [s for s in AuthorizationStatus if s not in (AuthorizationStatus.ACCEPTED,
    AuthorizationStatus.UNSPECIFIED)],
    ids=lambda status: status.name,
)  # fmt: skip
def test_any_other_status_is_delivered_and_authorizes_nothing(status: AuthorizationStatus) -> None:
    desk = Desk().run(4.0).plug()
    assert desk.command(AuthorizeResponse(ProvidedIdToken('A'), ValidationResult(status))).success
    assert desk.run(5.0).codes() == 'Enabled SS(EVConnected) AR'


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
    desk = Desk().sample().plug()
    assert desk.command(command).success == accepted
    assert desk.status.transaction_active == accepted


@pytest.mark.parametrize(('kind', 'off'), [
    (AuthorizationType.RFID, Config(payment_enable_eim=False)),
    (AuthorizationType.PLUG_AND_CHARGE, Config(payment_enable_contract=False)),
])  # fmt: skip
def test_ways_to_pay_can_be_switched_off(kind: AuthorizationType, off: Config) -> None:
    command = AuthorizeResponse(ProvidedIdToken('A', kind), ValidationResult(AuthorizationStatus.ACCEPTED))
    assert Desk().command(command).success
    assert not Desk(off).command(command).success


def test_without_authentication_every_car_charges() -> None:
    desk = Desk(Config(disable_authentication=True)).run(4.0)
    assert desk.says(lambda: desk.plug().run(1.0).pilot('C').run(1.0)) == 'SS(EVConnected) TS PC CS'


def test_a_second_plug_in_needs_a_token_of_its_own() -> None:
    desk = Desk().charging().pilot('A').run(3.0)
    assert desk.says(lambda: desk.plug().run(10.0)) == 'SS(EVConnected) AR'


ANEW = 'SC CF TF(EVDisconnected) SF SS(EVConnected) AR'


@pytest.mark.parametrize(('grace_s', 'away_s', 'says'), [(0.0, 1.0, ANEW), (3.0, 1.0, ''), (3.0, 4.0, ANEW)])
def test_a_cable_that_bounces_may_be_given_a_grace(grace_s: float, away_s: float, says: str) -> None:
    desk = Desk(Config(replug_grace_s=grace_s)).offered()
    assert desk.says(lambda: desk.pilot('A').run(away_s).pilot('B').run(3.0)) == says


def test_after_30_s_there_is_no_grace() -> None:
    desk = Desk(Config(replug_grace_s=3.0, legacy_wakeup_enabled=False)).charging().run(30.0)
    assert desk.says(lambda: desk.pilot('A').run(2.0)).startswith('SC')


def test_an_unplug_before_anything_began() -> None:
    desk = Desk().run(4.0)
    assert desk.says(lambda: desk.plug().run(1.0).pilot('A').run(1.0)) == 'SS(EVConnected) AR SF'
    assert desk.says(lambda: desk.pilot('E', 'B', 'A').run(5.0)).startswith('Error(Car)')


# --- reservations ------------------------------------------------------------------------------


def test_a_reservation_survives_a_visitor_without_a_token() -> None:
    desk = Desk().run(4.0)
    desk.command(Reserve(7))
    desk.plug().run(1.0).pilot('A').run(1.0)
    assert desk.status.reservation_id == 7
    desk.charging().pilot('A').run(3.0)
    started = last(desk, E.TRANSACTION_STARTED).transaction_started
    assert started is not None
    assert started.reservation_id == 7
    assert desk.status.reservation_id is None


@pytest.mark.parametrize('end', [Disable(), SetFaulted()], ids=lambda end: type(end).__name__)
def test_a_reservation_ends_with_the_availability(end: Disable | SetFaulted) -> None:
    desk = Desk().run(4.0)
    desk.command(Reserve(7))
    assert desk.says(lambda: desk.command(end)).startswith('ReservationEnd ')


# --- availability ------------------------------------------------------------------------------


def test_a_car_plugged_in_while_disabled_starts_a_session_at_enable() -> None:
    desk = Desk().run(4.0)
    desk.command(Disable())
    assert desk.outputs.pilot_mode is PilotMode.F
    assert desk.says(lambda: desk.plug().run(10.0)) == ''
    assert desk.says(lambda: (desk.command(Enable()), desk.run(1.0))) == 'Enabled SS(EVConnected) AR'


def test_a_car_that_left_while_disabled_starts_none() -> None:
    desk = Desk().charging()
    desk.command(Disable())
    desk.run(10.0).pilot('A').run(10.0)
    assert desk.says(lambda: (desk.command(Enable()), desk.run(3.0))) == 'Enabled'


def test_disable_and_enable_again_before_it_came_to_that() -> None:
    desk = Desk().charging().run(0.3)
    desk.metered = False
    desk.send(Disable())
    desk.send(Enable())
    assert desk.pilot('B').run(5.0).codes().endswith('CS SC CF TF(Other) SF SS(EVConnected) AR')


def test_disable_answers_when_the_board_has_acknowledged_or_after_a_second() -> None:
    desk = Desk().charging()
    desk.deaf = True
    ticket = desk.send(Disable())
    assert desk.until(lambda: ticket in desk.answers, 5.0) == pytest.approx(1.0)
    assert not desk.answers[ticket].success
    assert desk.answers[ticket].message.endswith('the disable stays wanted.')
    desk.deaf = False
    ticket = desk.send(Disable())
    desk.observe()
    assert desk.answers[ticket].success


def test_a_disable_that_an_enable_overtakes_does_not_claim_to_stay_wanted() -> None:
    desk = Desk().charging()
    desk.deaf = True
    ticket = desk.send(Disable())
    assert desk.command(Enable()).success
    desk.run(1.0)
    assert desk.answers[ticket].message.endswith('it was enabled again meanwhile.')


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
    desk = Desk(config).run(4.0)
    seen = [('A', desk.outputs.lock)]
    desk.plug().run(1.0)
    seen.append(('B', desk.outputs.lock))
    desk.authorize().run(1.0)
    seen.append(('authorized', desk.outputs.lock))
    desk.pilot('C').run(1.0)
    seen.append(('charging', desk.outputs.lock))
    desk.command(remote_stop())
    desk.pilot('B').run(3.0)
    seen.append(('stopped', desk.outputs.lock))
    desk.pilot('A').run(1.0)
    seen.append(('A again', desk.outputs.lock))
    assert tuple(name for name, is_locked in seen if is_locked) == locked


def test_no_power_before_the_lock_is_confirmed() -> None:
    desk = Desk()
    desk.jammed = True
    desk.run(4.0).plug().authorize().pilot('C')
    desk.run(5.0)
    assert not desk.flows
    assert desk.status.reason is StatusReason.WAITING_FOR_LOCK
    desk.jammed = False
    desk.run(0.5)
    assert desk.flows


def test_pulled_under_load_it_is_opened_first_and_unlocked_last() -> None:
    desk = Desk().charging()
    desk.welded = True
    desk.pilot('A')
    assert desk.outputs.lock
    desk.welded = False
    desk.observe()
    assert not desk.outputs.lock


@pytest.mark.parametrize(
    'board', [BOARD, BoardCapabilities(has_lock=True, has_meter=True)], ids=['with F', 'without F']
)
@pytest.mark.parametrize('end', [Disable(), SetFaulted()], ids=lambda end: type(end).__name__)
def test_disabled_it_is_unlocked_5_s_after_the_opening(
    board: BoardCapabilities, end: Disable | SetFaulted
) -> None:
    desk = Desk(board=board).charging()
    desk.command(end)
    desk.pilot('B')
    desk.until(lambda: not desk.outputs.allow_power_on)
    opened = desk.t
    assert desk.until(lambda: not desk.outputs.lock, 20.0) <= 7.1
    assert desk.t >= opened + 5.0


def test_a_lost_board_leaves_the_lock_as_it_is() -> None:
    desk = Desk().charging().lose_board()
    assert desk.run(30.0).outputs.lock


def test_a_contactor_that_opens_and_closes_between_two_reports_keeps_the_lock() -> None:
    """An opening that is told of late may be over: the lock is not let go for it."""
    desk = Desk().charging().pilot_unseen('A', 'C')
    told = [command.lock for _, command in desk.history]
    assert told[told.index(True) :] == [True] * (len(told) - told.index(True))


def test_force_unlock_is_never_under_load() -> None:
    desk = Desk().charging()
    ticket = desk.send(ForceUnlock())
    assert desk.outputs.lock
    assert desk.until(lambda: ticket in desk.answers, 10.0) == pytest.approx(6.0, abs=0.1)
    assert desk.answers[ticket].success
    assert (desk.contactor, desk.lock) == (ContactorState.OPEN, LockState.UNLOCKED)
    desk.run(10.0)
    assert not desk.outputs.lock, 'Until it is unplugged.'


def test_force_unlock_ends_a_token_that_waits_for_the_end_of_an_error() -> None:
    """Otherwise a transaction would begin that waits for ever for the lock."""
    desk = Desk().run(4.0).plug().report(BoardErrorEnum.ENCLOSURE_OPEN).authorize()
    assert desk.says(lambda: desk.command(ForceUnlock())) == 'AR'
    assert desk.lock is LockState.UNLOCKED
    assert desk.says(lambda: desk.report().run(5.0)) == 'AllErrorsCleared'
    assert desk.says(lambda: desk.authorize().run(1.0).pilot('C').run(1.0)) == 'TS PC CS'
    assert desk.lock is LockState.LOCKED


def test_force_unlock_that_does_not_move_is_answered_after_8_s() -> None:
    desk = Desk().charging()
    desk.pilot('B')
    desk.jammed = True
    ticket = desk.send(ForceUnlock())
    assert desk.until(lambda: ticket in desk.answers, 10.0) == pytest.approx(8.0)
    assert not desk.answers[ticket].success


def test_without_a_lock_force_unlock_changes_nothing() -> None:
    desk = Desk(board=BoardCapabilities()).charging()
    assert not desk.command(ForceUnlock()).success
    assert desk.run(5.0).flows


# --- the shutdown ------------------------------------------------------------------------------


def test_a_shutdown_while_idle_is_done_at_once() -> None:
    desk = Desk().run(4.0)
    assert desk.do(Shutdown()).finished


def test_a_shutdown_while_charging_opens_at_once_and_is_done_within_3_s() -> None:
    desk = Desk().charging()
    desk.metered = False
    desk.do(Shutdown())
    assert not desk.flows
    assert desk.until(lambda: desk.finished, 5.0) <= 2.5
    assert desk.codes().endswith('CS SC CF TF(Reboot) SF')


def test_a_shutdown_with_a_contactor_that_does_not_open_ends_all_the_same() -> None:
    desk = Desk().charging()
    desk.welded = True
    desk.do(Shutdown())
    assert desk.until(lambda: desk.finished, 5.0) <= 2.5 + 1e-6


# --- high-level communication ------------------------------------------------------------------


def test_the_answer_to_a_certificate_request_is_relayed_where_there_is_somebody_to_take_it() -> None:
    desk = Desk()
    response = ResponseExiStreamStatus(ExiStreamStatus.ACCEPTED, CertificateAction.UPDATE, 'AA==')
    assert not desk.command(SetGetCertificateResponse(response)).success
    desk.do(HlcPresence(True))
    assert desk.command(SetGetCertificateResponse(response)).success
    assert desk.last.certificate_response == response
    for bad in (
        ResponseExiStreamStatus(),
        ResponseExiStreamStatus(ExiStreamStatus.ACCEPTED),
        ResponseExiStreamStatus(ExiStreamStatus.FAILED, CertificateAction.INSTALL, 'AA=='),
        ResponseExiStreamStatus(ExiStreamStatus.ACCEPTED, CertificateAction.INSTALL, 'A' * 5601),
    ):
        assert not desk.command(SetGetCertificateResponse(bad)).success
        assert desk.last.certificate_response is None


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
    desk = Desk().plug()
    desk.do(EvccIdReceived(address))
    made = [output.car_manufacturer for _, _, output in desk.tape if output.car_manufacturer is not None]
    assert made[-1].manufacturer is maker


def test_withdrawn_while_plugged_a_token_is_asked_for_again() -> None:
    desk = Desk().run(4.0).plug().report(BoardErrorEnum.TILT).authorize()
    assert desk.says(lambda: desk.command(WithdrawAuthorization())) == 'AR'


def test_a_transaction_waits_a_moment_for_the_first_meter_value() -> None:
    desk = Desk().plug().authorize()
    assert not desk.status.transaction_active
    desk.sample()
    assert desk.status.transaction_active
    assert desk.status.session_energy_wh == 0.0


def test_a_transaction_begins_without_a_meter_value_when_none_comes() -> None:
    desk = Desk()
    desk.metered = False
    desk.plug().authorize().run(METER_WAIT_S)
    assert desk.status.transaction_active
    assert desk.status.session_energy_wh is None
