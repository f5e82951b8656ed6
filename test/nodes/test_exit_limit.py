"""The limit on the end of a process, against what holds the interpreter and against what never returns."""

import subprocess
import sys

import pytest

HOLD = 'import ctypes; ctypes.PyDLL(None).pause()'
"""Waits within C and keeps the interpreter's lock, as rclpy does while the middleware hangs."""

LEAVING_A_ROLE = f"""
import os, signal, sys
from rclpy.node import Node
from evse_manager.nodes import runtime

def hang():
    {HOLD}

runtime.LEAVING_S, runtime.STUCK_LIMIT_S = 0.5, %s

class NodeApp:
    finished = False
    alarm = runtime.LoopDeadline()

    def __init__(self):
        self.node = Node('hanging')
        self.node.destroy_node = hang

    def begin(self):
        os.kill(os.getpid(), signal.SIGTERM)

    def end(self):
        %s

    def withdraw(self):
        print('withdrawn', flush=True)

sys.exit(runtime.run('hanging', NodeApp))
"""

REFUSED = f"""
import sys
from evse_manager.nodes import parameters, runtime

class Hanging:
    def __del__(self):
        {HOLD}

def make():
    node = Hanging()
    raise parameters.ParameterError('refused')

runtime.LEAVING_S = 0.5
sys.exit(runtime.run('hanging', make))
"""

LEAVING_THE_GRAPH = f"""
import sys
from evse_manager.cli import graph, main

def hang():
    {HOLD}

class Hanging(graph.Graph):
    def enter(self):
        super().enter()
        self._leaving.callback(hang)

graph.LEAVING_S = 0.5
graph.Graph = Hanging
sys.exit(main.main(['status', '--timeout', '0.5']))
"""


def ended(program: str) -> tuple[int, str, str]:
    """Run a program to its end; one that hangs fails."""
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=30.0, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize('code', [0, 1, 2, 130])
def test_a_process_that_holds_the_interpreter_ends_with_its_code(code: int):
    limit = f'from evse_manager.nodes.exit_limit import ExitLimit; ExitLimit(0.1, {code})'
    assert ended(f'{limit}\n{HOLD}') == (code, '', '')


def test_a_limit_that_is_taken_back_ends_nothing():
    program = (
        'import time\n'
        'from evse_manager.nodes.exit_limit import ExitLimit\n'
        'with ExitLimit(0.2, 9): pass\n'
        'time.sleep(1.0)\n'
        'print("alive")\n'
    )
    assert ended(program) == (0, 'alive\n', '')


def test_a_limit_of_nothing_ends_at_once():
    assert ended(f'from evse_manager.nodes.exit_limit import ExitLimit; ExitLimit(0.0, 7)\n{HOLD}')[0] == 7


def test_a_node_that_hangs_while_it_leaves_the_graph_ends_as_it_would_have():
    code, out, _ = ended(LEAVING_A_ROLE % (60.0, 'self.finished = True'))
    assert (code, out) == (0, 'withdrawn\n')


def test_a_node_that_hangs_before_it_could_withdraw_power_ends_as_failed():
    code, out, _ = ended(LEAVING_A_ROLE % (0.5, 'hang()'))
    assert (code, out) == (1, '')


def test_a_node_that_is_refused_and_hangs_while_it_is_freed_ends_as_it_would_have():
    assert ended(REFUSED) == (2, '', 'hanging: refused\n')


def test_a_command_that_hangs_while_it_leaves_the_graph_has_said_all_and_ends_with_its_code():
    code, out, err = ended(LEAVING_THE_GRAPH)
    assert (code, out) == (3, '')
    assert err.startswith('evse: no connector on the graph')
