"""
The executable ``evse_virtual_board``: a virtual board, and with ``--ros-args`` the services to play with it.

The services are those of the simulated board, in the namespace of the connector whose driver uses the port.
"""

import math
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from evse_manager.nodes import middleware
from evse_manager.nodes.exit_limit import LEAVING_S, ExitLimit
from evse_manager.simulation.faults import SimulationError
from evse_manager.simulation.virtual import main as virtual
from evse_manager.simulation.virtual.host import VirtualBoardHost

NODE = 'virtual_board'
SPIN_S = 0.2
NO_REPLUG = 'This board does not replug by itself; unplug and plug in instead.'


def main(args: Sequence[str] | None = None) -> int:
    """Run a virtual board; return the exit code."""
    arguments = list(sys.argv[1:] if args is None else args)
    if '--ros-args' not in arguments:
        return virtual.main(arguments)
    start = arguments.index('--ros-args')
    # Without services the board runs where no ROS 2 is installed.
    import rclpy  # noqa: PLC0415
    from rclpy.signals import SignalHandlerOptions  # noqa: PLC0415

    middleware.configure()
    try:
        rclpy.init(args=arguments[start:], signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # noqa: BLE001 - rclpy raises many unrelated classes for wrong arguments
        print(f'evse_virtual_board: {str(error).strip().splitlines()[0]}', file=sys.stderr)
        return 2
    return virtual.main(arguments[:start], offer_services)


def offer_services(host: VirtualBoardHost) -> Callable[[], None]:
    """Offer ``simulation/*`` from a thread of its own; return what ends it."""
    import rclpy  # noqa: PLC0415
    from rclpy.node import Node  # noqa: PLC0415

    from evse_manager.interface.endpoints import SIMULATION_SERVICES  # noqa: PLC0415
    from evse_manager.nodes.runtime import new_executor  # noqa: PLC0415
    from evse_manager.nodes.services import create_service  # noqa: PLC0415

    node = Node(NODE)
    for service in SIMULATION_SERVICES:
        create_service(node, service, _handler(host, service.name.removeprefix('simulation/')))
    executor = new_executor()
    executor.add_node(node)
    ending = threading.Event()

    def spin() -> None:
        while not ending.is_set():
            executor.spin_once(timeout_sec=SPIN_S)

    thread = threading.Thread(target=spin, name='services', daemon=True)
    thread.start()

    def end() -> None:
        ending.set()
        thread.join()
        with ExitLimit(LEAVING_S, 0):
            executor.shutdown()
            node.destroy_node()
            rclpy.try_shutdown()

    return end


def _handler(host: VirtualBoardHost, name: str) -> Callable[[Any, Any], None]:
    def handle(request: Any, reply: Any) -> None:
        try:
            host.execute(_command(name, request))
        except SimulationError as error:
            reply.response.success, reply.response.message = False, str(error)
        else:
            reply.response.success = True
        reply.give()

    return handle


def _command(name: str, request: Any) -> str:
    """Return the command that a service stands for; a fault's arguments follow its name."""
    match name:
        case 'plug_in':
            values = ('max_current_a', 'phases', 'soc_percent', 'battery_capacity_wh')
            given = {each: getattr(request, each) for each in values}
            changes = [f'{each}={value}' for each, value in given.items() if value and not math.isnan(value)]
            return ' '.join((name, request.profile, *changes))
        case 'set_proximity':
            return f'{name} {request.ampacity_a}'
        case 'inject_fault':
            return f'inject {request.fault}'
        case 'clear_fault':
            return f'clear {request.fault}'
        case 'replug':
            raise SimulationError(NO_REPLUG)
    return name
