"""
The session records of one connector, in SQLite.

Pure of ROS.  ``SessionStore`` is the door: it takes what the kernel's steps brought about, commits it in a
thread of its own, and only then lets it be told.  ``docs/records.md`` says where what is, and how safe.
"""

from evse_manager.store.location import location
from evse_manager.store.session_store import Remembered, SessionStore
from evse_manager.store.writing import Entry

__all__ = ['Entry', 'Remembered', 'SessionStore', 'location']
