"""
A yard in which each bay is in another state, for the tests of markers and for the picture of docs/views.md.

usage: python test/depot/marker_yard.py FILE
"""

import sys
from dataclasses import replace
from pathlib import Path

from evse_manager.cli.monitor import ConnectorView
from evse_manager.depot.markers import Composer, Marker, SiteMarkersConfig
from evse_manager.depot.site import Site
from evse_manager.depot.site_file import parse_site
from evse_manager.interface.enums import ChargerState, LimitSource, StatusReason
from evse_manager.interface.types import EvseStatus

NOW = 1000.0
YARD = """
site: {name: yard, namespace: /depot, frame: depot}
grid: {limit_a: 80.0, children: [bay_1, bay_2, bay_3, bay_4, bay_5, bay_6]}
defaults: {driver: simulated}
connectors:
  bay_1: {pose: [0.0, 0.0, 0.0]}
  bay_2: {pose: [3.0, 0.0, 0.0]}
  bay_3: {pose: [6.0, 0.0, 0.0]}
  bay_4: {pose: [0.0, 8.0, 3.14159265], max_current_a: 16.0}
  bay_5: {pose: [3.0, 8.0, 3.14159265]}
  bay_6: {pose: [6.0, 8.0, 3.14159265]}
"""


def status(
    state: ChargerState, text: str, power_w: float = 0.0, limit_a: float = 0.0, **more: object
) -> EvseStatus:
    return replace(
        EvseStatus(
            state=state, reason=StatusReason.AVAILABLE, reason_text=text, power_w=power_w, limit_a=limit_a,
            limit_source=LimitSource.ENERGY_MANAGER,
        ),
        **more,
    )  # fmt: skip


STATUSES = {
    'bay_1': status(
        ChargerState.CHARGING, 'Charging; the limit of 24.0 A comes from the energy manager (row_a is full).',
        16560.0, 24.0, plugged=True,
    ),
    'bay_2': status(
        ChargerState.CHARGING_PAUSED_EVSE, 'Paused by pause_charging; resume_charging ends it.', 0.0, 16.0,
        plugged=True,
    ),
    'bay_3': status(ChargerState.IDLE, 'Available; plug in a car or present a token.'),
    'bay_4': status(
        ChargerState.CHARGING, 'Charging; the limit of 10.0 A comes from the external limits.', 6900.0, 10.0,
        plugged=True,
    ),
    'bay_5': status(
        ChargerState.ERROR, 'The residual current device tripped (AC); unplug and check the car.',
        plugged=True,
    ),
}  # fmt: skip


def site_of(text: str = YARD) -> Site:
    return parse_site(text, 'yard.yaml')


def views_of(statuses: dict[str, EvseStatus], heard_at: float = NOW) -> dict[str, ConnectorView]:
    return {
        f'/depot/{name}': ConnectorView(f'/depot/{name}', value, heard_at) for name, value in statuses.items()
    }


def yard_markers() -> list[Marker]:
    """The markers of a yard in which each bay is in another state; bay_6 was heard long ago."""
    site, composer = site_of(), Composer(SiteMarkersConfig())
    composer.take(site)
    views = views_of(STATUSES) | views_of({'bay_6': STATUSES['bay_3']}, NOW - 75.0)
    return composer.compose(site, views, NOW)


def main(file: str) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from depot.marker_picture import YARD_CAMERA, render

    render(yard_markers(), YARD_CAMERA).save(file)


if __name__ == '__main__':
    main(sys.argv[1])
