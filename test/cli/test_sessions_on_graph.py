"""`evse sessions` on the records of connectors on the graph."""

from dataclasses import replace
from pathlib import Path

import pytest

from cli.conftest import evse
from evse_manager.store.history import HistoryFile
from harness import Connector, Probe, running
from store.sample_records import session, sessions

pytestmark = [pytest.mark.timeout(120), pytest.mark.alone]

NAMES = ('/depot/bay_1', '/depot/bay_2')


def test_the_sessions_of_several_connectors_come_in_one_order(probe: Probe, tmp_path: Path) -> None:
    """Two managers of a host share the file of all; each answers for itself, in as many pages as it takes."""
    known = [each for each in sessions(300, connectors=2) if each.connector in NAMES]
    long = replace(session(500, connector=NAMES[1]), uuid='0f8fad5b-d9cb-469f-a165-70867728950e')
    history = HistoryFile(tmp_path / 'all-connectors.sqlite3')
    history.add([*known, long])
    history.close()
    with running(tmp_path) as site:
        connectors = [Connector(probe, name) for name in NAMES]
        for name in NAMES:
            site.manager(name, session_store=tmp_path / f'{name[1:].replace("/", ".")}.sqlite3')
        for connector in connectors:
            connector.sees('Enabled')
        probe.wait(lambda: len(evse('list', '--json').records) == len(NAMES), 'both are found')

        found = evse('sessions', '--limit', '1000', '--json').records
        assert {each['uuid'] for each in found} == {each.uuid for each in (*known, long)}
        began = [each['started'] for each in found]
        assert began == sorted(began, reverse=True)
        assert 'ALICE' not in str(found)

        own = evse('sessions', '-c', NAMES[0], '--limit', '1000', '--json').records
        assert {each['connector'] for each in own} == {NAMES[0]}

        whole = evse('sessions', 'show', '0f8fad5b', '--json').record
        assert (len(whole['samples']), len(whole['events'])) == (len(long.samples), len(long.events))
        missing = evse('sessions', 'show', '00000000')
        assert missing.code == 1
        assert 'there is no session 00000000' in missing.err
        assert evse('sessions', 'verify', '-c', NAMES[0]).code == 0
