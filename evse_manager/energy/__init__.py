"""
Site power allocation: how the power of one grid connection is divided among connectors.

Pure and deterministic, without ROS and without I/O.  ``allocator.SiteAllocator`` joins the parts; the rules
in plain words are in ``docs/energy.md``.
"""
