"""
The session records of one connector, in SQLite.

No ROS.  Three layers: ``SessionStore`` is the interface for the owner's thread, ``Writer`` the thread that
commits, ``Database`` the file with its SQL.  Entries are committed before their events are published.
``docs/records.md`` describes the tables and what survives which failure.
"""

from evse_manager.store.location import location
from evse_manager.store.records_sql import Entry, Remembered
from evse_manager.store.session_store import SessionStore

__all__ = ['Entry', 'Remembered', 'SessionStore', 'location']
