"""
The golden sequences of docs/charging.md, for every serial driver, in real time.

Each needs seconds, so ``Played`` runs those of a driver side by side, each with its own board.  What a board
cannot bring about as it is written is in ``Driver.differs``, and is left out here.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from evse_manager.board.driver import driver_class
from evse_manager.charging.inputs import (
    CancelReservation,
    ClearFault,
    Disable,
    Enable,
    PauseCharging,
    Reserve,
    ResumeCharging,
    SetFaulted,
    StopTransaction,
    WithdrawAuthorization,
)
from evse_manager.charging.persisted_state import PersistedState
from evse_manager.interface.enums import (
    AuthorizationStatus,
    ErrorEnum,
    StartSessionReason,
    StopTransactionReason,
)
from evse_manager.interface.types import StopTransactionRequest
from evse_manager.simulation.codes import code

from .session import Session

SIDE_BY_SIDE = 12

T = TypeVar('T')
Sequence = Callable[[Session], None]

SEQUENCES: dict[str, Sequence] = {}
"""Every sequence by name."""

NUMBERS: dict[str, int] = {}
"""Their numbers in docs/charging.md."""

LONG = ('the_ev_does_not_ask', 'the_ev_is_woken_up')
"""They wait for most of a minute, so they begin first."""


def sequence(number: int) -> Callable[[Sequence], Sequence]:
    def add(play: Sequence) -> Sequence:
        SEQUENCES[play.__name__], NUMBERS[play.__name__] = play, number
        return play

    return add


def possible(driver: str) -> dict[str, Sequence]:
    """Return the sequences that the board of a driver can bring about, the long ones first."""
    differs = driver_class(driver).differs
    names = sorted(SEQUENCES, key=lambda name: name not in LONG)
    return {name: SEQUENCES[name] for name in names if NUMBERS[name] not in differs}


class Played:
    """
    Sequences played side by side, each with a subject of its own; ``result`` returns that of one.

    Who asks for the same result once more has it played once more, by itself.
    """

    def __init__(self, side_by_side: int = SIDE_BY_SIDE) -> None:
        self._pool = ThreadPoolExecutor(side_by_side)
        self._plays: dict[str, Callable[[], None]] = {}
        self._futures: dict[str, Future[None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(
        self, sequences: Mapping[str, Callable[[T], None]], subject: Callable[[], AbstractContextManager[T]]
    ) -> None:
        for name, sequence in sequences.items():
            self._plays[name] = partial(_play, sequence, subject)
            self._futures[name] = self._pool.submit(self._plays[name])
            # Boards that start at the very same moment would all be busy at the same moments.
            time.sleep(0.05)

    def result(self, name: str) -> None:
        future = self._futures.pop(name, None)
        if future is None:
            self._plays[name]()
        else:
            future.result()


def _play(sequence: Callable[[T], None], subject: Callable[[], AbstractContextManager[T]]) -> None:
    with subject() as made:
        sequence(made)


def stopped(session: Session) -> StopTransactionReason:
    """Return why the transaction ended."""
    finished = next(e.transaction_finished for e in reversed(session.events) if e.transaction_finished)
    return finished.reason


def error(session: Session) -> ErrorEnum:
    """Return the newest error's code."""
    return next(e.error.error_code for e in reversed(session.events) if e.error)


@sequence(1)
def it_boots(session: Session) -> None:
    assert code(session.events[0]) == 'Enabled'


@sequence(1)
def it_boots_as_it_was(session: Session) -> None:
    session.loses_power(PersistedState(enabled=False))
    session.sees('Disabled')
    session.loses_power(PersistedState(faulted=True))
    session.sees('PermanentFault')


@sequence(2)
def the_ev_pauses_and_leaves(session: Session) -> None:
    session.charge()
    assert session.relay_closed
    session.do('ev_pause')
    session.sees('PEV')
    session.do('unplug')
    session.sees('SC CF TF SF')
    assert stopped(session) is StopTransactionReason.EV_DISCONNECTED


@sequence(3)
def the_cable_is_pulled_out_of_charging(session: Session) -> None:
    session.charge()
    session.do('unplug')
    session.sees('SC CF TF SF')
    assert stopped(session) is StopTransactionReason.EV_DISCONNECTED
    session.opens()


@sequence(4)
def the_token_comes_first(session: Session) -> None:
    session.authorize()
    session.sees('SS')
    started = session.last.session_started
    assert started is not None
    assert started.reason is StartSessionReason.AUTHORIZED
    session.do('plug_in')
    session.sees('TS PC CS')


@sequence(5)
def the_token_comes_first_and_is_withdrawn(session: Session) -> None:
    session.authorize()
    session.sees('SS')
    assert session.command(WithdrawAuthorization()).success
    session.sees('SF')


@sequence(6)
def nobody_authorizes(session: Session) -> None:
    session.do('plug_in')
    session.sees('SS AR')
    session.pass_time(3.0)
    assert not session.relay_closed
    session.do('unplug')
    session.sees('SF')


@sequence(7)
def a_refused_token_and_a_good_one(session: Session) -> None:
    session.do('plug_in')
    session.sees('SS AR')
    session.authorize(AuthorizationStatus.INVALID)
    session.sees_nothing(1.0)
    session.authorize()
    session.sees('TS PC CS')


@sequence(8)
def the_ev_pauses_and_resumes(session: Session) -> None:
    session.charge()
    session.do('ev_pause')
    session.sees('PEV')
    session.opens()
    session.do('ev_resume')
    session.sees('CR')
    assert session.relay_closed


@sequence(9)
def the_user_pauses_and_resumes(session: Session) -> None:
    session.charge()
    assert session.command(PauseCharging()).success
    session.sees('PEVSE')
    session.opens()
    assert session.command(ResumeCharging()).success
    session.sees('CR')


@sequence(10)
def the_transaction_is_stopped_and_the_ev_stays(session: Session) -> None:
    session.charge()
    stop = StopTransaction(StopTransactionRequest(StopTransactionReason.REMOTE))
    assert session.command(stop).success
    session.sees('SC CF TF')
    assert stopped(session) is StopTransactionReason.REMOTE
    session.opens()
    session.do('unplug')
    session.sees('SF')


@sequence(11)
def what_comes_after_a_stop_changes_nothing(session: Session) -> None:
    session.charge()
    stop = StopTransaction(StopTransactionRequest(StopTransactionReason.REMOTE))
    assert session.command(stop).success
    session.sees('SC CF TF')
    assert not session.command(stop).success
    assert not session.command(ResumeCharging()).success
    assert not session.authorize().success
    session.sees_nothing(2.0)
    assert not session.relay_closed


@sequence(12)
def there_is_no_energy_at_first(session: Session) -> None:
    session.limit(0.0)
    session.do('plug_in')
    session.sees('SS AR')
    session.authorize()
    session.sees('TS PC WE')
    session.limit(None)
    session.sees('CS')


@sequence(13)
def the_limit_drops_and_returns(session: Session) -> None:
    session.charge()
    session.limit(10.0)
    session.until(lambda: 9.5 <= session.state.current_a <= 10.0, '10 A')
    session.limit(0.0)
    session.sees('WE')
    session.opens()
    session.limit(16.0)
    session.sees('CR')
    assert 15.5 <= session.state.current_a <= 16.0


@sequence(14)
def the_ev_wants_ventilation_for_a_while(session: Session) -> None:
    session.charge()
    session.do('inject ventilation')
    session.sees('Error')
    assert error(session) is ErrorEnum.VENTILATION_NOT_AVAILABLE
    session.opens()
    session.do('clear')
    session.sees('AllErrorsCleared CR')


@sequence(15)
def a_fault_needs_the_plug_out(session: Session) -> None:
    session.charge()
    session.do('inject diode')
    session.sees('Error')
    assert error(session) is ErrorEnum.CAR_DIODE_FAULT
    session.opens()
    session.do('clear')
    session.sees_nothing(1.0)
    session.do('unplug')
    # A board that reports its pilot and its errors in messages of their own may be read in between.
    session.sees('AllErrorsCleared SC CF TF SF', 20.0, or_else='SC CF TF SF AllErrorsCleared')


@sequence(16)
def an_error_at_rest_and_a_plug_during_it(session: Session) -> None:
    session.do('inject line_stall')
    session.sees('Error', 8.0)
    assert error(session) is ErrorEnum.INTERNAL
    session.do('plug_in')
    session.sees_nothing(1.0)
    session.do('clear')
    session.sees('AllErrorsCleared SS AR')


@sequence(17)
def disabled_and_enabled_at_rest(session: Session) -> None:
    assert session.command(Disable(0)).success
    session.sees('Disabled')
    assert session.command(Enable(0)).success
    session.sees('Enabled')
    session.do('plug_in')
    session.sees('SS AR')


@sequence(17)
def disabled_while_reserved(session: Session) -> None:
    assert session.command(Reserve(7)).success
    session.sees('ReservationStart')
    assert session.command(Disable(0)).success
    session.sees('ReservationEnd Disabled')


@sequence(18)
def disabled_while_charging(session: Session) -> None:
    session.charge()
    assert session.command(Disable(0)).success
    session.sees('SC CF TF SF Disabled')
    session.opens()


@sequence(19)
def enabled_and_disabled_twice(session: Session) -> None:
    assert session.command(Enable(0)).success
    session.sees_nothing(0.5)
    assert session.command(Disable(0)).success
    session.sees('Disabled')
    assert session.command(Disable(0)).success
    session.sees_nothing(0.5)


@sequence(20)
def reserved_and_used(session: Session) -> None:
    assert session.command(Reserve(7)).success
    session.sees('ReservationStart')
    session.charge()
    started = next(e.transaction_started for e in session.events if e.transaction_started)
    assert started.reservation_id == 7
    session.do('unplug')
    session.sees('SC CF TF SF')
    session.sees_nothing(1.0)


@sequence(21)
def reserved_and_cancelled(session: Session) -> None:
    assert session.command(Reserve(7)).success
    session.sees('ReservationStart')
    assert session.command(CancelReservation()).success
    session.sees('ReservationEnd')


@sequence(22)
def faulted_while_charging(session: Session) -> None:
    session.charge()
    assert session.command(SetFaulted()).success
    session.sees('PermanentFault SC CF TF SF')
    assert not session.command(Enable(0)).success
    assert session.command(ClearFault()).success
    session.sees('AllErrorsCleared Enabled SS AR')


@sequence(23)
def the_ev_draws_too_much(session: Session) -> None:
    session.limit(10.0)
    session.charge('overdraws')
    session.sees('Error', 20.0)
    assert error(session) is ErrorEnum.OVER_CURRENT


@sequence(24)
def the_board_replugs_by_itself(session: Session) -> None:
    session.replug()
    session.sees('ReplugStarted ReplugFinished')
    session.charge()


@sequence(25)
def power_is_lost_in_a_transaction(session: Session) -> None:
    session.charge()
    uuid = session.last.uuid
    session.loses_power()
    session.sees('TF SF')
    assert stopped(session) is StopTransactionReason.POWER_LOSS
    assert session.last.uuid == uuid
    session.sees('Enabled SS AR')
    assert session.last.uuid != uuid
    session.opens()


@sequence(26)
def the_ev_does_not_ask(session: Session) -> None:
    session.do('plug_in never_asks')
    session.sees('SS AR')
    session.authorize()
    session.sees('TS PC')
    session.sees_nothing(29.0)
    session.sees('PEV', 25.0)


@sequence(26)
def the_ev_is_woken_up(session: Session) -> None:
    session.do('plug_in needs_wakeup')
    session.sees('SS AR')
    session.authorize()
    session.sees('TS PC')
    session.sees('CS', 45.0)


@sequence(27)
def the_contactor_does_not_close(session: Session) -> None:
    session.do('inject relay_stuck_open')
    session.do('plug_in')
    session.sees('SS AR')
    session.authorize()
    session.sees('TS PC Error')


@sequence(28)
def the_contactor_is_welded(session: Session) -> None:
    session.charge()
    session.do('inject relay_weld')
    assert session.command(StopTransaction(StopTransactionRequest(StopTransactionReason.LOCAL))).success
    session.sees('SC Error CF TF')
    assert error(session) is ErrorEnum.RELAIS
    session.do('unplug')
    session.pass_time(4.0)
    session.forget()
    session.do('plug_in')
    session.sees_nothing(2.0)


@sequence(29)
def the_manager_ends(session: Session) -> None:
    session.charge()
    session.shut_down()
    session.sees('SC CF TF SF')
    assert stopped(session) is StopTransactionReason.REBOOT
    session.opens()
