"""The versions of the package and of the ROS 2 that it runs on."""

import os
import re
from importlib.metadata import distributions

from evse_manager.nodes.version import package_version


def versions() -> str:
    """Return the version of the package, and of the distribution of ROS 2 where it can be found out."""
    version = package_version()
    distribution = os.environ.get('ROS_DISTRO') or distribution_of_wheels()
    return f'{version} (ROS 2 {distribution})' if distribution else version


def distribution_of_wheels() -> str:
    """Return the distribution whose rclpy is installed as a wheel, or nothing."""
    names = (each.metadata['Name'] or '' for each in distributions())
    found = (re.fullmatch(r'ros-([a-z]+)-rclpy', name) for name in names)
    return next((match[1] for match in found if match), '')
