"""
The plot of one connector over the last minutes: power above, currents and the limit below.

A widget of its own: two stepped curves over time need no library, and the window starts without NumPy.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evse_manager.interface.appearance import COLOURS, Colour, StateKind
from evse_manager.rqt.binding import QtCore, QtGui, QtWidgets
from evse_manager.rqt.model import SPAN_S, Sample

RIGHT = 10
"""Margin at the right, in pixels; the others follow from the font."""
HEADROOM = 1.05
GAP_S = 3.5
"""Between two samples further apart nothing is known, and nothing is drawn."""
SPANS_S = (60.0, 120.0, 300.0, SPAN_S)
"""The time axis grows in these steps until it is full."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One stepped line: its name, its colour, its value in a sample."""

    name: str
    colour: Colour
    value: Callable[[Sample], float | None]
    dashed: bool = False


POWER_CURVES = (
    Curve(
        'power',
        COLOURS[StateKind.CHARGING],
        lambda sample: None if sample.power_w is None else sample.power_w / 1000,
    ),
)
CURRENT_CURVES = (
    Curve('measured', COLOURS[StateKind.CHARGING], lambda sample: sample.measured_a),
    Curve('offered', COLOURS[StateKind.PREPARING], lambda sample: sample.signalled_a),
    Curve('limit', COLOURS[StateKind.TROUBLE], lambda sample: sample.limit_a, dashed=True),
)
"""The last one is drawn on top: where all are equal, the others show between its dashes."""


def nice_top(highest: float, least: float) -> float:
    """Return the end of an axis: 1, 2, 3, 4, 5, 6, 8 or 10 times a power of ten, above both values."""
    wanted = max(highest * HEADROOM, least)
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10, 20) if step * power >= wanted)


class Plot(QtWidgets.QWidget):
    """Draws samples; the newest moment is at the right."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.setMinimumSize(260, 200)
        self.samples: Sequence[Sample] = ()
        self._now = 0.0
        self._span_s = SPANS_S[0]

    def take(self, samples: Sequence[Sample], now: float) -> None:
        """Show samples, the oldest first; ``now`` is the right end, in seconds of their clock."""
        self.samples, self._now = samples, now
        age = now - samples[0].at if samples else 0.0
        self._span_s = next((span for span in SPANS_S if age <= span), SPAN_S)
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw both panes."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), self.palette().base())
        line, left = self.fontMetrics().height(), self._left()
        top, gap, bottom = 1.7 * line, 2.2 * line, 1.4 * line
        height = (self.height() - top - gap - bottom) / 2
        width = self.width() - left - RIGHT
        upper = QtCore.QRectF(left, top, width, height)
        lower = QtCore.QRectF(left, top + height + gap, width, height)
        self._pane(painter, upper, 'kW', POWER_CURVES, 1.0)
        self._pane(painter, lower, 'A', CURRENT_CURVES, 8.0)
        self._times(painter, lower)
        painter.end()

    def _left(self) -> int:
        """Return the margin in which the labels of the axes stand."""
        return int(self.fontMetrics().horizontalAdvance('-100 kW')) + 8

    def _pane(
        self, painter: QtGui.QPainter, area: QtCore.QRectF, unit: str, curves: Sequence[Curve], least: float
    ) -> None:
        values = [
            value for each in self.samples for curve in curves if (value := curve.value(each)) is not None
        ]
        top = nice_top(max(values, default=0.0), least)
        lowest = min(values, default=0.0)
        bottom = -nice_top(-lowest, least) if lowest < -0.02 * top else 0.0
        self._grid(painter, area, unit, bottom, top)
        painter.save()
        painter.setClipRect(area.adjusted(0, -2, 0, 2))
        for curve in curves:
            self._curve(painter, area, curve, bottom, top)
        painter.restore()
        self._legend(painter, area, curves)

    def _grid(
        self, painter: QtGui.QPainter, area: QtCore.QRectF, unit: str, bottom: float, top: float
    ) -> None:
        text, line = self.palette().text().color(), self.fontMetrics().height()
        faint = QtGui.QColor(text)
        faint.setAlpha(45)
        for part in range(5):
            y = area.bottom() - area.height() * part / 4
            painter.setPen(QtGui.QPen(faint, 1))
            painter.drawLine(QtCore.QPointF(area.left(), y), QtCore.QPointF(area.right(), y))
            if part % 2 == 0:
                label = f'{bottom + (top - bottom) * part / 4:g} {unit}'
                painter.setPen(text)
                painter.drawText(
                    QtCore.QRectF(0, y - line / 2, area.left() - 6, line),
                    QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter,
                    label,
                )

    def _x(self, area: QtCore.QRectF, at: float) -> float:
        return float(area.right() - area.width() * (self._now - at) / self._span_s)

    def _curve(
        self, painter: QtGui.QPainter, area: QtCore.QRectF, curve: Curve, bottom: float, top: float
    ) -> None:
        pen = QtGui.QPen(QtGui.QColor(*curve.colour), 2)
        if curve.dashed:
            pen.setStyle(QtCore.Qt.PenStyle.DashLine)
        painter.setPen(pen)
        path = QtGui.QPainterPath()
        last: float | None = None
        for position, each in enumerate(self.samples):
            value = curve.value(each)
            following = self.samples[position + 1].at if position + 1 < len(self.samples) else self._now
            if value is None:
                last = None
                continue
            y = area.bottom() - area.height() * (value - bottom) / (top - bottom)
            start = QtCore.QPointF(self._x(area, each.at), y)
            if last is None:
                path.moveTo(start)
            else:
                path.lineTo(start)  # the step: the line to here was level
            path.lineTo(QtCore.QPointF(self._x(area, min(following, each.at + GAP_S)), y))
            last = value if following - each.at <= GAP_S else None
        painter.drawPath(path)

    def _legend(self, painter: QtGui.QPainter, area: QtCore.QRectF, curves: Sequence[Curve]) -> None:
        metrics = painter.fontMetrics()
        x = area.left() + 4
        y = area.top() - 0.8 * metrics.height()
        for curve in curves:
            pen = QtGui.QPen(QtGui.QColor(*curve.colour), 2)
            if curve.dashed:
                pen.setStyle(QtCore.Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.drawLine(QtCore.QPointF(x, y), QtCore.QPointF(x + 18, y))
            painter.setPen(self.palette().text().color())
            painter.drawText(QtCore.QPointF(x + 23, y + 0.35 * metrics.ascent()), curve.name)
            x += 23 + metrics.horizontalAdvance(curve.name) + 16

    def _times(self, painter: QtGui.QPainter, area: QtCore.QRectF) -> None:
        painter.setPen(self.palette().text().color())
        unit, size = ('s', 1.0) if self._span_s <= 60.0 else ('min', 60.0)
        span = self._span_s / size
        alignments = (
            QtCore.Qt.AlignmentFlag.AlignLeft,
            QtCore.Qt.AlignmentFlag.AlignHCenter,
            QtCore.Qt.AlignmentFlag.AlignRight,
        )
        labels = (f'{span:g} {unit} ago', f'{span / 2:g} {unit} ago', 'now')
        height = self.fontMetrics().height()
        for label, alignment in zip(labels, alignments):
            box = QtCore.QRectF(area.left(), area.bottom() + 3, area.width(), height)
            painter.drawText(box, alignment, label)
