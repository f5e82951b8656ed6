"""
One connector: the manager and the board's driver, in two processes of one namespace.

They are two processes on purpose: when one of them hangs or dies, the other one still opens the contactor.
One that has ended is started again, also for want of a port that the system brings later.
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare

from evse_manager.board.driver import DRIVERS
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

PACKAGE = 'evse_manager'
RESPAWN_DELAY_S = 2.0
PROCESS = {
    'output': 'both',
    'emulate_tty': True,
    'respawn': LaunchConfiguration('respawn'),
    'respawn_delay': RESPAWN_DELAY_S,
}


def board_support(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    board = {'driver': LaunchConfiguration('driver'), 'use_sim_time': LaunchConfiguration('use_sim_time')}
    # The simulated board has no port: the parameter exists only where a driver declares it.
    if LaunchConfiguration('port').perform(context):
        board['port'] = LaunchConfiguration('port')
    for name in ('meter', 'meter_port'):
        if LaunchConfiguration(name).perform(context):
            board[name] = LaunchConfiguration(name)
    return [
        Node(
            package=PACKAGE,
            executable='board_support',
            namespace=LaunchConfiguration('namespace'),
            parameters=[ParameterFile(LaunchConfiguration('params_file'), allow_substs=True), board],
            **PROCESS,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'namespace',
                default_value='evse_1',
                description='Namespace of the connector, one per connector.',
            ),
            DeclareLaunchArgument(
                'driver',
                default_value='simulated',
                choices=sorted(DRIVERS),
                description='The board that switches this connector.',
            ),
            DeclareLaunchArgument(
                'port',
                default_value='',
                description='Serial port of the board, best by id: /dev/serial/by-id/…; empty = none.',
            ),
            DeclareLaunchArgument(
                'meter',
                default_value='',
                choices=['', 'none', 'sdm630'],
                description='Billing meter beside the board; empty = as in params_file.',
            ),
            DeclareLaunchArgument(
                'meter_port',
                default_value='',
                description="Serial port of the meter; empty = as in params_file, or the board's own line.",
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', 'evse.yaml']),
                description='YAML file with the parameters of both nodes.',
            ),
            DeclareLaunchArgument(
                'use_sim_time',
                default_value='false',
                choices=['true', 'false'],
                description='Take the time from /clock; the nodes wait for its first message.',
            ),
            DeclareLaunchArgument(
                'respawn',
                default_value='true',
                choices=['true', 'false'],
                description=f'Start a node that has ended again, after {RESPAWN_DELAY_S:g} s.',
            ),
            Node(
                package=PACKAGE,
                executable='evse_manager',
                namespace=LaunchConfiguration('namespace'),
                parameters=[
                    ParameterFile(LaunchConfiguration('params_file'), allow_substs=True),
                    {'use_sim_time': LaunchConfiguration('use_sim_time')},
                ],
                **PROCESS,
            ),
            OpaqueFunction(function=board_support),
        ]
    )
