"""Hyper-parameters chosen on the validation cases, for each method in each condition."""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any, TypedDict

from ..tasks.run import Task, folder_of, is_whole
from .cases import Item
from .config import MethodConfig, Tunable, Values
from .methods import Candidates
from .work import primary, rows_of


class TunedChoice(TypedDict):
    """What was chosen, and why.

    Attributes:
        chosen: the hyper-parameters; None where a candidate failed on every case.
        metric: whose mean decides.
        cases: how many validation cases.
        tried: every candidate with its mean score.
        warning: that the best value lies at an end of its range.
    """

    chosen: Values | None
    metric: str
    cases: int
    tried: list[dict[str, float | None]]
    warning: str | None


Choices = dict[str, dict[str, TunedChoice]]  # by label and condition


def choose_best(tasks: Sequence[Task], out: Path, methods: Mapping[str, MethodConfig], candidates: Candidates,
                protocol: str,
                cases: int) -> Choices:
    """The best candidate of each tuned method in each condition, by the mean over validation cases of their
    mean scores.

    A candidate that failed on a case is no choice.

    Args:
        tasks: those of tuning.
        out: folder of the study.
        cases: how many validation cases there are.
    """
    metric, higher_is_better = primary(protocol)
    scores: dict[tuple[str, str], dict[str, list[float | None]]] = {}
    for task in tasks:
        item: Item[Any, Any] = task.what
        place = scores.setdefault((item.label, item.content.condition.name), {})
        key = json.dumps(next(values for values, one in candidates[item.label] if one.config == item.content.method.config))
        place.setdefault(key, []).append(_mean_score(out, task, metric) if is_whole(out, task) else None)
    choices: Choices = {}
    for (label, condition), table in scores.items():
        means = {key: fmean([score for score in scores if score is not None])
                 for key, scores in table.items() if None not in scores}
        best = (max if higher_is_better else min)(means, key=means.__getitem__) if means else None
        chosen: Values | None = None if best is None else json.loads(best)
        choices.setdefault(label, {})[condition] = TunedChoice(
            chosen=chosen, metric=metric, cases=cases,
            tried=[{**json.loads(key), metric: means.get(key)} for key in table],
            warning=None if chosen is None else _at_an_end(methods[label], chosen),
        )
    return choices


def _mean_score(out: Path, task: Task, metric: str) -> float | None:
    """The mean over the images of a case; None without a finite score."""
    rows = [row for row in rows_of(folder_of(out, task)) if row["method"] == task.what.label]
    of_case = [row for row in rows if row["slice"] is None] or rows
    values = [row[metric] for row in of_case if row.get(metric) is not None and isfinite(row[metric])]
    return fmean(values) if values else None


def _at_an_end(config: MethodConfig, chosen: Values) -> str | None:
    """A warning where a chosen value is the least or the largest of those tried."""
    assert isinstance(config, Tunable)
    ends = []
    for name, value in chosen.items():
        tried = sorted(one for one in config.tune[name] if one is not None)
        if value is not None and len(tried) > 1 and value in (tried[0], tried[-1]):
            ends.append(f"{name} = {value:g}")
    return f"{' and '.join(ends)} lies at an end of the values tried; widen them" if ends else None


def choice_lines(choices: Choices) -> Iterator[str]:
    """A line for each choice."""
    for label, conditions in choices.items():
        for condition, choice in conditions.items():
            what = "nothing could be chosen" if choice["chosen"] is None else printed(choice["chosen"])
            yield f"tuned {label}, {condition}: {what}" + (f"; warning: {choice['warning']}" if choice["warning"] else "")


def printed(values: Values) -> str:
    """Hyper-parameters in words."""
    return " ".join(f"{name}={value}" for name, value in values.items())
