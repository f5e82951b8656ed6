"""The version of the package, as installed."""

import functools
import re
from pathlib import Path

from ament_index_python.packages import get_package_share_directory


@functools.cache
def package_version() -> str:
    """Return the version that the installed package.xml declares."""
    manifest = (Path(get_package_share_directory('evse_manager')) / 'package.xml').read_text()
    found = re.search(r'<version>([^<]+)</version>', manifest)
    return found[1] if found else 'of unknown version'
