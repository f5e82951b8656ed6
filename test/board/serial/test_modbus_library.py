"""Modbus RTU against an independent library: pymodbus reads our requests, and we read its replies."""

from typing import Any

import pytest

from evse_manager.board.transport.modbus import Answers, Function, Request
from evse_manager.simulation.virtual.phoenix_firmware import VirtualPhoenix

pdu = pytest.importorskip('pymodbus.pdu')
framer = pytest.importorskip('pymodbus.framer')
registers = pytest.importorskip('pymodbus.pdu.register_message')
bits = pytest.importorskip('pymodbus.pdu.bit_message')

WORDS = (0x4332, 32, 53, 16, 8, 0)
CASES = {
    'holding registers': (
        Request(1, Function.READ_HOLDING, 24000, 6),
        registers.ReadHoldingRegistersResponse,
        {'registers': list(WORDS)},
        WORDS,
    ),
    'input registers': (
        Request(2, Function.READ_INPUT, 0x34, 6),
        registers.ReadInputRegistersResponse,
        {'registers': list(WORDS)},
        WORDS,
    ),
    'coils': (
        Request(1, Function.READ_COILS, 20000, 3),
        bits.ReadCoilsResponse,
        {'bits': [True, True, False]},
        (1, 1, 0),
    ),
    'a coil is written': (
        Request(1, Function.WRITE_COIL, 20000, 1),
        bits.WriteSingleCoilResponse,
        {'bits': [True]},
        (),
    ),
    'a register is written': (
        Request(247, Function.WRITE_REGISTER, 22000, 16),
        registers.WriteSingleRegisterResponse,
        {'registers': [16]},
        (),
    ),
}
"""What the drivers ask; the library's class of the reply and what it is given; what we read of it."""


def frame_of_the_library(message: Any) -> bytes:
    made: bytes = framer.FramerRTU(pdu.DecodePDU(False)).buildFrame(message)
    return made


def read_by_the_library(data: bytes, *, request: bool) -> Any:
    used, message = framer.FramerRTU(pdu.DecodePDU(request)).handleFrame(data, 0, 0)
    assert used == len(data)
    return message


@pytest.mark.parametrize('case', CASES)
def test_the_library_understands_our_requests(case: str) -> None:
    request, *_ = CASES[case]
    message = read_by_the_library(request.encode(), request=True)
    assert message.dev_id == request.unit
    assert message.function_code == request.function
    assert message.address == request.address
    if not request.writes:
        assert message.count == request.value


@pytest.mark.parametrize('case', CASES)
def test_we_understand_the_replies_of_the_library(case: str) -> None:
    request, kind, holds, values = CASES[case]
    answers = Answers()
    answers.expect(request)
    (answer,) = answers.feed(
        frame_of_the_library(kind(dev_id=request.unit, address=request.address, **holds))
    )
    assert answer.good
    assert answer.values == values


def test_we_understand_the_exceptions_of_the_library() -> None:
    request, *_ = CASES['holding registers']
    refusal = pdu.ExceptionResponse(int(request.function), exception_code=2, device_id=request.unit)
    answers = Answers()
    answers.expect(request)
    (answer,) = answers.feed(frame_of_the_library(refusal))
    assert answer.exception == 2


def test_the_library_understands_the_virtual_board() -> None:
    board = VirtualPhoenix()
    said: list[bytes] = []
    board.send = said.append
    board.power_up()
    board.advance(2.0)
    board.receive(Request(1, Function.READ_HOLDING, 24000, 2).encode())
    board.advance(2.1)
    message = read_by_the_library(said[0], request=False)
    assert message.registers[0] == int.from_bytes(b'A1', 'big')
