"""
What a register, a current and a missing value mean: the only owner, and the only thresholds.

Kernel, store, drivers and restarts ask here.  Pure: the package knows only ``interface``.
"""
