"""One connector of real processes for each file of tests, and a probe on the graph."""

from process_fixtures import *  # noqa: F403 - fixtures are found by their names
