"""Charts as inline SVG: numbers in, markup out. Colours and text follow the page's style sheet, so both themes fit.

Charts hold no text of the user's but their titles, which are escaped: names of classes and columns stand in HTML beside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from orchestrator.report.inspection import Curve, ShareOfBin

SIZE, LEFT, BOTTOM, TOP, RIGHT = 320, 46, 40, 12, 14  # of a chart with axes
BARS = (132, 26)  # width and height of a histogram in a table
INTERVAL = (160, 18)
LINES = 6  # colours of lines; further ones are dashed


@dataclass(frozen=True)
class Scale:
    """A linear scale from values ``low`` to ``high`` to places ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> str:
        """Return the place of a value, with one decimal; values outside are put at the end."""
        span = self.high - self.low
        share = min(max((value - self.low) / span, 0.0), 1.0) if span else 0.5
        return f"{self.start + share * (self.end - self.start):.1f}"


def svg(
    width: float, height: float, parts: Iterable[str], title: str = "", about: str = "", kind: str = "chart"
) -> Markup:
    """Return an SVG element with a title and a description for readers who do not see it; without a title it is hidden."""
    inner = Markup("").join(map(Markup, parts))
    head = Markup('<svg class="{}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}"').format(
        kind, width, height, width, height
    )
    if not title:
        return Markup('{} aria-hidden="true" focusable="false">{}</svg>').format(head, inner)
    said = f"{title}. {about}" if about else title
    return Markup('{} role="img" aria-label="{}"><title>{}</title>{}</svg>').format(head, said, title, inner)


def histogram(counts: Sequence[int]) -> Markup:
    """Return bars of counts, without axes."""
    width, height = BARS
    if not counts:
        return Markup("")
    step, most = width / len(counts), max(counts) or 1
    return svg(width, height, _bars(counts, step, height, most), kind="histogram")


def _bars(counts: Sequence[int], step: float, height: float, most: int) -> Iterator[str]:
    between = min(1.5, step / 4)
    for place, count in enumerate(counts):
        tall = max(count / most * (height - 1), 1.0 if count else 0.0)
        if tall:
            yield (
                f'<rect class="fill" x="{place * step + between / 2:.1f}" y="{height - 1 - tall:.1f}" '
                f'width="{step - between:.1f}" height="{tall:.1f}"/>'
            )
    yield f'<line class="axis" x1="0" x2="{step * len(counts):g}" y1="{height - 0.5:g}" y2="{height - 0.5:g}"/>'


def interval(
    value: float, low: float | None, high: float | None, ends: tuple[float, float], mark: float | None = None
) -> Markup:
    """Return a dot at a value with a bar over its interval, on a scale between two ends; ``mark`` is a value to compare."""
    width, height = INTERVAL
    at, middle = Scale(*ends, 6, width - 6), height / 2
    parts = [f'<line class="grid" x1="0" x2="{width}" y1="{middle:g}" y2="{middle:g}"/>']
    if mark is not None and math.isfinite(mark):
        parts.append(f'<line class="mark" x1="{at(mark)}" x2="{at(mark)}" y1="1" y2="{height - 1}"/>')
    if low is not None and high is not None:
        parts.append(f'<line class="whisker" x1="{at(low)}" x2="{at(high)}" y1="{middle:g}" y2="{middle:g}"/>')
    parts.append(f'<circle class="fill" cx="{at(value)}" cy="{middle:g}" r="4"/>')
    return svg(width, height, parts, kind="interval")


def ends_of(values: Iterable[float | None]) -> tuple[float, float]:
    """Return the ends of a scale for some values, with a margin."""
    found = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min(found, default=0.0), max(found, default=1.0)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def curves(lines: Sequence[Curve], x: str, y: str, title: str, chance: Sequence[tuple[float, float]]) -> Markup:
    """Return lines in the unit square, and the line of chance, dashed."""
    places = Scale(0, 1, LEFT, SIZE - RIGHT), Scale(0, 1, SIZE - BOTTOM, TOP)
    ticks = [(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    parts = (
        [*_axes(places, ticks, ticks, x, y), _line([*chance], places, "chance")]
        if chance
        else [*_axes(places, ticks, ticks, x, y)]
    )
    parts += [_line([*zip(one.x, one.y, strict=True)], places, line_class(at)) for at, one in enumerate(lines)]
    areas = ", ".join(f"{one.label}: {one.area:.3f}" for one in lines)
    return svg(SIZE, SIZE, parts, title, f"Area under the curve: {areas}")


def calibration(bins: Sequence[ShareOfBin], title: str) -> Markup:
    """Return the share of positive rows over the mean probability of each bin with its interval, and the line of equal ones."""
    places = Scale(0, 1, LEFT, SIZE - RIGHT), Scale(0, 1, SIZE - BOTTOM, TOP)
    ticks = [(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    parts = [*_axes(places, ticks, ticks, "Predicted probability", "Share that is positive")]
    parts.append(_line([(0, 0), (1, 1)], places, "chance"))
    for one in bins:
        x, low, high = places[0](one.predicted), places[1](one.low), places[1](one.high)
        parts.append(f'<line class="whisker" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
        parts.append(f'<circle class="fill" cx="{x}" cy="{places[1](one.observed)}" r="4"/>')
    said = ", ".join(f"{one.predicted:.2f}: {one.observed:.2f}" for one in bins)
    return svg(SIZE, SIZE, parts, title, f"Share that is positive by predicted probability: {said}")


def by_threshold(lines: Sequence[Curve], threshold: float, title: str) -> Markup:
    """Return scores of labels over the threshold, and where the threshold is."""
    places = Scale(0, 1, LEFT, SIZE - RIGHT), Scale(0, 1, SIZE - BOTTOM, TOP)
    ticks = [(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    parts = [*_axes(places, ticks, ticks, "Threshold", "Score")]
    parts.append(_line([(threshold, 0), (threshold, 1)], places, "chance"))
    parts += [_line([*zip(one.x, one.y, strict=True)], places, line_class(at)) for at, one in enumerate(lines)]
    return svg(SIZE, SIZE, parts, title, f"The threshold is {threshold:.3g}")


def line_class(place: int) -> str:
    """Return the style of the line at a place in the legend."""
    return f"line l{place % LINES}" + (" dashed" if place >= LINES else "")


def swatch(place: int) -> Markup:
    """Return a sample of a line for the legend."""
    return svg(24, 10, [f'<line class="{line_class(place)}" x1="1" x2="23" y1="5" y2="5"/>'], kind="swatch")


def scatter(points: Sequence[tuple[float, float]], title: str) -> Markup:
    """Return predicted over actual values, and the line of equal ones."""
    low, high = ends_of(value for pair in points for value in pair)
    places = Scale(low, high, LEFT + 12, SIZE - RIGHT), Scale(low, high, SIZE - BOTTOM, TOP)
    ticks = [(value, _short(value)) for value in round_ticks(low, high)]
    parts = [
        *_axes(places, ticks, ticks, "Actual", "Predicted", LEFT + 12),
        _line([(low, low), (high, high)], places, "chance"),
    ]
    parts += [f'<circle class="dot" cx="{places[0](x)}" cy="{places[1](y)}" r="2.5"/>' for x, y in points]
    return svg(SIZE, SIZE, parts, title, f"{len(points)} rows; the closer to the dashed line, the better")


def _axes(
    places: tuple[Scale, Scale],
    across: Iterable[tuple[float, str]],
    up: Iterable[tuple[float, str]],
    x: str,
    y: str,
    left: float = LEFT,
) -> Iterator[str]:
    at_x, at_y = places
    low, right = SIZE - BOTTOM, SIZE - RIGHT
    for value, text in across:
        yield f'<line class="grid" x1="{at_x(value)}" x2="{at_x(value)}" y1="{TOP}" y2="{low}"/>'
        yield f'<text class="tick" x="{at_x(value)}" y="{low + 15}" text-anchor="middle">{escape(text)}</text>'
    for value, text in up:
        yield f'<line class="grid" x1="{left}" x2="{right}" y1="{at_y(value)}" y2="{at_y(value)}"/>'
        yield f'<text class="tick" x="{left - 6}" y="{at_y(value)}" dy="0.35em" text-anchor="end">{escape(text)}</text>'
    yield f'<path class="axis" d="M{left} {TOP}V{low}H{right}"/>'
    centre = (low + TOP) / 2
    yield f'<text class="label" x="{(left + right) / 2:g}" y="{SIZE - 6}" text-anchor="middle">{escape(x)}</text>'
    yield f'<text class="label" transform="translate(12 {centre:g}) rotate(-90)" text-anchor="middle">{escape(y)}</text>'


def _line(points: Sequence[tuple[float, float]], places: tuple[Scale, Scale], kind: str) -> str:
    path = "L".join(f"{places[0](x)} {places[1](y)}" for x, y in points)
    return f'<path class="{kind}" d="M{path}"/>'


def round_ticks(low: float, high: float) -> list[float]:
    """Return three to six round numbers between two ends."""
    span = high - low
    if not span or not math.isfinite(span):
        return [low]
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (step * factor) <= 5)
    first = math.ceil(low / step)
    return [at * step for at in range(first, math.floor(high / step) + 1)]


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (letter != "k" and abs(value) >= size):
            return f"{value / size:g}{letter}"
    return f"{value:.4g}"
