"""Messages check the types of their fields in these tests; they look for the variable once, when imported."""

import os

os.environ.setdefault('ROS_PYTHON_CHECK_FIELDS', '1')
