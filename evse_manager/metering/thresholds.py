"""
Every threshold by which a measurement is checked; no other module has one of its own.

Units are in the names.  ``docs/metering.md`` shows this table for people with the source of each number; a
test compares the two.
"""

# --- one number -----------------------------------------------------------------------------------------

MAX_VOLTAGE_V = 500.0
"""Highest believable voltage of a phase: 400 V between phases, and a fifth."""

MAX_CURRENT_A = 250.0
"""Highest believable current of a phase: three times the 80 A that IEC 61851-1 can signal."""

MAX_POWER_W = 150_000.0
"""Highest believable power: twice the 72 kW of three phases of 80 A at 300 V."""

MAX_ENERGY_WH = 1e10
"""Highest believable register: seven digits of kWh, the largest display of the supported meters."""

SMALLEST_MAGNITUDE = 1e-6
"""A number nearer to zero, but not zero, is a float whose two words were swapped on the line."""

MIN_FREQUENCY_HZ = 40.0
MAX_FREQUENCY_HZ = 70.0
"""Believable mains frequency: 50 or 60 Hz with every tolerance of a generator."""

MIN_TENFOLD_FREQUENCY_HZ = 400.0
MAX_TENFOLD_FREQUENCY_HZ = 700.0
"""Some meters report tenths of a hertz; such a value is divided by ten."""

DEAD_PHASE_V = 10.0
LIVE_PHASE_V = 80.0
"""A phase below the first while another is above the second is not connected: its zeros are left out."""

MIN_TEMPERATURE_C = -55.0
MAX_TEMPERATURE_C = 150.0
"""Range of the temperature sensors of the supported boards; beyond it the sensor is absent."""

# --- currents and directions ----------------------------------------------------------------------------

RESTING_A = 0.5
"""A phase that carries less carries no current."""

FLOWING_A = 2.0
"""A phase that carries more carries current: a car draws at least 6 A, or tapers down to about 2 A."""

REVERSED_W = -100.0
"""Power flowing back beyond noise at rest: a transformer is the wrong way round (catalogue M6)."""

REVERSED_POWER_S = 10.0
"""Duration after which power flowing back is reported (catalogue M6)."""

REVERSED_CURRENT_S = 5.0
"""
Duration after which a negative current is reported: shorter than the shortest over-current timeout (6 s), so
that both are seen when both are there.
"""

PHASE_ORDER_S = 10.0
"""Duration after which current on L2 or L3 alone is reported as a wrong phase order (catalogue M7)."""

# --- the register ---------------------------------------------------------------------------------------

CARRY_FACTOR = 1.25
"""
Largest power of a connector, over nominal voltage times rated current: 10 % of voltage (IEC 60038) times the
10 % and 0.5 A that the soft over-current check tolerates.
"""

REGISTER_SLACK_WH = 20.0
"""Steps up and down by less are noise, whatever the connector can carry."""

LATE_S = 10.0
"""Samples arrive late by up to this: what can flow in it may be counted at once."""

COARSEST_STEP_WH = 1000.0
"""Largest step of a register: meters with a display of whole kWh."""

SMALL_FALL_S = 60.0
"""A fall by less than the connector can carry in this time is an old value delivered late, not a restart."""

ZERO_READINGS = 2
"""Readings in a row near zero that make a restarted register."""

CONFIRMING_READINGS = 5
CONFIRMING_S = 10.0
"""Readings in a row, over at least this time, that make any other register the one that is counted."""

FORGETTING_RISES = 2
"""A register that rose this many times is in use: the one before it does not come back."""

RESTART_EXPECTED_S = 30.0
"""Time after a reported restart of the board in which a fall of its register needs no confirmation."""

UNKNOWN_AT_RESTART_S = 60.0
"""
Time before a power loss of which the newest stored value says nothing: values are stored every 30 s, and a
board opens its contactor within 2 s of the manager's silence; the rest is margin.
"""

# --- a register that stands still -----------------------------------------------------------------------

STANDING_S = 45.0
"""A register that does not move for this long under power may stand still; the slowest refresh is 30 s."""

STANDING_WH = 150.0
"""Energy by measured power without a step of the register that makes it stand still (at 11 kW, 49 s)."""

STANDING_STEPS = 2.0
"""The same in steps of the register, where a step has been seen."""

EXPLAINING_SHARE = 0.5
"""A step that brings at least this share of the energy by measured power explains all of it."""

# --- time -----------------------------------------------------------------------------------------------

SILENT_AFTER_S = 5.0
"""Time without a sample after which the meter is lost: boards report at 1 Hz (catalogue M1: two cycles)."""

METER_WAIT_S = 2.0
"""Longest wait for a value at the start and at the end of a transaction."""

SLOW_SAMPLES = 3
"""Samples of a slow quantity (a temperature) of which the median decides."""
