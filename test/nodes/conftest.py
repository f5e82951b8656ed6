"""One connector of real processes for each file of tests, and a probe on the graph."""

from collections.abc import Iterator

import pytest

from harness import Connector, Probe, Site, own_domain, running


@pytest.fixture(scope='session', autouse=True)
def domain() -> int:
    """The ROS domain of this run: nobody else's nodes are on its graph."""
    return own_domain()


@pytest.fixture(scope='session')
def probe(domain: int) -> Iterator[Probe]:
    probe = Probe()
    yield probe
    probe.close()


@pytest.fixture(scope='module')
def site(domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp('site')) as site:
        yield site


@pytest.fixture(scope='module')
def shared(site: Site, probe: Probe, request: pytest.FixtureRequest) -> Connector:
    """The connector that the tests of a file share."""
    namespace = f'/{request.module.__name__.rsplit(".", 1)[-1]}'
    connector = Connector(probe, namespace)
    site.board(namespace)
    site.manager(namespace)
    connector.sees('Enabled')
    return connector


@pytest.fixture
def connector(shared: Connector) -> Connector:
    """A connector at rest: unplugged, without faults, enabled, not reserved, without limits."""
    shared.to_rest()
    return shared
