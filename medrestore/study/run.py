"""A study from its config to its tables: what is missing is named first, methods are tuned, then everything
is scored.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import check_claimed, claim, digest_of, expanded
from ..settings import Privacy, plain
from ..tasks import files_beside
from ..tasks.run import Task, failures, is_whole
from ..tasks.run import run as run_tasks
from .cases import (
    Case,
    Content,
    Item,
    MethodRecord,
    Resources,
    check_disjoint,
    check_unique,
    refuse_missing,
    without_names,
)
from .config import Config, PictureConfig, ScanConfig, SceneConfig, as_plain
from .fingerprints import Fingerprints, short_digest
from .methods import Candidates, Recipe, SolverMaker, build_all, method_recipe
from .mri import ScanSolver, scan_solver
from .perceptual import inception_of
from .pictures import picture_cases, picture_solver
from .scans import scan_cases
from .scenes import scene_cases, scene_solver
from .score_files import FOLDER
from .sources import Condition
from .speed import TIMINGS, write_speed
from .tables import write_outputs
from .tuning import Choices, choice_lines, choose_best, printed
from .work import StudyWork

FORMAT = 3  # raise when the same config gives other numbers
CONFIG, TUNED, CACHE = "config.yaml", "tuned.json", "cache"
AnyCase = Case[Any, Any]


@dataclass(frozen=True)
class Kind:
    """What a study of one kind of data is made with.

    Attributes:
        cases: (source, fingerprints, what complaints begin with) to cases.
        solver: builds the solver of a method.
    """

    cases: Callable[[Any, Fingerprints, str], Sequence[AnyCase]]
    solver: SolverMaker


KINDS: dict[type[Config], Kind] = {
    ScanConfig: Kind(scan_cases, scan_solver),
    PictureConfig: Kind(picture_cases, picture_solver),
    SceneConfig: Kind(scene_cases, scene_solver),
}


@dataclass(frozen=True)
class Study:
    """A study checked against everything that it needs.

    Attributes:
        config, source, out: the study, its file, and the folder of its outputs.
        candidates: every method, with each candidate of its tuning.
        data, validation: the cases.
        lpips, inception: sha256 of the files with the weights of LPIPS, and of FID's network.
        anonymous: whether outputs tell no names of files and no paths.
        prints: of all files that were read.
    """

    config: Config
    source: str
    out: Path
    candidates: Candidates
    data: Sequence[AnyCase]
    validation: Sequence[AnyCase]
    lpips: tuple[str, ...] = ()
    inception: str = ""
    anonymous: bool = False
    prints: Fingerprints = field(default_factory=Fingerprints)

    def item(self, case: AnyCase, condition: Condition, method: Recipe[Any], seed: int, *,
             with_image: bool = False) -> Item[Any, Any]:
        """What a task does."""
        record = MethodRecord(method.label, method.config, method.solver.settings, method.solver.weights)
        content = Content(self.config.protocol, case.record, condition, record, seed,
                          with_image, self.lpips, self.inception)
        cache = self.out / CACHE if self.config.cache is None else expanded(self.config.cache)
        resources = Resources(self._spectral_gb(method), cache, self.config.lpips, self.config.fid_weights)
        return Item(content, case, method.solver, resources)

    def _spectral_gb(self, method: Recipe[Any]) -> float:
        """The largest exact spectrum that a method takes; methods that take any share that of the others."""
        solvers = [one.solver for candidates in self.candidates.values() for _, one in candidates]
        asked = [solver.spectral_gb for solver in solvers if isinstance(solver, ScanSolver)]
        own = method.solver.spectral_gb if isinstance(method.solver, ScanSolver) else None
        return max((one for one in asked if one is not None), default=0.0) if own is None else own


@dataclass(frozen=True)
class Running:
    """How to run a study; the outputs do not depend on it.

    Args:
        workers, scheduler_file, shard, retry_failed, devices: as `tasks.run`.
        command: as typed, for the record.
        say, progress: as `tasks.run`.
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
class StudyResult:
    """What became of a study.

    Attributes:
        failed: tasks that failed, name to sentence; of all shards where the tables are written.
        done, skipped: how many tasks were run, and how many had their output already.
        waiting: tasks that other shards have still to run; the tables are written by the shard that finds
            none.
    """

    failed: dict[str, str] = field(default_factory=dict)
    done: int = 0
    skipped: int = 0
    waiting: int = 0


def open_study(config: Config, source: str, out: Path, *, anonymous: bool = False) -> Study:
    """The study, once nothing is missing and everything fits together; writes nothing.

    Args:
        anonymous: name cases by digests of their contents, in place of the names of their files, and store no paths.

    Raises:
        InputError: anything missing (all of it named), unknown, or shared by validation and data.
    """
    check_claimed(out, FOLDER)
    refuse_missing(config.paths, source)
    kind = KINDS[type(config)]
    candidates = build_all(config, kind.solver, source)
    _check_served(config, candidates, source)
    prints = Fingerprints()
    data = kind.cases(config.data, prints, f"{source}: data")
    validation = [] if config.validation is None else kind.cases(config.validation, prints, f"{source}: validation")
    for cases in (data, validation):
        check_unique(cases, source)
        _check_folders([case.name for case in cases], source)
    check_disjoint(data, validation, source)
    if anonymous:
        data, validation = without_names(data), without_names(validation)
    _check_folders(config.methods, source)
    _check_folders([condition.name for condition in config.conditions], source)
    lpips = tuple(prints(expanded(path)) for path in config.lpips)
    inception = "" if config.fid_weights is None else prints(expanded(config.fid_weights))
    if config.fid_weights is not None:
        inception_of(config.fid_weights)  # refuses what are no weights before any work
    tuned = any(method.tuned for method in config.methods.values())
    return Study(config, source, out, candidates, data, validation if tuned else [], lpips, inception, anonymous, prints)


def _check_served(config: Config, candidates: Candidates, source: str) -> None:
    """Refuses a study in which there is nothing to do."""
    solvers = [one.solver for listed in candidates.values() for _, one in listed]
    if not any(solver.serves(condition) for solver in solvers for condition in config.conditions):
        raise InputError(f"{source}: no method can serve any setting: {', '.join(config.methods)} need masks along one axis; "
                         "take others, such as dds, or another kind of mask")


def _check_folders(labels: Iterable[str], source: str) -> None:
    """Refuses labels that would share a folder."""
    folders: dict[str, str] = {}
    for label in labels:
        if (other := folders.setdefault(slug(label), label)) != label:
            raise InputError(f"{source}: {other!r} and {label!r} would share the folder {slug(label)}; rename one of them")


def tuning_tasks(study: Study) -> list[Task]:
    """Every candidate of every method with `tune`, on the validation cases alone."""
    return [
        _task("tune", study.item(case, condition, one, study.config.seeds[0]), printed(chosen))
        for case in study.validation for condition in study.config.conditions
        for label, candidates in study.candidates.items() if study.config.methods[label].tuned
        for chosen, one in candidates if one.solver.serves(condition)
    ]


def scored_tasks(study: Study, choices: Choices) -> list[Task]:
    """Every method in every condition that it serves, on the data; methods whose tuning gave nothing are left
    out.
    """
    tasks = []
    for seed in study.config.seeds:
        for number, case in enumerate(study.data):
            for condition in study.config.conditions:
                for label in study.candidates:
                    one = _settled(study, label, condition, choices)
                    if one is not None and one.solver.serves(condition):
                        with_image = number < study.config.pictures and seed == study.config.seeds[0]
                        item = study.item(case, condition, one, seed, with_image=with_image)
                        tasks.append(_task("test", item, f"seed-{seed}"))
    return tasks


def _settled(study: Study, label: str, condition: Condition, choices: Choices) -> Recipe[Any] | None:
    """The method as it is tested, None where tuning left it without a choice."""
    config = study.config.methods[label]
    if not config.tuned:
        return study.candidates[label][0][1]
    choice = choices.get(label, {}).get(condition.name)
    if choice is None or choice["chosen"] is None:
        return None
    chosen = choice["chosen"]
    built = next((one for values, one in study.candidates[label] if values == chosen), None)
    return built or method_recipe(label, config.settled(chosen), study.config.protocol,
                                  KINDS[type(study.config)].solver, study.source)


def _task(phase: str, item: Item[Any, Any], last: str) -> Task:
    """The task of an item; its key is the hash of all that decides its files, and of nothing else."""
    content = item.content
    key = digest_of([FORMAT, version("medrestore"), plain(content)])
    parts = (phase, content.condition.name, content.case.name, content.method.label, last)
    group = "/".join((phase, content.case.name, content.condition.name, str(content.seed)))
    return Task("/".join(map(slug, parts)), key, group, item)


def slug(text: str) -> str:
    """A folder's name for a label; labels that differ in more than a space for a dash get other names."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "x"
    short = len(name) <= 80
    return name if short and text in (name, name.replace("-", " ", 1)) else f"{name[:80]}-{short_digest(text)}"


def run_study(study: Study, running: Running) -> StudyResult:
    """Runs the tasks without an output and writes the tables and the report.

    Raises:
        InputError: nothing can be written, or a file of the data was changed meanwhile.
    """
    import yaml

    out, say = study.out, running.say
    claim(out, FOLDER)
    with files_beside(out) as folder:
        told = as_plain(study.config)
        told = Privacy(anonymous=True).within(told) if study.anonymous else told
        (folder / CONFIG).write_text(yaml.safe_dump(told, sort_keys=False), "utf-8")
        if not (out / TIMINGS).exists():
            (folder / TIMINGS).write_text("task,method_seconds,preparation_seconds\n", "utf-8")
    tuning = tuning_tasks(study)
    first = _run(study, tuning, running, "tuning")
    if waiting := _tasks_waiting(study, tuning):
        say(f"{waiting} tuning tasks are left to other shards; run this again when they are done")
        return replace(first, waiting=waiting)
    choices = choose_best(tuning, out, study.config.methods, study.candidates, study.config.protocol,
                          len(study.validation))
    if tuning:
        with files_beside(out) as folder:
            (folder / TUNED).write_text(json.dumps(choices, indent=1) + "\n", "utf-8")
        for line in choice_lines(choices):
            say(line)
    tasks = scored_tasks(study, choices)
    second = _run(study, tasks, running, "testing")
    waiting = _tasks_waiting(study, tasks)
    failed = first.failed | second.failed if waiting else failures(out, [*tuning, *tasks])  # of all shards
    if waiting:
        say(f"{waiting} tasks are left to other shards; the tables are written by the last one")
    else:
        study.prints.check_unchanged()
        stored = [task for task in tasks if is_whole(out, task)]
        with files_beside(out) as folder:
            scored = write_outputs(study.config, out, folder, stored, choices, failed, _study_provenance(study, running.command))
            if scored:
                write_speed(out, folder, stored)
        if scored:
            say(f"{out / 'report.html'}  tables.md  results.csv  volumes.csv  speed.csv")
    return StudyResult(failed, first.done + second.done, first.skipped + second.skipped, waiting)


def _run(study: Study, tasks: list[Task], running: Running, what: str) -> StudyResult:
    if not tasks:
        return StudyResult()
    outcome = run_tasks(
        tasks, StudyWork(study.out.absolute() / TIMINGS), study.out, workers=running.workers,
        scheduler_file=running.scheduler_file, shard=running.shard, retry_failed=running.retry_failed,
        threads=study.config.threads, devices=running.devices, say=running.say, progress=running.progress,
    )
    running.say(f"{what}: {len(outcome.done)} tasks done, {len(outcome.skipped)} skipped, {len(outcome.failed)} failed")
    return StudyResult(dict(outcome.failed), len(outcome.done), len(outcome.skipped))


def _tasks_waiting(study: Study, tasks: Sequence[Task]) -> int:
    """How many tasks have no output and are not known to have failed."""
    failed = failures(study.out, tasks)
    return sum(task.name not in failed and not is_whole(study.out, task) for task in tasks)


def _study_provenance(study: Study, command: str) -> dict[str, Any]:
    """How the numbers were made; no date, so that equal numbers have equal records."""
    import platform

    import torch

    methods, names = {}, Privacy(anonymous=study.anonymous)
    for label, candidates in study.candidates.items():
        solver = candidates[0][1].solver
        network = solver.prior_network
        methods[label] = {"prior": None if network is None else names.within(network.prior),
                          "weights_sha256": solver.weights or None}
    return {
        "medrestore": version("medrestore"), "torch": torch.__version__, "python": platform.python_version(),
        "command": command, "config_sha256": digest_of(as_plain(study.config)),
        "protocol": study.config.protocol,
        "seeds": list(study.config.seeds), "methods": methods,
        "cases": {case.record.name: case.fingerprint for case in study.data},
        "validation": {case.record.name: case.fingerprint for case in study.validation},
    }
