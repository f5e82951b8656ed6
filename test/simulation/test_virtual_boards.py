"""The virtual boards as people use them: what is typed, given on the command line, or written in a script."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_manager.simulation.faults import SimulationError
from evse_manager.simulation.virtual import main as virtual
from evse_manager.simulation.virtual.board import BOARDS
from evse_manager.simulation.virtual.host import COMMANDS, VirtualBoardHost
from evse_manager.simulation.virtual.line import FAULTS

pytestmark = pytest.mark.timeout(60)

WRONG = (
    'plug_in phases=nan', 'plug_in phases=inf', 'plug_in phases=1.5', 'plug_in phases=',
    'plug_in asks=perhaps', 'plug_in soc_percent=200', 'plug_in ask_delay_s=-1',
    'plug_in flap_period_s=1e-9', 'plug_in description=x', 'plug_in colour=3', 'plug_in spaceship',
    'unplug now', 'unplug', 'ev_pause', 'ev_resume', 'set_proximity', 'set_proximity 17',
    'set_proximity nan', 'inject', 'inject nothing', 'inject diode 3', 'inject line_drop x',
    'inject line_garbage 1e12', 'inject line_flood 1e9', 'inject line_delay 1e30', 'inject line_drop -1',
    'inject line_drop nan', 'clear nothing', 'clear diode diode', 'wrong', 'wrong colour 3', 'dance',
    '$GS^30', '\ufffd\ufffd', 'x' * 10_000,
)  # fmt: skip


@pytest.fixture(params=BOARDS)
def host(request: pytest.FixtureRequest) -> Iterator[VirtualBoardHost]:
    host = VirtualBoardHost(request.param)
    host.board.power_up()
    host.board.advance(10.0)
    yield host
    host.close()


@pytest.mark.parametrize('text', WRONG, ids=lambda text: text[:40])
def test_what_cannot_be_done_is_refused_with_a_sentence_and_changes_nothing(
    host: VirtualBoardHost, text: str
) -> None:
    before = host.describe()
    with pytest.raises(SimulationError) as refused:
        host.execute(text)
    assert len(str(refused.value)) < 1000
    assert host.describe() == before


def test_a_value_is_only_made_what_a_board_can_send(host: VirtualBoardHost) -> None:
    for name, value in host.board.values.items():
        for text in ('abc', '-1', '1e300', 'nan', '99999999999999999999', 'ä', 'x' * 100):
            if value.accepts(text):
                host.execute(f'wrong {name} {text}')
                continue
            with pytest.raises(SimulationError, match='must be'):
                host.execute(f'wrong {name} {text}')
    host.board.advance(host.board.now + 10.0)


KNOWN = (*COMMANDS, *FAULTS, 'diode', 'state', 'pilot', 'energy', 'to_board', '0', '1', '-1', 'nan')
LINES = st.lists(st.sampled_from(KNOWN) | st.text(max_size=8), max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(BOARDS)), st.lists(LINES, max_size=12))
def test_whatever_is_typed_the_board_lives_on(board: str, lines: list[list[str]]) -> None:
    host = VirtualBoardHost(board)
    try:
        host.board.power_up()
        for words in lines:
            with suppress(SimulationError):
                host.execute(' '.join(words))
            host.board.advance(host.board.now + 0.5)
    finally:
        host.close()


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch, typed: bytes = b'quit\n') -> int:
    """Run the program until ``quit`` is typed."""
    monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(typed), encoding='utf-8'))
    monkeypatch.setattr('signal.signal', lambda number, handler: None)  # the test's own process keeps its
    return virtual.main(arguments)


def test_garbage_is_typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    typed = b'\xff\xfe\x00\n\n   \nplug_in phases=nan\nwrong state 42\nstatus\nquit\n'
    assert run(['openevse', '--quiet'], monkeypatch, typed) == 0
    shown = capsys.readouterr().out
    assert 'phases is' in shown
    assert 'There is no command' in shown
    assert 'state=42' in shown


def test_it_begins_with_commands_and_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / 'script'
    script.write_text('# a comment\n\n0.0  wrong state 42\n0.01 inject diode  # and another\n')
    ended = threading.Event()

    def look(host: VirtualBoardHost) -> object:
        def watch(_: float, state: dict[str, str]) -> None:
            if {'line_drop', 'diode', 'state=42'} <= set(state['faults'].split()):
                ended.set()
                host.stop()

        host.watch = watch
        return lambda: None

    monkeypatch.setattr('signal.signal', lambda number, handler: None)
    monkeypatch.setattr(sys, 'stdin', io.StringIO())
    link = tmp_path / 'port'
    arguments = ['openevse', '--link', str(link), '--script', str(script), '--do', 'inject line_drop 0']
    assert virtual.main(arguments, look) == 0  # type: ignore[arg-type]
    assert ended.is_set()
    assert not link.is_symlink()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--do', 'dance'], 'none of the commands'),
        (['--do', ''], 'none of the commands'),
        (['--script', '/nowhere'], 'nowhere'),
        (['--script', __file__], 'line 1'),
        (['--script', sys.executable], 'no text'),
        (['--profile', 'spaceship'], 'spaceship'),
        (['--max-current', 'nan'], 'max_current_a'),
        (['--link', '/nowhere/port'], 'nowhere'),
        (['--link', __file__], 'is no link'),
    ],
    ids=str,
)
def test_wrong_arguments_start_nothing(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(['phoenix', *arguments], monkeypatch) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ''
