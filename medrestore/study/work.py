"""One task of a study: a method on a case in a setting, to rows of scores and, for some cases, an image."""

import json
import math
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..consistency import misfit
from ..evaluation import load_lpips, score_scene
from ..evaluation.perceptual import LPIPS
from ..evaluation.protocols import METRICS, score
from ..evaluation.uncertainty import calibration
from ..inpainting.scene import fill_frames
from ..problem import Problem
from ..recon.preparation import CG_SENSE, SLICE_SEEDS, check_plan
from ..restoration import restore
from ..tasks.run import Task
from .cases import Case
from .config import Setting
from .fills import FILLS
from .methods import ROOT_SUM, Counted, Recipe, loaded, loaded_baseline
from .mri import Ready, ScanCase, Shelf, ready
from .pictures import PictureCase, degraded
from .scenes import SceneCase, filled

ROWS, IMAGE, REFERENCE = "rows.json", "image.npy", "reference.npy"
SCENE_SETTING = "scenes"  # what the setting of scenes is called in tables
SEEDS_APART = 100_000_007  # between the samples of two seeds of a study: sample k of a slice adds k to its own
SHELF = Shelf()  # of this process
Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """What a task does, as plain data.

    Attributes:
        case, setting, recipe, seed, protocol: what is restored how and scored how.
        kept: whether its image is kept for the report.
        spectral_gb: largest exact spectrum that any method of the group asks for; 0 for none.
        cache: folder of coil maps.
        lpips: files with the weights of LPIPS.
    """

    case: Case
    setting: Setting
    recipe: Recipe
    seed: int
    protocol: str
    kept: bool
    spectral_gb: float
    cache: Path | None
    lpips: tuple[str, ...]

    @property
    def first_seed(self) -> int:
        """Of the samples."""
        return SEEDS_APART * self.seed


@dataclass(frozen=True)
class StudyWork:
    """What the engine calls for each task.

    Args:
        timings: CSV to which task, seconds of the method and seconds of preparation are appended; they are no part of the
            output.
    """

    timings: Path

    def __call__(self, task: Task, folder: Path, device: str) -> None:
        item: Item = task.what
        clock = Clock()
        solve = {ScanCase: scan_rows, SceneCase: scene_rows, PictureCase: picture_rows}[type(item.case)]
        rows, shown = solve(item, task.group, device, clock)
        (folder / ROWS).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        if item.kept:
            for name, image in zip((IMAGE, REFERENCE), shown, strict=True):
                np.save(folder / name, image.numpy().astype(np.float32))
        with self.timings.open("a", encoding="utf-8") as file:  # one line, so that those of several processes do not mix
            file.write(f"{task.name},{clock.method:.3f},{clock.preparation:.3f}\n")


@dataclass
class Clock:
    """Seconds of the method and of what it shares with others."""

    method: float = 0.0
    preparation: float = 0.0


def scan_rows(item: Item, group: str, device: str, clock: Clock) -> tuple[list[Row], tuple[Tensor, Tensor]]:
    """The rows of a volume, one for each slice or for the whole, and the middle slice with its reference, as shown."""
    case: ScanCase = item.case
    images: dict[str, list[Tensor]] = {}
    facts: dict[str, list[dict[str, float | None]]] = {}
    references, accel = [], None
    for number in case.slices:
        started = time.monotonic()
        made = _prepared(item, group, number, device)
        clock.preparation += time.monotonic() - started
        started = time.monotonic()
        for label, image, fact in _solved(item, made, number, device):
            images.setdefault(label, []).append(image)
            facts.setdefault(label, []).append(fact)
        clock.method += time.monotonic() - started
        references.append(made.truth if item.protocol == "complex" else made.reference)
        accel = made.prepared.sampling.acceleration
    rows = []
    for label, stack in images.items():
        shown = torch.stack(stack if item.protocol == "complex" else [image.abs() for image in stack])
        for found in score(item.protocol, shown, torch.stack(references), data_range=None if item.protocol == "complex"
                           else case.peak()):
            at = found.pop("slice")
            fact = _mean_facts(facts[label]) if at is None else facts[label][at]
            rows.append({**_row(item, label, None if at is None else case.slices[at], accel), **found, **fact})
    middle = case.middle
    return rows, (images[item.recipe.label][middle].abs(), references[middle].abs())


def _prepared(item: Item, group: str, number: int, device: str) -> Ready:
    shelf = SHELF.take(f"{group} {device} {item.spectral_gb}")
    if number not in shelf.held:
        made = ready(item.case, number, item.setting, item.seed, cache=item.cache, spectral_gb=item.spectral_gb, device=device)
        shelf.keep(number, made)
        return made
    return shelf.held[number]


def _solved(item: Item, made: Ready, number: int, device: str) -> list[tuple[str, Tensor, dict[str, float | None]]]:
    """(label, complex image (h, w) as shown, facts) of the method, and of one of its samples where it takes several."""
    one, prepared = item.recipe, made.prepared
    problem, sense = prepared.problem, prepared.sense
    if one.config.baseline in ROOT_SUM:
        return [(one.label, made.rss, {"calls": 0.0, "misfit": None})]
    if one.config.baseline is not None:
        baseline = one.made if one.config.weights is None else loaded_baseline(one.config.weights, device)
        if "seed" in getattr(baseline, "__dataclass_fields__", {}):
            baseline = replace(baseline, seed=baseline.seed + item.seed)
        image = baseline.reconstruct(problem.y, sense.maps, sense.mask)
        return [(one.label, prepared.shown(image[0, 0]).cpu(), {"calls": 0.0, "misfit": None})]  # it takes no noise level
    plan, prior = one.made, Counted(loaded(one.prior, device, one.config.bf16))
    check_plan(prepared, prior, plan)
    start = None if plan.start_sigma is None else CG_SENSE.reconstruct(problem.y, sense.maps, sense.mask)
    result = restore(problem, prior, plan.sampler, levels=plan.levels(prior), samples=plan.samples,
                     seed=item.first_seed + SLICE_SEEDS * item.case.stream(number), batch_size=plan.batch_size, start=start,
                     start_sigma=plan.start_sigma)
    shown = prepared.shown(result.mean[0]).cpu()
    fact = {"calls": float(prior.calls), "misfit": float(result.misfit.mean())}
    if plan.samples == 1:
        return [(one.label, shown, fact)]
    samples = prepared.shown(result.samples[:, 0]).cpu()
    told = _uncertainty(samples, made) if one.config.uncertainty else {}
    single = {"calls": prior.calls / plan.samples, "misfit": float(result.misfit[0])}
    return [(one.label, shown, fact | told), (f"{one.label}, one sample", samples[0], single)]


def _uncertainty(samples: Tensor, made: Ready) -> dict[str, float | None]:
    """How well the spread of the samples tells the error, inside the support of the coil maps."""
    inside = made.prepared.shown(torch.ones_like(made.prepared.gain[0, 0])).cpu() > 0
    found = calibration(samples.abs(), made.reference, inside=inside).row()
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def _misfit(problem: Problem, image: Tensor) -> float:
    """|A x - y| over what the noise explains, or over |y| without noise, as `Restoration.misfit`."""
    scale = problem.sigma * problem.count.sqrt() if problem.sigma > 0 else torch.linalg.vector_norm(problem.y)
    return float((misfit(problem, image) / scale).mean())


def _mean_facts(facts: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Means over the slices of a volume."""
    means: dict[str, float | None] = {}
    for name in facts[0]:
        values = [fact[name] for fact in facts if fact[name] is not None]
        means[name] = sum(values) / len(values) if values else None
    return means


def scene_rows(item: Item, group: str, device: str, clock: Clock) -> tuple[list[Row], tuple[Tensor, Tensor]]:
    """The rows of a scene, one for each frame and one for the whole, and the middle frame with its truth."""
    one, prior = item.recipe, None
    started = time.monotonic()
    kept: dict[int, Tensor] = {}
    with item.case.opened() as scene:
        if one.prior is None:
            frames = filled(scene, FILLS[one.config.fill])
        else:
            prior = Counted(loaded(one.prior, device, one.config.bf16))
            plan = replace(one.made, seed=item.first_seed)
            frames = (restored.frame for restored in fill_frames(scene, prior, plan, device=device))

        def watched():
            for index, frame in enumerate(frames):
                if index == scene.count // 2:
                    kept[index] = frame
                yield frame

        whole, each = score_scene(watched(), scene, protocol=item.protocol, lpips=_lpips(item.lpips))
        truth = scene.truth(scene.count // 2)
    clock.method = time.monotonic() - started
    calls = 0.0 if prior is None else prior.calls / len(each)
    own = ("scene", "frame", "frames", "scored", "protocol")
    rows = [{**_row(item, one.label, item.case.frames[row.frame], None, calls), "protocol": item.protocol,
             **{name: value for name, value in asdict(row).items() if name not in own}} for row in each]
    rows.append({**_row(item, one.label, None, None, calls), "protocol": item.protocol,
                 **{name: value for name, value in asdict(whole).items() if name not in own}})
    (shown,) = kept.values()
    return rows, tuple(picture.permute(1, 2, 0).float() / 255 for picture in (shown, truth))


def picture_rows(item: Item, group: str, device: str, clock: Clock) -> tuple[list[Row], tuple[Tensor, Tensor]]:
    """The row of a picture, and the picture with its truth, (h, w, 3) in [0, 1]."""
    one = item.recipe
    problem, truth = degraded(item.case, item.setting, item.seed, device)
    started = time.monotonic()
    if one.prior is None:
        images, facts = {one.label: problem.operator.pinv(problem.y)}, {one.label: {"calls": 0.0}}
    else:
        prior, plan = Counted(loaded(one.prior, device, one.config.bf16)), one.made
        walked = plan.levels(prior) if one.config.sigma_max is not None else None
        result = restore(problem, prior, plan.sampler, levels=walked, steps=plan.steps, samples=plan.samples, seed=item.first_seed,
                         batch_size=plan.batch_size)
        images, facts = {one.label: result.mean[None]}, {one.label: {"calls": float(prior.calls)}}
        if plan.samples > 1:
            single = f"{one.label}, one sample"
            images[single], facts[single] = result.samples[:1], {"calls": prior.calls / plan.samples}
    clock.method = time.monotonic() - started
    rows = []
    for label, image in images.items():
        off = torch.linalg.vector_norm(problem.operator(image) - problem.y) / torch.linalg.vector_norm(problem.y)
        shown = image.cpu().clamp(0, 1)
        for found in score("natural", shown, truth, lpips=_lpips(item.lpips)):
            found.pop("slice")
            rows.append({**_row(item, label, None, None), **found, **facts[label], "consistency": float(off),
                         "misfit": _misfit(problem, image)})
    main = images[one.label].cpu().clamp(0, 1)
    return rows, (main[0].permute(1, 2, 0), truth[0].permute(1, 2, 0))


def _row(item: Item, label: str, number: int | None, accel: float | None, calls: float = 0.0) -> Row:
    """What every row begins with."""
    setting = SCENE_SETTING if item.setting is None else item.setting.name
    return {"case": item.case.name, "patient": item.case.patient, "slice": number, "setting": setting, "accel": accel,
            "method": label, "seed": item.seed, "calls": calls}


@lru_cache(maxsize=1)
def _lpips(paths: tuple[str, ...]) -> LPIPS | None:
    return load_lpips(*paths) if paths else None


def image_of(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The image of a task and its reference; None where it was not kept."""
    places = folder / IMAGE, folder / REFERENCE
    return None if not all(place.is_file() for place in places) else tuple(np.load(place, allow_pickle=False) for place in places)


def rows_of(folder: Path) -> list[Row]:
    """The rows of a task."""
    return json.loads((folder / ROWS).read_text(encoding="utf-8"))


def primary(protocol: str) -> tuple[str, bool]:
    """The metric that tuning looks at, and whether more of it is better."""
    first = METRICS[protocol][0]
    return first.name, first.higher_is_better
