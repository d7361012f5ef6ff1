"""What a study would take: tasks counted, a network call and a preparation timed, nothing written."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from ..priors import Prior
from ..restoration import padded_size
from ..tasks.folders import limited_to
from .methods import loaded
from .mri import ScanCase, ready
from .pictures import PictureCase
from .run import Study, scored_tasks, tuning_tasks
from .work import Item

ROW_BYTES, RECORD_BYTES = 450, 600  # of JSON and tables for one scored image, and of the record of a task


def estimate(study: Study, device: str, *, workers: int = 1) -> Iterator[str]:
    """Lines for people: how many tasks, how long about, how much disk.

    Tuned methods count as if their first candidate was chosen. Fills, trained baselines and slow options are not timed.
    """
    first = {label: {name: {"chosen": candidates[0][0]} for name in _names(study)}
             for label, candidates in study.recipes.items() if study.config.methods[label].tune}
    tuning, testing = tuning_tasks(study), scored_tasks(study, first)
    items: list[Item] = [task.what for task in (*tuning, *testing)]
    yield f"{len(tuning)} tasks to tune on {len(study.validation)} cases, {len(testing)} to test on {len(study.data)}"
    groups = {task.group: task.what for task in (*tuning, *testing)}
    calls, seconds = 0, 0.0
    if isinstance(study.data[0], ScanCase) and testing:
        with limited_to(study.config.threads):
            took = _preparation(testing[0].what, device)
        seconds += took * sum(item.case.images for item in groups.values())
        yield f"preparing a slice takes {took:.1f} s here"
    timed: dict[str, float] = {}
    for item in items:
        if item.recipe.prior is not None:
            many = item.recipe.made.steps * item.recipe.made.samples * item.case.images
            key = f"{item.recipe.prior} {item.recipe.config.bf16}"
            if key not in timed:
                with limited_to(study.config.threads):
                    timed[key] = _call(item, device)
            calls, seconds = calls + many, seconds + many * timed[key]
    for key, took in timed.items():
        yield f"a network call of {key.split(' ')[0]} takes {took:.2f} s here"
    images = sum(item.case.images for item in items)
    kept = sum(item.kept for item in items) * 2 * 4 * _pixels(items[0])
    megabytes = (images * ROW_BYTES + len(items) * RECORD_BYTES + kept) / 1e6
    yield (f"about {_said(seconds / workers)} with {workers} {'worker' if workers == 1 else 'workers'} for {calls:,} network "
           f"calls and the preparation, what baselines take comes on top; about {megabytes:,.0f} MB")


def _names(study: Study) -> list[str]:
    return [one.name for one in study.config.settings] or ["scenes"]


def _preparation(item: Item, device: str) -> float:
    """Seconds that one slice takes to prepare, coil maps included."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as cache:
        ready(item.case, item.case.slices[0], item.setting, item.seed, cache=Path(cache), spectral_gb=item.spectral_gb,
              device=device)
    return time.monotonic() - started


def _call(item: Item, device: str) -> float:
    """Seconds that one network call on one image of the first case takes, the first call left out."""
    prior = loaded(item.recipe.prior, device, item.recipe.config.bf16)
    x = torch.zeros(1, prior.channels, *padded_size(prior, _size(item, prior)), device=device)
    took = 0.0
    with torch.no_grad():
        for _ in range(2):
            started = time.monotonic()
            prior(x, 1.0).sum().item()  # waits for the device
            took = time.monotonic() - started
    return took


def _size(item: Item, prior: Prior) -> tuple[int, int]:
    """(height, width) of what the network sees at once."""
    case = item.case
    if isinstance(case, ScanCase):
        return tuple(case.scan(case.slices[0]).kspace.shape[-2:])
    return tuple(case.picture().shape[-2:]) if isinstance(case, PictureCase) else item.recipe.made.grid(prior)[0]


def _pixels(item: Item) -> int:
    """Numbers in one image that is kept."""
    case = item.case
    if isinstance(case, ScanCase):
        height, width = case.scan(case.slices[0]).crop
        return height * width
    if isinstance(case, PictureCase):
        return case.picture().numel()
    with case.opened() as scene:
        return 3 * scene.size[0] * scene.size[1]


def _said(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
