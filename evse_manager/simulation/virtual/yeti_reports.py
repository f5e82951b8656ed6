"""Measurements and states of a virtual Yeti, as the contents of its messages."""

from evse_manager.board.boards.yeti.messages import ErrorFlags, PilotVoltages, PowerMeter
from evse_manager.board.driver_io import Observation
from evse_manager.interface.enums import BoardErrorEnum, ControlPilotState, LockState, ProximityState
from evse_manager.interface.types import Energy, Powermeter

_E = BoardErrorEnum
_CABLE = {13.0: 1, 20.0: 2, 32.0: 3, 63.0: 4}
_CABLE_FAULT = 5
_LOCK = {LockState.UNLOCKED: 1, LockState.LOCKED: 2}
_LOCK_ERRORS = {_E.LOCK_FAILED_TO_LOCK, _E.LOCK_FAILED_TO_UNLOCK, _E.LOCK_UNEXPECTEDLY_OPEN}


def pilot_voltages(high_v: float, low_v: float, *, millivolts: bool) -> PilotVoltages:
    """Return telemetry in mV with a sign, or as firmware 2.2 does: whole volts, 0 for what is negative."""
    if millivolts:
        return PilotVoltages(round(high_v * 1000.0) & 0xFFFF_FFFF, round(low_v * 1000.0) & 0xFFFF_FFFF)
    return PilotVoltages(max(int(high_v), 0), max(int(low_v), 0))


def power_meter(sample: Powermeter, counted_from: Energy, celsius: float) -> PowerMeter:
    """Return a sample as the board reports it, with energy since ``counted_from``, in Wh."""
    volts, amperes, power, hertz = sample.voltage_v, sample.current_a, sample.power_w, sample.frequency_hz
    assert volts is not None
    assert amperes is not None
    assert power is not None
    assert hertz is not None
    energy = sample.energy_wh_import
    return PowerMeter(
        v_l1=volts.l1 or 0.0,
        v_l2=volts.l2 or 0.0,
        v_l3=volts.l3 or 0.0,
        a_l1=amperes.l1 or 0.0,
        a_l2=amperes.l2 or 0.0,
        a_l3=amperes.l3 or 0.0,
        a_n=amperes.n or 0.0,
        wh_l1=(energy.l1 or 0.0) - (counted_from.l1 or 0.0),
        wh_l2=(energy.l2 or 0.0) - (counted_from.l2 or 0.0),
        wh_l3=(energy.l3 or 0.0) - (counted_from.l3 or 0.0),
        wh_total=(energy.total or 0.0) - (counted_from.total or 0.0),
        c_l1=celsius,
        c_l2=celsius,
        c_l3=celsius,
        c_n=celsius,
        w_l1=power.l1 or 0.0,
        w_l2=power.l2 or 0.0,
        w_l3=power.l3 or 0.0,
        hz_l1=hertz.l1 or 0.0,
        hz_l2=hertz.l2 or 0.0,
        hz_l3=hertz.l3 or 0.0,
    )


def cable_code(seen: Observation) -> int:
    """Return the coding of the cable: 0 none, 1 to 4 by ampacity, 5 for a fault."""
    if seen.proximity is ProximityState.INVALID:
        return _CABLE_FAULT
    return 0 if seen.cable_ampacity_a is None else _CABLE[seen.cable_ampacity_a]


def lock_code(seen: Observation) -> int:
    """Return the position of the lock: 0 undefined, 1 unlocked, 2 locked."""
    return _LOCK.get(seen.lock, 0)


def error_flags(seen: Observation) -> ErrorFlags:
    """Return the flags of a board that uses all of them."""
    errors = {error.code for error in seen.errors}
    return ErrorFlags(
        diode=_E.DIODE_FAULT in errors,
        rcd_self_test=_E.RCD_SELF_TEST in errors,
        rcd=bool(errors & {_E.RCD_AC, _E.RCD_DC}),
        ventilation=seen.cp_state is ControlPilotState.D,
        lock=bool(errors & _LOCK_ERRORS),
        pilot=_E.PILOT_FAULT in errors,
        over_current=_E.OVER_CURRENT in errors,
    )
