"""
The parameters of one connector, each with its meaning, unit and range.

The fields are the parameters of the node, in ``docs/interface.md`` and in YAML; the metadata declares and
documents them.
"""

import math
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, cast


class ConfigError(ValueError):
    """A parameter's value is malformed or out of range; the text names parameter, value and range."""


def parameter(
    default: Any,
    description: str,
    *,
    unit: str = '',
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] | None = None,
    read_only: bool = True,
) -> Any:
    """
    Return a field of ``Config``.

    A parameter is read-only where a change under way would need a restart to be safe.
    """
    return field(
        default=default,
        metadata={
            'description': description,
            'unit': unit,
            'minimum': minimum,
            'maximum': maximum,
            'choices': choices,
            'read_only': read_only,
        },
    )


@dataclass(frozen=True, slots=True)
class Config:
    """Parameters of the ``evse_manager`` node that the kernel obeys."""

    connector_id: int = parameter(
        1, 'Number of this connector, as get_id returns it.', minimum=1, maximum=65535
    )
    evse_id: str = parameter(
        'DE*PNX*E1234567*1', 'Identification of the EVSE (ISO 15118), published as it is.'
    )
    charge_mode: str = parameter('AC', 'Kind of current.', choices=('AC',))
    ac_nominal_voltage_v: float = parameter(
        230.0,
        'Voltage between phase and neutral, for converting power to current.',
        unit='V',
        minimum=80.0,
        maximum=300.0,
    )
    ac_hlc_enabled: bool = parameter(
        False, 'Whether ISO 15118 may be used; without such a node charging is by duty cycle all the same.'
    )
    has_ventilation: bool = parameter(False, 'Whether state D (ventilation required) may be charged.')
    max_current_import_a: float = parameter(
        32.0,
        'Most current per phase that the installation allows.',
        unit='A',
        minimum=0.0,
        maximum=80.0,
        read_only=False,
    )
    max_current_export_a: float = parameter(
        0.0,
        'Most current per phase that may flow back; no effect on AC.',
        unit='A',
        minimum=0.0,
        maximum=80.0,
    )
    three_phases: bool = parameter(
        True,
        'Whether three phases may be connected; with hardware that cannot switch phases, false says that one'
        ' is wired, and limits in watts count for one.',
    )
    connector_type: str = parameter(
        'cable',
        'Fixed cable, or socket whose cable is read by its proximity resistor.',
        choices=('cable', 'socket'),
    )
    lock_connector_in_state_b: bool = parameter(
        True, 'Lock from plug-in on; otherwise from authorization on.', read_only=False
    )
    unlock_when_deauthorized: bool = parameter(
        False, 'Unlock a plugged connector that is not authorized (contactor open).', read_only=False
    )
    payment_enable_eim: bool = parameter(True, 'Accept tokens that a person presents.', read_only=False)
    payment_enable_contract: bool = parameter(True, 'Accept Plug & Charge tokens.', read_only=False)
    disable_authentication: bool = parameter(False, 'Charge every car without a token.')
    soft_over_current_tolerance_percent: float = parameter(
        10.0,
        'Tolerated excess over the signalled current.',
        unit='%',
        minimum=0.0,
        maximum=50.0,
    )
    soft_over_current_measurement_noise_a: float = parameter(
        0.5,
        "The meter's noise, added to the signalled current.",
        unit='A',
        minimum=0.0,
        maximum=5.0,
    )
    soft_over_current_timeout_s: float = parameter(
        7.0, 'How long an excess may last.', unit='s', minimum=6.0, maximum=60.0
    )
    switch_3ph1ph_delay_s: float = parameter(
        10.0,
        'Time with the contactor open around a change of phases.',
        unit='s',
        minimum=1.0,
        maximum=600.0,
        read_only=False,
    )
    state_f_after_fault_s: float = parameter(
        0.3, 'How long the pilot shows F after a fault (IEC 61851-1 table A.5).', unit='s', minimum=0.3,
        maximum=10.0, read_only=False,
    )  # fmt: skip
    legacy_wakeup_enabled: bool = parameter(
        True, 'Wake an EV that does not ask for power by one break in F (IEC 61851-1 A.5.3).', read_only=False
    )
    energy_source: str = parameter(
        'local',
        'Who grants energy: this connector itself, or the energy manager of the site.',
        choices=('local', 'manager'),
    )
    enforced_limits_max_age_s: float = parameter(
        10.0,
        "Longest life of an energy manager's limit.",
        unit='s',
        minimum=1.0,
        maximum=60.0,
        read_only=False,
    )
    fail_on_powermeter_errors: bool = parameter(
        False, 'Charge only while the billing meter reports.', read_only=False
    )
    failsafe_current_a: float = parameter(
        0.0,
        "Current after the energy manager's limit has run out, never above other limits; 0 pauses.",
        unit='A',
        minimum=0.0,
        maximum=80.0,
    )
    closings_per_minute_max: int = parameter(
        3,
        'Most closings of the contactor in a minute, whoever asks for them; the next offer waits.',
        minimum=1,
        maximum=60,
        read_only=False,
    )
    closings_per_hour_max: int = parameter(
        20,
        'Most closings of the contactor in an hour, whoever asks for them; the next offer waits.',
        minimum=1,
        maximum=1000,
        read_only=False,
    )
    session_store: str = parameter(
        'auto',
        "File of the connector's session records; auto is a file under ROS_HOME by namespace, empty is memory"
        ' only. With a simulated board the file beside it whose name ends in -simulated.',
    )
    history_store: str = parameter(
        'auto',
        'File of the finished sessions of all connectors of this host; auto is all-connectors.sqlite3 beside'
        ' session_store, empty is none. With a simulated board the file beside it, likewise.',
    )
    session_store_retention_days: int = parameter(
        365, 'How long closed sessions are kept.', unit='d', minimum=1, maximum=36500
    )
    after_power_loss: str = parameter(
        'close',
        'What becomes of a transaction that was open when the power went: closed, or continued as a new one.',
        choices=('close', 'continue'),
    )
    continue_within_s: float = parameter(
        600.0, 'Longest outage after which charging continues.', unit='s', minimum=0.0, maximum=86400.0
    )
    restart_delay_max_s: float = parameter(
        30.0,
        'Longest random delay before charging continues, for the sake of the fuse of the depot.',
        unit='s',
        minimum=0.0,
        maximum=600.0,
    )
    board_lease_s: float = parameter(
        1.0,
        'The board opens the contactor when no command came for this long.',
        unit='s',
        minimum=0.3,
        maximum=2.0,
    )
    temperature_derate_half_c: float = parameter(
        65.0, 'From here on half the current.', unit='°C', minimum=20.0, maximum=120.0
    )
    temperature_derate_quarter_c: float = parameter(
        68.0,
        'From here on a quarter, 6 A at least.',
        unit='°C',
        minimum=20.0,
        maximum=120.0,
    )
    temperature_stop_c: float = parameter(
        71.0, 'From here on no current.', unit='°C', minimum=20.0, maximum=120.0
    )
    temperature_recover_c: float = parameter(
        62.0, 'Below this the full current again.', unit='°C', minimum=0.0, maximum=120.0
    )
    replug_grace_s: float = parameter(
        0.0,
        'How long a transaction in its first 30 s survives a cable that bounces out; 0 = it ends at once.',
        unit='s', minimum=0.0, maximum=10.0, read_only=False,
    )  # fmt: skip
    refuse_unsafe_board: bool = parameter(
        True, 'Refuse to charge with a board whose safety tests are switched off.'
    )

    wait_for_external_ready: bool = parameter(
        False,
        'Whether the node waits for external_ready_to_start_charging before it starts, for a bridge that has '
        'to be up first; until then the board is not led and gives no power.',
    )
    extended_events: bool = parameter(
        False,
        'Whether session_event also has AUTHORIZED, DEAUTHORIZED and PLUGIN_TIMEOUT.',
    )
    default_token: str = parameter('', 'Token of charge goals that bring none (empty = they are refused).')
    goal_connection_timeout_s: float = parameter(
        60.0,
        'How long a charge goal waits for its transaction.',
        unit='s', minimum=1.0, maximum=3600.0,
    )  # fmt: skip
    goal_keep_alive_lost: str = parameter(
        'continue',
        'What becomes of the charging when the client of a goal misses its keep_alive.',
        choices=('continue', 'pause', 'stop'),
    )
    goal_authorization: str = parameter(
        'direct',
        "Who authorizes a goal's token: direct = this node at once, site = the authorization node.",
        choices=('direct', 'site'),
    )
    black_box_folder: str = parameter(
        'auto',
        'Where the last minutes are written at a fault; auto is the folder black_box beside the session'
        ' records (nowhere when these are in memory only), empty is nowhere.',
    )
    black_box_minutes: int = parameter(
        5, 'How many minutes the black box keeps in memory.', unit='min', minimum=1, maximum=240
    )
    black_box_files_max: int = parameter(
        20, 'Most files of this connector that are kept; the oldest gives way.', minimum=1, maximum=1000
    )
    black_box_size_max_mb: int = parameter(
        100,
        'Most that the files of this connector may take together; the oldest gives way.',
        unit='MB', minimum=1, maximum=100000,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check every field and the order of the temperature steps."""
        for spec in fields(self):
            check(spec, getattr(self, spec.name))
        steps = (
            self.temperature_recover_c,
            self.temperature_derate_half_c,
            self.temperature_derate_quarter_c,
            self.temperature_stop_c,
        )
        if sorted(set(steps)) != list(steps):
            raise ConfigError(
                'temperature_recover_c, temperature_derate_half_c, temperature_derate_quarter_c and '
                f'temperature_stop_c must rise in this order, but are {steps}.'
            )


def parameters() -> Iterator[Field[Any]]:
    """Yield every parameter's field, in the order of the documentation."""
    yield from fields(Config)


def check(spec: Field[Any], value: Any) -> None:
    """
    Check one value against its field.

    Raises ConfigError with the parameter's name, the value and what is allowed.
    """
    kind, limits = cast(type, spec.type), spec.metadata
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ConfigError(f'{spec.name} is {value!r}, but must be of type {kind.__name__}.')
    if limits['choices'] is not None and value not in limits['choices']:
        allowed = ', '.join(map(str, limits['choices']))
        raise ConfigError(f'{spec.name} is {value!r}, but must be one of: {allowed}.')
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f'{spec.name} is {value!r}, but must be a finite number.')
    low, high = limits['minimum'], limits['maximum']
    if (low is not None and value < low) or (high is not None and value > high):
        raise ConfigError(
            f'{spec.name} is {value!r}, but must lie in {low} to {high} {limits["unit"]}'.rstrip() + '.'
        )
