"""The ROS shell: one thin node per role, and what they share (names, QoS, parameters, conversions)."""
