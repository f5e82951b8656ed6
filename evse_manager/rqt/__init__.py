"""
Connectors in a window: the plug-in ``rqt_evse`` of rqt, and ``evse gui``, which needs no rqt.

Only ``binding`` knows which Qt is used; ``model`` and the tables of ``cli`` know neither Qt nor ROS.
"""
