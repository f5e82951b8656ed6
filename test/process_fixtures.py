"""
Fixtures of the tests of real processes: a probe on the graph, and connectors to look at with it.

They are loaded once for all directories of tests: a run has one ROS domain.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Connector, Probe, Site, own_domain, running

__all__ = ['connector', 'domain', 'namespace', 'probe', 'shared', 'shared_site', 'site']


@pytest.fixture(scope='session', autouse=True)
def domain() -> int:
    """The ROS domain of this run: no other nodes are on its graph."""
    return own_domain()


@pytest.fixture(scope='session')
def probe(domain: int) -> Iterator[Probe]:
    probe = Probe()
    yield probe
    probe.close()


@pytest.fixture
def site(domain: int, tmp_path: Path) -> Iterator[Site]:
    """The processes of one test; they end with it."""
    with running(tmp_path) as site:
        yield site


@pytest.fixture(scope='module')
def shared_site(domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The processes that the tests of a file share."""
    with running(tmp_path_factory.mktemp('shared_site')) as site:
        yield site


@pytest.fixture(scope='module')
def namespace(request: pytest.FixtureRequest) -> str:
    """Where the connector is that the tests of a file share."""
    return f'/{request.module.__name__.rsplit(".", 1)[-1]}'


@pytest.fixture(scope='module')
def shared(shared_site: Site, probe: Probe, namespace: str) -> Connector:
    """The connector that the tests of a file share."""
    connector = Connector(probe, namespace)
    shared_site.board(namespace)
    shared_site.manager(namespace)
    connector.sees('Enabled')
    return connector


@pytest.fixture
def connector(shared: Connector) -> Connector:
    """A connector at rest: unplugged, without faults, enabled, not reserved, without limits."""
    shared.to_rest()
    return shared
