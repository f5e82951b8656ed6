"""
Meaning of a register, a current and a missing value: the only owner, and the only thresholds.

Kernel, store, drivers and restarts ask here.  Pure: the package knows only ``interface``.
"""
