"""
The energy manager of a site: the allocator, wired to the connectors' topics, the meters and the clocks.

Nothing is decided here.  Requests and samples go into the ``SiteAllocator``; its grants go out when
something has changed, and once a second.  A node that fails says nothing: its grants run out, and charging
pauses.
"""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from evse_manager.depot.energy_tree import energy_tree
from evse_manager.depot.site_file import load_site
from evse_manager.energy.allocator import SiteAllocator
from evse_manager.energy.demand import Demand
from evse_manager.energy.limits import RunTimeLimit
from evse_manager.energy.planning import PlanSettings
from evse_manager.energy.report import site_status
from evse_manager.energy.requests import read_request, write_grant
from evse_manager.energy.site_limits import read_site_limit
from evse_manager.energy.standby import Change, Standby
from evse_manager.energy.turns import TurnTimes
from evse_manager.interface import endpoints
from evse_manager.interface.endpoints import Party
from evse_manager.interface.parameters import parameter
from evse_manager.interface.types import (
    EnergyFlowRequest,
    Powermeter,
    SiteLimit,
    SiteStatus,
)
from evse_manager.nodes import diagnostics
from evse_manager.nodes.conversions import ConversionError, from_message, refuse, to_message
from evse_manager.nodes.parameters import ParameterError
from evse_manager.nodes.publishers import Publishers
from evse_manager.nodes.runtime import DeadlineTimer, NodeTime, run
from evse_manager.nodes.services import DeferredReply, create_service
from evse_manager.nodes.site_node import SiteNode
from evse_manager.nodes.topics import publisher, subscribe
from evse_manager.store.site_limits_file import load_site_limits, save_site_limits, site_limits_location

SECOND_S = 1.0
"""Every grant and the status are sent again after this."""

GATHER_S = 0.05
"""Requests that come at nearly the same time are answered together."""

REQUEST, LIMITS = endpoints.topic('energy/request'), endpoints.topic('energy/limits')
STATUS = endpoints.topic('site/status')

Value = TypeVar('Value')


@dataclass(frozen=True, slots=True)
class EnergyManagerConfig:
    """Parameters of the ``energy_manager`` node."""

    site_file: str = parameter('', 'The site file (docs/depot.md).')
    limit_store: str = parameter(
        'auto',
        'File of the limits that are given at run time; auto is a file under ROS_HOME by namespace, empty is '
        'memory only.',
    )
    minimum_on_time_s: float = parameter(
        600.0,
        'How long a car is served at least when not all can be served at once.',
        unit='s',
        minimum=1.0,
        maximum=86400.0,
    )
    minimum_off_time_s: float = parameter(
        60.0,
        'How long a car that lost its grant pauses at least.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )
    phase_switch_time_s: float = parameter(
        600.0,
        'Least time between two changes between one phase and three at one connector.',
        unit='s',
        minimum=10.0,
        maximum=86400.0,
    )

    @property
    def settings(self) -> PlanSettings:
        """The times of the allocator."""
        return PlanSettings(
            TurnTimes(self.minimum_on_time_s, self.minimum_off_time_s), self.phase_switch_time_s
        )


class EnergyManager(SiteNode[EnergyManagerConfig]):
    """The energy manager of one site, a ``runtime.NodeApp``."""

    def __init__(self, **options: Any) -> None:
        """Read the site file and create every endpoint; raises ParameterError."""
        super().__init__(Party.ENERGY.value, EnergyManagerConfig, **options)
        self._time = NodeTime(self.node)
        self._manager_id = f'{self.node.get_fully_qualified_name()} {uuid.uuid4()}'
        if not self._config.site_file:
            raise ParameterError('parameter site_file is empty; give the site file of the depot.')
        try:
            site = load_site(Path(self._config.site_file))
            self._tree = energy_tree(site)
        except ValueError as error:  # a SiteFileError or a TreeError, with every mistake
            raise ParameterError(f'parameter site_file: {error}') from error
        self._namespace = site.namespace.rstrip('/')
        if self.node.get_namespace().rstrip('/') != self._namespace:
            self._log.warning(
                f'The node is in {self.node.get_namespace()}, but its topics and services are in that of the '
                f'site, {site.namespace}.'
            )
        self._store = site_limits_location(self._config.limit_store, self._namespace)
        self._standby: Standby | None = None
        self._allocator: SiteAllocator | None = None
        self._heard_limits: tuple[SiteLimit, ...] | None = None
        self._service: Any = None
        self._warnings: frozenset[str] = frozenset()
        self._stepped = -math.inf
        self._reported = -math.inf
        topics = [replace(STATUS, name=self._own(STATUS.name)), endpoints.SITE_DIAGNOSTICS]
        self._publishers = Publishers(self.node, topics)
        self._limits = [
            publisher(self.node, LIMITS, f'{spec.uuid}/{LIMITS.name}') for spec in self._tree.connectors
        ]
        self._timer = DeadlineTimer(
            self.node, self._guard(self._on_deadline), self._time.seconds, self._time.clock
        )

    def _own(self, name: str) -> str:
        """Return the absolute name of a topic or service of the site."""
        return f'{self._namespace}/{name}'

    # --- life ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Listen to the connectors, the meters and other energy managers."""
        self._standby = Standby(self._manager_id, self._time.seconds())
        for index, spec in enumerate(self._tree.connectors):
            on_request = self._guard(partial(self._on_request, index))
            subscribe(self.node, REQUEST, on_request, f'{spec.uuid}/{REQUEST.name}')
        for fuse in self._tree.fuses:
            if fuse.meter is not None:
                topic = fuse.meter.topic if fuse.meter.topic.startswith('/') else self._own(fuse.meter.topic)
                on_meter = self._guard(partial(self._on_meter, fuse.name))
                subscribe(self.node, endpoints.topic('powermeter'), on_meter, topic)
        subscribe(self.node, STATUS, self._guard(self._on_status), self._own(STATUS.name))
        self._log.info(
            f'Site {self._tree.name}: {len(self._tree.connectors)} connectors under {len(self._tree.fuses)} '
            'fuses; listening for another energy manager.'
        )
        self._arm()

    def end(self) -> None:
        """End; what is granted runs out, unless another energy manager renews it in time."""
        self._timer.arm(None)
        self.finished = True

    # --- in charge or not ------------------------------------------------------------------------------

    def _take_charge(self) -> None:
        stored = self._stored_limits()
        self._allocator = SiteAllocator(
            self._tree, self._manager_id, self._time.seconds(), stored, self._config.settings
        )
        self._service = create_service(
            self.node,
            replace(endpoints.SET_SITE_LIMIT, name=self._own(endpoints.SET_SITE_LIMIT.name)),
            self._guard(self._on_set_limit),
        )
        self._log.info('In charge of the site; what is in force is renewed, increases wait for all reports.')

    def _stand_back(self, other: str) -> None:
        self._allocator = None
        if self._service is not None:
            self.node.destroy_service(self._service)
            self._service = None
        self._log.warning(f'Another energy manager is in charge ({other}); this one stands by.')

    def _stored_limits(self) -> list[RunTimeLimit]:
        """Return the run-time limits of the energy manager that was in charge, else the stored ones."""
        if self._heard_limits is not None:
            limits = [read_site_limit(limit) for limit in self._heard_limits]
            self._save(limits)
            return limits
        if self._store is None:
            return []
        try:
            limits, damaged = load_site_limits(self._store)
        except OSError as error:
            self._log.error(f'The limits given at run time cannot be read, set them again: {error}')
            return []
        if damaged is not None:
            self._log.error(
                f'The file of the limits given at run time was damaged, set them again; it is now {damaged}.'
            )
        return limits

    def _save(self, limits: Sequence[RunTimeLimit]) -> str:
        """Store the limits; return why that failed, or an empty text."""
        if self._store is None:
            return ''
        try:
            save_site_limits(self._store, limits)
        except OSError as error:
            self._log.error(f'The limits given at run time cannot be stored: {error}')
            return f'set, but it cannot be stored and ends with this process: {error}'
        return ''

    # --- what arrives ----------------------------------------------------------------------------------

    def _on_request(self, index: int, message: Any) -> None:
        if self._allocator is None:
            return
        spec = self._tree.connectors[index]
        demand: Demand | str
        try:
            request = from_message(message, EnergyFlowRequest)
            demand = read_request(request, spec, self._tree.nominal_voltage_v)
        except ConversionError as error:
            demand = str(error)
        self._allocator.request(spec.uuid, demand, self._time.seconds())
        if self._allocator.pending or self._allocator.due <= self._time.seconds() + SECOND_S:
            self._arm()

    def _on_meter(self, node: str, message: Any) -> None:
        if self._allocator is None:
            return
        try:
            sample = from_message(message, Powermeter)
        except ConversionError:
            sample = Powermeter()  # counts as a sample without currents
        self._allocator.meter(node, sample, self._time.seconds())

    def _on_status(self, message: Any) -> None:
        standby = self._standby
        if standby is None or message.manager_id == self._manager_id:
            return
        try:
            status = from_message(message, SiteStatus)
        except ConversionError as error:
            self._log.warning(f'A status of another energy manager is ignored: {error}')
            return
        first = standby.other != status.manager_id
        change = standby.hear(status.manager_id, self._time.seconds())
        self._heard_limits = status.limits
        if change is Change.STANDS_BACK or (first and not standby.in_charge):
            self._stand_back(status.manager_id)
        self._arm()

    def _on_set_limit(self, request: Any, reply: DeferredReply) -> None:
        try:
            text = self._set_limit(read_site_limit(from_message(request, SiteLimit)))
        except (ConversionError, ValueError) as error:
            text = str(error)
        if text.startswith('set,') or not text:
            reply.response.success, reply.response.message = True, text
        else:
            refuse(reply.response, text)
        reply.give()
        self._arm()

    def _set_limit(self, limit: RunTimeLimit) -> str:
        if self._allocator is None:
            return 'refused: this energy manager is not in charge.'
        text = self._allocator.set_limit(limit, self._time.wall())
        if text:
            return text
        shown = f'{limit.steps[0]}' if limit.steps else 'none'
        self._log.info(f'Limit of {limit.source} at {limit.node}: {shown}.')
        return self._save(self._allocator.book.all())

    # --- clocks ----------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Wake up when something is due."""
        standby, allocator = self._standby, self._allocator
        if standby is None or self.finished:
            return
        at = standby.next_look()
        if allocator is not None:
            at = self._stepped + SECOND_S
            if allocator.pending:
                at = min(at, self._stepped + GATHER_S)
            at = min(at, max(allocator.due, self._stepped + GATHER_S))
        self._timer.arm(at)

    def _on_deadline(self) -> None:
        steady = self._time.seconds()
        assert self._standby is not None
        if self._standby.look(steady) is Change.TAKES_CHARGE:
            self._take_charge()
        try:
            if self._allocator is not None:
                self._step(self._allocator, steady)
        finally:
            self._arm()

    def _step(self, allocator: SiteAllocator, steady: float) -> None:
        self._stepped = steady
        wall = self._time.wall()
        grants = allocator.step(steady, wall)
        for grant in grants:
            self._limits[grant.index].publish(to_message(write_grant(grant, self._manager_id)))
        if any(grant.changed for grant in grants) or steady - self._reported >= SECOND_S - GATHER_S:
            self._reported = steady
            status = site_status(allocator, steady, wall)
            self._publishers.publish(self._own(STATUS.name), status)
            self._log_warnings(status)
            self._publish_diagnostics(status)

    def _publish_diagnostics(self, status: SiteStatus) -> None:
        topic = endpoints.SITE_DIAGNOSTICS.name
        if self._publishers.listened_to(topic):
            message = diagnostics.array(self._namespace, [diagnostics.site(status)], status.stamp)
            self._publishers.relay(topic, message)

    def _log_warnings(self, status: SiteStatus) -> None:
        found = frozenset(status.warnings)
        for text in status.warnings:
            if text not in self._warnings:
                self._log.warning(text)
        self._warnings = found


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(Party.ENERGY, EnergyManager, args)
