"""
The hardware side of one connector: drivers, the IEC 61851-1 loop, and the lease that the manager renews.

Everything here is pure except the drivers themselves, which may read a port.  ``docs/writing_a_driver.md``
describes how to add a board.
"""
