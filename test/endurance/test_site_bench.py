"""What a single car needs of a site that an energy manager divides, in simulated time."""

from random import Random

import pytest

from endurance.site_bench import Bay, Network, SiteBench
from endurance.test_site_month import TOKEN, depot

LOSES_NOTHING = Network(loss=0.0, repetition=0.0, late=0.0)


def arrive(profile: str) -> tuple[SiteBench, Bay]:
    """Plug a car in at a site without other cars, and authorize it."""
    site = SiteBench(depot(5), Random(1), LOSES_NOTHING)
    site.run_to(20.0)
    site.act(0, lambda bay: bay.plug(profile, 50.0))
    site.act(0, lambda bay: bay.send(TOKEN))
    return site, site.bays[0]


def test_a_car_that_sleeps_keeps_its_grant_while_it_is_woken_up() -> None:
    site, bay = arrive('needs_wakeup')
    site.run_to(70.0)
    assert bay.codes() == 'Enabled SS AR TS PC CS'
    assert bay.flows


def test_a_single_car_gets_what_its_row_carries() -> None:
    site, bay = arrive('default')
    site.run_to(60.0)
    assert bay.world.currents_a == pytest.approx((12.5, 12.5, 12.5))
    assert site.fuses[1].flowing_a == pytest.approx([12.5, 12.5, 12.5])
