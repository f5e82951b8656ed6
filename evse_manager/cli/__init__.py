"""
The operator's command line: ``evse`` and the demonstration ``evse_demo``.

What a command says is in ``commands.py`` (a table), how it is understood in ``parser.py``, how it reaches
the connector in ``graph.py``, and how it looks in ``words.py`` and ``views.py``.  Nothing here imports ROS
before a command needs it, so that help and wrong usage answer at once.
"""
