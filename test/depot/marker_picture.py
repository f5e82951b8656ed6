"""A picture of markers without RViz: boxes, lines and texts in parallel projection, far ones first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from evse_manager.depot.markers import Marker, Point, Shape

BACKGROUND = (48, 48, 48)
FINE = 2
"""The picture is drawn so many times larger and scaled down, which smooths its edges."""
FONTS = ('DejaVuSans.ttf', 'LiberationSans-Regular.ttf')
FACES = (
    ((0, 0, 1), ((-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1))),
    ((0, 0, -1), ((-1, -1, -1), (-1, 1, -1), (1, 1, -1), (1, -1, -1))),
    ((1, 0, 0), ((1, -1, -1), (1, 1, -1), (1, 1, 1), (1, -1, 1))),
    ((-1, 0, 0), ((-1, -1, -1), (-1, -1, 1), (-1, 1, 1), (-1, 1, -1))),
    ((0, 1, 0), ((-1, 1, -1), (-1, 1, 1), (1, 1, 1), (1, 1, -1))),
    ((0, -1, 0), ((-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1))),
)
LIGHT = {(0, 0, 1): 1.0, (0, 0, -1): 0.5, (1, 0, 0): 0.85, (-1, 0, 0): 0.65, (0, 1, 0): 0.6, (0, -1, 0): 0.8}


@dataclass(frozen=True)
class Camera:
    """Looks at a site from a direction; every point keeps its scale."""

    width: int
    height: int
    pixels_per_m: float
    centre: Point
    yaw: float = math.radians(-14.0)
    pitch: float = math.radians(48.0)
    """Above the horizon."""

    def see(self, point: Point) -> tuple[float, float, float]:
        """Return pixel to the right, pixel down, and nearness of a point."""
        x, y, z = (value - middle for value, middle in zip(point, self.centre))
        right = x * math.cos(self.yaw) - y * math.sin(self.yaw)
        away = x * math.sin(self.yaw) + y * math.cos(self.yaw)
        up = z * math.cos(self.pitch) + away * math.sin(self.pitch)
        near = z * math.sin(self.pitch) - away * math.cos(self.pitch)
        return self.width / 2 + right * self.pixels_per_m, self.height / 2 - up * self.pixels_per_m, near

    def pixel(self, point: Point) -> tuple[int, int]:
        """Return the pixel of a point."""
        across, down, _ = self.see(point)
        return round(across), round(down)


YARD_CAMERA = Camera(1180, 800, 64.0, (3.0, 4.0, 0.6))


def corners(marker: Marker, signs: Sequence[tuple[int, int, int]]) -> list[Point]:
    """Return corners of a box."""
    cosine, sine = math.cos(marker.yaw), math.sin(marker.yaw)
    found = []
    for sign in signs:
        x, y, z = (each * length / 2 for each, length in zip(sign, marker.size))
        found.append(
            (
                marker.position[0] + cosine * x - sine * y,
                marker.position[1] + sine * x + cosine * y,
                marker.position[2] + z,
            )
        )
    return found


def colour(marker: Marker, light: float = 1.0) -> tuple[int, int, int, int]:
    red, green, blue, opacity = marker.colour
    return (
        round(255 * red * light),
        round(255 * green * light),
        round(255 * blue * light),
        round(255 * opacity),
    )


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in FONTS:
        try:
            return ImageFont.truetype(name, max(6, round(size)))
        except OSError:
            continue
    return ImageFont.load_default(max(6, round(size)))


def render(markers: Sequence[Marker], camera: Camera) -> Image.Image:
    """Return the picture of markers."""
    large = Camera(
        camera.width * FINE, camera.height * FINE, camera.pixels_per_m * FINE, camera.centre, camera.yaw,
        camera.pitch,
    )  # fmt: skip
    picture = Image.new('RGB', (large.width, large.height), BACKGROUND)
    draw = ImageDraw.Draw(picture, 'RGBA')
    pieces: list[tuple[float, Marker, list[tuple[float, float]], float]] = []
    for marker in markers:
        if marker.shape is Shape.CUBE:
            middle = large.see(marker.position)[2]
            for normal, signs in FACES:
                seen = [large.see(point) for point in corners(marker, signs)]
                turn = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(seen, [*seen[1:], seen[0]]))
                if turn < 0:  # towards the camera: pixels count downwards
                    flat = -100.0 if marker.namespace == 'bay' else 0.0
                    pieces.append((middle + flat, marker, [each[:2] for each in seen], LIGHT[normal]))
        elif marker.shape is Shape.LINE:
            seen = [large.see(point) for point in marker.points]
            nearest = max(each[2] for each in seen)
            pieces.append((nearest + 0.5, marker, [each[:2] for each in seen], 1.0))
    for _, marker, points, light in sorted(pieces, key=lambda piece: piece[0]):
        if marker.shape is Shape.LINE:
            width = max(1, round(marker.size[0] * large.pixels_per_m))
            draw.line(points, fill=colour(marker), width=width, joint='curve')
        else:
            draw.polygon(points, fill=colour(marker, light))
    for marker in markers:
        if marker.shape is Shape.TEXT:
            across, down, _ = large.see(marker.position)
            letters = font(marker.size[2] * large.pixels_per_m)
            draw.multiline_text(
                (across, down), marker.text, fill=colour(marker), font=letters, anchor='mm', align='center',
                stroke_width=FINE * 2, stroke_fill=(*BACKGROUND, 255),
            )  # fmt: skip
    return picture.resize((camera.width, camera.height), Image.Resampling.LANCZOS)
