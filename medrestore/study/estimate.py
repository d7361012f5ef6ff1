"""What a study would take: tasks counted, a network call and a preparation timed, nothing written."""

import time
from collections.abc import Iterator
from math import prod
from typing import Any

import torch

from ..restoration import padded_size
from ..tasks.folders import limited_to
from .cases import Item
from .methods import Network
from .run import Study, scored_tasks, tuning_tasks
from .tuning import Choices, TunedChoice

ROW_BYTES, RECORD_BYTES = 450, 600  # of JSON and tables for one scored image, and of the record of a task
FLOAT_BYTES = 4
StudyItem = Item[Any, Any]


def estimate(study: Study, device: str, *, workers: int = 1) -> Iterator[str]:
    """Lines for people: how many tasks, how long about, how much disk.

    Tuned methods count as if their first candidate was chosen. Fills, trained baselines and slow options are
    not timed.
    """
    tuning, testing = tuning_tasks(study), scored_tasks(study, _first_candidates(study))
    items: list[StudyItem] = [task.what for task in (*tuning, *testing)]
    yield f"{len(tuning)} tasks to tune on {len(study.validation)} cases, {len(testing)} to test on {len(study.data)}"
    seconds = 0.0
    if testing and (took := _preparation(study, testing[0].what, device)) is not None:
        groups = {task.group: task.what for task in (*tuning, *testing)}
        seconds += took * sum(item.case.images for item in groups.values())
        yield f"preparing a slice takes {took:.1f} s on this machine"
    calls = 0
    timed: dict[Network, float] = {}
    for item in items:
        network = item.solver.prior_network
        if network is not None:
            if network not in timed:
                timed[network] = _call(study, item, network, device)
            by_coil = item.solver.calls(2) > item.solver.calls(1)
            count = item.solver.calls(item.case.coils if by_coil else 1) * item.case.images
            calls, seconds = calls + count, seconds + count * timed[network]
    for network, took in timed.items():
        yield f"a network call of {network.prior} takes {took:.2f} s on this machine"
    yield (f"about {_duration(seconds / workers)} with {workers} {'worker' if workers == 1 else 'workers'} for {calls:,} "
           f"network calls and the preparation, what baselines take comes on top; about {_disk_bytes(items) / 1e6:,.0f} MB")


def _first_candidates(study: Study) -> Choices:
    """Choices as if the first candidate of every tuned method was the best."""
    return {label: {condition.name: TunedChoice(chosen=candidates[0][0], metric="", cases=0, tried=[], warning=None)
                    for condition in study.config.conditions}
            for label, candidates in study.candidates.items() if study.config.methods[label].tuned}


def _disk_bytes(items: list[StudyItem]) -> int:
    """About how much disk the outputs take."""
    images = sum(item.case.images for item in items)
    stored = sum(item.content.with_image for item in items) * 2 * FLOAT_BYTES * prod(items[0].case.shape)
    return images * ROW_BYTES + len(items) * RECORD_BYTES + stored


def _preparation(study: Study, item: StudyItem, device: str) -> float | None:
    """Seconds that one slice takes to prepare, coil maps included; None where cases need no preparation."""
    started = time.monotonic()
    with limited_to(study.config.threads):
        prepared = item.case.prepare(item, device)
    return time.monotonic() - started if prepared else None


def _call(study: Study, item: StudyItem, network: Network, device: str) -> float:
    """Seconds that one network call on one image of a case takes, the first call left out."""
    prior = network.load(device)
    x = torch.zeros(1, prior.channels, *padded_size(prior, item.solver.field(prior, item.case.grid)),
                    device=device)
    took = 0.0
    with torch.no_grad(), limited_to(study.config.threads):
        for _ in range(2):
            started = time.monotonic()
            prior(x, 1.0).sum().item()  # waits for the device
            took = time.monotonic() - started
    return took


def _duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
