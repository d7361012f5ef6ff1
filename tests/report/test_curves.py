"""Plots inside the page."""

import re
from pathlib import Path

import pytest
from helpers.pages import Page, written

from medrestore.report.html import Curves, Point


def test_a_method_looks_the_same_in_every_plot(tmp_path: Path, everything: dict) -> None:
    plots = written(tmp_path / "r.html", **everything).split('class="plot"')[1:]
    assert len(plots) == 2
    for plot in plots:
        keys = dict(re.findall(r"fill: var\(--(series-\d)\).*?</svg>([^<]+)</li>", plot))
        assert keys == {"series-0": "zero-filled", "series-1": "DDS 49"}
        drawn = plot.split('class="chart"')[1].split("</svg>")[0]
        assert "stroke: var(--series-0)" in drawn and "stroke: var(--series-1)" in drawn and "#0" not in drawn.replace('"#', "")


def test_axes_show_the_values_and_a_baseline_is_a_level(tmp_path: Path) -> None:
    points = {"DDS": [Point(100, 32.0), Point(10, 28.0), Point(11, 28.5), Point(50, float("nan")), Point(1000, 33.0)],
              "TV": [Point(0, 25.0, 24.0, 26.0)], "lost": [Point(10, float("inf"))]}
    plot = written(tmp_path / "r.html", curves=[Curves("t", "calls", "PSNR", points, log_x=True)]).split('class="plot"')[1]
    ticks = re.findall(r"<text[^>]*>([^<]*)</text>", plot)
    assert {"10", "100", "1000"} <= set(ticks) and "11" not in ticks and "50" not in ticks
    assert "lost" not in plot
    line = re.search(r'<path d="M ([\d.]+) ([\d.]+)\s+L ([\d.]+) \2\s*" [^>]*dasharray[^>]*stroke: var\(--series-1\)', plot)
    assert line and float(line.group(3)) - float(line.group(1)) > 380  # level, from side to side of a 461 wide plot
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">DDS</th><td[^>]*>(\d+)</td>", plot)
    assert rows == ["10", "11", "100", "1000"]


@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("points", [[], [Point(0, 1)], [Point(-1, 1)], [Point(5, 1, 1, 1)], [Point(1, 1, float("nan"), 2.0)],
                                    [Point(x, x) for x in range(40)], [Point(float("nan"), 1)]])
def test_plots_with_little_or_much_to_draw(tmp_path: Path, points: list[Point], log_x: bool) -> None:
    text = written(tmp_path / "r.html", curves=[Curves("t", "x", "y", {"m": points}, log_x=log_x)])
    assert ("no finite value to draw" in text) == (not points or points[0].x != points[0].x)
    Page(text)
