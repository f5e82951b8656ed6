"""
A whole site: the ``depot`` executable with a site file, started again when it has failed.

``depot`` starts and supervises the nodes of the site that belong to this machine, several connectors in
each process; launch supervises ``depot``.
"""

import socket

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

PACKAGE = 'evse_manager'
RESPAWN_DELAY_S = 2.0


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'site_file',
                default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', 'depot_1.yaml']),
                description='The site file (docs/depot.md); config/ has examples.',
            ),
            DeclareLaunchArgument(
                'host',
                default_value=socket.gethostname(),
                description='Which machine of the site file this is.',
            ),
            DeclareLaunchArgument(
                'respawn',
                default_value='true',
                choices=['true', 'false'],
                description=f'Start depot again when it has ended, after {RESPAWN_DELAY_S:g} s.',
            ),
            ExecuteProcess(
                cmd=[
                    ExecutableInPackage(package=PACKAGE, executable='depot'),
                    LaunchConfiguration('site_file'),
                    '--host',
                    LaunchConfiguration('host'),
                ],
                output='both',
                emulate_tty=True,
                respawn=LaunchConfiguration('respawn'),
                respawn_delay=RESPAWN_DELAY_S,
            ),
        ]
    )
