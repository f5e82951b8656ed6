"""
The operator's command line: ``evse`` and the demonstration ``evse_demo``.

Commands are a table in ``commands.py``; ``parser.py`` parses them; how they reach
the connector in ``graph.py``, and how it looks in ``words.py`` and ``views.py``.  Nothing here imports ROS
before a command needs it, so that help and wrong usage answer at once.
"""
