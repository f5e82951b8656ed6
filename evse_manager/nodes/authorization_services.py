"""The services of the authorization node: requests become inputs of the rules, answers come later."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.node import Node

from evse_manager.authorization.events import (
    CancelRequested,
    Input,
    ReserveRequested,
    ValidationAnswer,
    WithdrawRequested,
)
from evse_manager.interface import endpoints
from evse_manager.interface.enums import ReservationStatus
from evse_manager.interface.types import Duration, Time
from evse_manager.nodes.authorization_config import absolute
from evse_manager.nodes.conversions import ConversionError, request_to_command
from evse_manager.nodes.runtime import Guard
from evse_manager.nodes.services import DeferredReply, create_service


@dataclass(frozen=True, slots=True)
class ReserveConnector:
    """The request of ``reserve``."""

    reservation_id: int
    id_token: str
    parent_id_token: str
    connector: str
    expiry_time: Time | None
    duration: Duration


@dataclass(frozen=True, slots=True)
class CancelConnectorReservation:
    """The request of ``cancel_reservation``."""

    reservation_id: int


@dataclass(frozen=True, slots=True)
class WithdrawToken:
    """The request of ``withdraw_token``."""

    id_token: str
    connector: str


class AuthorizationServices:
    """The services of one site."""

    def __init__(
        self, node: Node, guard: Guard, wall: Callable[[], Time], happened: Callable[[Input], None]
    ) -> None:
        """Offer the services; ``wall`` is the clock of reservations, ``happened`` takes the requests."""
        self._namespace: str = node.get_namespace()
        self._guard = guard
        self._wall = wall
        self._happened = happened
        self._replies: dict[int, DeferredReply] = {}
        self._tickets = itertools.count(1)
        handlers = {
            'reserve': self._on_reserve,
            'cancel_reservation': self._on_cancel,
            'withdraw_token': self._on_withdraw,
        }
        for service in endpoints.AUTHORIZATION_SERVICES:
            handle = partial(self._on_request, service.name, handlers[service.name])
            create_service(node, service, handle)

    def answer(self, answer: ValidationAnswer) -> None:
        """Send an answer to the caller that waits for it."""
        reply = self._replies.pop(answer.ticket, None)
        if reply is None:
            return
        response = reply.response
        response.success, response.message = answer.success, answer.message
        if hasattr(response, 'reservation_id'):  # that of reserve
            response.status = int(answer.result)
            response.reservation_id = answer.reservation_id
        reply.give()

    def close(self, reason: str) -> None:
        """Answer whoever waits."""
        for reply in self._replies.values():
            reply.response.message = reason
            reply.give()
        self._replies.clear()

    def _on_request(
        self, name: str, handle: Callable[[Any, DeferredReply], None], request: Any, reply: DeferredReply
    ) -> None:
        try:
            handle(request, reply)
        except ConversionError as error:
            reply.response.message = f'{name} refused: {error.path or "a value"} must be {error.allowed}.'
            reply.give()
        except Exception as error:  # noqa: BLE001 - an entry point: the caller gets an answer
            self._guard.failed(name, error)
            reply.response.message = f'{name} refused: the node failed; see its log.'
            reply.give()

    def _on_reserve(self, request: Any, reply: DeferredReply) -> None:
        asked = request_to_command(request, ReserveConnector)
        expiry = asked.expiry_time or Time(0)
        if not asked.expiry_time and asked.duration > 0.0:
            expiry = Time(self._wall() + round(asked.duration * 1e9))
        if not expiry:
            reply.response.status = int(ReservationStatus.REJECTED)
            reply.response.message = 'reserve refused: give a duration or an expiry_time.'
            reply.give()
            return
        ticket, connector = self._keep(reply), self._absolute(asked.connector)
        self._happened(
            ReserveRequested(
                ticket, asked.reservation_id, asked.id_token, asked.parent_id_token, connector, expiry
            )
        )

    def _on_cancel(self, request: Any, reply: DeferredReply) -> None:
        asked = request_to_command(request, CancelConnectorReservation)
        self._happened(CancelRequested(self._keep(reply), asked.reservation_id))

    def _on_withdraw(self, request: Any, reply: DeferredReply) -> None:
        asked = request_to_command(request, WithdrawToken)
        connector = self._absolute(asked.connector)
        self._happened(WithdrawRequested(self._keep(reply), asked.id_token, connector))

    def _absolute(self, connector: str) -> str:
        return absolute(connector, self._namespace) if connector else ''

    def _keep(self, reply: DeferredReply) -> int:
        ticket = next(self._tickets)
        self._replies[ticket] = reply
        return ticket
