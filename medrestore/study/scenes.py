"""Scenes as cases: DREAMING's, or rendered ones; all of each frame, or the part around what is hidden."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from ..datasets.dreaming import SCENE, split_numbers
from ..datasets.scenes import SPAN, render_frame
from ..errors import InputError
from ..evaluation import score_scene
from ..files import digest_of
from ..inpainting.frame import check_inpaint_plan
from ..inpainting.plan import Plan as InpaintPlan
from ..inpainting.scene import fill_frames
from ..io.frames.base import Frames
from ..io.frames.masks import Masks
from ..io.scenes.base import Scene, SceneSet
from ..io.scenes.open import open_scenes
from ..priors import Prior
from .cases import Case, Clock, Item, Row, Solved
from .config import Fill, SceneMethod, SceneProtocol
from .fills import FILLS, check_fill
from .fingerprints import Fingerprints
from .methods import CountedPrior, NetworkSolver, Solver, planned
from .perceptual import lpips_of
from .pictures import check_rgb_prior
from .sources import AsRecorded, Scenes

Box = tuple[slice, slice]
# columns that a row of a study has by other names
PLACE_OF_SCORE = ("scene", "frame", "frames", "scored", "protocol")


@dataclass(frozen=True)
class SceneCase(Case[AsRecorded, "SceneSolver"]):
    """One scene.

    Attributes:
        frames: their numbers.
        source: how it is read or rendered.
        number: of the rendered scene; -1 for one of a folder.
        corner: (top, left) of the square that stands for the frame, or None.
    """

    frames: tuple[int, ...]
    source: Scenes
    number: int = -1
    corner: tuple[int, int] | None = None

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
        network = item.solver.prior_network
        prior = None if network is None else network.load(device)
        middle: dict[str, Tensor] = {}
        with clock.timing("method"), self.opened() as scene:

            def watched() -> Iterator[Tensor]:
                for index, frame in enumerate(item.solver.fill(scene, prior, item.content.seed, device)):
                    if index == scene.count // 2:
                        middle["image"] = frame
                    yield frame

            total, frames = score_scene(watched(), scene, protocol=cast(SceneProtocol, item.content.protocol),
                                        lpips=lpips_of(item.resources.lpips))
            truth = scene.truth(scene.count // 2)
        assert truth is not None  # of a scene without it there is no case
        calls = 0.0 if prior is None else prior.calls / len(frames)
        rows = [_scene_row(item, self.frames[one.frame], calls, asdict(one)) for one in frames]
        rows.append(_scene_row(item, None, calls, asdict(total)))
        return Solved(rows, _as_display(middle["image"]), _as_display(truth))

    @contextmanager
    def opened(self) -> Iterator[Scene]:
        """The frames of the case as a scene of their own; its masks are as given, before any growing."""
        box: Box | None = None
        if self.corner is not None and self.source.crop is not None:
            top, left = self.corner
            box = slice(top, top + self.source.crop), slice(left, left + self.source.crop)
        if self.source.folder is None:
            yield excerpt(
                rendered_scene(self.name, self.source.seed, self.number, self.source.size), self.frames, box
            )
            return
        with _folder_of(self.source) as scenes, scenes[self.name] as scene:
            yield excerpt(scene, self.frames, box)


class RenderedFrames(Frames):
    """The frames or masks (white hides) of a simulated scene, rendered when they are read.

    Args:
        seed, scene: which scene.
        size: (height, width).
        part: the picture with what hides the patient, the one without, or the mask.
    """

    lossless = True

    def __init__(
        self, seed: int, scene: int, size: tuple[int, int], part: Literal["obstructed", "truth", "mask"]
    ) -> None:
        self.where, self.size, self.channels = (
            f"{part} of simulated scene {scene}",
            size,
            1 if part == "mask" else 3,
        )
        self._seed, self._scene, self._part = seed, scene, part

    def __len__(self) -> int:
        return SPAN

    def _read(self, index: int) -> np.ndarray:
        frame = _rendered(self._seed, self._scene, index, size=self.size)
        if self._part == "mask":
            return np.where(frame.known.numpy(), 0, 255).astype(np.uint8)
        picture = frame.truth if self._part == "truth" else frame.obstructed
        return (255 * picture.clamp(0, 1)).round().to(torch.uint8).permute(1, 2, 0).numpy()


class Excerpt(Frames):
    """Some frames of a sequence, or a part of each.

    Args:
        frames: the sequence.
        numbers: frame i of the excerpt is number `numbers[i]` of the sequence.
        box: rows and columns; None for all.
    """

    def __init__(self, frames: Frames, numbers: Sequence[int], box: Box | None) -> None:
        self.where, self.channels, self.lossless = frames.where, frames.channels, frames.lossless
        self.size = frames.size if box is None else (box[0].stop - box[0].start, box[1].stop - box[1].start)
        self._frames, self._numbers, self._box = frames, tuple(numbers), box

    def __len__(self) -> int:
        return len(self._numbers)

    def _read(self, index: int) -> np.ndarray:
        picture = self._frames[self._numbers[index]]
        return picture if self._box is None else picture[self._box]

    def frame_name(self, index: int) -> str:
        return self._frames.frame_name(self._numbers[index])

    def close(self) -> None:
        self._frames.close()


def rendered_scene(name: str, seed: int, number: int, size: tuple[int, int]) -> Scene:
    """A simulated scene with its truth, of SPAN frames of (height, width) `size`, rendered when they are
    read.
    """
    mask = Masks(RenderedFrames(seed, number, size, "mask"), "hole")
    return Scene(name, RenderedFrames(seed, number, size, "obstructed"), mask,
                 RenderedFrames(seed, number, size, "truth"))


def excerpt(scene: Scene, numbers: Sequence[int], box: Box | None = None) -> Scene:
    """Some frames of a scene, or a part of each, as a scene."""
    masks = scene.masks.frames
    of_masks = (0,) if len(masks) == 1 else numbers
    reference = None if scene.reference is None else Excerpt(scene.reference, numbers, box)
    return replace(scene, obstructed=Excerpt(scene.obstructed, numbers, box), reference=reference,
                   masks=Masks(Excerpt(masks, of_masks, box), scene.masks.meaning, hole_values=scene.masks.hole_values))


def scene_cases(source: Scenes, prints: Fingerprints, where: str) -> list[SceneCase]:
    """The cases of a source, those with too small or too large holes left out.

    Raises:
        InputError: scenes or frames that are not there, or no scene with such a hole.
    """
    made = list(_rendered_cases(source) if source.folder is None else _read_cases(source, prints, where))
    if not made:
        raise InputError(
            f"{where}: none of the scenes hides a share of {list(source.holes or (0, 1))}; give other scenes, "
            "frames or holes"
        )
    return made


def _rendered_cases(source: Scenes) -> Iterator[SceneCase]:
    for number in source.wanted or ():
        frames = _chosen_frames(source.frames, SPAN, f"scene {number}")
        name = f"scene-{source.seed}-{number}"
        with rendered_scene(name, source.seed, number, source.size) as scene:
            known = scene.mask(frames[0])[0]
        corner = _corner(known, source)
        if _suits(known, corner, source):
            fingerprint = digest_of([name, source.size, frames, corner, source.crop])
            yield SceneCase(name, name, fingerprint, f"rendered {name}", frames, source, number, corner)


def _read_cases(source: Scenes, prints: Fingerprints, where: str) -> Iterator[SceneCase]:
    root = Path(str(source.folder))
    with _folder_of(source) as scenes:
        for name in _wanted(scenes, source, where):
            with scenes[name] as scene:
                if scene.reference is None:
                    raise InputError(
                        f"{where}: {name} of {root} comes without its unobstructed frames, so nothing can be scored"
                    )
                frames = _chosen_frames(source.frames, scene.count, f"{name} of {root}")
                known = scene.mask(frames[0])[0]
            corner = _corner(known, source)
            if _suits(known, corner, source):
                content = _scene_hash(root, name, prints)
                identity = name if SCENE.fullmatch(name) else f"{name} {content}"
                levels = [list(source.hole_values)] if source.hole_values else []
                fingerprint = digest_of([content, frames, corner, source.crop, *levels])
                yield SceneCase(name, name, fingerprint, identity, frames, source, -1, corner)


def _folder_of(source: Scenes) -> SceneSet:
    """The scenes of the folder of a source."""
    return open_scenes(str(source.folder), dataset="dreaming", hole_values=source.hole_values)


def _wanted(scenes: SceneSet, source: Scenes, where: str) -> list[str]:
    """Names of the scenes that the source asks for, by split or by number."""
    numbers = split_numbers(source.split) if source.split is not None else source.wanted
    if numbers is None:
        return list(scenes)
    by_number = {int(found[1]): name for name in scenes if (found := SCENE.fullmatch(name))}
    missing = [f"scene_{number:04d}" for number in numbers if number not in by_number]
    if missing:
        raise InputError(
            f"{where}: {source.folder} lacks {', '.join(missing[:20])}{' and more' if len(missing) > 20 else ''}; "
            f"it holds {', '.join(list(scenes)[:20])}"
        )
    return [by_number[number] for number in numbers]


def _scene_hash(root: Path, name: str, prints: Fingerprints) -> str:
    """sha256 of the files of one scene, or of the archive that holds it."""
    if root.is_file():
        return prints(root)
    files = [path for path in root.rglob("*") if path.is_file()]
    own = [path for path in files if name in path.relative_to(root).parts]
    return prints.together(own or files, root)


def _chosen_frames(asked: int | tuple[int, ...] | None, count: int, what: str) -> tuple[int, ...]:
    if asked is None:
        return tuple(range(count))
    chosen = asked if isinstance(asked, tuple) else tuple(i * count // asked for i in range(asked))
    if not chosen or min(chosen) < 0 or max(chosen) >= count or (isinstance(asked, int) and asked > count):
        raise InputError(f"{what} has {count} frames, and {asked} asks for others")
    return chosen


def _corner(known: Tensor, source: Scenes) -> tuple[int, int] | None:
    """(top, left) of the crop around what is hidden; None without a crop or anything hidden."""
    if source.crop is None:
        return None
    if source.crop > min(known.shape):
        raise InputError(
            f"frames of {known.shape[1]} x {known.shape[0]} have no part of {source.crop} x {source.crop}; "
            "give a smaller crop"
        )
    rows, columns = (~known).nonzero(as_tuple=True)
    if not len(rows):
        return None
    top, left = (min(max(float(at.float().mean()) - source.crop / 2, 0.0), float(size - source.crop))
                 for at, size in zip((rows, columns), known.shape, strict=True))
    return int(top), int(left)


def _suits(known: Tensor, corner: tuple[int, int] | None, source: Scenes) -> bool:
    """Whether the hole of a frame, or of the crop at `corner`, is as large as the source asks."""
    if source.crop is not None:
        if corner is None:
            return False
        known = known[corner[0] : corner[0] + source.crop, corner[1] : corner[1] + source.crop]
    least, most = source.holes or (0.0, 1.0)
    return least <= float((~known).double().mean()) <= most


class SceneSolver(Solver, ABC):
    """A method that fills the holes of a scene."""

    @abstractmethod
    def fill(self, scene: Scene, prior: CountedPrior | None, seed: int, device: str) -> Iterator[Tensor]:
        """The frames in order, (3, height, width) uint8; known pixels are those of the scene.

        Args:
            prior: that of `prior_network`.
            seed: of the study.
        """


@dataclass(frozen=True)
class SceneFill(SceneSolver):
    """A fill without a prior, by its name in `fills.FILLS`."""

    name: str

    def fill(self, scene: Scene, prior: CountedPrior | None, seed: int, device: str) -> Iterator[Tensor]:
        for index in range(scene.count):
            frame, known = scene.frame(index), scene.mask(index)[0]
            yield frame if bool(known.all()) else torch.where(known, frame, FILLS[self.name](frame, known))


@dataclass(frozen=True)
class SceneDiffusion(NetworkSolver[InpaintPlan], SceneSolver):
    """A diffusion method on scenes."""

    def field(self, prior: Prior, size: tuple[int, int]) -> tuple[int, int]:
        return self.plan.grid(prior)[0]

    def fill(self, scene: Scene, prior: CountedPrior | None, seed: int, device: str) -> Iterator[Tensor]:
        assert prior is not None
        return (filled.frame for filled in fill_frames(scene, prior, self.seeded(seed), device=device))


def scene_solver(config: Fill | SceneMethod, protocol: str, source: str, where: str) -> SceneSolver:
    """The solver of a method; see `methods.SolverMaker`."""
    if isinstance(config, Fill):
        check_fill(config.fill)
        return SceneFill(config.fill)
    length, repeat = config.travel or (None, None)
    return SceneDiffusion(*planned(InpaintPlan, config, check_rgb_prior, check_inpaint_plan, travel_length=length,
                                   travel_repeat=repeat))


def _scene_row(item: Item[AsRecorded, SceneSolver], number: int | None, calls: float,
               scores: dict[str, object]) -> Row:
    row = item.row(item.label, number, None, calls) | {"protocol": item.content.protocol}
    return row | {name: value for name, value in scores.items() if name not in PLACE_OF_SCORE}


def _as_display(frame: Tensor) -> Tensor:
    """(3, h, w) uint8 to (h, w, 3) in [0, 1]."""
    return frame.permute(1, 2, 0).float() / 255


_rendered = lru_cache(maxsize=4)(render_frame)
