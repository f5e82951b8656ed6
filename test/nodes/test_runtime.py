"""The run time of the nodes in one process, on every executor that it may run on."""

import math
import random
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
import rclpy
from rclpy.clock import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from evse_manager.interface.endpoints import Party, Service
from evse_manager.nodes.runtime import (
    DeadlineQueue,
    DeadlineTimer,
    Guard,
    LoopDeadline,
    new_executor,
    steady_clock,
)
from evse_manager.nodes.services import create_service

TRIGGER = Service('later', 'std_srvs/srv/Trigger', Party.ANYONE, 'for this test')


@pytest.fixture(scope='module')
def ros():
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    yield
    rclpy.try_shutdown()


@pytest.fixture(params=['chosen', 'single-threaded'])
def spinning(request: pytest.FixtureRequest, ros):
    """A node, and a function that spins until a condition is true, or returns False."""
    node = Node('unit', start_parameter_services=False, enable_rosout=False)
    executor = new_executor() if request.param == 'chosen' else SingleThreadedExecutor()
    executor.add_node(node)

    def until(condition, limit=2.0):
        end = time.monotonic() + limit
        while not condition() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        return condition()

    yield node, executor, until
    executor.remove_node(node)
    node.destroy_node()


def test_a_deadline_timer_fires_once_at_its_deadline(spinning):
    node, _, until = spinning
    fired = []
    timer = DeadlineTimer(node, lambda: fired.append(time.monotonic()), time.monotonic, steady_clock())
    deadline = time.monotonic() + 0.1
    timer.arm(deadline)
    assert until(lambda: fired)
    assert 0.0 <= fired[0] - deadline < 0.1
    assert not until(lambda: len(fired) > 1, 0.3)
    assert timer.deadline is None


def test_a_deadline_timer_can_be_armed_again_disarmed_and_armed_to_the_past(spinning):
    node, _, until = spinning
    fired = []
    timer = DeadlineTimer(node, lambda: fired.append(time.monotonic()), time.monotonic, steady_clock())
    timer.arm(time.monotonic() + 60.0)
    timer.arm(time.monotonic() + 0.05)
    assert until(lambda: len(fired) == 1)
    timer.arm(time.monotonic() + 0.05)
    timer.arm(None)
    assert not until(lambda: len(fired) > 1, 0.2)
    timer.arm(time.monotonic() - 5.0)
    assert until(lambda: len(fired) == 2)
    later = time.monotonic() + 0.2
    timer.arm(later)
    assert until(lambda: len(fired) == 3)
    assert fired[-1] >= later
    assert steady_clock().clock_type == ClockType.STEADY_TIME


def test_a_callback_may_arm_its_own_timer(spinning):
    node, _, until = spinning
    fired = []

    def again():
        fired.append(time.monotonic())
        timer.arm(time.monotonic() + 0.02)

    timer = DeadlineTimer(node, again, time.monotonic, steady_clock())
    timer.arm(time.monotonic() + 0.02)
    assert until(lambda: len(fired) >= 10)


def test_a_failing_callback_goes_to_the_safe_state_and_spinning_goes_on(spinning, capfd):
    node, _, until = spinning
    reasons = []
    guard = Guard(node, reasons.append)

    def broken():
        timer.arm(time.monotonic() + 0.02)
        raise ValueError('out of order')

    timer = DeadlineTimer(node, guard(broken), time.monotonic, steady_clock())
    timer.arm(time.monotonic())
    assert until(lambda: len(reasons) >= 5)
    assert reasons[0] == 'broken failed: out of order'
    assert capfd.readouterr().err.count('Traceback') == 1  # once, not at every failure


def test_a_safe_state_that_fails_too_is_logged(spinning, capfd):
    node, _, _ = spinning

    def no_way(_reason):
        raise RuntimeError('no way')

    Guard(node, no_way)(lambda: 1 / 0)()
    text = capfd.readouterr().err
    assert 'division by zero' in text
    assert 'safe state could not be reached' in text


def test_a_service_may_answer_at_once_and_later_in_any_order(spinning):
    from std_srvs.srv import Trigger

    node, _, until = spinning
    replies = []

    def handle(_request, reply):
        replies.append(reply)
        if len(replies) == 3:
            reply.response.message = 'at once'
            reply.give()

    create_service(node, TRIGGER, handle)
    client = node.create_client(Trigger, 'later')
    assert until(client.service_is_ready, 5.0)
    answers = [client.call_async(Trigger.Request()) for _ in range(3)]
    assert until(lambda: len(replies) == 3 and answers[2].done())
    assert not answers[0].done()
    for number in (1, 0):
        replies[number].response.message = f'later {number}'
        replies[number].give()
        replies[number].give()  # a second time changes nothing
    assert until(lambda: all(answer.done() for answer in answers))
    assert [answer.result().message for answer in answers] == ['later 0', 'later 1', 'at once']


def test_a_task_from_another_thread_runs_at_once(spinning):
    _, executor, until = spinning
    delays = []

    def hand_over():
        posted = time.monotonic()
        executor.create_task(lambda: delays.append(time.monotonic() - posted))

    timer = threading.Timer(0.1, hand_over)
    timer.start()
    end = time.monotonic() + 5.0
    while not delays and time.monotonic() < end:
        executor.spin_once(timeout_sec=5.0)
    timer.join()
    assert until(lambda: delays)
    assert delays[0] < 0.1


def test_a_deadline_of_the_loop_is_called_once_when_its_time_has_come():
    called = []
    deadline, queue = LoopDeadline(lambda: called.append(time.monotonic())), DeadlineQueue()
    deadline.attach(queue)
    queue.call_due()
    assert not called
    assert queue.left_s() == math.inf
    at = time.monotonic() + 0.05
    deadline.arm(at)
    while not called:
        assert queue.left_s() <= 0.05
        queue.call_due()
    assert called[0] >= at
    queue.call_due()
    assert len(called) == 1
    deadline.arm(time.monotonic() - 1.0)
    assert queue.left_s() == 0.0
    deadline.arm(math.inf)
    queue.call_due()
    assert len(called) == 1


def test_a_deadline_that_is_armed_to_the_past_when_it_is_called_delays_no_other():
    called = []

    def again():
        called.append('again')
        deadline.arm(time.monotonic() - 1.0)

    deadline, other, queue = (
        LoopDeadline(again),
        LoopDeadline(lambda: called.append('other')),
        DeadlineQueue(),
    )
    for each in (deadline, other):
        each.attach(queue)
        each.arm(time.monotonic())
    queue.call_due()
    assert sorted(called) == ['again', 'other']
    queue.call_due()
    assert sorted(called) == ['again', 'again', 'other']


def test_a_deadline_that_fails_cancels_no_other():
    called, queue = [], DeadlineQueue()

    def fail():
        raise ValueError('a deadline that fails')

    deadlines = [LoopDeadline(fail), LoopDeadline(lambda: called.append('other'))]
    for each in deadlines:
        each.attach(queue)
        each.arm(time.monotonic())
    with pytest.raises(ValueError, match='a deadline that fails'):
        queue.call_due()
    assert queue.left_s() == 0.0
    queue.call_due()
    assert called == ['other']


def test_a_detached_deadline_is_not_called():
    called = []
    deadline, queue = LoopDeadline(lambda: called.append(1)), DeadlineQueue()
    deadline.attach(queue)
    deadline.arm(time.monotonic())
    deadline.detach()
    queue.call_due()
    assert not called
    assert queue.left_s() == math.inf


@pytest.mark.parametrize('seed', range(20))
def test_the_queue_waits_for_the_earliest_of_many_deadlines(seed):
    choice, queue, called = random.Random(seed), DeadlineQueue(), []
    deadlines = [LoopDeadline(partial(called.append, number)) for number in range(20)]
    for deadline in deadlines:
        deadline.attach(queue)
    for _ in range(300):
        deadline = choice.choice(deadlines)
        deadline.arm(choice.choice((math.inf, time.monotonic() + choice.uniform(-1.0, 100.0))))
        earliest = min(each.at for each in deadlines)
        assert queue.left_s() == pytest.approx(max(0.0, earliest - time.monotonic()), abs=0.05)
        if choice.random() < 0.2:
            due = sorted(n for n, each in enumerate(deadlines) if each.at <= time.monotonic())
            called.clear()
            queue.call_due()
            assert sorted(called) == due
            assert all(deadlines[number].at == math.inf for number in due)


BROKEN_END = """
import os, signal, sys
from rclpy.node import Node
from evse_manager.nodes.runtime import LoopDeadline, run

class NodeApp:
    finished = False
    alarm = LoopDeadline()

    def __init__(self):
        self.node = Node('broken')

    def begin(self):
        os.kill(os.getpid(), signal.SIGTERM)

    def end(self):
        raise ValueError('no end')

    def withdraw(self):
        print('withdrawn', flush=True)

sys.exit(run('broken', NodeApp))
"""


def test_a_failing_end_withdraws_power_and_says_so():
    ended = subprocess.run(
        [sys.executable, '-c', BROKEN_END], capture_output=True, text=True, timeout=20.0, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == 'withdrawn\n'
    assert 'no end' in ended.stderr
