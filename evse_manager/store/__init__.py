"""
The session records of connectors, in SQLite.

No ROS.  A connector's own file has three layers: ``SessionStore`` is the interface for the owner's thread,
``Writer`` the thread that commits, ``Database`` the file with its SQL.  Entries are committed before their
events are published.  ``Archive`` copies finished sessions into the file of all connectors of the host, and
``Reader`` reads files of both kinds.  ``docs/records.md`` describes the tables and what survives which
failure.
"""

from evse_manager.store.course import CourseRecorder
from evse_manager.store.database import peek
from evse_manager.store.identity import Identity, simulated_path
from evse_manager.store.location import history_location, last_written, location
from evse_manager.store.records_sql import Entry, Remembered
from evse_manager.store.session_store import SessionStore

__all__ = [
    'CourseRecorder',
    'Entry',
    'Identity',
    'Remembered',
    'SessionStore',
    'history_location',
    'last_written',
    'location',
    'peek',
    'simulated_path',
]
