"""The services that play with the simulated world, for drivers that have it behind them."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.node import Node

from evse_manager.board.loop import BoardLoop
from evse_manager.interface.clocks import ClockReadings
from evse_manager.interface.endpoints import SIMULATION_SERVICES
from evse_manager.nodes.services import DeferredReply, create_service
from evse_manager.simulation.faults import SimulationError
from evse_manager.simulation.profiles import EvProfile
from evse_manager.simulation.world import World, profile_named

Act = Callable[[ClockReadings], None]


def offer_simulation(node: Node, loop: BoardLoop, simulate: Callable[[Act], None]) -> None:
    """Offer the services of ``names.SIMULATION_SERVICES``; nothing with a driver that has no world."""
    world: World | None = getattr(loop.driver, 'world', None)
    if world is None:
        return
    actions: dict[str, Callable[[Any], Act]] = {
        'simulation/plug_in': lambda request: lambda _: _plug_in(world, request),
        'simulation/unplug': lambda _: lambda _: world.unplug(),
        'simulation/ev_pause': lambda _: lambda _: world.ev_pause(),
        'simulation/ev_resume': lambda _: lambda _: world.ev_resume(),
        'simulation/replug': lambda _: lambda now: _replug(world, loop, now),
        'simulation/set_proximity': lambda request: lambda _: world.set_proximity(request.ampacity_a),
        'simulation/inject_fault': lambda request: lambda _: world.inject(request.fault),
        'simulation/clear_fault': lambda request: lambda _: world.clear(request.fault),
    }
    for service in SIMULATION_SERVICES:
        create_service(node, service, _handler(actions[service.name], simulate, node))


def _handler(
    action: Callable[[Any], Act], simulate: Callable[[Act], None], node: Node
) -> Callable[[Any, DeferredReply], None]:
    def handle(request: Any, reply: DeferredReply) -> None:
        try:
            simulate(action(request))
        except SimulationError as error:
            reply.response.success, reply.response.message = False, str(error)
        except Exception as error:  # noqa: BLE001 - an entry point: the caller gets an answer
            node.get_logger().error(f'A service of the simulation failed: {error!r}')
            reply.response.success, reply.response.message = False, f'The simulation failed: {error!r}'
        else:
            reply.response.success = True
        reply.give()

    return handle


def _replug(world: World, loop: BoardLoop, now: ClockReadings) -> None:
    """Let the board play an unplug and a plug to the EV, which there has to be."""
    if world.ev is None:
        raise SimulationError('There is no EV to be replugged; plug one in first.')
    loop.replug(now)


def _plug_in(world: World, request: Any) -> None:
    """Plug in the named EV with the values that are given: NaN and 0 stand for the profile's own."""
    profile: EvProfile = profile_named(request.profile or world.settings.ev_profile)
    for name in ('max_current_a', 'phases', 'soc_percent', 'battery_capacity_wh'):
        value = getattr(request, name)
        if value != 0 and not math.isnan(value):
            profile = replace(profile, **{name: value})
    world.plug_in(profile)
