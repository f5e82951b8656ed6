"""
A simulated connector goes through a whole session, as ``make demo DRIVER=…`` shows it; launch ends with it.

``evse_demo`` starts the nodes of its connector itself, as separate processes, and ends them.  When it fails,
so does ``ros2 launch``.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage

from evse_manager.board.driver import DRIVERS


def is_over(event: ProcessExited, context: LaunchContext) -> Shutdown:
    """End launch; an exception is what makes its exit code 1."""
    if event.returncode != 0 and not context.is_shutdown:
        raise RuntimeError(f'the demonstration failed with exit code {event.returncode}; it says why above.')
    return Shutdown(reason='the demonstration is over')


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'namespace', default_value='evse_1', description='Namespace of the connector.'
            ),
            DeclareLaunchArgument(
                'driver',
                default_value='simulated',
                choices=sorted(DRIVERS),
                description='The board of the demonstration.',
            ),
            DeclareLaunchArgument(
                'domain_id',
                default_value=EnvironmentVariable('ROS_DOMAIN_ID', default_value='0'),
                description='ROS domain of the demonstration; by default the one of this terminal.',
            ),
            ExecuteProcess(
                cmd=[
                    ExecutableInPackage(package='evse_manager', executable='evse_demo'),
                    '--namespace',
                    LaunchConfiguration('namespace'),
                    '--driver',
                    LaunchConfiguration('driver'),
                    '--domain-id',
                    LaunchConfiguration('domain_id'),
                ],
                output='screen',
                on_exit=is_over,
            ),
        ]
    )
