"""
A physical model of EV, board and meter, deterministic and seeded.

Event-driven: nothing is computed while nothing happens, so that ``bench.py`` plays a month in minutes.
"""
