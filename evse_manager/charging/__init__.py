"""
The charging kernel: what one AC connector does, as a pure and deterministic state machine.

This room knows only the standard library and itself.  It never reads a clock, sleeps, logs or talks to
anybody: inputs and the current time come in, outputs and the next deadline go out (see ``kernel.py``).
"""
