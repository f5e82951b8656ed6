"""Requests of connectors: what they mean, and what is refused as a whole."""

import math
from dataclasses import replace

import pytest

from energy.virtual_site import SECOND, connector
from evse_manager.energy.allocator import ConnectorGrant
from evse_manager.energy.demand import Demand
from evse_manager.energy.requests import read_request, write_grant
from evse_manager.interface.enums import ContactorState, NodeType
from evse_manager.interface.types import (
    Current,
    EnergyFlowRequest,
    EnforcedLimits,
    LimitsReq,
    LimitsRes,
    OptimizerTarget,
    Power,
    Powermeter,
    ScheduleReqEntry,
    Time,
)

SPEC = connector('bay_1')
STAMP = Time(1_795_000_000 * SECOND)
LIMITS = LimitsReq(None, 16.0, 8.0, 3, 1, True)


def request(limits: LimitsReq = LIMITS, **keys: object) -> EnergyFlowRequest:
    made = EnergyFlowRequest(
        uuid=SPEC.uuid,
        stamp=STAMP,
        node_type=NodeType.EVSE,
        schedule_import=(ScheduleReqEntry(STAMP, limits),),
        contactor=ContactorState.CLOSED,
    )
    return replace(made, **keys)  # type: ignore[arg-type]


def read(asked: EnergyFlowRequest) -> Demand:
    demand = read_request(asked, SPEC, 230.0)
    assert isinstance(demand, Demand)
    return demand


def test_a_request_is_read() -> None:
    asked = request(
        priority=2,
        optimizer_target=OptimizerTarget(energy_amount_needed_kwh=5.0, leave_time=Time(STAMP + 1)),
        energy_usage_root=Powermeter(timestamp=STAMP, current_a=Current(l1=1.0, l2=2.0, l3=3.0)),
        grant_stamp=Time(7),
        grant_manager_id='m',
        granted=LimitsRes(ac_max_current_a=10.0, ac_max_phase_count=1),
    )
    assert read(asked) == Demand(
        stamp=STAMP,
        wants_a=16.0,
        minimum_a=8.0,
        most_phases=3,
        fewest_phases=1,
        switches_phases=True,
        priority=2,
        energy_wh=5000.0,
        leaves=Time(STAMP + 1),
        contactor=ContactorState.CLOSED,
        draw_a=(1.0, 2.0, 3.0),
        grant_stamp=Time(7),
        grant_manager_id='m',
        granted_a=10.0,
        granted_phases=1,
    )


@pytest.mark.parametrize(
    ('limits', 'wants_a'),
    [
        (LimitsReq(ac_max_current_a=80.0), 32.0),
        (LimitsReq(total_power_w=6900.0), 10.0),
        (LimitsReq(total_power_w=6900.0, ac_max_phase_count=1), 30.0),
        (LimitsReq(total_power_w=6900.0, ac_max_current_a=8.0), 8.0),
        (LimitsReq(), 0.0),
    ],
    ids=['above the connector', 'watts', 'watts on one phase', 'the lower of both', 'nothing'],
)
def test_what_is_wanted(limits: LimitsReq, wants_a: float) -> None:
    assert read(request(limits)).wants_a == pytest.approx(wants_a)


def test_a_request_without_entries_wants_nothing() -> None:
    assert not read(request(schedule_import=())).wants


def test_the_entry_of_the_time_counts() -> None:
    later = ScheduleReqEntry(Time(STAMP + 1), LimitsReq(ac_max_current_a=32.0))
    now = ScheduleReqEntry(STAMP, LimitsReq(ac_max_current_a=6.0))
    assert read(request(schedule_import=(now, later))).wants_a == 6.0
    assert read(request(schedule_import=(now, replace(later, timestamp=STAMP)))).wants_a == 32.0


@pytest.mark.parametrize(
    ('meter', 'draw_a'),
    [
        (None, None),
        (Powermeter(), None),
        (Powermeter(power_w=Power(total=6900.0)), (10.0, 10.0, 10.0)),
        (Powermeter(power_w=Power(l1=2300.0, l2=0.0, l3=0.0)), (10.0, 0.0, 0.0)),
        (Powermeter(current_a=Current(l1=5.0, l2=5.0, l3=5.0), power_w=Power(l1=-1.0)), (0.0, 5.0, 5.0)),
        (Powermeter(current_a=Current(l1=-5.0, l2=1.0, l3=1.0)), (0.0, 1.0, 1.0)),
        (Powermeter(current_a=Current(l1=201.0, l2=1.0, l3=1.0)), None),
        (Powermeter(current_a=Current(l1=math.nan, l2=1.0, l3=1.0)), None),
        (Powermeter(timestamp=Time(STAMP - 11 * SECOND), current_a=Current(l1=1.0, l2=1.0, l3=1.0)), None),
    ],
    ids=['no meter', 'no values', 'total', 'powers', 'export', 'negative', 'impossible', 'NaN', 'too old'],
)
def test_what_flows(meter: Powermeter | None, draw_a: tuple[float, float, float] | None) -> None:
    assert read(request(energy_usage_root=meter)).draw_a == draw_a


def test_a_grant_in_force_without_a_current_counts_with_all_that_the_connector_can() -> None:
    assert read(request(grant_stamp=Time(1), granted=LimitsRes())).granted_a == 32.0
    power = LimitsRes(total_power_w=6900.0, ac_max_phase_count=3)
    assert read(request(grant_stamp=Time(1), granted=power)).granted_a == pytest.approx(10.0)


@pytest.mark.parametrize(
    ('wrong', 'text'),
    [
        (request(uuid='/site/bay_2'), "uuid is '/site/bay_2', but the topic is that of /site/bay_1."),
        (request(node_type=NodeType.GENERIC), 'node_type is not NODE_TYPE_EVSE.'),
        (request(stamp=None), 'stamp is zero; grants could not be dated.'),
        (request(LimitsReq(ac_max_current_a=-2.0)), 'ac_max_current_a is -2.0, but must be 0 or more.'),
        (request(LimitsReq(total_power_w=-2.0)), 'total_power_w is -2.0, but must be 0 or more.'),
        (request(replace(LIMITS, ac_min_current_a=-3.0)), 'ac_min_current_a is -3.0, but must be 0 or more.'),
        (
            request(replace(LIMITS, ac_max_phase_count=4)),
            'ac_max_phase_count is 4, but must lie in 1 to 3 (0 = not given).',
        ),
    ],
)
def test_what_is_refused(wrong: EnergyFlowRequest, text: str) -> None:
    assert read_request(wrong, SPEC, 230.0) == text


def entry(at: Time | None, current_a: float) -> ScheduleReqEntry:
    return ScheduleReqEntry(at, LimitsReq(ac_max_current_a=current_a))


@pytest.mark.parametrize(
    ('entries', 'wants_a'),
    [
        ((entry(Time(STAMP + 9), 6.0),), 6.0),
        ((entry(Time(STAMP + 9), 6.0), entry(Time(STAMP + 10), 7.0)), 6.0),
        ((entry(None, 6.0), entry(None, 7.0), entry(Time(STAMP + 1), 8.0)), 7.0),
        ((entry(Time(1), 6.0), entry(Time(2), 7.0), entry(Time(3), 8.0)), 8.0),
        ((entry(Time(1), 6.0), entry(Time(STAMP + 1), 7.0), entry(Time(3), 8.0)), 6.0),
    ],
    ids=[
        'the first before its time',
        'not a later one',
        'without times',
        'the last',
        'up to the first later one',
    ],
)
def test_the_last_entry_that_has_begun_counts(entries: tuple[ScheduleReqEntry, ...], wants_a: float) -> None:
    assert read(request(schedule_import=entries)).wants_a == wants_a


@pytest.mark.parametrize(
    ('root', 'leaves', 'efficiency', 'wants_a'),
    [
        (LimitsReq(ac_max_current_a=20.0), LimitsReq(ac_max_current_a=8.0), 0.5, 16.0),
        (LimitsReq(ac_max_current_a=10.0), LimitsReq(ac_max_current_a=8.0), 0.5, 10.0),
        (LimitsReq(), LimitsReq(ac_max_current_a=8.0), 1.0, 8.0),
        (LimitsReq(), LimitsReq(ac_max_current_a=8.0), 0.0, 8.0),
        (LimitsReq(), LimitsReq(ac_max_current_a=8.0), 1.1, 8.0),
        (LimitsReq(), LimitsReq(ac_max_current_a=8.0), -0.5, 8.0),
        (LimitsReq(), LimitsReq(total_power_w=3450.0), 0.5, 10.0),
        (LimitsReq(total_power_w=4140.0), LimitsReq(total_power_w=3450.0), 0.5, 6.0),
    ],
    ids=['leaves', 'root', 'no loss', 'unknown', 'above 1', 'negative', 'watts of leaves', 'watts of root'],
)
def test_the_side_of_the_grid_counts(
    root: LimitsReq, leaves: LimitsReq, efficiency: float, wants_a: float
) -> None:
    asked = ScheduleReqEntry(STAMP, root, leaves, conversion_efficiency=efficiency)
    assert read(request(schedule_import=(asked,))).wants_a == pytest.approx(wants_a)


@pytest.mark.parametrize(
    ('limits', 'minimum_a', 'phases'),
    [
        (LimitsReq(ac_max_current_a=16.0), 6.0, (3, 1)),
        (LimitsReq(ac_max_current_a=16.0, ac_min_current_a=5.0), 6.0, (3, 1)),
        (LimitsReq(ac_max_current_a=16.0, ac_min_current_a=7.0), 7.0, (3, 1)),
        (LimitsReq(ac_max_current_a=16.0, ac_max_phase_count=1), 6.0, (1, 1)),
        (LimitsReq(ac_max_current_a=16.0, ac_max_phase_count=3, ac_min_phase_count=3), 6.0, (3, 3)),
    ],
)
def test_what_is_not_given_is_that_of_the_norm(
    limits: LimitsReq, minimum_a: float, phases: tuple[int, int]
) -> None:
    demand = read(request(limits))
    assert (demand.minimum_a, demand.most_phases, demand.fewest_phases) == (minimum_a, *phases)
    assert not demand.switches_phases


def test_a_connector_on_two_phases_asks_and_draws_on_those() -> None:
    spec = connector('bay_1', phases=(0, 1))
    asked = request(
        LimitsReq(total_power_w=4600.0), energy_usage_root=Powermeter(power_w=Power(total=2300.0))
    )
    demand = read_request(asked, spec, 230.0)
    assert isinstance(demand, Demand)
    assert (demand.most_phases, demand.wants_a, demand.draw_a) == (2, 10.0, (5.0, 5.0, 0.0))


@pytest.mark.parametrize(
    ('energy_kwh', 'energy_wh'), [(None, None), (0.0, None), (-1.0, None), (0.5, 500.0), (0.001, 1.0)]
)
def test_an_energy_of_nothing_is_no_target(energy_kwh: float | None, energy_wh: float | None) -> None:
    target = OptimizerTarget(energy_amount_needed_kwh=energy_kwh, leave_time=Time(9))
    demand = read(request(optimizer_target=target))
    assert (demand.energy_wh, demand.leaves) == (energy_wh, 9)


def test_without_a_target_there_is_no_departure() -> None:
    demand = read(request())
    assert (demand.energy_wh, demand.leaves, demand.priority) == (None, None, 0)
    assert (demand.grant_stamp, demand.grant_manager_id, demand.granted_phases) == (None, '', 3)


@pytest.mark.parametrize(
    ('granted', 'in_force', 'granted_a'),
    [
        (LimitsRes(ac_max_current_a=40.0), None, 32.0),
        (LimitsRes(ac_max_current_a=-1.0), None, 0.0),
        (LimitsRes(ac_max_current_a=0.0), None, 0.0),
        (LimitsRes(ac_max_current_a=7.0, total_power_w=2300.0), None, 7.0),
        (LimitsRes(total_power_w=2300.0), None, 10.0),
        (LimitsRes(total_power_w=4600.0), LimitsRes(ac_max_phase_count=2), 10.0),
        (LimitsRes(total_power_w=2300.0, ac_max_phase_count=1), LimitsRes(ac_max_phase_count=2), 10.0),
        (LimitsRes(total_power_w=23_000.0), None, 32.0),
        (None, LimitsRes(ac_max_current_a=7.0), 32.0),
    ],
)
def test_the_current_of_a_grant(
    granted: LimitsRes | None, in_force: LimitsRes | None, granted_a: float
) -> None:
    asked = request(grant_stamp=Time(1), granted=granted, limit_in_force=in_force)
    assert read(asked).granted_a == pytest.approx(granted_a)


@pytest.mark.parametrize(
    ('meter', 'draw_a'),
    [
        (
            Powermeter(timestamp=Time(STAMP - 10 * SECOND), current_a=Current(l1=1.0, l2=2.0, l3=3.0)),
            (1.0, 2.0, 3.0),
        ),
        (
            Powermeter(timestamp=Time(STAMP - 10 * SECOND - 1), current_a=Current(l1=1.0, l2=2.0, l3=3.0)),
            None,
        ),
        (Powermeter(current_a=Current(l1=200.0, l2=-200.0, l3=0.0)), (200.0, 0.0, 0.0)),
        (Powermeter(current_a=Current(l1=0.0, l2=-200.5, l3=0.0)), None),
        (Powermeter(current_a=Current(l1=1.0, l2=2.0)), None),
        (Powermeter(current_a=Current(l1=1.0, l2=2.0), power_w=Power(total=690.0)), None),
        (Powermeter(current_a=Current(l1=1.0, l2=2.0), power_w=Power(l3=690.0)), (1.0, 2.0, 3.0)),
        (Powermeter(current_a=Current(l1=1.0, l2=2.0, l3=3.0), power_w=Power(l1=0.0)), (1.0, 2.0, 3.0)),
        (Powermeter(current_a=Current(), power_w=Power(total=-690.0)), (0.0, 0.0, 0.0)),
        (Powermeter(power_w=Power(l1=-230.0, l2=230.0, l3=230.0)), (0.0, 1.0, 1.0)),
    ],
    ids=[
        'ten seconds old',
        'older',
        'the highest that is possible',
        'impossible backwards',
        'a phase missing',
        'a phase missing with a total',
        'one phase by its power',
        'no power with a current',
        'export of the total',
        'export of a phase',
    ],
)
def test_what_flows_by_parts(meter: Powermeter, draw_a: tuple[float, float, float] | None) -> None:
    assert read(request(energy_usage_root=meter)).draw_a == draw_a


@pytest.mark.parametrize('name', ['ac_max_current_a', 'ac_min_current_a', 'total_power_w'])
def test_a_limit_of_nothing_is_possible_and_nan_is_refused(name: str) -> None:
    assert isinstance(read_request(request(replace(LIMITS, **{name: 0.0})), SPEC, 230.0), Demand)
    assert read_request(request(replace(LIMITS, **{name: math.nan})), SPEC, 230.0) == (
        f'{name} is nan, but must be 0 or more.'
    )


def test_more_than_three_phases_at_least_are_refused() -> None:
    assert read_request(request(replace(LIMITS, ac_min_phase_count=4)), SPEC, 230.0) == (
        'ac_min_phase_count is 4, but must lie in 1 to 3 (0 = not given).'
    )


def test_a_grant_is_written() -> None:
    grant = ConnectorGrant(0, '/site/bay_1', 13.0, 3, STAMP, Time(STAMP - 5), True, 'row_a')
    assert write_grant(grant, 'm') == EnforcedLimits(
        uuid='/site/bay_1',
        stamp=STAMP,
        valid_until=Time(STAMP + 10 * SECOND),
        limits_root_side=LimitsRes(ac_max_current_a=13.0, ac_max_phase_count=3),
        manager_id='m',
        request_stamp=Time(STAMP - 5),
        binding_node='row_a',
    )
