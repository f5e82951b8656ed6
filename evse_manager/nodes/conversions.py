"""
Plain values to messages and back: the only module that builds or reads messages.

It is driven by the type hints of the dataclasses in ``interface/types.py`` and ``charging/inputs.py``; each
class has a message, or a service request, of the same name with the same fields.  Generated messages do not
check their fields at run time (an ``int`` in a float field arrives as garbage), so every field is checked and
coerced here.

====================  ================================  ====================================================
Python                message                           absent
====================  ================================  ====================================================
``float``             ``float64``                       never; NaN and infinity are refused
``float | None``      ``float64``                       NaN; infinity is refused
same, ``minus_one``   ``float64``                       exactly -1; NaN and infinity are refused
``int``               ``int32``, ``uint8``, ``uint64``  never; what does not fit is refused
``bool``              ``bool``                          never
``str``               ``string``                        the empty string is a value like any other
``IntEnum``           ``uint8``                         never; unknown numbers are refused
``Time | None``       ``Time``                          zero; negative times are refused
``Duration``          ``Duration``                      never; negative durations are refused
``X | None``          ``X[<=1]``                        empty
``tuple[X, ...]``     ``X[]``, ``X[<=n]``               the empty sequence is a value like any other
====================  ================================  ====================================================

Python values hold no NaN: unknown is ``None``.  Nothing is converted by halves: a value comes out whole, or
``ConversionError`` names the field, the value and what is allowed.
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, TypeVar, get_args, get_origin, get_type_hints

import builtin_interfaces.msg

import evse_manager.msg
import evse_manager.srv
from evse_manager.charging.battery_state import BatteryState
from evse_manager.interface.enums import SwitchThreePhasesWhileChargingResult
from evse_manager.interface.record_requests import RecordPage
from evse_manager.interface.types import SECOND_NS, Duration, SessionRecord, Time

Value = TypeVar('Value')
Convert = Callable[[Any], Any]

SECONDS_MAX = 2**31 - 1
"""The last second of ``builtin_interfaces/Time`` and ``Duration``."""
TIME_END = (SECONDS_MAX + 1) * SECOND_NS
"""The first nanosecond after the last ``Time``: on 19 January 2038."""

_INTEGER_RANGES = {'uint8': (0, 2**8 - 1), 'int32': (-(2**31), 2**31 - 1), 'uint64': (0, 2**64 - 1)}

_UNSENDABLE = re.compile('[\0\ud800-\udfff]')
"""Characters that a ROS string can't carry: its end mark, and halves of UTF-16 pairs."""


class ConversionError(ValueError):
    """
    A field's value can't be converted; the text is one sentence for people.

    ``path`` is the field (``value.schedule_import[0].timestamp``), ``value`` what stood there,
    and ``allowed`` what may stand there.
    """

    def __init__(self, value: object, allowed: str, path: str = '') -> None:
        self.value = value
        self.allowed = allowed
        self.path = path
        super().__init__(value, allowed, path)

    def inside(self, part: str) -> 'ConversionError':
        """Return this error as seen from one level further up: from the owner of the field ``part``."""
        separator = '' if not self.path or self.path.startswith('[') else '.'
        return ConversionError(self.value, self.allowed, f'{part}{separator}{self.path}')

    def __str__(self) -> str:
        shown = self.value if isinstance(self.value, _Shown) else repr(self.value)
        if len(shown) > 80:
            shown = f'{shown[:77]}...'
        return f'{self.path or "The value"} is {shown}, but must be {self.allowed}.'


class _Shown(str):
    """A value in words, shown without quotation marks."""

    __slots__ = ()


class CommandOutcome(Protocol):
    """The answer to a command, as the kernel gives it."""

    @property
    def success(self) -> bool:
        """Whether the command was accepted."""

    @property
    def message(self) -> str:
        """One sentence for people; empty on plain success."""

    @property
    def result(self) -> SwitchThreePhasesWhileChargingResult:
        """Outcome of ``switch_three_phases_while_charging``; UNSPECIFIED for all other commands."""


# --- the surface --------------------------------------------------------------------------------------


def message_class(cls: type) -> Any:
    """Return the message (for a command: the service's request) of the same name as the dataclass ``cls``."""
    found = getattr(evse_manager.msg, cls.__name__, None)
    if found is None:
        service = getattr(evse_manager.srv, cls.__name__, None)
        if service is None:
            raise TypeError(f'{cls.__name__} has neither a message nor a service of its name.')
        found = service.Request
    return found


def to_message(value: Any) -> Any:
    """
    Return the message of a dataclass instance (for a command: the service's request).

    Raises ConversionError when a field holds what its type does not allow.
    """
    cls = type(value)
    return _plan(cls, message_class(cls)).encode(value)


def from_message(message: Any, cls: type[Value]) -> Value:
    """
    Return the ``cls`` that a message, or a service's request, stands for.

    Raises ConversionError when a field's number is not finite, an enumeration is unknown, or a time makes no
    sense.
    """
    value: Value = _plan(cls, type(message)).decode(message)
    return value


def request_to_command(request: Any, cls: type[Value]) -> Value:
    """Return the command that a service's request asks for; raises as ``from_message`` does."""
    return from_message(request, cls)


def answer_to_response(answer: CommandOutcome, response: Any) -> Any:
    """Fill in and return a service's response: what it has of ``success``, ``result`` and ``message``."""
    response.message = _text(answer.message)
    if hasattr(response, 'success'):
        response.success = bool(answer.success)
    if hasattr(response, 'result'):
        result = answer.result
        if answer.success and result is SwitchThreePhasesWhileChargingResult.UNSPECIFIED:
            result = SwitchThreePhasesWhileChargingResult.SUCCESS
        response.result = int(result)
    return response


def records_to_response(page: RecordPage, response: Any, pause: Callable[[], object] | None = None) -> Any:
    """
    Fill in and return the response of ``records/list`` or ``records/get`` with one page.

    ``pause`` is called after each record: where another thread must not wait for the whole page.
    """
    messages = []
    for record in page.records:
        messages.append(to_message(record))
        if pause is not None:
            pause()
    if hasattr(response, 'records'):
        response.records = messages
    else:
        response.record = messages[:1]
    response.next_page = _text(page.next_page)
    response.success = True
    return response


def records_from_response(response: Any) -> RecordPage:
    """Return the page that a response of ``records/list`` or ``records/get`` carries."""
    messages = response.records if hasattr(response, 'records') else response.record
    return RecordPage(
        tuple(from_message(message, SessionRecord) for message in messages), str(response.next_page)
    )


def refuse(response: Any, sentence: str) -> Any:
    """Fill in and return a service's response that refuses, and says why; a result stays UNSPECIFIED."""
    response.message = _text(sentence)
    if hasattr(response, 'success'):
        response.success = False
    return response


def time_to_message(time: Time | None) -> Any:
    """Return ``builtin_interfaces/Time``; ``None`` is zero."""
    if time is None:
        return builtin_interfaces.msg.Time()
    value = _integer(time)
    if not 0 <= value < TIME_END:
        raise ConversionError(value, 'a time from 1970 to January 2038, in nanoseconds')
    message = _blank_time()
    message.sec, message.nanosec = divmod(value, SECOND_NS)
    return message


def time_from_message(message: Any) -> Time | None:
    """Return the nanoseconds since 1970 of ``builtin_interfaces/Time``; zero is ``None``."""
    return Time(_nanoseconds(message, 'time')) or None


def duration_to_message(duration: Duration) -> Any:
    """Return ``builtin_interfaces/Duration`` of a duration in seconds."""
    seconds = _finite(duration)
    if not 0.0 <= seconds < SECONDS_MAX:
        raise ConversionError(seconds, f'a duration from 0 to {SECONDS_MAX} s')
    message = _blank_duration()
    message.sec, message.nanosec = divmod(round(seconds * SECOND_NS), SECOND_NS)
    return message


def duration_from_message(message: Any) -> Duration:
    """Return the seconds of ``builtin_interfaces/Duration``."""
    return Duration(_nanoseconds(message, 'duration') / SECOND_NS)


def battery_to_message(battery: BatteryState, stamp: Time | None) -> Any:
    """Return ``sensor_msgs/BatteryState``; what a charger does not know is NaN."""
    from sensor_msgs.msg import BatteryState as Message  # noqa: PLC0415  needed by one topic only

    message = Message()
    message.header.stamp = time_to_message(stamp)
    message.voltage = _number_or_nan(battery.voltage_v)
    message.temperature = math.nan
    message.current = _number_or_nan(battery.current_a)
    message.charge = message.capacity = message.design_capacity = math.nan
    message.percentage = _number_or_nan(battery.percentage)
    message.power_supply_status = int(battery.power_supply_status)
    message.present = bool(battery.present)
    return message


def bool_to_message(value: bool) -> Any:
    """Return ``std_msgs/Bool``."""
    from std_msgs.msg import Bool  # noqa: PLC0415  needed by two topics only

    return Bool(data=_boolean(value))


# --- single values ------------------------------------------------------------------------------------


def _nanoseconds(message: Any, what: str) -> int:
    seconds, nanoseconds = message.sec, message.nanosec
    if seconds < 0 or not 0 <= nanoseconds < SECOND_NS:
        shown = _Shown(f'{seconds} s and {nanoseconds} ns')
        raise ConversionError(shown, f'a {what} of at least zero with less than {SECOND_NS} ns')
    return int(seconds) * SECOND_NS + int(nanoseconds)


def _finite(value: Any) -> float:
    if type(value) is not float:
        if isinstance(value, bool | str | bytes):
            raise ConversionError(value, 'a number')
        try:
            value = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ConversionError(value, 'a number') from None
    if not math.isfinite(value):
        raise ConversionError(value, 'a finite number')
    return value  # type: ignore[no-any-return]


def _number_or_nan(value: Any) -> float:
    return math.nan if value is None else _finite(value)


def _number_unless_nan(value: Any) -> float | None:
    return None if type(value) is float and math.isnan(value) else _finite(value)


def _number_or_minus_one(value: Any) -> float:
    if value is None:
        return -1.0
    number = _finite(value)
    # Exactly -1 would read "not given", a limit turned into none: the neighbour says the same to any meter.
    return math.nextafter(-1.0, 0.0) if number == -1.0 else number


def _number_unless_minus_one(value: Any) -> float | None:
    try:
        number = _finite(value)
    except ConversionError as error:
        raise ConversionError(value, f'{error.allowed} (-1 = not given)') from None
    return None if number == -1.0 else number


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, bool):
        raise ConversionError(value, 'an integer')
    try:
        return operator.index(value)
    except TypeError:
        raise ConversionError(value, 'an integer') from None


def _integer_within(low: int, high: int) -> Convert:
    def convert(value: Any) -> int:
        number = _integer(value)
        if not low <= number <= high:
            raise ConversionError(number, f'an integer in {low} to {high}')
        return number

    return convert


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ConversionError(value, 'true or false')


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ConversionError(value, 'a text')
    return value


def _text(value: Any) -> str:
    # A text that can't travel as it is (a board's garbage) must not stop the rest of its message.
    return _UNSENDABLE.sub('\N{REPLACEMENT CHARACTER}', _string(value))


def _member_to_number(cls: type[IntEnum]) -> Convert:
    def convert(value: Any) -> int:
        if type(value) is not cls:
            raise ConversionError(value, f'a {cls.__name__}')
        return int(value)

    return convert


def _number_to_member(cls: type[IntEnum]) -> Convert:
    members = {member.value: member for member in cls}

    def convert(value: Any) -> IntEnum:
        member = None if isinstance(value, bool) else members.get(value)
        if member is None:
            known = ', '.join(f'{member.value} ({member.name})' for member in cls)
            raise ConversionError(value, f'one of: {known}')
        return member

    return convert


# --- compiled plans -----------------------------------------------------------------------------------


class _Codec(NamedTuple):
    """How one field goes into its message and comes out again."""

    encode: Convert
    decode: Convert


def _blank(message: Any) -> Callable[[], Any]:
    """
    Return a maker of messages of this type whose fields are all still to be set.

    The constructor would fill each field with a default first, sub-messages included; skipping it halves the
    time of a conversion, which stands in the way of every reaction of the charger.
    """
    create, checked = message.__new__, message()._check_fields

    def blank() -> Any:
        made = create(message)
        made._check_fields = checked
        return made

    return blank


_blank_time = _blank(builtin_interfaces.msg.Time)
_blank_duration = _blank(builtin_interfaces.msg.Duration)


class _Plan:
    """How one dataclass becomes one message and back; built once, from type hints and the message's types."""

    def __init__(self, cls: type, message: Any) -> None:
        self._cls = cls
        self._blank = _blank(message)
        wire = dict(message.get_fields_and_field_types())
        specs = fields(cls)
        if [spec.name for spec in specs] != list(wire):
            raise TypeError(f'The fields of {cls.__name__} are not those of {message.__name__}.')
        hints = get_type_hints(cls)
        codecs = {
            spec.name: _codec(hints[spec.name], wire[spec.name], absent=spec.metadata.get('absent'))
            for spec in specs
        }
        self._encode = tuple((name, codec.encode) for name, codec in codecs.items())
        self._decode = tuple((name, codec.decode) for name, codec in codecs.items())

    def encode(self, value: Any) -> Any:
        """Return the message of ``value``."""
        if type(value) is not self._cls:
            raise ConversionError(value, f'a {self._cls.__name__}')
        message = self._blank()
        name = ''
        try:
            for name, encode in self._encode:
                setattr(message, name, encode(getattr(value, name)))
        except ConversionError as error:
            raise error.inside(name) from None
        return message

    def decode(self, message: Any) -> Any:
        """Return the value of ``message``."""
        values = []
        name = ''
        try:
            for name, decode in self._decode:
                values.append(decode(getattr(message, name)))
        except ConversionError as error:
            raise error.inside(name) from None
        return self._cls(*values)


_plans: dict[tuple[type, Any], _Plan] = {}


def _plan(cls: type, message: Any) -> _Plan:
    plan = _plans.get((cls, message))
    if plan is None:
        plan = _plans[cls, message] = _Plan(cls, message)
    return plan


def _codec(hint: Any, wire: str, absent: float | None) -> _Codec:
    """Return the codec of a field with this type hint and this type on the wire (``sequence<int32, 1>``)."""
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        item, length = _sequence(wire)
        return _tuple_codec(_codec(arguments[0], item, None), length)
    if type(None) in arguments:
        (inner,) = (argument for argument in arguments if argument is not type(None))
        if inner is Time:
            return _Codec(time_to_message, time_from_message)
        if inner is float:
            if absent is not None:
                return _Codec(_number_or_minus_one, _number_unless_minus_one)
            return _Codec(_number_or_nan, _number_unless_nan)
        item, _ = _sequence(wire)
        return _optional_codec(_codec(inner, item, None))
    return _plain_codec(hint, wire)


def _plain_codec(hint: Any, wire: str) -> _Codec:
    if hint is float:
        return _Codec(_finite, _finite)
    if hint is Duration:
        return _Codec(duration_to_message, duration_from_message)
    if hint is bool:
        return _Codec(_boolean, _boolean)
    if hint is str:
        return _Codec(_text, _string)
    if hint is int:
        within = _integer_within(*_INTEGER_RANGES[wire])
        return _Codec(within, within)
    if is_dataclass(hint):
        plan = _plan(hint, message_class(hint))  # type: ignore[arg-type]
        return _Codec(plan.encode, plan.decode)
    if issubclass(hint, IntEnum):
        return _Codec(_member_to_number(hint), _number_to_member(hint))
    raise TypeError(f'No conversion for {hint!r}.')


def _sequence(wire: str) -> tuple[str, int | None]:
    """Return the item's type and the greatest length of ``sequence<item>`` or ``sequence<item, length>``."""
    item, _, length = wire.removeprefix('sequence<').removesuffix('>').partition(', ')
    return item, int(length) if length else None


def _optional_codec(codec: _Codec) -> _Codec:
    def encode(value: Any) -> list[Any]:
        return [] if value is None else [codec.encode(value)]

    def decode(items: Any) -> Any:
        if len(items) > 1:
            raise ConversionError(_Shown(f'{len(items)} values'), 'one value or none')
        return codec.decode(items[0]) if len(items) else None

    return _Codec(encode, decode)


def _tuple_codec(codec: _Codec, length: int | None) -> _Codec:
    def convert(convert_item: Convert, items: Any) -> list[Any]:
        if length is not None and len(items) > length:
            raise ConversionError(_Shown(f'{len(items)} values'), f'at most {length} values')
        converted: list[Any] = []
        try:
            for item in items:
                converted.append(convert_item(item))
        except ConversionError as error:
            raise error.inside(f'[{len(converted)}]') from None
        return converted

    def encode(items: Any) -> list[Any]:
        if not isinstance(items, tuple | list):
            raise ConversionError(items, 'a tuple')
        return convert(codec.encode, items)

    def decode(items: Any) -> tuple[Any, ...]:
        return tuple(convert(codec.decode, items))

    return _Codec(encode, decode)
