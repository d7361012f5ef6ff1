"""Every scene of a set to an output of its own, whatever happens to any of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..io.scenes.base import Scene, SceneSet
from ..io.scenes.open import open_scenes
from ..tasks import ItemBatch, Message, Reports, in_turn, one_by_one
from .files import inpaint_scene
from .job import Job
from .plan import Machine, Plan, Reading, Writing


@dataclass(frozen=True)
class SceneSource:
    """Where the scenes of a set are.

    Args:
        frames: what holds them, and their masks where `mask` is not given.
        mask: the masks.
        truth: the unobstructed frames.
    """

    frames: Path
    mask: Path | None = None
    truth: Path | None = None

    def opened(self, plan: Plan, reading: Reading) -> SceneSet:
        """The scenes as a plan reads them; see `open_scenes`."""
        return open_scenes(self.frames, mask=self.mask, means=plan.mask_means, truth=self.truth, dataset=plan.dataset,
                           hole_values=plan.hole_values or (), max_gb=reading.max_gb)


def inpaint_scenes(scenes: Mapping[str, Scene], places: Mapping[str, Path], job: Job, *, source: SceneSource) -> dict[str, str]:
    """Every scene to its place; those that failed, name to sentence.

    A scene that fails does not keep the others from being done. One that ends the process ends all; see
    `inpaint_scenes_apart`.
    """
    return dict(_each_scene(scenes, places, job, source))


def inpaint_scenes_apart(source: SceneSource, places: Mapping[str, Path], plan: Plan, machine: Machine, *, reading: Reading,
                         writing: Writing, say: Callable[[str], None],
                         progress: Callable[[str, int], Callable[[], None]]) -> dict[str, str]:
    """`inpaint_scenes` in a process of its own; where a scene ends that process, it has failed, and another goes on.

    Args:
        places: of the scenes that are done, by name.
        plan, machine, reading, writing, say, progress: of the job, which is loaded in that process.

    Raises:
        InputError: the scenes cannot be opened or the job cannot be loaded, or the process cannot be started.
    """
    return in_turn(places, ScenesApart(source, plan, machine, reading, writing), where=str(source.frames), say=say,
                   progress=progress,
                   died=lambda name, error: f"{name}: {error} on this scene; do it alone to see more")


def _each_scene(scenes: Mapping[str, Scene], places: Mapping[str, Path], job: Job, source: SceneSource,
                begun: Callable[[str], None] = lambda name: None) -> Iterator[tuple[str, str]]:
    """Does scene after scene; those that fail, with the reasons, which are also said."""
    def one(item: tuple[str, Path]) -> None:
        name, place = item
        inpaint_scene(partial(scenes.__getitem__, name), place, job, source=source.frames, mask=source.mask)

    return one_by_one({name: (name, place) for name, place in places.items()}, one, job.say, begun,
                      job.progress("scenes", len(places)))


@dataclass(frozen=True)
class ScenesApart:
    """In a process of its own: loads the job, and does scene after scene."""

    source: SceneSource
    plan: Plan
    machine: Machine
    reading: Reading
    writing: Writing

    def __call__(self, batch: ItemBatch[Path], worker: int, send: Callable[[Message], None]) -> None:
        reports = Reports(send)
        job = Job.load(self.plan, self.machine, reading=self.reading, writing=self.writing, say=reports.say,
                       progress=reports.progress)
        with self.source.opened(self.plan, self.reading) as scenes:
            for name, why in _each_scene(scenes, batch.items, job, self.source, reports.begun):
                reports.failed(name, why)
