"""
Parameters from tables: declared with descriptors, checked at start and at every change.

A row of a table is anything with the attributes of ``ParameterRow``; ``rows`` makes them from a dataclass
whose fields carry ``description``, ``unit``, ``minimum``, ``maximum``, ``choices`` and ``read_only`` as
metadata, such as ``Config`` of the kernel.
"""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

T = TypeVar('T')

_KINDS = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text'}
_WIDEST = {int: 2**63 - 1, float: 1.7e308}


class ParameterError(ValueError):
    """A parameter's value is malformed or out of range; the text names it, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter: its type is that of the default; limits are inclusive."""

    name: str
    default: Any
    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] | None = None
    read_only: bool = True

    @property
    def allowed(self) -> str:
        """Return what is allowed, for people: ``a number from 0.0 to 80.0 A``."""
        if self.choices is not None:
            return f'one of: {", ".join(map(str, self.choices))}'
        unit = f' {self.unit}' if self.unit else ''
        low = '' if self.minimum is None else f' from {self.minimum}'
        high = '' if self.maximum is None else f' to {self.maximum}'
        return f'{_KINDS[type(self.default)]}{low}{high}{unit}'

    def check(self, value: Any) -> Any:
        """Return the value, an integer as a double where one is wanted; raises ParameterError."""
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if (
            type(value) is not kind
            or (kind is float and not math.isfinite(value))
            or (self.choices is not None and value not in self.choices)
            or (self.minimum is not None and value < self.minimum)
            or (self.maximum is not None and value > self.maximum)
        ):
            raise ParameterError(f'parameter {self.name} is {value!r}, but must be {self.allowed}.')
        return value

    @property
    def descriptor(self) -> ParameterDescriptor:
        """Return rclpy's description of it."""
        descriptor = ParameterDescriptor(
            name=self.name,
            description=f'{self.description} [{self.unit}]' if self.unit else self.description,
            additional_constraints=self.allowed,
            read_only=self.read_only,
        )
        kind = type(self.default)
        if self.minimum is not None or self.maximum is not None:
            widest = _WIDEST[kind]
            low = kind(-widest if self.minimum is None else self.minimum)
            high = kind(widest if self.maximum is None else self.maximum)
            if kind is int:
                descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
            else:
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=low, to_value=high, step=0.0)
                ]
        return descriptor


def rows(dataclass_type: type) -> tuple[ParameterRow, ...]:
    """Return the table of a dataclass whose fields are parameters."""
    return tuple(
        ParameterRow(name=field.name, default=field.default, **field.metadata)
        for field in fields(dataclass_type)
    )


LIMIT_WORDS = ('max', 'limit', 'current', 'power', 'tolerance', 'temperature', 'failsafe')
"""Parts of the names of parameters that bound what flows."""


class Parameters(Generic[T]):
    """
    The parameters of one node: ``value`` is the result of ``build``, made again at every accepted change.

    ``build`` takes them by name and may refuse a combination with a ``ValueError``, whose text is for people.
    """

    def __init__(self, node: Node, table: Iterable[ParameterRow], build: Callable[..., T]) -> None:
        """Declare the table on a node; raises ParameterError when a start value is not allowed."""
        self._node = node
        self._rows = {row.name: row for row in table}
        self._build = build
        self._changed: Callable[[T], None] | None = None
        overrides = _overrides(node)
        values = {name: row.check(overrides.get(name, row.default)) for name, row in self._rows.items()}
        self.value: T = self._made(values)
        for name, row in self._rows.items():
            node.declare_parameter(name, values[name], row.descriptor, ignore_override=True)
        self._report_unknown(overrides)
        node.add_pre_set_parameters_callback(self._with_doubles)
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    def on_change(self, changed: Callable[[T], None]) -> None:
        """Call ``changed`` with the new value after each accepted change."""
        self._changed = changed

    def _made(self, values: Mapping[str, Any]) -> T:
        try:
            return self._build(**values)
        except ValueError as error:
            raise ParameterError(str(error)) from error

    def _report_unknown(self, overrides: Mapping[str, Any]) -> None:
        """
        Warn of unknown names; raise ParameterError for one that may be a misspelt limit.

        The node would run with the default of the limit, which may be higher than what was wanted.
        """
        for name in sorted(overrides):
            if self._node.has_parameter(name) or name.startswith('qos_overrides.'):
                continue
            close = difflib.get_close_matches(name, self._rows, n=1)
            if any(word in name.lower() for word in LIMIT_WORDS):
                hint = f'; did you mean {close[0]}?' if close else '; correct its name or remove it.'
                raise ParameterError(f'there is no parameter {name:.60}, which seems to name a limit{hint}')
            hint = f'; did you mean {close[0]}?' if close else '.'
            self._node.get_logger().warning(f'There is no parameter {name}; it is ignored{hint}')

    def _with(self, changes: list[Parameter]) -> T:
        values = {name: self._node.get_parameter(name).value for name in self._rows}
        for change in changes:
            if change.name in self._rows:
                values[change.name] = self._rows[change.name].check(change.value)
        return self._made(values)

    def _with_doubles(self, changes: list[Parameter]) -> list[Parameter]:
        return [
            Parameter(change.name, value=float(change.value))
            if change.type_ is Parameter.Type.INTEGER and self._is_double(change.name)
            else change
            for change in changes
        ]

    def _is_double(self, name: str) -> bool:
        return name in self._rows and type(self._rows[name].default) is float

    def _validate(self, changes: list[Parameter]) -> SetParametersResult:
        if any(change.name == 'use_sim_time' for change in changes):
            return SetParametersResult(
                successful=False, reason='use_sim_time counts at start; restart the node.'
            )
        try:
            self._with(changes)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, changes: list[Parameter]) -> None:
        if any(change.name in self._rows for change in changes):
            self.value = self._with([])
            if self._changed is not None:
                self._changed(self.value)


def _overrides(node: Node) -> dict[str, Any]:
    """Return what the command line and files give; rclpy has no public way to ask for the names."""
    given: dict[str, Parameter] = node._parameter_overrides
    return {
        name: parameter.value
        for name, parameter in given.items()
        if parameter.type_ is not Parameter.Type.NOT_SET
    }
