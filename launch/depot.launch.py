"""
A whole site: the ``depot`` executable with a site file, started again when it has failed.

``depot`` starts and supervises the nodes of the site that belong to this machine, several connectors in
each process; launch supervises ``depot``.  With ``rviz:=true`` the bays of the site are shown in RViz.
"""

import socket

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from evse_manager.depot.site_file import SiteFileError, load_site

PACKAGE = 'evse_manager'
RESPAWN_DELAY_S = 2.0


def views(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Start the markers of the site and RViz, where they are wanted."""
    if LaunchConfiguration('rviz').perform(context) != 'true':
        return []
    file = LaunchConfiguration('site_file').perform(context)
    try:
        site = load_site(file)
    except SiteFileError:
        return [LogInfo(msg='RViz is not started: the site file has mistakes, depot names them.')]
    namespace = site.namespace.rstrip('/')
    markers = Node(
        package=PACKAGE,
        executable='site_markers',
        namespace=site.namespace,
        parameters=[{'site_file': file}],
        output='both',
        respawn=True,
        respawn_delay=RESPAWN_DELAY_S,
    )
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError:  # launch would end everything, the depot included
        text = f'RViz is not installed here; start it elsewhere for {namespace}/markers (docs/views.md).'
        return [markers, LogInfo(msg=text)]
    return [
        markers,
        Node(
            package='rviz2',
            executable='rviz2',
            name='rviz2',
            arguments=[
                '-d',
                PathJoinSubstitution([FindPackageShare(PACKAGE), 'rviz', 'site.rviz']),
                '-f',
                site.frame,
            ],
            remappings=[('/depot/markers', f'{namespace}/markers')],
        ),
    ]


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
            DeclareLaunchArgument(
                'rviz',
                default_value='false',
                choices=['true', 'false'],
                description='Show the bays of the site in RViz.',
            ),
            OpaqueFunction(function=views),
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
