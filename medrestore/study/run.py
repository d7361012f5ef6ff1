"""A study from its config to its tables: what is missing is named first, methods are tuned, then everything is scored."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from ..baselines.weights import ABOUT
from ..datasets.cache import write_aside
from ..errors import InputError
from ..tasks import run as pool
from ..tasks.run import Task
from .cases import Case, Fingerprints, digest, disjoint, hashed, refuse_missing, unique
from .config import Config, KSpace, MethodConfig, Pictures, Scenes, Setting, Simulated, Source, as_plain
from .methods import Maker, Recipe, build_all, serves, settled
from .methods import recipe as build_recipe
from .mri import scan_cases
from .pictures import picture_cases
from .scenes import scene_cases
from .tables import write_outputs
from .work import Item, StudyWork, primary, rows_of

FORMAT = 2  # raise when the same config gives other numbers
CONFIG, TUNED, TIMINGS, PRINTS, CACHE = "config.yaml", "tuned.json", "timings.csv", "fingerprints.json", "cache"
Chosen = dict[str, dict[str, dict[str, Any]]]  # label -> setting -> what tuned.json says


@dataclass(frozen=True)
class Study:
    """A study held against everything that it needs.

    Attributes:
        config, source, out: the study, its file, and the folder of its outputs.
        make: builds diffusion methods by name.
        recipes: every method, with each candidate of its tuning.
        data, validation: the cases.
        lpips: sha256 of the files with the weights of LPIPS.
    """

    config: Config
    source: str
    out: Path
    make: Maker
    recipes: dict[str, list[tuple[dict[str, float | None], Recipe]]]
    data: Sequence[Case]
    validation: Sequence[Case]
    lpips: tuple[str, ...] = ()

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Its settings; of scenes one, which is none."""
        return self.config.settings or (None,)

    def item(self, case: Case, setting: Setting, recipe: Recipe, seed: int, *, kept: bool = False) -> Item:
        """What a task does."""
        asked = [one.config.spectral_gb for candidates in self.recipes.values() for _, one in candidates if one.spectral]
        spectral_gb = recipe.config.spectral_gb if recipe.spectral else max(asked, default=0.0)
        cache = self.out / CACHE if self.config.cache is None else Path(self.config.cache).expanduser()
        return Item(case, setting, recipe, seed, self.config.protocol, kept, spectral_gb, cache,
                    self.config.lpips)


@dataclass(frozen=True)
class Running:
    """How to run a study; the outputs do not depend on it.

    Args:
        workers, scheduler_file, shard, retry_failed, devices: as `pool.run`.
        command: as typed, for the record.
        say, progress: as `pool.run`.
    """

    workers: int = 0
    scheduler_file: Path | None = None
    shard: tuple[int, int] = (1, 1)
    retry_failed: bool = False
    devices: tuple[str, ...] = ("cpu",)
    command: str = ""
    say: Callable[[str], None] = lambda line: None
    progress: Callable[[str, int], Callable[[], None]] = lambda label, total: lambda: None


@dataclass(frozen=True)
class Result:
    """What became of a study.

    Attributes:
        failed: tasks that failed, name to sentence; of all shards where the tables are written.
        done, skipped: how many tasks were made, and how many were there already.
        waiting: tasks that other shards have still to make; the tables are written by the shard that finds none.
    """

    failed: dict[str, str] = field(default_factory=dict)
    done: int = 0
    skipped: int = 0
    waiting: int = 0


def open_study(config: Config, source: str, out: Path, make: Maker, *, remember: bool = True) -> Study:
    """The study, once nothing is missing and everything fits together; writes at most what it remembers of large files.

    Args:
        make: (name, hyper-parameters) to a diffusion method.
        remember: keep fingerprints of files in `out`.

    Raises:
        InputError: anything missing (all of it named), unknown, or shared by validation and data.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, and a study needs a folder; give another -o")
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in (CONFIG, PRINTS, "tasks")):
        raise InputError(f"{out} is a folder of something else than a study; give another -o")
    refuse_missing(_needed(config), source)
    recipes = build_all(config, make, source)
    _check_served(config, recipes, source)
    prints = Fingerprints(out / PRINTS if remember else None)
    data = _cases(config.data, prints, f"{source}: data")
    tuned = any(one.tune for one in config.methods.values())
    validation = _cases(config.validation, prints, f"{source}: validation") if config.validation is not None else []
    for cases in (data, validation):
        unique(cases, source)
        _told_apart([case.name for case in cases], source)
    disjoint(data, validation, source)
    _told_apart(config.methods, source)
    _told_apart([setting.name for setting in config.settings], source)
    lpips = tuple(prints(Path(path).expanduser()) for path in config.lpips)
    if remember:
        prints.save()
    return Study(config, source, out, make, recipes, data, validation if tuned else [], lpips)


def _check_served(config: Config, recipes: dict[str, list[tuple[dict[str, float | None], Recipe]]], source: str) -> None:
    """Refuses a study in which there is nothing to do."""
    settings = config.settings or (None,)
    if not any(serves(one, setting) for candidates in recipes.values() for _, one in candidates for setting in settings):
        raise InputError(f"{source}: no method can serve any setting: {', '.join(config.methods)} need masks along one axis; "
                         "take others, such as dds, or another kind of mask")


def _told_apart(labels: Iterable[str], source: str) -> None:
    """Refuses labels that would share a folder."""
    held: dict[str, str] = {}
    for label in labels:
        if (other := held.setdefault(slug(label), label)) != label:
            raise InputError(f"{source}: {other!r} and {label!r} would share the folder {slug(label)}; rename one of them")


def _needed(config: Config) -> list[str]:
    """Every path that the config names."""
    paths = list(config.lpips)
    for source in (config.data, config.validation):
        if isinstance(source, Simulated):
            paths.append(source.volumes)
        elif isinstance(source, (KSpace, Scenes, Pictures)) and source.folder not in (None, "bundled"):
            paths.append(source.folder)
        if isinstance(source, KSpace):
            paths += [path for path in source.files if not any(sign in path for sign in "*?[")]
    for one in config.methods.values():
        paths += [str(Path(one.weights) / ABOUT)] if one.weights is not None else []
        if one.prior is not None and re.search(r"[/\\.]", one.prior):  # else the name of a shipped one
            paths.append(one.prior)
    return paths


def _cases(source: Source, prints: Fingerprints, where: str) -> Sequence[Case]:
    if isinstance(source, Scenes):
        return scene_cases(source, prints, where)
    return picture_cases(source, prints, where) if isinstance(source, Pictures) else scan_cases(source, prints, where)


def tuning_tasks(study: Study) -> list[Task]:
    """Every candidate of every method with `tune`, on the validation cases alone."""
    made = []
    for case in study.validation:
        for setting in study.settings:
            for label, candidates in study.recipes.items():
                for chosen, recipe in candidates:
                    if study.config.methods[label].tune and serves(recipe, setting):
                        item = study.item(case, setting, recipe, study.config.seeds[0])
                        made.append(_task("tune", item, _value(chosen), study.lpips))
    return made


def scored_tasks(study: Study, tuned: Chosen) -> list[Task]:
    """Every method in every setting that it serves, on the data; methods whose tuning gave nothing are left out."""
    made = []
    for seed in study.config.seeds:
        for number, case in enumerate(study.data):
            for setting in study.settings:
                for label in study.recipes:
                    recipe = _settled(study, label, setting, tuned)
                    if recipe is not None and serves(recipe, setting):
                        kept = number < study.config.pictures and seed == study.config.seeds[0]
                        item = study.item(case, setting, recipe, seed, kept=kept)
                        made.append(_task("test", item, f"seed-{seed}", study.lpips))
    return made


def _settled(study: Study, label: str, setting: Setting, tuned: Chosen) -> Recipe | None:
    """The method as it is tested, None where tuning left it without a choice."""
    config: MethodConfig = study.config.methods[label]
    if not config.tune:
        return study.recipes[label][0][1]
    chosen = tuned.get(label, {}).get(_name(setting), {}).get("chosen")
    if chosen is None:
        return None
    return next((one for values, one in study.recipes[label] if values == chosen), None) or build_recipe(
        label, settled(config, chosen), study.config.protocol, study.make, study.source)


def _task(phase: str, item: Item, last: str, lpips: tuple[str, ...]) -> Task:
    """The task of an item; its key holds all that decides its numbers, and nothing of the other methods."""
    case, setting = item.case, item.setting
    decides = [FORMAT, version("medrestore"), item.protocol, case.fingerprint, case.name, case.patient, getattr(case, "seed", 0),
               None if setting is None else [setting.name, repr(setting)], item.recipe.decides, item.seed, item.kept, lpips]
    parts = (phase, _name(setting), case.name, item.recipe.label, last)
    return Task("/".join(map(slug, parts)), digest(decides), "/".join((phase, case.name, _name(setting), str(item.seed))), item)


def _name(setting: Setting) -> str:
    return "scenes" if setting is None else setting.name


def _value(chosen: dict[str, float | None]) -> str:
    return " ".join(f"{name}={value}" for name, value in chosen.items())


def slug(text: str) -> str:
    """A folder's name for a label; labels that differ in more than a space for a dash get names that differ."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "x"
    short = len(plain) <= 80
    return plain if short and text in (plain, plain.replace("-", " ", 1)) else f"{plain[:80]}-{hashed(text)[:6]}"


def choose(study: Study, tasks: Sequence[Task]) -> Chosen:
    """The best candidate of each tuned method in each setting, by the mean over validation cases of their mean scores.

    A candidate that failed on a case is no choice. A best value at an end of its range is said so.
    """
    metric, more = primary(study.config.protocol)
    found: dict[tuple[str, str], dict[str, list[float | None]]] = {}
    for task in tasks:
        item: Item = task.what
        here = found.setdefault((item.recipe.label, _name(item.setting)), {})
        scores = here.setdefault(json.dumps(_tried(study, item.recipe)), [])
        scores.append(_mean_score(study.out, task, metric) if pool.is_whole(study.out, task) else None)
    tuned: Chosen = {}
    for (label, setting), table in found.items():
        means = {values: fmean(scores) for values, scores in table.items() if None not in scores}
        best = (max if more else min)(means, key=means.__getitem__) if means else None
        chosen = None if best is None else json.loads(best)
        tuned.setdefault(label, {})[setting] = {
            "chosen": chosen, "metric": metric, "cases": len(study.validation),
            "tried": [{**json.loads(values), metric: means.get(values)} for values in table],
            "warning": None if chosen is None else _at_an_end(study.config.methods[label], chosen),
        }
    return tuned


def _tried(study: Study, recipe: Recipe) -> dict[str, float | None]:
    return next(values for values, one in study.recipes[recipe.label] if one == recipe)


def _mean_score(out: Path, task: Task, metric: str) -> float | None:
    """The mean over the images of a case; None when nothing finite is there."""
    rows = [row for row in rows_of(pool.folder_of(out, task)) if row["method"] == task.what.recipe.label]
    whole = [row for row in rows if row["slice"] is None] or rows
    values = [row[metric] for row in whole if row.get(metric) is not None and isfinite(row[metric])]
    return fmean(values) if values else None


def _at_an_end(config: MethodConfig, chosen: dict[str, float | None]) -> str | None:
    ends = []
    for name, value in chosen.items():
        tried = sorted(one for one in config.tune[name] if one is not None)
        if len(tried) > 1 and value in (tried[0], tried[-1]):
            ends.append(f"{name} = {value:g}")
    return f"{' and '.join(ends)} lies at an end of the values tried; widen them" if ends else None


def run_study(study: Study, running: Running) -> Result:
    """Runs what is not whole yet and writes the tables and the report.

    Raises:
        InputError: nothing can be written.
    """
    import yaml

    out, say = study.out, running.say
    write_aside(out / CONFIG, yaml.safe_dump(as_plain(study.config), sort_keys=False))
    if not (out / TIMINGS).exists():
        write_aside(out / TIMINGS, "task,method_seconds,preparation_seconds\n")
    tuning = tuning_tasks(study)
    first = _run(study, tuning, running, "tuning")
    waiting = _waiting(study, tuning)
    if waiting:
        say(f"{waiting} tuning tasks are left to other shards; run this again when they are done")
        return replace(first, waiting=waiting)
    tuned = choose(study, tuning)
    if tuning:
        write_aside(out / TUNED, json.dumps(tuned, indent=1) + "\n")
        _say_choices(tuned, say)
    tasks = scored_tasks(study, tuned)
    second = _run(study, tasks, running, "testing")
    waiting = _waiting(study, tasks)
    failed = first.failed | second.failed if waiting else pool.failures(out, [*tuning, *tasks])  # of all shards
    if waiting:
        say(f"{waiting} tasks are left to other shards; the tables are written by the last one")
    elif write_outputs(study.config, out, [task for task in tasks if pool.is_whole(out, task)], tuned, failed,
                       _provenance(study, running.command)):
        say(f"{out / 'report.html'}  tables.md  results.csv  volumes.csv")
    return Result(failed, first.done + second.done, first.skipped + second.skipped, waiting)


def _run(study: Study, tasks: list[Task], running: Running, what: str) -> Result:
    if not tasks:
        return Result()
    outcome = pool.run(
        tasks, StudyWork(study.out.absolute() / TIMINGS), study.out, workers=running.workers,
        scheduler_file=running.scheduler_file, shard=running.shard, retry_failed=running.retry_failed,
        threads=study.config.threads, devices=running.devices, say=running.say, progress=running.progress,
    )
    running.say(f"{what}: {len(outcome.done)} tasks done, {len(outcome.skipped)} whole already, {len(outcome.failed)} failed")
    return Result(dict(outcome.failed), len(outcome.done), len(outcome.skipped))


def _waiting(study: Study, tasks: Sequence[Task]) -> int:
    """Tasks that are neither whole nor known to have failed."""
    failed = pool.failures(study.out, tasks)
    return sum(task.name not in failed and not pool.is_whole(study.out, task) for task in tasks)


def _say_choices(tuned: Chosen, say: Callable[[str], None]) -> None:
    for label, settings in tuned.items():
        for setting, told in settings.items():
            what = "nothing could be chosen" if told["chosen"] is None else _value(told["chosen"])
            say(f"tuned {label}, {setting}: {what}" + (f"; warning: {told['warning']}" if told["warning"] else ""))


def _provenance(study: Study, command: str) -> dict[str, Any]:
    """How the numbers were made: nothing of the hour."""
    import platform

    import torch

    recipes = {label: candidates[0][1] for label, candidates in study.recipes.items()}
    return {
        "medrestore": version("medrestore"), "torch": torch.__version__, "python": platform.python_version(), "command": command,
        "config_sha256": digest(as_plain(study.config)), "protocol": study.config.protocol, "seeds": list(study.config.seeds),
        "methods": {label: {"prior": one.prior, "weights_sha256": one.hash or None} for label, one in recipes.items()},
        "cases": {case.name: case.fingerprint for case in study.data},
        "validation": {case.name: case.fingerprint for case in study.validation},
    }
