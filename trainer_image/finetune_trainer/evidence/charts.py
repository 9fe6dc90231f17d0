"""Charts of the report page: inline SVG, drawn by pure functions, so that a page needs no script and asks nobody for one.

A chart is stretched to the width of its reader's screen while lines and letters keep their size: the SVG holds lines alone,
in a square of 1000 by 1000, and numbers stand beside it as text. A dot is a line without length and with round ends, since
a circle would be stretched to an egg. Each chart says in words what it shows, for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from markupsafe import Markup

from finetune_trainer.evidence.page_words import fixed, number

BUCKETS = 400
"""Points of a curve. More are not seen on a screen and only make the page heavy."""
DOTS = 60
"""Validations that are drawn as dots. More would only lie on top of each other, so they become a line."""

_SIDE = 1000.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """Neighbouring points of a curve, drawn as one."""

    first: float
    """Where it begins, on the x axis."""
    last: float
    mean: float
    low: float
    high: float

    @property
    def middle(self) -> float:
        """Where it is drawn."""
        return (self.first + self.last) / 2


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over steps, as measured."""

    steps: Sequence[float]
    """Ascending."""
    values: Sequence[float]


def buckets(curve: Curve, *, at_most: int = BUCKETS) -> list[Bucket]:
    """A curve in few points that hides no spike: each bucket keeps its mean, lowest and highest value.

    The first and the last point stay alone, so that a curve begins and ends where it was measured to. A curve that is short
    enough stays as it is, a point per bucket.
    """
    points = list(zip(curve.steps, curve.values, strict=True))
    if len(points) <= at_most:
        return [Bucket(step, step, value, value, value) for step, value in points]
    inner, places = len(points) - 2, at_most - 2
    edges = [0, *(1 + inner * i // places for i in range(places + 1)), len(points)]
    found = []
    for begin, end in pairwise(edges):
        values = curve.values[begin:end]
        mean = math.fsum(values) / len(values)
        found.append(Bucket(curve.steps[begin], curve.steps[end - 1], mean, min(values), max(values)))
    return found


def smoothing_window(points: int) -> int:
    """Steps over which a curve is smoothed: a twelfth of it, an odd number; 1, which is not at all, for a short one."""
    return 2 * (points // 24) + 1


def smoothed(curve: Curve) -> Curve:
    """The mean over each point's neighbourhood, which at both ends is narrower but stays centred."""
    count = len(curve.values)
    reach = smoothing_window(count) // 2
    sums = [0.0, *accumulate(curve.values)]
    means = []
    for i in range(count):
        r = min(reach, i, count - 1 - i)
        means.append((sums[i + r + 1] - sums[i - r]) / (2 * r + 1))
    return Curve(curve.steps, means)


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from at or below `low` to at or above `high`."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):  # nothing between them that could be told apart
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / max(1, about - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    apart = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
    first, last = math.floor(low / apart + 1e-9), math.ceil(high / apart - 1e-9)
    return [float(f"{i * apart:.12g}") for i in range(first, last + 1)]


# ---------------------------------------------------------------- figures


@dataclass(frozen=True, slots=True)
class Best:
    """The step whose weights were kept."""

    step: int
    words: str


def loss_chart(training: Curve, validation: Curve, *, best: Best | None, words: str) -> Markup:
    """Training loss as measured and smoothed, validation loss as dots, the best step as a line.

    Args:
        training: a value per step; may be empty.
        validation: a value per validation; may be empty.
        words: what the chart shows, for readers who cannot see it.
    """
    frame = _Frame.around([*training.steps, *validation.steps], [*training.values, *validation.values], about=6)
    drawn = buckets(training)
    parts = [frame.grid(), frame.band(drawn)]
    raw = [(b.middle, b.mean) for b in drawn]
    dotted = smoothing_window(len(training.steps)) == 1
    parts.append(Markup('<path class="raw{}" d="{}"/>').format(" alone" if dotted else "", frame.line(raw)))
    if dotted:
        parts.append(Markup('<path class="step" d="{}"/>').format(frame.dots(raw)))
    else:
        means = buckets(smoothed(training))
        parts.append(Markup('<path class="smooth" d="{}"/>').format(frame.line([(b.middle, b.mean) for b in means])))
    if best is not None:
        parts.append(Markup('<path class="best" d="M{0:.1f} 0V1000"/>').format(frame.x(best.step)))
    checked = [(b.middle, b.mean) for b in buckets(validation)]
    if len(checked) > DOTS:
        parts.append(Markup('<path class="between many" d="{}"/>').format(frame.line(checked)))
    elif checked:
        parts.append(Markup('<path class="between" d="{}"/>').format(frame.line(checked)))
        parts.append(Markup('<path class="validation" d="{}"/>').format(frame.dots(checked)))
    note = frame.note(best.step, best.words) if best is not None else Markup("")
    return frame.figure(parts, words=words, kind="tall", axis="optimizer step", note=note)


def small_chart(curve: Curve, *, words: str) -> Markup:
    """A curve below another one, over the same steps."""
    frame = _Frame.around(curve.steps, [0.0, *curve.values], about=3)
    drawn = buckets(curve)
    line = [(b.middle, b.mean) for b in drawn]
    parts = [frame.grid(), frame.band(drawn), Markup('<path class="thin" d="{}"/>').format(frame.line(line))]
    if len(line) == 1:
        parts.append(Markup('<path class="step" d="{}"/>').format(frame.dots(line)))
    return frame.figure(parts, words=words, kind="low", axis="optimizer step")


def histogram(
    counts: Sequence[int], edges: Sequence[float], *, marks: Sequence[tuple[str, float]], words: str, axis: str = "tokens"
) -> Markup:
    """Bars for how many examples are how long, or weigh how much.

    Args:
        counts: per bar, shape (bars,).
        edges: of the bars, shape (bars + 1,), ascending.
        marks: class of a vertical line, and where it stands.
    """
    frame = _Frame.around(edges, [0, *counts], about=4, whole=axis != "weight")
    bars = Markup("").join(
        Markup('<path d="M{:.1f} 1000V{:.1f}H{:.1f}V1000Z"><title>{} to {}: {:,}</title></path>').format(
            frame.x(begin) + 1.5, frame.y(count), max(frame.x(begin) + 2, frame.x(end) - 1.5), number(begin), number(end), count
        )
        for begin, end, count in zip(edges, edges[1:], counts, strict=False)
    )
    lines = [Markup('<path class="mark {}" d="M{:.1f} 0V1000"/>').format(name, frame.x(at)) for name, at in marks]
    parts = [frame.grid(), Markup('<g class="bars">{}</g>').format(bars), *lines]
    return frame.figure(parts, words=words, kind="medium", axis=axis)


def interval_mark(value: float, low: float, high: float, *, lower_is_better: bool, tone: str) -> Markup:
    """Where a difference and its interval lie: zero in the middle, better to the right, whichever way the metric counts.

    The numbers stand beside it, so that it is hidden from those who hear the page.
    """
    sign = -1.0 if lower_is_better else 1.0
    begin, end = sorted((sign * low, sign * high))
    reach = (max(abs(value), abs(low), abs(high)) or 1.0) * 1.08
    frame = _Frame(-reach, reach, 0.0, 1.0, (), ())
    return Markup(
        '<svg class="interval {}" viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<path class="zero" d="M500 0V1000"/><path class="reach" d="{}"/><path class="value" d="{}"/></svg>'
    ).format(tone, frame.line([(begin, 0.5), (end, 0.5)]), frame.dots([(sign * value, 0.5)]))


# ---------------------------------------------------------------- the frame around a curve


@dataclass(frozen=True, slots=True)
class _Frame:
    """Ranges of both axes with their ticks."""

    left: float
    right: float
    bottom: float
    top: float
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    @classmethod
    def around(cls, xs: Sequence[float], ys: Sequence[float], *, about: int, whole: bool = True) -> _Frame:
        """The frame of these points, with about so many ticks on the y axis; where the x axis counts, its ticks are whole."""
        left, right = min(xs, default=0.0), max(xs, default=1.0)
        y_ticks = ticks(min(ys, default=0.0), max(ys, default=1.0), about=about)
        if right == left:
            return cls(left - 1, right + 1, y_ticks[0], y_ticks[-1], [left], y_ticks)
        x_ticks = [tick for tick in ticks(left, right, about=6) if left <= tick <= right and (not whole or tick == round(tick))]
        return cls(left, right, y_ticks[0], y_ticks[-1], x_ticks, y_ticks)

    def x(self, value: float) -> float:
        return (value - self.left) / (self.right - self.left) * _SIDE

    def y(self, value: float) -> float:
        return (self.top - value) / (self.top - self.bottom) * _SIDE

    def line(self, points: Sequence[tuple[float, float]]) -> str:
        return "".join(f"{'L' if i else 'M'}{self.x(x):.1f} {self.y(y):.1f}" for i, (x, y) in enumerate(points))

    def dots(self, points: Sequence[tuple[float, float]]) -> str:
        return "".join(f"M{self.x(x):.1f} {self.y(y):.1f}h0" for x, y in points)

    def grid(self) -> Markup:
        lines = "".join(f"M0 {self.y(tick):.1f}H1000" for tick in self.y_ticks)
        return Markup('<path class="grid" d="{}"/>').format(lines)

    def band(self, drawn: Sequence[Bucket]) -> Markup:
        """The area between the lowest and the highest value of each bucket; nothing where each holds one value."""
        if not any(bucket.low < bucket.high for bucket in drawn):
            return Markup("")
        edge = [(b.middle, b.high) for b in drawn] + [(b.middle, b.low) for b in reversed(drawn)]
        return Markup('<path class="band" d="{}Z"/>').format(self.line(edge))

    def note(self, at: float, words: str) -> Markup:
        """A remark at a vertical line, on the side that has room."""
        place = self.x(at) / _SIDE * 100
        side = f"right:{100 - place:.2f}%" if place > 50 else f"left:{place:.2f}%"
        return Markup('<span class="note" style="{}">{}</span>').format(side, words)

    def figure(self, parts: Sequence[Markup], *, words: str, kind: str, axis: str, note: Markup | None = None) -> Markup:
        apart = self.y_ticks[1] - self.y_ticks[0]
        decimals = max(0, -math.floor(math.log10(apart) + 1e-9))
        y_labels = Markup("").join(
            Markup('<span style="top:{:.2f}%">{}</span>').format(
                self.y(tick) / _SIDE * 100, fixed(tick, decimals) if decimals <= 5 else number(float(tick))
            )
            for tick in self.y_ticks
        )
        x_labels = Markup("").join(
            Markup('<span style="left:{:.2f}%">{}</span>').format(
                self.x(tick) / _SIDE * 100, f"{tick:,.0f}" if tick == round(tick) else number(tick)
            )
            for tick in self.x_ticks
        )
        return Markup(
            '<div class="plot {kind}"><div class="y" aria-hidden="true">{y}</div><div class="area"><svg viewBox="0 0 1000 1000"'
            ' preserveAspectRatio="none" role="img" aria-label="{words}">{parts}</svg>{note}</div>'
            '<div class="x" aria-hidden="true">{x}</div><div class="axis" aria-hidden="true">{axis}</div></div>'
        ).format(kind=kind, y=y_labels, words=words, parts=Markup("").join(parts), note=note or "", x=x_labels, axis=axis)
