"""
What can go wrong on the line (catalogue L1 to L24), as far as it is the same for every serial driver.

They are played as the golden sequences are.
"""

from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    ControlPilotState,
    ErrorEnum,
    LinkState,
)

from .sequences import Sequence, error
from .session import Session

LINK_FAULTS: dict[str, Sequence] = {}
"""Every fault by its number and name."""


def link_fault(play: Sequence) -> Sequence:
    LINK_FAULTS[play.__name__] = play
    return play


def errors(session: Session) -> set[BoardErrorEnum]:
    """Return what the board reports."""
    return {each.code for each in session.state.active_errors}


def counted(session: Session, name: str) -> int:
    return int(session.driver.diagnostics()[name])


def thrown_away(session: Session) -> int:
    """Return how much was received that is no good frame."""
    names = ('frames dropped (failed check)', 'bytes skipped (outside of frames)')
    return sum(counted(session, name) for name in names)


def signalled(session: Session) -> float:
    """Return the current in A that the board puts on the pilot in truth."""
    return float(session.host.call(lambda: session.host.board.world.outputs.current_a))


def goes_on(session: Session, seconds: float = 2.0) -> None:
    """Charging goes on as if nothing had been."""
    session.sees_nothing(seconds)
    assert session.state.contactor is ContactorState.CLOSED
    assert session.link is LinkState.UP


@link_fault
def l1_wrong_check_in_a_reply(session: Session) -> None:
    session.charge()
    before = thrown_away(session)
    for _ in range(4):
        session.do('inject line_corrupt 1')
        session.pass_time(0.7)
    goes_on(session)
    assert thrown_away(session) > before


@link_fault
def l2_truncated_frame_then_silence(session: Session) -> None:
    session.charge()
    session.do('inject line_truncate 1')
    session.pass_time(0.1)
    session.do('inject line_stall')
    session.sees('Error', 7.0)
    assert session.state.contactor is ContactorState.UNKNOWN
    session.do('clear')
    session.until(lambda: session.link is LinkState.UP, 'link up again')
    session.sees('AllErrorsCleared')
    session.until(lambda: 'CR' in session.codes, 'charging goes on')


@link_fault
def l3_endless_bytes(session: Session) -> None:
    session.charge()
    for _ in range(20):
        session.do('inject line_garbage 4000')
        session.pass_time(0.05)
    session.pass_time(2.0)
    session.until(lambda: session.link is LinkState.UP, 'link up')
    assert session.relay_closed or 'Error' in session.codes


@link_fault
def l4_duplicates_and_l17_bounces(session: Session) -> None:
    session.do('inject line_duplicate 0')
    session.charge()
    session.do('ev_pause')
    session.sees('PEV')
    session.do('ev_resume')
    session.sees('CR')
    goes_on(session)


@link_fault
def l5_late_replies(session: Session) -> None:
    session.charge()
    session.do('inject line_delay 0.6')
    session.pass_time(1.2)
    session.do('clear line_delay')
    session.pass_time(2.0)
    session.until(lambda: session.link is LinkState.UP, 'link up')
    session.until(lambda: session.state.contactor is ContactorState.CLOSED, 'charging', 20.0)


@link_fault
def l6_boot_text_and_stray_bytes(session: Session) -> None:
    """``l12`` has the boot text of the boards that print one."""
    before = thrown_away(session)
    for _ in range(10):
        session.do('inject line_garbage 30')
        session.pass_time(0.1)
        assert session.state.contactor is not ContactorState.CLOSED
        assert session.state.cp_state is ControlPilotState.A
    session.do('clear')
    session.until(lambda: session.link is LinkState.UP and not errors(session), 'link up')
    session.until(lambda: session.codes[-1:] != ['Error'], 'no errors')
    assert thrown_away(session) > before
    session.forget()
    session.charge()


@link_fault
def l7_the_board_falls_silent(session: Session) -> None:
    session.charge()
    begun = session.clock()
    session.do('inject line_stall')
    session.sees('Error', 7.0)
    assert session.clock() - begun < 6.0
    assert error(session) is ErrorEnum.INTERNAL
    assert session.state.contactor is ContactorState.UNKNOWN
    session.do('clear')
    session.sees('AllErrorsCleared')
    session.until(lambda: 'CR' in session.codes, 'charging goes on')


@link_fault
def l8_the_port_is_pulled_and_put_back(session: Session) -> None:
    session.charge()
    session.do('pull_port')
    session.sees('Error', 3.0)
    session.pass_time(2.0)
    session.do('plug_port')
    begun = session.clock()
    session.until(lambda: session.link is LinkState.UP, 'link up again', 10.0)
    assert session.clock() - begun < 10.0
    session.sees('AllErrorsCleared')
    session.until(lambda: 'CR' in session.codes, 'charging goes on')


@link_fault
def l10_another_language(session: Session) -> None:
    session.do('inject line_corrupt 0')
    session.sees('Error', 8.0)
    assert error(session) is ErrorEnum.INTERNAL
    assert session.link is not LinkState.UP
    session.until(lambda: 'no valid frame' in session.driver.diagnostics()['problem'], 'diagnosis', 10.0)
    assert 'has become unreadable' in session.driver.diagnostics()['problem']
    assert errors(session) <= {BoardErrorEnum.METER_FAULT}, 'it is the line, not the board'
    session.do('clear')
    session.until(lambda: session.link is LinkState.UP, 'link up')


@link_fault
def l18_missed_steps_are_told_in_legal_order(session: Session) -> None:
    session.authorize()
    session.sees('SS')
    session.do('plug_in no_b_state')
    session.sees('TS PC CS')
    session.do('unplug')
    session.sees('SC CF TF SF')


@link_fault
def l24_a_flood_of_frames(session: Session) -> None:
    session.charge()
    session.do('inject line_flood 10000')
    session.pass_time(1.0)
    session.limit(10.0)
    took = session.until(lambda: signalled(session) <= 10.0, '10 A', 3.0)
    assert took < 1.0
    goes_on(session)
    session.do('clear')
    session.pass_time(1.0)
    goes_on(session)
