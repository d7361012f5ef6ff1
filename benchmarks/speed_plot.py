"""The ratios of the table as bars, with what was aimed at."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speed_timing import Ratio, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REACHED, MISSED, AIM = "#2a7f62", "#c8553d", "#20252b"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Two pictures below each other: how many times as long others take, and what is to stay below a limit."""
    from matplotlib.figure import Figure

    named = [(row.work, ratio) for row in rows for ratio in row.ratios if ratio.aim is not None]
    kinds = [("times as long as this, at least to the mark", [one for one in named if not one[1].at_most]),
             ("ratio, at most to the mark", [one for one in named if one[1].at_most])]
    kinds = [(label, bars) for label, bars in kinds if bars]
    heights = [len(bars) + 2 for _, bars in kinds]
    figure = Figure(figsize=(11, 0.26 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(kinds), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (label, bars) in zip(panels, kinds, strict=True):
        axes.set_xscale("log")
        axes.set_xlabel(label)
        for place, (_, ratio) in enumerate(bars):
            draw(axes, place, ratio)
        axes.axvline(1, color=AIM, linewidth=0.8)
        axes.set_yticks(range(len(bars)), [f"{work} | {ratio.said}" for work, ratio in bars], fontsize=8)
        axes.margins(x=0.15)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def draw(axes: "Axes", place: int, ratio: Ratio) -> None:
    """One bar from 1, its number, and a mark where the aim is."""
    axes.barh(place, ratio.value - 1, left=1, height=0.6, color=REACHED if ratio.reached else MISSED)
    axes.plot([ratio.aim, ratio.aim], [place - 0.42, place + 0.42], color=AIM, linewidth=2)
    axes.annotate(f"{ratio.value:.3g}", (max(ratio.value, ratio.aim, 1), place), xytext=(4, 0), textcoords="offset points",
                  va="center", fontsize=8)
