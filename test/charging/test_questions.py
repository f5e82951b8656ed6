"""A question to the kernel changes nothing: a recording has the turns, and replays without the questions."""

from charging.kernel_harness import KernelHarness
from evse_manager.charging.inputs import Now
from evse_manager.recording import codec


def test_a_question_leaves_no_trace_in_the_facts() -> None:
    harness = KernelHarness().charging()
    kernel = harness.kernel
    connector = kernel._connector
    before = codec.encode(connector)
    later = Now(harness.now.steady + 1.0, harness.now.wall + 1_000_000_000)
    earlier = kernel.status(harness.now)
    assert kernel.status(later).stamp > earlier.stamp
    kernel.meter(later)
    kernel.grant(later)
    assert codec.encode(connector) == before
