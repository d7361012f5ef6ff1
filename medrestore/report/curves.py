"""Plots as SVG inside the page: lines over acceleration or network calls, in colours that follow the page's theme."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .markup import grid, heading, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS, DASHES = 8, ((), (5, 2), (1, 1.6))  # the colours are the style sheet's --series-0 ... --series-7
MARKERS = (("o", '<circle cx="14" cy="5" r="3.2"/>'), ("s", '<path d="M11 2h6v6h-6z"/>'),
           ("^", '<path d="M14 1.4l3.7 6.6h-7.4z"/>'), ("D", '<path d="M14 1.2l3.8 3.8-3.8 3.8-3.8-3.8z"/>'))
INK, GRID = "#010101", "#020202"  # stand for var(--muted) and var(--line) until the plot is in the page
SETTINGS = {
    "svg.fonttype": "none", "font.size": 10, "axes.edgecolor": GRID, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": GRID, "grid.linewidth": 0.8, "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "ytick.major.size": 0,
    "axes.xmargin": 0.04, "axes.ymargin": 0.08, "axes.formatter.useoffset": False,
}
SIZE = (6.4, 3.5)  # inches
CROWDED, MANY = 0.08, 9  # ticks nearer than this part of the axis are left out; more than this many and the axis sets its own


@dataclass(frozen=True)
class Point:
    """One value of a line, with the ends of its interval where there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curves:
    """A plot of one line for each method.

    Args:
        title: what stands above it.
        x_label: the horizontal axis, with its unit.
        y_label: the vertical axis, with its unit.
        lines: label to points, in any order; points that are not finite are left out.
        log_x: logarithmic from left to right; a point at 0 or below then stands for a level, drawn from side to side
            (a baseline that calls no network).
    """

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[Point]]
    log_x: bool = False

    def drawn(self) -> dict[str, list[Point]]:
        """The finite points of each line from left to right."""
        finite = {label: [point for point in points if math.isfinite(point.x) and math.isfinite(point.y)]
                  for label, points in self.lines.items()}
        return {label: sorted(points, key=lambda point: point.x) for label, points in finite.items() if points}


def plots(given: Sequence[Curves]) -> str:
    """All plots; a label has the same colour, dash and marker in each of them."""
    labels = list(dict.fromkeys(label for curves in given for label in curves.drawn()))
    styles = {label: number for number, label in enumerate(labels)}
    return "\n".join(_plot(curves, styles, f"curve-{number}") for number, curves in enumerate(given, 1))


def _plot(curves: Curves, styles: Mapping[str, int], name: str) -> str:
    drawn = curves.drawn()
    if not drawn:
        return (f'<figure class="plot">{heading(3, name, curves.title)}\n'
                '<p class="note">There is no finite value to draw.</p></figure>')
    keys = "".join(f"<li>{_swatch(styles[label], curves.log_x and points[-1].x <= 0)}{text(label)}</li>"
                   for label, points in drawn.items())
    lines = [[label, *map(_in_six_digits, (point.x, point.y, point.low, point.high))]
             for label, points in drawn.items() for point in points]
    header = ("line", curves.x_label, curves.y_label, "low", "high")
    return (f'<figure class="plot">{heading(3, name, curves.title)}\n<p class="axis">{text(curves.y_label)}</p>\n'
            f"{_svg(curves, drawn, styles, name)}\n"
            f'<p class="axis below">{text(curves.x_label)}</p>\n<ul class="keys">{keys}</ul>\n'
            f"<details><summary>The numbers</summary>{grid(header, lines, label=curves.title)}</details></figure>")


def _svg(curves: Curves, drawn: Mapping[str, Sequence[Point]], styles: Mapping[str, int], name: str) -> str:
    """The plot without text of the user: axes, ticks and marks."""
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with style.context(["default", SETTINGS | {"svg.hashsalt": name}]):  # the salt: names inside are unique on the page
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for label, points in drawn.items():
            _draw_line(axes, points, styles[label], curves.log_x)
        _horizontal_axis(axes, [point.x for points in drawn.values() for point in points], curves.log_x)
        axes.grid(visible=False, axis="x")
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _inlined(buffer.getvalue(), f"{curves.title}: {curves.y_label} over {curves.x_label}")


def _draw_line(axes: "Axes", points: Sequence[Point], style: int, log_x: bool) -> None:
    colour = f"#0300{style % COLOURS:02x}"  # stands for var(--series-n), see `_themed`
    dashes, marker = DASHES[style // COLOURS % len(DASHES)], MARKERS[style % len(MARKERS)][0]
    for point in points:
        if log_x and point.x <= 0:
            axes.axhline(point.y, color=colour, linewidth=1.4, dashes=(6, 3))
    points = [point for point in points if point.x > 0 or not log_x]
    barred = [point for point in points if point.low is not None and point.high is not None
              and math.isfinite(point.low) and math.isfinite(point.high)]
    if barred:
        axes.vlines(*zip(*((point.x, point.low, point.high) for point in barred), strict=True), color=colour, linewidth=1.6,
                    alpha=0.4)
    if points:
        axes.plot(*zip(*((point.x, point.y) for point in points), strict=True), color=colour, linewidth=1.6, marker=marker,
                  markersize=5, dashes=dashes or (None, None), clip_on=False)


def _horizontal_axis(axes: "Axes", values: Sequence[float], log_x: bool) -> None:
    """The horizontal axis: its scale, and ticks at the values themselves while there is room for them."""
    from matplotlib.ticker import NullLocator

    values = sorted({value for value in values if value > 0 or not log_x})
    if log_x and values:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    scale = math.log if log_x else float
    span = scale(values[-1]) - scale(values[0]) if values else 0.0
    ticks: list[float] = []
    for value in values:
        if not ticks or scale(value) - scale(ticks[-1]) >= CROWDED * span:
            ticks.append(value)
    if log_x or len(ticks) <= MANY:
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def _inlined(svg: str, label: str) -> str:
    """The SVG document as an element of the page, in the page's colours and fonts, naming no outside address."""
    inside = re.sub(r"<(style|metadata)\b.*?</\1>|<!--.*?-->", "", svg[svg.index(">", svg.index("<svg")) + 1 :], flags=re.DOTALL)
    inside = re.sub(r' id="[A-Za-z][A-Za-z.2]*_\d+"', "", inside).replace("xlink:href", "href")
    inside = re.sub(r'style="[^"]*"', lambda match: _themed(match.group()), inside)
    shape = " ".join(f"{72 * inches:g}" for inches in SIZE)  # matplotlib draws SVG at 72 units an inch
    return f'<div class="chart"><svg viewBox="0 0 {shape}" role="img" aria-label="{text(label)}">{inside.strip()}</div>'


def _themed(style: str) -> str:
    style = style.replace(INK, "var(--muted)").replace(GRID, "var(--line)")
    return re.sub(r"#0300([0-9a-f]{2})", lambda match: f"var(--series-{int(match.group(1), 16)})", style)


def _swatch(style: int, level: bool) -> str:
    dashes = "6 3" if level else " ".join(map(str, DASHES[style // COLOURS % len(DASHES)]))
    mark = "" if level else MARKERS[style % len(MARKERS)][1]
    colour = f"var(--series-{style % COLOURS})"
    return (f'<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true" style="stroke: {colour}; fill: {colour}">'
            f'<path d="M0 5h28" stroke-width="2" stroke-dasharray="{dashes}"/>{mark}</svg>')


def _in_six_digits(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.6g}"
