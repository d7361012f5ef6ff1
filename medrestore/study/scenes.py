"""Scenes as cases: DREAMING's, or rendered ones; and how the methods of a study fill their holes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import torch
from scipy import ndimage
from torch import Tensor

from ..datasets.dreaming import SCENE
from ..datasets.scenes import SPAN, Frame, render_frame
from ..datasets.splits import split as load_split
from ..errors import InputError
from ..evaluation import score_scene
from ..files import digest_of
from ..inpainting.frame import check_inpaint_plan, inpaint_frame
from ..inpainting.plan import Plan as InpaintPlan
from ..inpainting.temporal import stretches, view
from ..io.scenes.base import SceneSet
from ..io.scenes.dreaming import dreaming_scenes
from ..priors import Prior
from .cases import Case, Clock, Item, Solved
from .config import Fill, SceneMethod, SceneProtocol
from .fills import FILLS, check_fill
from .fingerprints import Fingerprints
from .methods import SEEDS_APART, CountedPrior, Network, Solver, check_samples, network_of, plan_of
from .perceptual import lpips_of
from .pictures import SHIPPED, check_rgb_prior
from .sources import AsRecorded, Scenes

Box = tuple[slice, slice]
PLACE_OF_SCORE = ("scene", "frame", "frames", "scored", "protocol")  # columns that a row of a study has by other names


@dataclass(frozen=True)
class SceneCase(Case[AsRecorded, "SceneSolver"]):
    """One scene.

    Attributes:
        frames: their numbers.
        source: how it is read or rendered.
        number: of the rendered scene; -1 for one of a folder.
        box: (top, left) of the square that stands for the frame, or None.
    """

    frames: tuple[int, ...]
    source: Scenes
    number: int = -1
    box: tuple[int, int] | None = None

    @property
    def images(self) -> int:
        return len(self.frames)

    @property
    def grid(self) -> tuple[int, int]:
        with self.opened() as scene:
            return scene.size

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.grid, 3)

    def solve(self, item: Item[AsRecorded, "SceneSolver"], device: str, clock: Clock) -> Solved:
        """The rows of a scene, one for each frame and one for all, and the middle frame with its truth."""
        prior = None if item.solver.prior_network is None else item.solver.prior_network.load(device)
        protocol = cast(SceneProtocol, item.content.protocol)
        middle: list[Tensor] = []
        with clock.timing("method"), self.opened() as scene:

            def watched() -> Iterator[Tensor]:
                for index, frame in enumerate(item.solver.fill(scene, prior, item.content.seed, device)):
                    if index == scene.count // 2:
                        middle.append(frame)
                    yield frame

            total, frames = score_scene(watched(), scene, protocol=protocol, lpips=lpips_of(item.resources.lpips))
            truth = scene.truth(scene.count // 2)
        calls = 0.0 if prior is None else prior.calls / len(frames)
        rows = [item.row(item.label, number, None, calls) | {"protocol": protocol}
                | {name: value for name, value in asdict(score).items() if name not in PLACE_OF_SCORE}
                for score, number in [*((one, self.frames[one.frame]) for one in frames), (total, None)]]
        image, reference = (picture.permute(1, 2, 0).float() / 255 for picture in (middle[0], truth))
        return Solved(rows, image, reference)

    @contextmanager
    def opened(self) -> Iterator["Part"]:
        """The frames of the case as a scene of their own."""
        cut = None
        if self.box is not None and self.source.crop is not None:
            cut = tuple(slice(at, at + self.source.crop) for at in self.box)
        if self.source.folder is None:
            yield Part(self.name, Rendered(self.source.seed, self.number, self.source.size), self.frames, cut)
            return
        with dreaming_scenes(self.source.folder) as scenes, scenes[self.name] as scene:
            yield Part(self.name, scene, self.frames, cut)


@dataclass(frozen=True)
class Rendered:
    """A simulated scene, rendered frame by frame as it is asked for; its interface is that of `io.scene.Scene`."""

    seed: int
    scene: int
    size: tuple[int, int]

    def frame(self, index: int) -> Tensor:
        return _bytes(_rendered(self.seed, self.scene, index, self.size).obstructed)

    def mask(self, index: int) -> Tensor:
        return _rendered(self.seed, self.scene, index, self.size).known[None]

    def truth(self, index: int) -> Tensor:
        return _bytes(_rendered(self.seed, self.scene, index, self.size).truth)


@dataclass(frozen=True)
class Part:
    """Some frames of a scene, or a part of each.

    Args:
        name: of the scene.
        whole: the scene.
        frames: which of them; frame i of this is number `frames[i]` of the whole.
        box: rows and columns; None for all.
        grow: pixels by which the masks are grown.
    """

    name: str
    whole: "Rendered | object"
    frames: Sequence[int]
    box: Box | None = None
    grow: int = 0

    @property
    def count(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.mask(0).shape[-2:]
        return height, width

    def frame(self, index: int) -> Tensor:
        """(3, height, width) uint8."""
        return self._cut(self.whole.frame(self.frames[index]))

    def mask(self, index: int) -> Tensor:
        """(1, height, width) bool, True where known."""
        known = self._cut(self.whole.mask(self.frames[index]))
        if self.grow == 0 or bool(known.all()):
            return known
        return torch.from_numpy(ndimage.distance_transform_edt(known[0].numpy()) > self.grow)[None]

    def truth(self, index: int) -> Tensor | None:
        """(3, height, width) uint8."""
        truth = self.whole.truth(self.frames[index])
        return None if truth is None else self._cut(truth)

    def _cut(self, picture: Tensor) -> Tensor:
        return picture if self.box is None else picture[(..., *self.box)]


def scene_cases(source: Scenes, prints: Fingerprints, where: str) -> list[SceneCase]:
    """The cases of a source, those with too small or too large holes left out.

    Raises:
        InputError: scenes or frames that are not there, or no scene with such a hole.
    """
    made = list(_rendered_cases(source) if source.folder is None else _read_cases(source, prints, where))
    if not made:
        raise InputError(f"{where}: none of the scenes hides a share of {list(source.holes or (0, 1))}; give other scenes, "
                         "frames or holes")
    return made


def _rendered_cases(source: Scenes) -> Iterator[SceneCase]:
    first, last = source.scenes or (0, 0)
    for number in range(first, last):
        frames = _frames(source.frames, SPAN, f"scene {number}")
        scene = Rendered(source.seed, number, source.size)
        box = _box(scene.mask(frames[0])[0], source)
        if box is not False:
            name = f"scene-{source.seed}-{number}"
            yield SceneCase(name, name, digest_of([name, source.size, frames, box, source.crop]), f"rendered {name}", frames,
                            source, number, box)


def _read_cases(source: Scenes, prints: Fingerprints, where: str) -> Iterator[SceneCase]:
    root = Path(str(source.folder))
    with dreaming_scenes(root) as scenes:
        for name in _wanted(scenes, source, where):
            with scenes[name] as scene:
                if scene.reference is None:
                    raise InputError(f"{where}: {name} of {root} comes without its unobstructed frames, so nothing can be scored")
                frames = _frames(source.frames, scene.count, f"{name} of {root}")
                box = _box(scene.mask(frames[0])[0], source)
            if box is not False:
                held = _held(root, name, prints)
                identity = name if SCENE.fullmatch(name) else f"{name} {held}"
                yield SceneCase(name, name, digest_of([held, frames, box, source.crop]), identity, frames, source, -1, box)


def _wanted(scenes: SceneSet, source: Scenes, where: str) -> list[str]:
    """Names of the scenes that the source asks for, by split or by number."""
    if source.split is None and source.scenes is None:
        return list(scenes)
    numbers = load_split("dreaming", source.split)["scenes"] if source.split is not None else list(range(*source.scenes))
    by_number = {int(found[1]): name for name in scenes if (found := SCENE.fullmatch(name))}
    missing = [f"scene_{number:04d}" for number in numbers if number not in by_number]
    if missing:
        raise InputError(f"{where}: {source.folder} lacks {', '.join(missing[:20])}{' and more' if len(missing) > 20 else ''}; "
                         f"it holds {', '.join(list(scenes)[:20])}")
    return [by_number[number] for number in numbers]


def _held(root: Path, name: str, prints: Fingerprints) -> str:
    """sha256 of the files of one scene, or of the archive that holds it."""
    if root.is_file():
        return prints(root)
    files = [path for path in root.rglob("*") if path.is_file()]
    own = [path for path in files if name in path.relative_to(root).parts]
    return prints.together(own or files, root)


def _frames(asked: int | tuple[int, ...] | None, count: int, what: str) -> tuple[int, ...]:
    if asked is None:
        return tuple(range(count))
    chosen = asked if isinstance(asked, tuple) else tuple(i * count // asked for i in range(asked))
    if not chosen or min(chosen) < 0 or max(chosen) >= count or (isinstance(asked, int) and asked > count):
        raise InputError(f"{what} has {count} frames, and {asked} asks for others")
    return chosen


def _box(known: Tensor, source: Scenes) -> tuple[int, int] | bool | None:
    """(top, left) of the crop around what is hidden, None for the whole frame, False for a hole of the wrong size."""
    corner = None
    if source.crop is not None:
        if source.crop > min(known.shape):
            raise InputError(f"frames of {known.shape[1]} x {known.shape[0]} have no part of {source.crop} x {source.crop}; "
                             "give a smaller crop")
        hidden = (~known).nonzero(as_tuple=True)
        if not len(hidden[0]):
            return False
        corner = tuple(int(min(max(at.float().mean() - source.crop / 2, 0), size - source.crop))
                       for at, size in zip(hidden, known.shape, strict=True))
        known = known[corner[0] : corner[0] + source.crop, corner[1] : corner[1] + source.crop]
    low, high = source.holes or (0.0, 1.0)
    return corner if low <= float((~known).double().mean()) <= high else False


def restored(scene: Part, prior: Prior, plan: InpaintPlan, *, device: str) -> Iterator[Tensor]:
    """The frames of a scene with their holes filled, in order, (3, height, width) uint8; as `medrestore inpaint` does it."""
    before, scene = None, replace(scene, grow=plan.grow)
    for stretch in stretches(scene):
        for index in range(stretch.first, stretch.last):
            now = view(scene, index)
            given = stretch.background.fill(now) if plan.temporal_fill else now
            begins = plan.warm_start is None or (stretch.after_cut and index == stretch.first)
            filled = inpaint_frame(given.frame, given.known, prior, plan, device=device, before=None if begins else before)
            before = torch.where(now.known, now.frame, filled)
            yield before


class SceneSolver(Solver, ABC):
    """A method that fills the holes of a scene."""

    @abstractmethod
    def fill(self, scene: Part, prior: CountedPrior | None, seed: int, device: str) -> Iterator[Tensor]:
        """The frames in order, (3, height, width) uint8.

        Args:
            prior: that of `prior_network`.
            seed: of the study.
        """


@dataclass(frozen=True)
class SceneFill(SceneSolver):
    """A fill without a prior, by its name in `fills.FILLS`."""

    name: str

    def fill(self, scene: Part, prior: CountedPrior | None, seed: int, device: str) -> Iterator[Tensor]:
        for index in range(scene.count):
            frame, known = scene.frame(index), scene.mask(index)[0]
            yield frame if bool(known.all()) else torch.where(known, frame, FILLS[self.name](frame, known))


@dataclass(frozen=True)
class SceneDiffusion(SceneSolver):
    """A diffusion method.

    Args:
        plan: of the fill; its seed is the study's.
        network: the prior.
    """

    plan: InpaintPlan
    network: Network

    @property
    def prior_network(self) -> Network:
        return self.network

    @property
    def calls(self) -> int:
        return self.plan.steps * self.plan.samples

    def field(self, prior: Prior, size: tuple[int, int]) -> tuple[int, int]:
        return self.plan.grid(prior)[0]

    def fill(self, scene: Part, prior: CountedPrior | None, seed: int, device: str) -> Iterator[Tensor]:
        assert prior is not None
        return restored(scene, prior, replace(self.plan, seed=SEEDS_APART * seed), device=device)


def scene_solver(config: Fill | SceneMethod, protocol: str, source: str, where: str) -> SceneSolver:
    """The solver of a method; see `methods.SolverMaker`."""
    if isinstance(config, Fill):
        check_fill(config.fill)
        return SceneFill(config.fill)
    network = network_of(config, SHIPPED, check_rgb_prior)
    plan = plan_of(InpaintPlan, config, source, where)
    check_samples(plan.samples, plan.method.draws, config.method)
    check_inpaint_plan(plan, network.load("cpu"))  # whose weights are checked against their hash there
    return SceneDiffusion(plan, network)


@lru_cache(maxsize=4)
def _rendered(seed: int, scene: int, frame: int, size: tuple[int, int]) -> Frame:
    return render_frame(seed, scene, frame, size=size)


def _bytes(picture: Tensor) -> Tensor:
    return (255 * picture.clamp(0, 1)).round().to(torch.uint8)
