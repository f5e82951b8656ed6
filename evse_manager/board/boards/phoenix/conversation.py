"""
The conversation with a Phoenix EV Charge Control Basic: answers and time in, requests and observations out.

Pure.  The firmware runs IEC 61851-1; *not enabled* is its state of rest.  Every order is read back before it
counts, the current before charging is enabled.  The board has no watchdog for its line: without requests it
keeps the last orders.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from evse_manager.board.boards.firmware_target import FirmwareTarget, TargetTracker, whole_amperes
from evse_manager.board.boards.phoenix import registers as reg
from evse_manager.board.driver_io import Observation, Outputs
from evse_manager.board.transition_steps import steps
from evse_manager.board.transport.modbus import Function, ModbusAnswer, Request
from evse_manager.board.transport.modbus_master import Handler, Order
from evse_manager.interface.enums import (
    BoardErrorEnum,
    ContactorState,
    LinkState,
    LockState,
    PilotMode,
    ProximityState,
)
from evse_manager.interface.pilot import duty_cycle
from evse_manager.interface.types import BoardError

STATE_PERIOD_S = 0.2
MOVING_PERIOD_S = 0.05
ERRORS_PERIOD_S = 0.5
ORDERS_PERIOD_S = 1.0
"""How often coils and current are read back."""
OPTIONS_PERIOD_S = 30.0

TRIES = 3
REFUSALS = 10
"""After this many refusals in a row to report its state the board counts as lost."""

DOUBTS = 3
"""A state that changes with each reading is accepted after this many."""

PROBE_PERIOD_S = 1.0
OUTDATED_S = 0.6
"""An older reading proves nothing about a contactor that is to open."""

LOCKING_S = 1.0
"""Time that a lock has to move before its reported state counts."""

OVER_SIGNALLED_S = 2.0
"""A current above the ordered one for this long is a fault (catalogue L15)."""

RETRY_CURRENT_S = 5.0
REPEAT_ORDER_S = 1.0
"""An order without effect is repeated so often."""


class Phoenix:
    """
    One board; a ``modbus_bus.Client``.

    It is large because every reply decides about the next request, and every order is read back before it
    counts.
    """

    gap_s = 0.01

    def __init__(
        self, unit: int, *, phases: int, maximum_a: int, rest_current_a: int, mirror_contact: bool
    ) -> None:
        """Begin without a line; ``opened`` starts the conversation."""
        self.observations: deque[Observation] = deque()
        """Every step of what is observed, oldest first."""
        self.problem = ''
        """Problem of the conversation, for people."""
        self.known = False
        """Whether the board's switches and limits were read."""
        self.maximum_a = maximum_a
        self.can_be_unavailable = True
        self.has_lock = True
        self.has_proximity = True
        self.unit = unit
        """Its Modbus address."""
        self._phases = phases
        self._configured_maximum_a = maximum_a
        self._rest_current_a = rest_current_a
        self._mirror_contact = mirror_contact
        self._read_state = Function.READ_HOLDING
        self._wishes = TargetTracker()
        self._seen = Observation(link=LinkState.LOST)
        self._link = LinkState.LOST
        self._open = False
        self._was_up = False
        self._resets = 0
        self._firmware = ''
        self._setup: deque[Callable[[], Order]] = deque()
        self._coils: tuple[int, ...] | None = None
        self._last_coils: tuple[int, ...] = (0, 1, 0)
        self._confirmed = False
        self._awaited = (reg.ENABLE, 0)
        self._hold_until = -math.inf
        self._current: int | None = None
        self._believed_current: int | None = None
        self._ordered_a = 0
        self._state: tuple[int, ...] | None = None
        self._state_at = -math.inf
        self._errors = 0
        self._errors_awaited = False
        self._refusals = 0
        self._doubts = 0
        self._doubted: tuple[int, int] | None = None
        """
        A state that has just changed and is read once more: one in 65536 of the frames that noise has
        damaged passes its check.
        """
        self._first: tuple[int, ...] | None = None
        self._first_doubts = 0
        self._errors_doubts = 0
        self._errors_doubted: int | None = None
        """The same for the error bits: two of them report the lock."""
        self._options: tuple[int, ...] = (0,) * reg.OPTION_WORDS
        self._refused = ''
        self._retry_current_at = math.inf
        self._over_since = math.inf
        self._lock_since = -math.inf
        self._probe_at = math.inf
        self._ticked = -math.inf
        self._due = dict.fromkeys(('state', 'errors', 'orders', 'options'), math.inf)
        self.probes: tuple[Request, ...] = (
            self._request(Function.READ_HOLDING, reg.SOURCES, 3),
            self._request(Function.READ_COILS, reg.FIRST_COIL, 3),
            self._request(Function.READ_HOLDING, reg.CURRENT, 1),
        )

    # --- what happens ------------------------------------------------------------------------------

    def opened(self, now: float) -> None:
        """Take notice of an open port: withdraw power before anything else, then get to know the board."""
        self._open = True
        self._begin(now)

    def lost(self, text: str, now: float, *, port_open: bool) -> None:
        """Take notice of a lost line; nothing is known from now on."""
        self._open = port_open
        self._lose(text, now)

    def missed(self, count: int, now: float) -> None:
        """Take notice of unanswered requests."""
        if self._link is LinkState.UP:
            self._due['orders'] = now  # a board that is silent may be one that restarts
        if self._link is LinkState.LOST:
            self._probe_at = now + PROBE_PERIOD_S
        elif count >= TRIES:
            self._lose(
                f'{count} requests were not answered; check power, wiring, unit address {self.unit} '
                '(S2/DIP 2 to 6) and speed (S2/DIP 1) of the board.',
                now,
            )

    def apply(self, outputs: Outputs, now: float) -> None:
        """Take the wanted outputs; ``next`` brings the board there."""
        self._wishes.take(outputs, now)
        self.tick(now)

    def tick(self, now: float) -> None:
        """Look whether anything has changed by the time alone."""
        self._wishes.tick(now)
        self._observe(now)

    @property
    def link(self) -> LinkState:
        """Return how it stands with the board."""
        return self._link

    @property
    def urgent(self) -> bool:
        """Return whether an order, a doubt or the beginning waits: none of them waits for a meter."""
        doubted = self._doubted is not None or self._errors_doubted is not None
        return self._open and (doubted or bool(self._setup) or self._orders_waiting())

    def deadline(self) -> float:
        """Return when ``next`` or ``tick`` has something to do by itself."""
        if not self._open:
            return math.inf
        if self._setup or self._orders_waiting():
            return -math.inf
        times = [*self._due.values(), self._probe_at, self._retry_current_at]
        if self._hold_until > self._ticked:
            times.append(self._hold_until)
        times += self._wishes.deadlines(self._ticked)
        if self._lock_since + LOCKING_S > self._ticked:
            times.append(self._lock_since + LOCKING_S)
        if self._contactor_closed() and self._state_at + OUTDATED_S > self._ticked:
            times.append(self._state_at + OUTDATED_S)
        return min(times)

    def farewell(self) -> tuple[Request, ...]:
        """Return the last orders for a board: not enabled, and a current that is safe by itself."""
        if not self._open:
            return ()
        off = self._coil(reg.ENABLE, 0)
        return off, self._request(Function.WRITE_REGISTER, reg.CURRENT, self._rest_current_a)

    # --- beginning and end -----------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Get to know the board; it is not enabled before anything else happens."""
        self._link = LinkState.CONNECTING
        self._state = self._coils = self._doubted = None
        self._confirmed = False
        self._hold_until = -math.inf
        self._current = self._believed_current = None
        self._errors, self._errors_awaited, self._refusals = 0, False, 0
        self._errors_doubted = self._first = None
        self._doubts = self._errors_doubts = self._first_doubts = 0
        self._ordered_a = 0
        self._refused, self._retry_current_at, self._over_since = '', math.inf, math.inf
        self._probe_at = math.inf
        self._due = dict.fromkeys(self._due, math.inf)
        self._setup = deque(
            (
                lambda: self._step(self._coil(reg.ENABLE, 0), self._on_off),
                lambda: self._step(self._request(Function.READ_HOLDING, reg.SWITCHES, 1), self._on_switches),
                lambda: self._step(self._request(Function.READ_HOLDING, reg.SOURCES, 3), self._on_sources),
                lambda: self._step(self._options_request(), self._on_options_first),
                lambda: self._step(self._request(Function.READ_INPUT, reg.FIRMWARE, 3), self._on_firmware),
                lambda: self._step(self._state_request(reg.PRESET_CURRENT, 1), self._on_preset),
                lambda: self._step(
                    self._request(Function.WRITE_REGISTER, reg.CURRENT, self._rest_current_a), self._on_off
                ),
                lambda: self._step(self._request(Function.READ_HOLDING, reg.CURRENT, 1), self._on_current),
                lambda: self._read_twice(
                    self._request(Function.READ_COILS, reg.FIRST_COIL, 3), self._on_coils_first
                ),
                lambda: self._read_twice(self._state_request(reg.ERRORS, 1), self._on_errors),
                lambda: self._read_twice(self._state_request(reg.STATE, reg.STATE_WORDS), self._on_state),
            )
        )

    def _lose(self, text: str, now: float) -> None:
        self.problem = text
        self._setup.clear()
        self._link = LinkState.LOST
        self._due = dict.fromkeys(self._due, math.inf)
        self._probe_at = now + PROBE_PERIOD_S
        self._observe(now)

    def _up(self, now: float) -> None:
        self._link = LinkState.UP
        self._was_up = True
        self.known = True
        self.problem = ''
        self._due.update(orders=now + ORDERS_PERIOD_S, options=now + OPTIONS_PERIOD_S)

    def _restarted(self, now: float) -> None:
        """Take notice that the board has forgotten its orders."""
        self._resets += 1
        self._begin(now)
        self._observe(now)

    # --- what to ask next --------------------------------------------------------------------------------

    def next(self, now: float) -> Order | None:
        """Return the most important request that is due."""
        self._ticked = now
        if not self._open:
            return None
        if self._link is LinkState.LOST:
            return Order(self._coil(reg.ENABLE, 0), self._answered_again) if now >= self._probe_at else None
        if self._setup:
            return self._setup[0]()
        order = self._order_for(self._wish(now), now)
        if order is not None:
            return order
        due = min(self._due, key=lambda name: self._due[name])
        if self._due[due] > now:
            return None
        match due:
            case 'state':
                return Order(self._state_request(reg.STATE, reg.STATE_WORDS), self._on_state)
            case 'errors':
                return Order(self._state_request(reg.ERRORS, 1), self._on_errors)
            case 'options':
                return Order(self._options_request(), self._on_options)
        return Order(self._request(Function.READ_HOLDING, reg.CURRENT, 1), self._on_current_then_coils)

    def _wish(self, now: float) -> FirmwareTarget:
        lock = self._wishes.outputs.lock
        locked = not self.has_lock or self._lock(now) is LockState.LOCKED or lock is not True
        may_charge = self._amperes() > 0 and locked and not self._refused
        return self._wishes.wish(now, may_charge=may_charge)

    def _order_for(self, wish: FirmwareTarget, now: float) -> Order | None:
        """Return the order or reading that brings the board nearer to the wish."""
        if self._coils is None:
            if now < self._hold_until:
                return None
            return Order(self._request(Function.READ_COILS, reg.FIRST_COIL, 3), self._on_coils)
        enable = wish is FirmwareTarget.CHARGE
        if self._coils[reg.ENABLE] and not enable:
            return self._write_coil(reg.ENABLE, 0)
        if now < self._hold_until:
            return None
        if self.can_be_unavailable:
            stuck = reg.CONTACTOR_BIT in reg.bits(self._errors)
            stopping = wish is FirmwareTarget.STOP and self._contactor_closed() and not stuck
            available = int(wish is not FirmwareTarget.UNAVAILABLE and not stopping)
            if self._coils[reg.AVAILABLE] != available:
                return self._write_coil(reg.AVAILABLE, available)
        outputs = self._wishes.outputs
        if self.has_lock and outputs.lock is not None and self._coils[reg.LOCK] != int(outputs.lock):
            return self._write_coil(reg.LOCK, int(outputs.lock))
        if self._retry_current_at <= now:
            return self._write_current(self._amperes() or self._rest_current_a)
        if not self._refused:
            amperes = self._amperes() if wish is FirmwareTarget.CHARGE else 0
            if (
                not amperes
                and wish in {FirmwareTarget.STOP, FirmwareTarget.UNAVAILABLE}
                and not self._contactor_closed()
            ):
                amperes = self._rest_current_a
            if self._current is None:
                return Order(self._request(Function.READ_HOLDING, reg.CURRENT, 1), self._on_current)
            if amperes and self._current != amperes:
                return self._write_current(amperes)
        if self._options[reg.VENTILATION] != int(outputs.ventilation_allowed):
            return self._write_option(reg.VENTILATION, int(outputs.ventilation_allowed))
        if enable and not self._coils[reg.ENABLE]:
            return self._write_coil(reg.ENABLE, 1)
        return None

    def _orders_waiting(self) -> bool:
        if self._link is not LinkState.UP or self._setup:
            return False
        return self._order_for(self._wish(self._ticked), self._ticked) is not None

    def _amperes(self) -> int:
        """Return the whole amperes to allow, 0 for none."""
        return whole_amperes(self._wishes.outputs.current_a, reg.SMALLEST_A, self.maximum_a)

    # --- requests ------------------------------------------------------------------------------------------

    def _request(self, function: Function, address: int, value: int) -> Request:
        return Request(self.unit, function, address, value)

    def _coil(self, coil: int, value: int) -> Request:
        return self._request(Function.WRITE_COIL, reg.FIRST_COIL + coil, value)

    def _state_request(self, address: int, words: int) -> Request:
        return self._request(self._read_state, address, words)

    def _options_request(self) -> Request:
        return self._request(Function.READ_HOLDING, reg.OPTIONS, reg.OPTION_WORDS)

    def _step(self, request: Request, handle: Handler) -> Order:
        """Return a step of the setup; ``handle`` raises nothing and may restart the setup."""
        step = self._setup[0]

        def answered(answer: ModbusAnswer, now: float) -> None:
            handle(answer, now)
            if self._setup and self._setup[0] is step:
                self._setup.popleft()
                if not self._setup:
                    self._up(now)
            self._observe(now)

        return Order(request, answered)

    def _read_twice(self, request: Request, handle: Handler) -> Order:
        """Return a step whose answer counts when it comes twice in a row, as with what changes later."""
        order = self._step(request, handle)

        def answered(answer: ModbusAnswer, now: float) -> None:
            if answer.good and answer.values != self._first and self._first_doubts < DOUBTS:
                self._first, self._first_doubts = answer.values, self._first_doubts + 1
                return
            self._first, self._first_doubts = None, 0
            order.handle(answer, now)

        return Order(request, answered)

    def _write_coil(self, coil: int, value: int) -> Order:
        def written(answer: ModbusAnswer, now: float) -> None:
            self._coils, self._confirmed = None, False
            self._awaited = (coil, value)
            if coil == reg.LOCK:
                self._lock_since = now
            if not answer.good:
                self.problem = f'coil {reg.FIRST_COIL + coil} was refused: {answer.refusal}.'
            self._due['state'] = self._due['errors'] = now

        return Order(self._coil(coil, value), written)

    def _write_current(self, amperes: int) -> Order:
        def written(answer: ModbusAnswer, now: float) -> None:
            self._current = None
            self._ordered_a = amperes
            self._believed_current = None
            self._retry_current_at = math.inf
            if not answer.good:
                self._refuse(f'{amperes} A were ordered and refused ({answer.refusal})', now)

        return Order(self._request(Function.WRITE_REGISTER, reg.CURRENT, amperes), written)

    def _write_option(self, place: int, value: int) -> Order:
        def written(answer: ModbusAnswer, now: float) -> None:
            if answer.good:
                options = list(self._options)
                options[place] = value
                self._options = tuple(options)
            else:
                self._options = (*self._options[:place], value, *self._options[place + 1 :])
                self.problem = f'register {reg.OPTIONS + place} was refused: {answer.refusal}.'

        return Order(self._request(Function.WRITE_REGISTER, reg.OPTIONS + place, value), written)

    def _refuse(self, text: str, now: float) -> None:
        """Keep the board from charging until it has the current that was ordered."""
        self._refused = f'{text}; charging is not enabled until the board obeys.'
        self._retry_current_at = now + RETRY_CURRENT_S
        self._observe(now)

    # --- reports of the board -------------------------------------------------------------------------------

    def _answered_again(self, answer: ModbusAnswer, now: float) -> None:
        self._begin(now)

    def _on_off(self, answer: ModbusAnswer, now: float) -> None:
        if not answer.good:
            address = answer.request.address
            self._lose(
                f'register {address} was refused ({answer.refusal}); check that unit {self.unit} is an '
                'EV Charge Control Basic.',
                now,
            )

    def _on_switches(self, answer: ModbusAnswer, now: float) -> None:
        switches = answer.values[0] if answer.good else 0
        self.can_be_unavailable = bool(switches & reg.SWITCH_RELEASE)
        self.has_lock = bool(switches & reg.SWITCH_LOCK)

    def _on_sources(self, answer: ModbusAnswer, now: float) -> None:
        if not answer.good:
            self._on_off(answer, now)
            return
        obeys = (True, self.can_be_unavailable, self.has_lock)
        for place, (value, wanted) in enumerate(zip(answer.values, reg.BY_REGISTER)):
            if obeys[place] and value != wanted:
                self._insert(reg.SOURCES + place, wanted)

    def _on_options_first(self, answer: ModbusAnswer, now: float) -> None:
        self._options = answer.values if answer.good else (0,) * reg.OPTION_WORDS
        self.has_proximity = not self._options[reg.CASE_C]
        wanted = {reg.CURRENT_BY_INPUT: 0, reg.MIRROR: 1} if self._mirror_contact else {}
        for place, value in wanted.items():
            if self._options[place] != value:
                self._insert(reg.OPTIONS + place, value)

    def _insert(self, register: int, value: int) -> None:
        """Write a retentive register, which is worth it only when it differs; the next step waits for it."""
        request = self._request(Function.WRITE_REGISTER, register, value)
        self._setup.insert(1, lambda: self._step(request, self._on_off))

    def _on_options(self, answer: ModbusAnswer, now: float) -> None:
        self._due['options'] = now + OPTIONS_PERIOD_S
        if answer.good:
            self._options = answer.values

    def _on_firmware(self, answer: ModbusAnswer, now: float) -> None:
        self._firmware = 'EV Charge Control Basic'
        if answer.good:
            major, minor, patch = answer.values
            series = chr(major >> 8) if chr(major >> 8).isalnum() else ''
            self._firmware += f' {series}{major & 0xFF}.{minor}.{patch}'

    def _on_preset(self, answer: ModbusAnswer, now: float) -> None:
        """Take the switches' limit; a board that has its state elsewhere is asked there from now on."""
        if not answer.good and answer.exception in {1, 2} and self._read_state is Function.READ_HOLDING:
            self._read_state = Function.READ_INPUT
            self._setup.insert(
                1, lambda: self._step(self._state_request(reg.PRESET_CURRENT, 1), self._on_preset)
            )
            return
        preset = answer.values[0] if answer.good else 0
        self.maximum_a = self._configured_maximum_a
        if reg.SMALLEST_A <= preset <= reg.LARGEST_A:
            self.maximum_a = min(self.maximum_a, preset)

    def _on_current(self, answer: ModbusAnswer, now: float) -> None:
        if not answer.good:
            self._hold_until = now + STATE_PERIOD_S
            return
        self._current = answer.values[0]
        if self._believed_current is not None and self._current != self._believed_current:
            self._restarted(now)
            return
        ordered = self._ordered_a or self._rest_current_a
        if self._current == ordered:
            self._believed_current = self._current
            self._refused, self._retry_current_at = '', math.inf
        elif not self._refused:
            self._refuse(f'{ordered} A were ordered, but {self._current} A are in force', now)
        else:
            self._retry_current_at = now + RETRY_CURRENT_S

    def _on_current_then_coils(self, answer: ModbusAnswer, now: float) -> None:
        self._on_current(answer, now)
        self._coils = None
        self._due['orders'] = now + ORDERS_PERIOD_S

    def _on_coils_first(self, answer: ModbusAnswer, now: float) -> None:
        if answer.good:
            self._coils = self._last_coils = answer.values
            self._confirmed = True
        else:
            self._on_off(answer, now)

    def _on_coils(self, answer: ModbusAnswer, now: float) -> None:
        if not answer.good:
            self._hold_until = now + STATE_PERIOD_S
            return
        coil, value = self._awaited
        changed = [
            each
            for each in (reg.ENABLE, reg.AVAILABLE, reg.LOCK)
            if answer.values[each] != self._last_coils[each]
        ]
        if not self._confirmed and coil in changed:
            changed.remove(coil)
        if changed:
            self._restarted(now)
            return
        self._coils = self._last_coils = answer.values
        if not self._confirmed and answer.values[coil] != value:
            self._hold_until = now + REPEAT_ORDER_S
            self.problem = f'coil {reg.FIRST_COIL + coil} does not obey.'
        self._confirmed = True
        self._due['orders'] = now + ORDERS_PERIOD_S
        self._observe(now)

    def _on_state(self, answer: ModbusAnswer, now: float) -> None:
        self._due['state'] = now + STATE_PERIOD_S
        self._refusals = 0 if answer.good else self._refusals + 1
        if self._refusals >= REFUSALS:
            self._on_off(answer, now)
        if not answer.good:
            return
        reported = (answer.values[0], answer.values[4] & reg.INPUT_CCR)
        known = None if self._state is None else (self._state[0], self._state[4] & reg.INPUT_CCR)
        if known is not None and reported not in {known, self._doubted} and self._doubts < DOUBTS:
            self._doubted, self._doubts = reported, self._doubts + 1
            self._due['state'] = now
            return
        self._doubted, self._doubts = None, 0
        self._state_at = now
        was_closed, before = self._contactor_closed(), self._state
        self._state = answer.values
        if before is None or before[0] != self._state[0]:
            self._due['errors'] = now
            # An error that the EV took with it is over: both are reported together, unless it is urgent.
            self._errors_awaited = bool(self._errors) and was_closed is self._contactor_closed()
        fell = was_closed and not self._contactor_closed() and reg.letter(self._state[0]) in 'CD'
        if fell and self._wish(now) is FirmwareTarget.CHARGE:
            # An opening that was not ordered is reported together with its cause.
            self._due['errors'] = now
            self._errors_awaited = self._link is LinkState.UP
        if self._contactor_closed() and self._wish(now) is not FirmwareTarget.CHARGE:
            self._due['state'] = now + MOVING_PERIOD_S
        if reg.has_pwm(self._state[0]) and not self._last_coils[reg.ENABLE]:
            self._coils = None  # who has enabled it?
        self._watch_signalled(now)
        self._observe(now)

    def _watch_signalled(self, now: float) -> None:
        """See that no more is signalled than was ordered (catalogue L15)."""
        assert self._state is not None
        allowed = self._believed_current
        if not reg.has_pwm(self._state[0]) or allowed is None or self._state[3] <= allowed:
            self._over_since = math.inf
        elif self._over_since == math.inf:
            self._over_since = self._due['orders'] = now  # the board may have restarted
        elif now >= self._over_since + OVER_SIGNALLED_S and not self._refused:
            self._refuse(f'{allowed} A were ordered, but {self._state[3]} A are signalled', now)

    def _on_errors(self, answer: ModbusAnswer, now: float) -> None:
        self._due['errors'] = now + ERRORS_PERIOD_S
        if answer.good:
            word = answer.values[0]
            # A board may forget an error that was read: what opens counts at once, and ends when read twice.
            self._errors |= word & reg.OPENING_ERRORS
            known = self._state is not None
            if known and word not in {self._errors, self._errors_doubted} and self._errors_doubts < DOUBTS:
                self._errors_doubted, self._errors_doubts = word, self._errors_doubts + 1
                self._due['errors'] = now
                return
            self._errors_doubted, self._errors_doubts = None, 0
            self._errors = word
        self._errors_awaited = False
        self._due['state'] = min(self._due['state'], now + STATE_PERIOD_S)
        self._observe(now)

    # --- what is observed ----------------------------------------------------------------------------------

    def _contactor_closed(self) -> bool:
        if self._state is None:
            return False
        if self._mirror_contact:
            return (
                not self._state[4] & reg.INPUT_CCR
            )  # a normally closed contact: on when the contactor is open
        return reg.intends_to_charge(self._state[0])

    def _contactor(self, now: float) -> ContactorState:
        """Return the contactor; one that shall open is unknown while a silent board does not report it."""
        if not self._contactor_closed():
            return ContactorState.OPEN
        outdated = now >= self._state_at + OUTDATED_S
        opening = outdated and self._wish(now) is not FirmwareTarget.CHARGE
        return ContactorState.UNKNOWN if opening else ContactorState.CLOSED

    def _lock(self, now: float) -> LockState:
        if not self.has_lock:
            return LockState.NONE
        active = reg.bits(self._errors)
        if reg.LOCK_STUCK_BIT in active:
            return LockState.LOCKED
        if any(bit in active for bit in reg.UNLOCKED_BITS):
            return LockState.UNLOCKED
        if now < self._lock_since + LOCKING_S:
            return LockState.MOVING
        return LockState.LOCKED if self._last_coils[reg.LOCK] else LockState.UNLOCKED

    def _observe(self, now: float) -> None:
        """Hand on what is known when it has changed, in steps that are legal."""
        self._ticked = now
        if self._errors_awaited and self._link is LinkState.UP:
            return
        seen = self._look(now)
        if seen == self._seen:
            return
        before, self._seen = self._seen, seen
        self.observations.extend(steps(before, seen))

    def _look(self, now: float) -> Observation:
        state = self._state
        if self._link is not LinkState.UP or state is None:
            return replace(self._seen, link=self._link, resets=self._resets, firmware=self._firmware)
        mode = reg.pilot_mode(state[0])
        pwm = mode is PilotMode.PWM
        cable, ampacity = (
            reg.proximity(state[1]) if self.has_proximity else (ProximityState.NOT_AVAILABLE, None)
        )
        return Observation(
            link=self._link,
            cp_state=reg.pilot_state(state[0]),
            pilot_mode=mode,
            duty_cycle_percent=duty_cycle(float(state[3])) if pwm else 100.0,
            current_a=float(state[3]) if pwm else 0.0,
            contactor=self._contactor(now),
            lock=self._lock(now),
            proximity=cable,
            cable_ampacity_a=ampacity,
            phases=self._phases,
            errors=self._active_errors(state[0]),
            replug_active=self._wishes.replugging,
            resets=self._resets,
            firmware=self._firmware,
        )

    def _active_errors(self, state: int) -> tuple[BoardError, ...]:
        errors = []
        ours = self.can_be_unavailable and not self._last_coils[reg.AVAILABLE]
        for bit in reg.bits(self._errors):
            if bit == reg.NOT_AVAILABLE_BIT and (ours or reg.letter(state) != 'F'):
                continue  # ordered by us, or over
            if bit == reg.D_REJECTED_BIT and reg.letter(state) == 'D':
                continue  # the state reports it already
            code, text = reg.ERROR_BITS.get(bit, (BoardErrorEnum.VENDOR_WARNING, 'unknown error'))
            errors.append(BoardError(code, f'{text} (error bit {bit}).'))
        if not reg.is_known(state):
            errors.append(BoardError(BoardErrorEnum.VENDOR_ERROR, f'unknown state {reg.letter(state)!r}.'))
        if self._refused:
            errors.append(BoardError(BoardErrorEnum.BAD_DATA, self._refused))
        return tuple(errors)

    def diagnostics(self) -> Mapping[str, str]:
        """Return what helps to find a fault of the conversation."""
        warnings = []
        if self.known and not self.can_be_unavailable:
            warnings.append('S1/DIP 2 is off: state F cannot be ordered')
        if self.known and not self.has_lock:
            warnings.append('S1/DIP 3 is off: the lock works by itself')
        if self.known and self._options[reg.MONITOR] in reg.RESETS_BY_ITSELF:
            warnings.append('the residual current monitor resets itself (register 4011)')
        return {
            'firmware': self._firmware,
            'restarts of the board': str(self._resets),
            'switches': '; '.join(warnings),
        }
