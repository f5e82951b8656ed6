"""
Virtual boards: firmware in software that speaks a board's real wire protocol on a pseudo-terminal.

``board`` is what a board has to offer, ``line`` spoils bytes on demand, ``terminal`` is the port, and
``host`` puts them together in real time.  A further board is one file with a subclass of
``board.VirtualBoard`` and one line in ``board.BOARDS``; ``openevse`` is an example.
"""
