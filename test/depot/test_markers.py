"""The markers of a site: what stands where, in which colour, what goes; and the picture that they make."""

import itertools
import math
from collections import Counter
from pathlib import Path

import pytest
import yaml

from depot.marker_yard import NOW, STATUSES, YARD, site_of, status, views_of, yard_markers
from evse_manager.depot.markers import (
    LABEL_COLUMNS,
    LABEL_LINES,
    NAMESPACES,
    Composer,
    Marker,
    Shape,
    SiteMarkersConfig,
)
from evse_manager.interface.appearance import COLOURS, StateKind
from evse_manager.interface.endpoints import MARKERS
from evse_manager.interface.enums import ChargerState

pytest.importorskip('PIL', reason='pictures need Pillow')

from depot.marker_picture import BACKGROUND, YARD_CAMERA, render


def of(markers: list[Marker], namespace: str, number: int) -> Marker:
    (found,) = [each for each in markers if (each.namespace, each.number) == (namespace, number)]
    return found


def kind(marker: Marker) -> StateKind:
    rgb = tuple(round(255 * part) for part in marker.colour[:3])
    (found,) = [each for each, colour in COLOURS.items() if colour == rgb]
    return found


def test_each_connector_has_one_marker_of_each_kind() -> None:
    keys = Counter((each.namespace, each.number) for each in yard_markers())
    assert keys == Counter(itertools.product(NAMESPACES, range(6)))


def test_a_bay_lies_at_its_pose_in_the_colour_of_its_state() -> None:
    markers = yard_markers()
    kinds = [kind(of(markers, 'bay', number)) for number in range(6)]
    assert kinds == [
        StateKind.CHARGING, StateKind.WAITING, StateKind.IDLE,
        StateKind.CHARGING, StateKind.TROUBLE, StateKind.SILENT,
    ]  # fmt: skip
    assert of(markers, 'bay', 1).position[:2] == (3.0, 0.0)
    assert of(markers, 'bay', 4).position[:2] == (3.0, 8.0)
    assert of(markers, 'bay', 4).yaw == pytest.approx(math.pi)


def test_the_charger_stands_at_the_end_of_its_bay_and_turns_with_it() -> None:
    markers = yard_markers()
    assert of(markers, 'charger', 0).position[:2] == pytest.approx((0.0, -2.5))
    assert of(markers, 'charger', 3).position[:2] == pytest.approx((0.0, 10.5), abs=1e-6)


def test_a_cable_lies_from_the_charger_to_a_car_that_is_plugged_in() -> None:
    markers = yard_markers()
    assert [of(markers, 'cable', number).shape for number in range(6)] == [
        Shape.LINE, Shape.LINE, Shape.NOTHING, Shape.LINE, Shape.LINE, Shape.NOTHING,
    ]  # fmt: skip
    line = of(markers, 'cable', 0)
    assert kind(line) is StateKind.CHARGING
    assert math.dist(line.points[0][:2], of(markers, 'charger', 0).position[:2]) < 0.2
    assert all(point[2] >= 0.05 for point in line.points)
    assert min(point[2] for point in line.points[1:-1]) < min(line.points[0][2], line.points[-1][2])


def test_the_bar_is_as_high_as_the_power_and_the_plate_as_the_limit() -> None:
    markers = yard_markers()
    assert of(markers, 'power', 0).size[2] == pytest.approx(2.0 * 16560.0 / (32.0 * 230.0 * 3))
    assert of(markers, 'power', 3).size[2] == pytest.approx(2.0 * 6900.0 / (16.0 * 230.0 * 3))
    assert of(markers, 'limit', 0).position[2] == pytest.approx(2.0 * 24.0 / 32.0)
    assert of(markers, 'power', 2).size[2] == pytest.approx(0.02)
    bar = of(markers, 'power', 0)
    assert bar.position[2] == pytest.approx(bar.size[2] / 2)


def test_nothing_of_a_silent_connector_looks_as_if_it_were_known() -> None:
    markers = yard_markers()
    shapes = {name: of(markers, name, 5).shape for name in NAMESPACES}
    assert {name for name, shape in shapes.items() if shape is not Shape.NOTHING} == {
        'bay',
        'charger',
        'label',
    }
    text = of(markers, 'label', 5).text
    assert text.startswith('bay_6, silent\n')
    assert 'No status' in text


def test_a_label_has_the_reason_in_short_lines() -> None:
    first, *lines = of(yard_markers(), 'label', 0).text.split('\n')
    assert first == 'bay_1, charging, 16.56 kW'
    assert ' '.join(lines) == STATUSES['bay_1'].reason_text
    assert len(lines) <= LABEL_LINES
    assert all(len(line) <= LABEL_COLUMNS for line in lines)


def test_foreign_text_in_a_label_is_made_safe_and_cut() -> None:
    site, composer = site_of(), Composer(SiteMarkersConfig())
    composer.take(site)
    shout = status(ChargerState.ERROR, 'Evil \u202etext\n' + 'and on ' * 100)
    (text,) = [
        each.text
        for each in composer.compose(site, views_of({'bay_1': shout}), NOW)
        if each.namespace == 'label' and each.number == 0
    ]
    assert '\u202e' not in text
    assert len(text.split('\n')) <= LABEL_LINES + 1


def test_a_removed_connector_is_removed_in_rviz_and_the_others_keep_their_numbers() -> None:
    before, after = (
        site_of(),
        site_of(YARD.replace('bay_2, ', '').replace('  bay_2: {pose: [3.0, 0.0, 0.0]}\n', '')),
    )
    composer = Composer(SiteMarkersConfig())
    composer.take(before)
    old = {
        each.position[:2]: each.number
        for each in composer.compose(before, {}, NOW)
        if each.namespace == 'bay'
    }
    composer.take(after)
    for _ in range(2):  # in every list: a late reader gets the newest one alone
        markers = composer.compose(after, {}, NOW)
        gone = [each for each in markers if each.number == old[3.0, 0.0]]
        assert {each.shape for each in gone} == {Shape.NOTHING}
        assert {each.namespace for each in gone} == set(NAMESPACES)
    new = {
        each.position[:2]: each.number
        for each in markers
        if each.namespace == 'bay' and each.shape is Shape.CUBE
    }
    assert new == {pose: number for pose, number in old.items() if pose != (3.0, 0.0)}
    composer.take(before)
    back = [each for each in composer.compose(before, {}, NOW) if each.position[:2] == (3.0, 0.0)]
    assert {each.number for each in back} == {6}  # a number of its own, which is not removed


def test_a_small_bay_has_small_markers() -> None:
    site, composer = site_of(), Composer(SiteMarkersConfig(bay_width_m=1.0, bay_length_m=1.0))
    composer.take(site)
    markers = composer.compose(site, views_of(STATUSES), NOW)
    assert of(markers, 'bay', 0).size[:2] == (1.0, 1.0)
    assert of(markers, 'charger', 0).size[2] < 0.5
    for each in markers:
        if each.number == 0 and each.shape is Shape.CUBE:
            assert math.dist(each.position[:2], (0.0, 0.0)) <= 0.75


# --- colours ------------------------------------------------------------------------------------------

MACHADO = {
    'protanopia': (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998),
    ),
    'deuteranopia': (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881),
    ),
    'tritanopia': (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900),
    ),
}  # fmt: skip
"""Linear red, green and blue with a colour blindness (Machado, Oliveira, Fernandes 2009)."""
DISTINCT = 15.0
"""Two colours that differ by 2.3 in CIE L*a*b* can just be distinguished side by side."""


def lab(linear: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = (min(1.0, max(0.0, each)) for each in linear)
    xyz = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
    )
    x, y, z = (each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116 for each in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def linear(colour: tuple[int, int, int]) -> tuple[float, ...]:
    return tuple(
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (each / 255 for each in colour)
    )


@pytest.mark.parametrize('blindness', ['none', *MACHADO])
def test_the_colours_of_the_states_can_be_distinguished_with_any_colour_blindness(blindness: str) -> None:
    rows = MACHADO.get(blindness, ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    seen = {
        each: lab(tuple(sum(a * b for a, b in zip(row, linear(colour))) for row in rows))
        for each, colour in COLOURS.items()
    }
    assert set(seen) == set(StateKind)
    for one, other in itertools.combinations(seen, 2):
        assert math.dist(seen[one], seen[other]) > DISTINCT, f'{one} and {other}'


# --- the picture --------------------------------------------------------------------------------------


def test_the_picture_shows_each_bay_where_it_is_in_the_colour_of_its_state() -> None:
    markers = [each for each in yard_markers() if each.namespace == 'bay']
    picture = render(markers, YARD_CAMERA)
    for marker in markers:
        seen = picture.getpixel(YARD_CAMERA.pixel(marker.position))
        opacity = marker.colour[3]
        expected = [
            opacity * 255 * part + (1 - opacity) * under for part, under in zip(marker.colour[:3], BACKGROUND)
        ]
        assert seen == pytest.approx(expected, abs=8)
    between = picture.getpixel(YARD_CAMERA.pixel((1.5, 4.0, 0.0)))
    assert between == BACKGROUND


def test_the_picture_shows_labels_bars_and_cables_in_view() -> None:
    markers = yard_markers()
    picture = render(markers, YARD_CAMERA)
    for marker in markers:
        for point in marker.points or [marker.position] * (marker.shape is not Shape.NOTHING):
            across, down = YARD_CAMERA.pixel(point)
            assert 0 <= across < YARD_CAMERA.width
            assert 0 <= down < YARD_CAMERA.height
    whole = render([each for each in markers if each.namespace != 'label'], YARD_CAMERA)
    assert picture.tobytes() != whole.tobytes()
    bar = of(markers, 'power', 0)
    green = whole.getpixel(YARD_CAMERA.pixel(bar.position))
    assert green[1] > green[0] + 60


# --- the configuration of RViz --------------------------------------------------------------------------


def test_the_configuration_of_rviz_shows_the_topic_in_the_frame_of_the_example() -> None:
    file = Path(__file__).resolve().parents[2] / 'rviz' / 'site.rviz'
    manager = yaml.safe_load(file.read_text())['Visualization Manager']
    site = site_of()
    assert manager['Global Options']['Fixed Frame'] == site.frame
    (shown,) = [each for each in manager['Displays'] if each['Class'] == 'rviz_default_plugins/MarkerArray']
    assert shown['Enabled'] is True
    assert shown['Namespaces'] == dict.fromkeys(NAMESPACES, True)
    assert shown['Topic']['Value'] == f'{site.namespace}/{MARKERS.name}'
    assert (shown['Topic']['Durability Policy'] == 'Transient Local') is MARKERS.qos.value.latched
    assert shown['Topic']['Reliability Policy'] == 'Reliable'
    view = manager['Views']['Current']
    middle = (view['Focal Point']['X'], view['Focal Point']['Y'])
    assert all(math.dist(middle, each.pose[:2]) < view['Distance'] for each in site.connectors)
