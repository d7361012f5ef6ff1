"""How things are timed side by side, and what a row of the table holds."""

import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import torch

ROUNDS = 7
PATIENCE = 20.0  # seconds after which a contender is not run again


def clock() -> float:
    """Seconds of the processor on one thread, of programs that were called too; on more threads, seconds on the wall."""
    if torch.get_num_threads() > 1:
        return time.perf_counter()
    called = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + called.ru_utime + called.ru_stime


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = clock()
    work()
    return clock() - started


def medians(contenders: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, the contenders taking turns. The first turn warms up; of what takes long it counts."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(ROUNDS + 1):
        for name, work in contenders.items():
            if sum(times[name]) < PATIENCE:
                spent = timed(work)
                if turn > 0 or spent > PATIENCE / 4:
                    times[name].append(spent)
    return {name: statistics.median(own) for name, own in times.items()}


@dataclass(frozen=True)
class Ratio:
    """One number that is aimed at.

    Args:
        said: what over what.
        value: the ratio.
        aim: what it should be, or None.
        at_most: whether it should be no more than that; no less otherwise.
    """

    said: str
    value: float
    aim: float | None = None
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the aim is reached; without one it is."""
        if self.aim is None:
            return True
        return self.value <= self.aim if self.at_most else self.value >= self.aim

    def __str__(self) -> str:
        aim = "" if self.aim is None else f" (aim {'at most ' if self.at_most else ''}{self.aim:g})"
        number = f"{self.value:.2f}" if self.value < 3 else f"{self.value:.1f}"
        return f"{self.said} {number}{aim}" if self.at_most else f"{self.said} {number}x{aim}"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        work: what is done.
        amounts: seconds (or MiB) of each contender, ours first.
        aims: how many times ours each contender should take, at least.
        limits: how many times the contender ours should take, at most; None shows the ratio and asks nothing.
        off: relative distance of each contender's image from the solution, where it was measured.
        notes: what a reader has to know, below the table.
        unit: s or MiB.
    """

    work: str
    amounts: dict[str, float]
    aims: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float | None] = field(default_factory=dict)
    off: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unit: str = "s"

    @property
    def ratios(self) -> list[Ratio]:
        """Of each other contender to ours; turned round where there is a limit."""
        ours, first = next(iter(self.amounts.items()))
        return [
            Ratio(f"{ours} / {name}", first / amount, self.limits[name], at_most=True) if name in self.limits
            else Ratio(name, amount / first, self.aims.get(name))
            for name, amount in islice(self.amounts.items(), 1, None)
        ]

    def line(self) -> str:
        """As a line of a Markdown table."""
        ratios = " · ".join(str(ratio) for ratio in self.ratios) or "-"
        return f"| {self.work} | {' · '.join(self._said(name) for name in self.amounts)} | {ratios} |"

    def _said(self, name: str) -> str:
        amount = self.amounts[name]
        number = f"{amount:.0f} MiB" if self.unit == "MiB" else f"{1e3 * amount:.1f} ms" if amount < 10 else f"{amount:.1f} s"
        return f"{name} {number}" + (f" (off {self.off[name]:.0e})" if name in self.off else "")

    def stored(self) -> dict[str, Any]:
        """Plain values that `Row(**values)` takes."""
        return asdict(self)


def notes(rows: Iterable[Row]) -> list[str]:
    """What all rows have to say, each once."""
    return list(dict.fromkeys(note for row in rows for note in row.notes))
