"""
The charging kernel: what one AC connector does, as a pure and deterministic state machine.

This package knows only the standard library, ``interface`` and the pure packages beside it.  It never reads a
clock, sleeps, logs or communicates: inputs and the current time come in, outputs and the next deadline go out
(see ``kernel.py``).
"""
