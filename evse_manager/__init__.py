"""
Charging manager for electric vehicle supply equipment on ROS 2.

The generated interfaces (``evse_manager.msg``, ``evse_manager.srv``) are installed into the package of the
same name. In a checkout they are not there: the search path is extended over every place that has a part of
the package, so that a Python started in the checkout finds the built interfaces too. Nothing else belongs
here.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
