"""The file of a site's run-time limits."""

import os
import stat
from pathlib import Path

from evse_manager.energy.limits import LimitStep, RunTimeLimit
from evse_manager.store.site_limits_file import load_site_limits, save_site_limits, site_limits_location

LIMITS = [RunTimeLimit('grid', 'operator', 3, (LimitStep(limit_a=20.0),))]


def test_the_file_lies_under_ros_home_by_namespace() -> None:
    found = site_limits_location('auto', '/depot/north', {'ROS_HOME': '/var/ros'})
    assert found == Path('/var/ros/evse_manager/depot.north.limits.json')
    assert site_limits_location('', '/depot') is None
    assert site_limits_location('/tmp/limits.json', '/depot') == Path('/tmp/limits.json')


def test_limits_come_back(tmp_path: Path) -> None:
    path = tmp_path / 'deep' / 'limits.json'
    assert load_site_limits(path) == ([], None)
    save_site_limits(path, LIMITS)
    assert load_site_limits(path) == (LIMITS, None)
    save_site_limits(path, [])
    assert load_site_limits(path) == ([], None)


def test_only_its_owner_may_read_and_change_it(tmp_path: Path) -> None:
    path = tmp_path / 'deep' / 'limits.json'
    before = os.umask(0)
    try:
        save_site_limits(path, LIMITS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / 'limits.json'
    path.write_text('[{"node": ')
    limits, kept = load_site_limits(path)
    assert limits == []
    assert kept is not None
    assert kept.read_text() == '[{"node": '
    assert not path.exists()
