"""
One connector: the manager and the board's driver, in two processes of one namespace.

They are two processes on purpose: when one of them hangs or dies, the other one still opens the contactor.
One that has ended is started again (its port may come later), unless its configuration is wrong.
"""

from collections.abc import Callable

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import FindPackageShare

from evse_manager.board.driver import DRIVERS

PACKAGE = 'evse_manager'
RESPAWN_DELAY_S = 2.0
CONFIGURATION_ERROR = 2
"""Exit code of a node whose parameters are wrong: starting it again would change nothing."""


def kept_running(make: Callable[[], Node], respawn: bool) -> list[LaunchDescriptionEntity]:
    """Start a node, and start it again when it has ended for another reason than its parameters."""
    node = make()
    if not respawn:
        return [node]

    def ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        if event.returncode == CONFIGURATION_ERROR:
            return [LogInfo(msg=f'{event.process_name}: the configuration is wrong; not started again.')]
        return [TimerAction(period=RESPAWN_DELAY_S, actions=kept_running(make, respawn))]

    return [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ended))]


def connector(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    def given(**kinds: type) -> dict[str, object]:
        """Return those arguments that are not empty; the others are as in params_file."""
        values = {name: LaunchConfiguration(name).perform(context) for name in kinds}
        return {name: kinds[name](value) for name, value in values.items() if value}

    def node(executable: str, parameters: dict[str, object]) -> Node:
        simulated = LaunchConfiguration('use_sim_time').perform(context).lower() == 'true'
        return Node(
            package=PACKAGE,
            executable=executable,
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                ParameterFile(LaunchConfiguration('params_file'), allow_substs=True),
                {'use_sim_time': simulated, **parameters},
            ],
            output='both',
            emulate_tty=True,
        )

    # The simulated board has no port: the parameter exists only where a driver declares it.
    board = given(driver=str, port=str, meter=str, meter_port=str)
    identity = given(connector_id=int, evse_id=str, max_current_import_a=float)
    respawn = LaunchConfiguration('respawn').perform(context) == 'true'
    return [
        *kept_running(lambda: node('evse_manager', identity), respawn),
        *kept_running(lambda: node('board_support', board), respawn),
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
                'connector_id',
                default_value='',
                description='Number of the connector; empty = as in params_file.',
            ),
            DeclareLaunchArgument(
                'evse_id',
                default_value='',
                description='EVSE id of the connector; empty = as in params_file.',
            ),
            DeclareLaunchArgument(
                'max_current_import_a',
                default_value='',
                description="The installation's limit in A per phase; empty = as in params_file.",
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
                choices=['true', 'false', 'True', 'False'],
                description='Take the time from /clock; the nodes wait for its first message.',
            ),
            DeclareLaunchArgument(
                'respawn',
                default_value='true',
                choices=['true', 'false'],
                description=f'Start a node that has ended again, after {RESPAWN_DELAY_S:g} s.',
            ),
            OpaqueFunction(function=connector),
        ]
    )
