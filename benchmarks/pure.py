"""
Cost of the parts in one process: the kernel, the board's loop, the conversions, the simulated world.

Times are processor time of the thread, so that other processes hardly disturb them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import supervisor
from machine import Watch
from rclpy.serialization import deserialize_message, serialize_message

from evse_manager.board.boards.openevse import rapi
from evse_manager.board.boards.yeti import messages
from evse_manager.board.controller import BoardController
from evse_manager.board.driver import DriverContext
from evse_manager.board.loop import BoardLoop
from evse_manager.board.transport import modbus
from evse_manager.charging.inputs import (
    CommandReceived,
    Input,
    MeterSampled,
    Now,
    PauseCharging,
    ResumeCharging,
    TelemetrySampled,
    Tick,
)
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.enums import ContactorState, ControlPilotState, PilotMode
from evse_manager.interface.types import BoardCommand, BoardTransition, Duration, Telemetry, Time
from evse_manager.lease.manager import BoardObserved
from evse_manager.nodes.conversions import from_message, message_class, to_message
from evse_manager.simulation.bench import EPOCH, Bench
from evse_manager.simulation.driver import SimulatedDriver

REPEATS = 5
"""The best of so many passes counts: what disturbs only ever makes it slower."""

STEPS = 3000
CONVERSIONS = 2000
FLIP_S = 12.0
"""A car that changes its mind faster than this is held back, and the kernel has less to do."""

SIMULATED_S = 600.0

PIECE_BYTES = 64
"""Bytes that a port returns at once."""
PARSED_BYTES = 200_000

COMMAND = BoardCommand(
    manager_id='/view/evse_manager 00000000-0000-4000-8000-000000000001',
    lease=Duration(1.0),
    pilot_mode=PilotMode.PWM,
    duty_cycle_percent=53.3,
    current_a=32.0,
    allow_power_on=True,
    lock=True,
    phases=3,
    over_current_limit_a=32.0,
)


def measure() -> dict[str, Any]:
    """Return the figures of all parts."""
    watch = Watch()
    figures = {
        'kernel_steps_per_s': {name: _kernel(make) for name, make in _KERNEL_INPUTS.items()},
        'board_loop_steps_per_s': _board_loop(),
        'conversion_us': _conversions(),
        'parsers': _parsers(),
        'supervisor': supervisor.measure(),
        'times_real_time': {
            'charging': _faster_than_real(charging=True),
            'idle': _faster_than_real(charging=False),
        },
    }
    return {'figures': figures, 'machine': watch.end()}


def charging_bench() -> Bench:
    """Return a bench in which a car has been charging for a while."""
    bench = Bench()
    bench.run_for(5.0)
    bench.plug_in()
    bench.authorize()
    bench.run_until(lambda each: each.flows)
    bench.run_for(60.0)
    return bench


def _best(work: Callable[[], int]) -> float:
    """Return how much work was done per second of processor time."""
    rates = []
    for _ in range(REPEATS):
        began = time.thread_time()
        done = work()
        rates.append(done / (time.thread_time() - began))
    return max(rates)


# --- kernel -------------------------------------------------------------------------------------------


def _unchanged(bench: Bench) -> Iterator[Input]:
    state = bench.board_state
    while True:
        yield BoardObserved(state, answered=True)


def _flips(bench: Bench) -> Iterator[Input]:
    """The EV leaves C, the contactor opens, the EV asks again, the contactor closes."""
    state = bench.board_state
    steps = (
        (ControlPilotState.B, ContactorState.CLOSED),
        (ControlPilotState.B, ContactorState.OPEN),
        (ControlPilotState.C, ContactorState.OPEN),
        (ControlPilotState.C, ContactorState.CLOSED),
    )
    while True:
        for cp_state, contactor in steps:
            yield BoardObserved(replace(state, cp_state=cp_state, contactor=contactor), answered=True)


def _mixed(bench: Bench) -> Iterator[Input]:
    """All inputs of a busy connector."""
    sample = bench.sample
    assert sample is not None
    flips = _flips(bench)
    tickets = 0
    while True:
        for _ in range(4):
            yield next(flips)
        yield MeterSampled(replace(sample, timestamp=Time(EPOCH + 10**12)))
        yield TelemetrySampled(Telemetry(temperature_c=31.0, relais_on=True))
        yield Tick()
        for command in (PauseCharging(), ResumeCharging()):
            tickets += 1
            yield CommandReceived(tickets, command)


_KERNEL_INPUTS: dict[str, Callable[[Bench], Iterator[Input]]] = {
    'unchanged board state while charging': _unchanged,
    'C → B → C with contactor': _flips,
    'mixed: states, meter, telemetry, commands': _mixed,
}


def _kernel(make: Callable[[Bench], Iterator[Input]]) -> int:
    bench = charging_bench()
    inputs = make(bench)
    steady = bench.now

    def work() -> int:
        nonlocal steady
        for _ in range(STEPS):
            steady += FLIP_S
            bench.kernel.step(next(inputs), Now(steady, Time(EPOCH + round(steady * 1e9))))
        return STEPS

    return round(_best(work))


# --- board, messages, time ----------------------------------------------------------------------------


def _board_loop() -> int:
    """One board: the loop runs every 10 ms, a command renews the lease at every 30th."""
    now = 0.0
    context = DriverContext(clock=lambda: now, wall=lambda: EPOCH, wake=lambda: None)
    driver = SimulatedDriver(SimulatedDriver.Parameters(), context)
    driver.open()
    driver.world.plug_in()
    loop = BoardLoop(driver, BoardController())
    number = 0

    def work() -> int:
        nonlocal now, number
        for step in range(STEPS):
            now += 0.01
            moment = ClockReadings(now, now, EPOCH)
            if step % 30 == 0:
                number += 1
                loop.command(replace(COMMAND, sequence_number=number), moment)
            loop.run(moment)
            loop.controller.take_state(moment)
        return STEPS

    return round(_best(work))


def _conversions() -> dict[str, dict[str, float]]:
    """Microseconds per message: to a message, from it, and on the wire, by type."""
    bench = charging_bench()
    transition = BoardTransition(1, ControlPilotState.C, ContactorState.CLOSED, EPOCH)
    values: dict[str, Any] = {
        'BoardState': replace(bench.board_state, transitions=()),
        'BoardState with 2 transitions': replace(bench.board_state, transitions=(transition,) * 2),
        'BoardCommand': COMMAND,
        'EvseStatus': bench.status,
        'Powermeter': bench.sample,
        'SessionEvent (ChargingStarted)': bench.events[-1].event,
    }
    return {name: _conversion(value) for name, value in values.items()}


def _conversion(value: Any) -> dict[str, float]:
    cls = type(value)
    message = to_message(value)
    wire = serialize_message(message)
    works: dict[str, Callable[[], Any]] = {
        'to message': lambda: to_message(value),
        'serialize': lambda: serialize_message(message),
        'deserialize': lambda: deserialize_message(wire, message_class(cls)),
        'from message': lambda: from_message(message, cls),
    }
    return {name: round(1e6 / _best(partial(_repeat, work)), 1) for name, work in works.items()}


def _repeat(work: Callable[[], Any]) -> int:
    for _ in range(CONVERSIONS):
        work()
    return CONVERSIONS


def _parsers() -> dict[str, dict[str, float]]:
    """Megabytes and frames per second of the parsers of serial lines, fed as a port gives the bytes."""
    meter = messages.PowerMeter(v_l1=230.0, a_l1=16.0, w_l1=3680.0, wh_total=12_345.0)
    pilots = [messages.PilotState(value % 3) for value in range(100)]
    states = b''.join(rapi.encode(f'OK 03 {second} 03 0540', second % 255 + 1) for second in range(100))
    request = modbus.Request(1, modbus.Function.READ_INPUT, 0, 40)
    reply = modbus.framed(request.reply_start() + bytes(80))
    answers = modbus.Answers()

    def reply_at(_: bytes) -> Sequence[object]:
        answers.expect(request)
        return [answer for piece in _pieces(reply) for answer in answers.feed(piece)]

    def fed(parser: Any) -> Callable[[bytes], Sequence[object]]:
        return lambda data: [found for piece in _pieces(data) for found in parser.feed(piece)]

    streams: dict[str, tuple[bytes, Callable[[bytes], Sequence[object]]]] = {
        'RAPI (openevse)': (states, fed(rapi.RapiParser())),
        'COBS and protobuf (yeti)': (
            b''.join(messages.frame(each) for pilot in pilots for each in (pilot, meter)),
            fed(messages.YetiParser()),
        ),
        'Modbus RTU (phoenix, sdm630)': (reply, reply_at),
    }
    return {name: _parser(data, feed) for name, (data, feed) in streams.items()}


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]


def _parser(data: bytes, feed: Callable[[bytes], Sequence[object]]) -> dict[str, float]:
    frames = len(feed(data))
    assert frames, 'the stream has no frame'
    times = max(1, PARSED_BYTES // len(data))

    def work() -> int:
        for _ in range(times):
            feed(data)
        return times

    rounds = _best(work)
    return {'mb_per_s': round(rounds * len(data) / 1e6, 2), 'frames_per_s': round(rounds * frames)}


def _faster_than_real(*, charging: bool) -> int:
    """Return how many times faster than real time the bench lets an hour pass."""
    bench = Bench()
    if charging:
        bench.plug_in(battery_capacity_wh=1e6)
        bench.authorize()
        bench.run_until(lambda each: each.flows)

    def work() -> int:
        bench.run_for(SIMULATED_S)
        return int(SIMULATED_S)

    return round(_best(work))
