"""Curves of a result as SVG, written by hand: small, sharp, and no picture library at run time."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from fourview.entities import Curve

WIDTH, HEIGHT = 420, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 44  # room for ticks and labels, px
COLORS = tuple(f"var(--chart-{k})" for k in range(7))  # sheet.css has them, light and dark
TICKS = 5


class Axes:
    """Where data values lie on the picture, and its frame: grid, ticks, labels."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], x_label: str, y_label: str
    ) -> None:
        self.x, self.y = x, y
        self.parts: list[str] = []
        for value in _ticks(*x):
            at = self.column(value)
            self._line(at, TOP, at, HEIGHT - BOTTOM, "grid")
            self._text(at, HEIGHT - BOTTOM + 17, _short(value), "middle")
        for value in _ticks(*y):
            at = self.row(value)
            self._line(LEFT, at, WIDTH - RIGHT, at, "grid")
            self._text(LEFT - 8, at + 4, _short(value), "end")
        self._text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label, "middle", "label")
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.parts.append(
            f'<text class="label" text-anchor="middle" transform="translate(13 {middle:.1f})'
            f' rotate(-90)">{escape(y_label)}</text>'
        )

    def column(self, value: float) -> float:
        """Picture x of a data x."""
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def row(self, value: float) -> float:
        """Picture y of a data y."""
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def line(
        self,
        x: Float[np.ndarray, " point"],
        y: Float[np.ndarray, " point"],
        color: str,
        style: str = "curve",
    ) -> None:
        """Join points by straight lines; what leaves the frame is cut off."""
        points = " ".join(
            f"{self.column(a):.1f},{self.row(b):.1f}" for a, b in zip(x, y, strict=True)
        )
        self.parts.append(
            f'<polyline class="{style}" style="stroke:{color}" clip-path="url(#frame)"'
            f' points="{points}"/>'
        )

    def columns(
        self,
        x: Float[np.ndarray, " bin"],
        y: Float[np.ndarray, " bin"],
        width: float,
        color: str,
    ) -> None:
        """Bars from 0 up, half transparent, so that another set shows through."""
        for center, height in zip(x, y, strict=True):
            if height > 0:
                left, right = self.column(center - width / 2), self.column(center + width / 2)
                top = self.row(height)
                self.parts.append(
                    f'<rect class="column" style="fill:{color}" x="{left:.1f}" y="{top:.1f}"'
                    f' width="{right - left:.1f}" height="{HEIGHT - BOTTOM - top:.1f}"/>'
                )

    def reference(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """A dashed line to compare with."""
        start, end = (self.column(x[0]), self.row(y[0])), (self.column(x[1]), self.row(y[1]))
        self._line(*start, *end, "reference")

    def bars(self, curve: Curve, color: str) -> None:
        """Points with their intervals."""
        low = curve.y if curve.low is None else curve.low
        high = curve.y if curve.high is None else curve.high
        for x, y, a, b in zip(curve.x, curve.y, low, high, strict=True):
            at = self.column(x)
            self._line(at, self.row(a), at, self.row(b), "bar", color)
            self.parts.append(
                f'<circle cx="{at:.1f}" cy="{self.row(y):.1f}" r="3.5" style="fill:{color}"/>'
            )

    def legend(self, entries: Sequence[tuple[str, str]], top: float) -> None:
        """Name and colour of each line, inside the frame on the right."""
        for i, (name, color) in enumerate(entries):
            y = top + 17 * i
            self._line(WIDTH - RIGHT - 24, y - 4, WIDTH - RIGHT - 6, y - 4, "curve", color)
            self._text(WIDTH - RIGHT - 30, y, name, "end")

    def svg(self, title: str) -> str:
        """The picture."""
        frame = f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}"'
        frame += f' height="{HEIGHT - TOP - BOTTOM}"/>'
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
            f'<clipPath id="frame">{frame}</clipPath>{"".join(self.parts)}</svg>'
        )

    def _line(
        self, x0: float, y0: float, x1: float, y1: float, style: str, color: str = ""
    ) -> None:
        paint = f' style="stroke:{color}"' if color else ""
        self.parts.append(
            f'<line class="{style}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
            f"{paint}/>"
        )

    def _text(self, x: float, y: float, text: str, anchor: str, style: str = "tick") -> None:
        self.parts.append(
            f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )


def roc_chart(curves: Sequence[Curve]) -> str:
    """One ROC curve, or one for each class, over the diagonal of chance."""
    axes = Axes((0, 1), (0, 1), curves[0].x_label, curves[0].y_label)
    axes.reference((0, 1), (0, 1))
    for curve, color in zip(curves, _colors(len(curves)), strict=True):
        axes.line(curve.x, curve.y, color)
    if len(curves) > 1:
        names = [c.name.removeprefix("roc ") for c in curves]
        top = HEIGHT - BOTTOM - 10 - 17 * (len(curves) - 1)
        axes.legend(list(zip(names, _colors(len(curves)), strict=True)), top)
    return axes.svg("ROC curve")


def pr_chart(curve: Curve, prevalence: float) -> str:
    """Precision over recall; the dashed line is the prevalence."""
    axes = Axes((0, 1), (0, 1), curve.x_label, curve.y_label)
    axes.reference((0, 1), (prevalence, prevalence))
    axes.line(curve.x, curve.y, COLORS[0])
    return axes.svg("Precision-recall curve")


def calibration_chart(curve: Curve) -> str:
    """Share of positives over mean score; the dashed line is perfect."""
    high = curve.y if curve.high is None else curve.high
    top = _round_up(float(max(curve.x.max(), high.max())))
    axes = Axes((0, top), (0, top), curve.x_label, curve.y_label)
    axes.reference((0, top), (0, top))
    axes.line(curve.x, curve.y, COLORS[0], "faint")
    axes.bars(curve, COLORS[0])
    return axes.svg("Calibration curve")


def decision_chart(model: Curve, everyone: Curve) -> str:
    """Net benefit of the model, of recalling everyone, and of no one (the dashed line)."""
    top = _round_up(float(max(model.y.max(), everyone.y.max())))
    right = float(model.x.max())
    axes = Axes((0, right), (-0.25 * top, top), model.x_label, model.y_label)
    axes.reference((0, right), (0, 0))
    axes.line(everyone.x, everyone.y, COLORS[4])
    axes.line(model.x, model.y, COLORS[0])
    axes.legend([("this model", COLORS[0]), ("recall everyone", COLORS[4])], TOP + 18)
    return axes.svg("Decision curve")


def miss_chart(curve: Curve) -> str:
    """Benign findings that are spared over malignant ones that are missed, with its intervals."""
    axes = Axes((0, 1), (0, 1), curve.x_label, curve.y_label)
    axes.reference((0, 1), (0, 1))
    for end in (curve.low, curve.high):
        if end is not None:
            axes.line(np.repeat(curve.x, 2)[1:], np.repeat(end, 2)[:-1], COLORS[0], "faint")
    axes.line(np.repeat(curve.x, 2)[1:], np.repeat(curve.y, 2)[:-1], COLORS[0])  # a staircase
    return axes.svg("True-negative rate by miss rate")


def histogram_chart(negative: Curve, positive: Curve) -> str:
    """How the scores are spread without and with the label, each as a share of its own units."""
    shares = [c.y / max(float(c.y.sum()), 1.0) for c in (negative, positive)]
    step = float(negative.x[1] - negative.x[0])
    ends = (float(negative.x[0]) - step / 2, float(negative.x[-1]) + step / 2)
    top = _round_up(float(max(share.max() for share in shares)))
    axes = Axes(ends, (0, top), negative.x_label, "share of units")
    for share, curve, color in zip(shares, (negative, positive), COLORS, strict=False):
        axes.columns(curve.x, share, step, color)
    names = [f"without the label ({int(negative.y.sum()):,})"]
    names.append(f"with the label ({int(positive.y.sum()):,})")
    axes.legend(list(zip(names, COLORS, strict=False)), TOP + 18)
    return axes.svg("Histogram of scores")


def froc_chart(curve: Curve) -> str:
    """Share of findings found over false marks per image."""
    right = _round_up(float(max(curve.x.max(), 0.1)))
    axes = Axes((0, right), (0, 1), curve.x_label, curve.y_label)
    x, y = curve.x, curve.y
    axes.line(np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1], COLORS[0])  # a staircase
    return axes.svg("FROC curve")


def forest(low: float | None, value: float | None, high: float | None) -> str:
    """A small bar of an interval within [0, 1], for a table's row."""
    if value is None or not 0 <= value <= 1:
        return ""
    a, b = (value if v is None else min(max(v, 0.0), 1.0) for v in (low, high))
    return (
        '<svg class="forest" viewBox="0 0 120 14" aria-hidden="true">'
        '<line class="grid" x1="0" y1="7" x2="120" y2="7"/>'
        '<line class="grid" x1="60" y1="2" x2="60" y2="12"/>'
        f'<line class="bar" style="stroke:{COLORS[0]}" x1="{120 * a:.1f}" y1="7"'
        f' x2="{120 * b:.1f}" y2="7"/>'
        f'<circle cx="{120 * value:.1f}" cy="7" r="3" style="fill:{COLORS[0]}"/></svg>'
    )


def _colors(number: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(number)]


def _ticks(low: float, high: float) -> list[float]:
    """About five round values within the ends."""
    step = 10.0 ** np.floor(np.log10((high - low) / TICKS))
    for factor in (1, 2, 5, 10):
        if (high - low) / (step * factor) <= TICKS + 1:
            step *= factor
            break
    first = np.ceil(low / step - 1e-9)  # 1e-9: a round end is a tick, whatever its last digits
    values = [float(k * step) for k in np.arange(first, np.floor(high / step + 1e-9) + 1)]
    assert all(a < b for a, b in pairwise(values))
    return values


def _short(value: float) -> str:
    return f"{round(value, 6) + 0.0:g}"  # + 0.0: no "-0"


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 times a power of ten; at most 1 for shares."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= value * (1 - 1e-9)))
