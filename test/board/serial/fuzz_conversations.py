"""
Conversations with boards at rest, on lines full of garbage and of damaged frames that would raise an alarm.

The virtual boards have no vehicle, an open contactor and an open lock all the time, so whatever else a driver
reports is false.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from random import Random
from typing import Any

from board.serial import test_phoenix_conversation
from board.serial.fuzz_subjects import LARGEST_PIECE, mutated
from board.serial.openevse_harness import OpenEvseHarness
from board.serial.yeti_harness import YetiHarness
from evse_manager.board.boards.openevse import rapi
from evse_manager.board.boards.yeti import messages
from evse_manager.board.boards.yeti.messages import LockPosition, PilotState, Relay, frame
from evse_manager.board.driver_io import Observation
from evse_manager.board.transport.modbus import Request, framed
from evse_manager.interface.enums import ContactorState, ControlPilotState, LinkState, LockState

STEP_S = 0.05
RECOVERY_S = 20.0


class Conversation(ABC):
    """A driver's conversation with its board; times are seconds."""

    def __init__(self) -> None:
        """Begin with a board that is at rest and known."""
        self.steps = 0
        self.up_steps = 0
        """How often the link was up after an attack: a driver that gave up reports nothing, false or not."""
        self.lied = 0
        """Alarms whose check was right: not given to the driver, or (Phoenix) given on purpose, once each."""

    @abstractmethod
    def alarms(self) -> tuple[bytes, ...]:
        """Return good frames, as they would fit now, that report a vehicle and a closed contactor."""

    @abstractmethod
    def attack(self, data: bytes) -> None:
        """Give the driver bytes, and go on for a step."""

    @abstractmethod
    def seen(self) -> Iterable[Observation]:
        """Return what was reported since the last call."""

    @abstractmethod
    def run(self, seconds: float) -> None:
        """Go on with a good line."""

    @property
    @abstractmethod
    def link(self) -> LinkState:
        """Return how it stands with the board."""

    @abstractmethod
    def believes(self, data: bytes) -> bool:
        """Return whether bytes hold a frame that is valid as it stands and that a driver has to believe."""

    def step(self, random: Random) -> int:
        """Attack once; return how many bytes it took."""
        if random.random() < 0.3:
            data = random.randbytes(random.choice((1, 7, 64, LARGEST_PIECE)))
        else:
            data = b''.join(mutated(each, random) for each in random.choices(self.alarms(), k=4))
        if self.believes(data):
            self.lied += 1
            return 0
        self.attack(data)
        self.judge()
        self.steps += 1
        self.up_steps += self.link is LinkState.UP
        return len(data)

    def judge(self) -> None:
        """Raise when anything else than a board at rest was reported."""
        for seen in self.seen():
            assert seen.contactor is not ContactorState.CLOSED, f'a contactor that is not closed: {seen}'
            assert seen.lock is not LockState.LOCKED, f'a lock that is not locked: {seen}'
            if seen.link is LinkState.UP:
                assert seen.cp_state is ControlPilotState.A, f'a vehicle that is not there: {seen}'

    def recover(self) -> None:
        """Raise unless the board is known again on a good line."""
        self.run(RECOVERY_S)
        self.judge()
        assert self.link is LinkState.UP, 'the link does not come back'


class HarnessConversation(Conversation):
    """A driver on a harness of its own, in lock-step with its virtual board."""

    _desk: Any

    def attack(self, data: bytes) -> None:
        self._desk._to_driver.append(data)
        self._desk.run(STEP_S)

    def seen(self) -> list[Observation]:
        seen, self._desk.seen = self._desk.seen, self._desk.seen[-1:]
        return seen

    def run(self, seconds: float) -> None:
        self._desk.run(seconds)

    @property
    def link(self) -> LinkState:
        return self._desk.last.link


class OpenEvseConversation(HarnessConversation):
    """RAPI."""

    def __init__(self) -> None:
        super().__init__()
        self._desk = OpenEvseHarness()
        self._desk.until_up()

    def alarms(self) -> tuple[bytes, ...]:
        request = self._desk.driver.client._request
        number = request.sequence if request is not None else 1
        bodies = (f'$OK 03 2 03 0540 :{number:02X}', f'$OK 08 3 01 0282 :{number:02X}', '$AT 03 03 24 0540')
        return tuple(f'{body}^{rapi.exclusive_or(body.encode()):02X}\r'.encode('ascii') for body in bodies)

    def believes(self, data: bytes) -> bool:
        pending = self._desk._parser._rest
        return any(each.name in {'OK', rapi.RESET_DONE} for each in rapi.RapiParser().feed(pending + data))


class YetiConversation(HarnessConversation):
    """COBS, CRC-32 and protobuf."""

    def __init__(self) -> None:
        super().__init__()
        self._desk = YetiHarness(variants=('sibling',))
        self._desk.until_up()

    def alarms(self) -> tuple[bytes, ...]:
        return tuple(
            frame(message) for message in (PilotState(3), PilotState(2), Relay(True), LockPosition(2))
        )

    def believes(self, data: bytes) -> bool:
        pending = self._desk._parser._cutter._rest
        return bool(messages.YetiParser().feed(pending + data))


class PhoenixConversation(Conversation):
    """
    Modbus.

    Of the frames that noise has damaged one in 65536 passes its check, so one reply alone must not be
    believed.  Now and then such a reply is made on purpose.
    """

    TOLD = (24000, 24025, 20000)
    """Registers and coils of pilot, contactor and lock."""

    SEALED = 0.2
    HONEST_BETWEEN = 3
    """Attacks without a false reply between two of them."""

    def __init__(self) -> None:
        super().__init__()
        self._random = Random(1)
        self._table = test_phoenix_conversation.Table()
        self._reported: list[Observation] = []
        self._table.run(2.0)
        self._wait = 0

    def alarms(self) -> tuple[bytes, ...]:
        state = bytes.fromhex('01030c 4332 0020 0000 0010 0000 0000')
        return framed(state), framed(bytes.fromhex('010302 0040')), framed(bytes.fromhex('010101 05'))

    def believes(self, data: bytes) -> bool:
        return any(alarm in data for alarm in self.alarms())

    def attack(self, data: bytes) -> None:
        """Send garbage before the genuine reply, or a false reply instead of it."""
        self._wait -= 1
        false = self._wait < 0 and self._random.random() < self.SEALED
        if false:
            self._wait = self.HONEST_BETWEEN
        send = self._table.virtual.send

        def disturbed(genuine: bytes) -> None:
            self._table.virtual.send = send
            request = self._table.answers._expected
            lie = self._lie(request) if false and request is not None else b''
            self.lied += bool(lie)
            send(data + lie + genuine)

        self._table.virtual.send = disturbed
        self.run(4 * STEP_S)
        self._table.virtual.send = send

    def _lie(self, request: Request) -> bytes:
        """Return a valid reply that reports an alarm, where the request asks for a state."""
        for alarm in () if request.writes else self.alarms():
            if request.address in self.TOLD and alarm.startswith(request.reply_start()):
                return alarm
        return b''

    def seen(self) -> list[Observation]:
        seen, self._reported = self._reported, []
        return seen

    def run(self, seconds: float) -> None:
        """Go on in steps of the table, and keep every observation."""
        table = self._table
        end = table.now + seconds
        while table.now < end:
            table.run(0.004)
            self._reported.append(table.seen)

    @property
    def link(self) -> LinkState:
        return self._table.phoenix.link


CONVERSATIONS: dict[str, type[Conversation]] = {
    'rapi': OpenEvseConversation,
    'yeti': YetiConversation,
    'modbus': PhoenixConversation,
}


def converse(name: str, size: int, seed: int) -> Conversation:
    """Attack a conversation with so many bytes; return it."""
    random = Random(seed)
    conversation = CONVERSATIONS[name]()
    given = 0
    try:
        while given < size:
            given += conversation.step(random)
        conversation.recover()
    except Exception as error:
        cause = f'{type(error).__name__}: {error}'
        text = f'The {name} conversation of seed {seed} fails at byte {given}: {cause}'
        raise AssertionError(text) from error
    return conversation
