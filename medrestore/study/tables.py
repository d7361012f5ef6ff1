"""The tables and the report of a study, from the rows of its tasks."""

import json
from collections.abc import Iterator, Mapping, Sequence, Sized
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation import statistics, tables
from ..evaluation.perceptual import frechet_distance
from ..evaluation.protocols import METRICS, Metric
from ..evaluation.statistics import Cell, Pair
from ..files import write_file
from ..report.curves import Curves, Point
from ..report.html import write_report
from ..report.markup import Table
from ..report.pictures import Picture
from ..tasks.run import Task, folder_of
from .cases import Item, Row
from .config import Config
from .sources import AsRecorded, Undersample
from .work import features_of, image_of, rows_of

SHOWS: tuple[tables.Show, ...] = ("mean ± sd", "mean [low, high]", "median [q1, q3]")
ALONE: tuple[tables.Show, ...] = ("mean",)  # of one patient, who has no spread
SHOWN = 2  # pictures a setting in the report
FACTS = {"calls": "network calls an image", "misfit": "misfit (1 = explained to the noise)", "crps": "CRPS",
        "spread_skill": "spread over error (1 = calibrated)", "coverage_90": "coverage of 90 % intervals"}


def write_outputs(config: Config, out: Path, folder: Path, tasks: Sequence[Task], tuned: Mapping[str, Any],
                  failed: Mapping[str, str], provenance: Mapping[str, Any]) -> bool:
    """Writes rows, tables, provenance and report into `folder`; False where there is no row for them."""
    rows = [row for task in tasks for row in rows_of(folder_of(out, task))]
    write_file(folder / "provenance.json", json.dumps(provenance, indent=1) + "\n")
    if not rows:
        return False
    metrics = [one for one in METRICS[config.protocol] if any(row.get(one.name) is not None for row in rows)]
    each = [row for row in rows if row["slice"] is not None] or rows
    names = [one.name for one in metrics] + [name for name in FACTS if any(name in row for row in rows)]
    volumes = [row for row in rows if row["slice"] is None] or statistics.per_case(rows, names)
    for name in ("results.csv", "results.parquet"):
        tables.write_rows(folder / name, each)
    tables.write_rows(folder / "volumes.csv", volumes)
    scored = [row for row in rows if row["slice"] is None] or rows
    cells = {one.name: statistics.cells(scored, one.name) for one in metrics}
    facts = {name: statistics.cells(scored, name) for name in FACTS if any(row.get(name) is not None for row in scored)}
    pairs = _method_pairs(config, scored, metrics)
    listed = [*_all_tables(config, metrics, cells, facts, pairs), *_fid(config, out, tasks)]
    write_file(folder / "tables.md", f"# {config.name}\n\n{_what_was_compared(config, volumes, failed)}\n\n" + "\n\n".join(
        f"## {caption}\n\n{tables.markdown(header, lines).strip()}" for caption, header, lines in listed) + "\n")
    write_file(folder / "tables.tex",
               "\n\n".join(tables.latex(header, lines, caption) for caption, header, lines in listed) + "\n")
    write_file(folder / "tables.csv", "\n".join(
        f"# {caption}\n{tables.csv_text(header, lines)}" for caption, header, lines in listed))
    write_report(
        folder / "report.html", title=config.name, summary=_what_was_compared(config, volumes, failed),
        tables=[Table(caption, header, [list(map(_marked, line)) for line in lines]) for caption, header, lines in listed],
        curves=[*_over_acceleration(config, metrics[0], cells), *_over_calls(config, metrics[0], cells, facts)],
        pictures=list(_stored_pictures(config, out, tasks)),
        provenance={**provenance, "tuned": tuned, "failed": dict(failed)},
    )
    return True


def _what_was_compared(config: Config, volumes: Sequence[Row], failed: Mapping[str, str]) -> str:
    """What was compared, in a few sentences."""
    cases, patients = ({row[key] for row in volumes} for key in ("case", "patient"))
    methods, settings = (list(dict.fromkeys(row[key] for row in volumes)) for key in ("method", "setting"))
    text = (f"{_many(methods, 'method')} in {_many(settings, 'setting')} on {_many(cases, 'case')} of "
            f"{_many(patients, 'patient')}, protocol {config.protocol}, {_many(config.seeds, 'seed')}. Means, deviations and "
            "intervals are over patients.")
    return text if not failed else f"{text} **{_many(failed, 'task')} failed and {'is' if len(failed) == 1 else 'are'} missing.**"


def _many(things: Sized, word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _method_pairs(config: Config, rows: Sequence[Row], metrics: Sequence[Metric]) -> list[Pair]:
    against = config.against or list(config.methods)[-1]
    labels = {row["method"] for row in rows}
    # one sample of a method is no method of its own
    rest = [row for row in rows if row["method"] in config.methods]
    if against not in labels or len(labels & set(config.methods)) < 2:
        return []
    return [pair for one in metrics for pair in statistics.paired(rest, one.name, against)]


def _all_tables(config: Config, metrics: Sequence[Metric], cells: Mapping[str, list[Cell]],
                facts: Mapping[str, list[Cell]],
                pairs: Sequence[Pair]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """(caption, header, lines) of every table."""
    for one in metrics:
        several = any(cell.patients > 1 for cell in cells[one.name])
        for show in SHOWS if several else ALONE:
            better = "higher" if one.higher_is_better else "lower"
            yield f"{one.heading}, {show}; {better} is better", *tables.table_grid(cells[one.name], show=show)
    for name, caption in FACTS.items():
        if name in facts:
            yield f"{caption}, mean", *tables.table_grid(facts[name], show="mean")
    for name, own in groupby(pairs, lambda pair: pair.metric):
        metric = next(one for one in metrics if one.name == name)
        listed = list(own)
        header = ["setting", "method", f"difference to {listed[0].against}", "95 % interval", "p (Holm)",
                  "better for",
                  "patients"]
        lines = [[pair.setting, pair.method, f"{pair.difference:+.{metric.digits}f}",
                  f"{pair.low:+.{metric.digits}f} to {pair.high:+.{metric.digits}f}" if isfinite(pair.low) else "-",
                  f"{pair.p_holm:.3g}", str(pair.wins), str(pair.patients)] for pair in listed]
        yield f"{metric.heading} against {listed[0].against}, paired over patients (Wilcoxon signed-rank)", header, lines


def _fid(config: Config, out: Path, tasks: Sequence[Task]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """FID of all pictures of a setting, where the study has Inception weights."""
    groups: dict[tuple[str, str], list[np.ndarray]] = {}
    for task in tasks:
        features = features_of(folder_of(out, task))
        if features is not None:
            groups.setdefault((task.what.content.condition.name, task.what.label), []).append(features)
    counts = {len(each) for each in groups.values()}
    if not groups or min(counts) < 2:
        return
    lines = []
    for (setting, method), each in groups.items():
        pair = np.stack(each)
        lines.append([setting, method, f"{frechet_distance(pair[:, 0], pair[:, 1]):.2f}", str(len(pair))])
    few = "; fewer than 2048 pictures, so only equal numbers of the same pictures compare" if min(counts) < 2048 else ""
    yield f"FID; lower is better{few}", ["setting", "method", "FID", "pictures"], lines


def _marked(entry: str) -> str:
    """A place of a table as the report marks the best and the second best."""
    sign = {"best": "**", "second": "__"}.get(getattr(entry, "mark", ""), "")
    return f"{sign}{entry}{sign}"


def _point(x: float, cell: Cell) -> Point:
    return Point(x, cell.mean, *(end if isfinite(end) else None for end in (cell.low, cell.high)))


def _over_acceleration(config: Config, metric: Metric, cells: Mapping[str, list[Cell]]) -> Iterator[Curves]:
    """The first metric over the acceleration, a plot for each kind of mask that comes in several."""
    kinds = dict.fromkeys(one.kind for one in config.conditions if isinstance(one, Undersample))
    for kind in kinds:
        accels = {one.name: one.accel
                  for one in config.conditions if isinstance(one, Undersample) and one.kind == kind}
        if len(set(accels.values())) < 2:
            continue
        lines: dict[str, list[Point]] = {}
        for cell in cells[metric.name]:
            if cell.setting in accels and cell.method in config.methods and isfinite(cell.mean):
                lines.setdefault(cell.method, []).append(_point(accels[cell.setting], cell))
        yield Curves(f"{metric.title} over acceleration, {kind}", "acceleration", metric.heading, lines)


def _over_calls(config: Config, metric: Metric, cells: Mapping[str, list[Cell]],
                facts: Mapping[str, list[Cell]]) -> Iterator[Curves]:
    """The first metric over network calls, a plot a setting, when a diffusion method comes at several numbers
    of them.
    """
    calls = {(cell.setting, cell.method): cell.mean for cell in facts.get("calls", [])}
    for setting in dict.fromkeys(cell.setting for cell in cells[metric.name]):
        lines: dict[str, list[Point]] = {}
        for cell in cells[metric.name]:
            if cell.setting == setting and cell.method in config.methods and isfinite(cell.mean):
                family = config.methods[cell.method].family or cell.method
                lines.setdefault(family, []).append(_point(calls.get((setting, cell.method), 0.0), cell))
        if any(len({point.x for point in points}) > 1 for points in lines.values()):
            ordered = {label: sorted(points, key=lambda point: point.x) for label, points in lines.items()}
            yield Curves(f"{metric.title} over network calls, {setting}", "network calls", metric.heading,
                         ordered, log_x=True)


def _stored_pictures(config: Config, out: Path, tasks: Sequence[Task]) -> Iterator[Picture]:
    """The cases whose images are stored, a few for each setting."""
    groups: dict[str, dict[str, list[Task]]] = {}
    for task in tasks:
        item: Item[Any, Any] = task.what
        if item.content.with_image:
            condition = item.content.condition
            title = "" if isinstance(condition, AsRecorded) else f", {condition.name}"
            groups.setdefault(title, {}).setdefault(item.content.case.name, []).append(task)
    for title, cases in groups.items():
        for case, own in list(cases.items())[:SHOWN]:
            images, scores, reference = {}, {}, np.zeros((1, 1), np.float32)
            for task in own:
                label = task.what.label
                images[label], reference = image_of(folder_of(out, task))
                scores[label] = _caption(config, rows_of(folder_of(out, task)), label)
            yield Picture(f"{case}{title}", reference, images, float(reference.max()) or 1.0, scores)


def _caption(config: Config, rows: Sequence[Row], label: str) -> str:
    """The mean of the first two metrics of a case, as under a picture."""
    parts = []
    for metric in METRICS[config.protocol][:2]:
        values = [row[metric.name] for row in rows if row["method"] == label and row.get(metric.name) is not None]
        if values:
            parts.append(f"{metric.title} {sum(values) / len(values):.{metric.digits}f}")
    return ", ".join(parts)
