"""Scenes: one pass that measures the holes before any work, and the loop that fills them frame by frame."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import InputError
from ..io.frames.masks import GrownMasks, Survey
from ..io.scenes.base import Scene
from ..priors import Prior
from .frame import inpaint_frame, windows_of_frame
from .plan import Plan
from .temporal import stretches, view


@dataclass(frozen=True)
class Inspection:
    """What one pass over a scene, before any work, has measured.

    Attributes:
        survey: the hidden share of every frame.
        fingerprint: sha256 of all frames and masks as decoded.
        windows: how many windows of the prior the holes take, all frames together.
    """

    survey: Survey
    fingerprint: str
    windows: int

    @property
    def fullest(self) -> int:
        """The frame with the largest hidden share."""
        return max(range(len(self.survey.fractions)), key=self.survey.fractions.__getitem__)


@dataclass(frozen=True)
class FrameCoverage:
    """How much of a frame was missing, and how much of that other frames show.

    Attributes:
        hidden: the share of the frame that its mask, grown by `Plan.grow`, hides.
        seen_elsewhere: the share of the hidden pixels that other frames show.
    """

    hidden: float
    seen_elsewhere: float


@dataclass(frozen=True)
class FilledFrame:
    """One frame of a scene after its hole was filled.

    Attributes:
        index: of the frame, from 0.
        frame: (3, height, width) uint8; known pixels are those of the scene, bit by bit.
        computed: whether it was filled now; False for a stored frame of an earlier run.
        coverage: what its mask hides.
        spread: (height, width) std of the samples in grey levels, where several were drawn now.
    """

    index: int
    frame: Tensor
    computed: bool
    coverage: FrameCoverage
    spread: Tensor | None = None


def grown(scene: Scene, by: int) -> Scene:
    """The scene with its masks grown by a number of pixels."""
    return scene if by == 0 else replace(scene, masks=GrownMasks(scene.masks, by))


def inspect_scene(scene: Scene, prior: Prior, plan: Plan, *, allow_large_hole: bool = False) -> Inspection:
    """Reads every frame and mask once, so that damaged files are reported before any work.

    Args:
        scene: with its masks grown already.
        prior, plan: decide how many windows the holes take.
        allow_large_hole: accept scenes of which more than half is hidden.

    Raises:
        InputError: a frame or mask that cannot be read, nothing hidden, a frame or more than half of the
            scene hidden.
    """
    fractions: list[float] = []
    windows = 0

    def look(known: Tensor) -> None:
        nonlocal windows
        fractions.append(float((~known).double().mean()))
        if fractions[-1] > 0:
            windows += windows_of_frame(known, prior, plan)

    digest = scene_fingerprint(scene, look)
    survey = Survey(scene.masks.where, tuple(fractions))
    survey.check(allow_full=allow_large_hole and min(fractions) < 1)
    if survey.mostly_hole and not allow_large_hole:
        raise InputError(f"{survey.where} hides {survey.hole_fraction:.0%} of {scene.name}, more than half: "
                         "check `mask_means`, or pass `allow_large_hole` if it is so")
    return Inspection(survey, digest, windows)


def scene_fingerprint(scene: Scene, look: Callable[[Tensor], None] = lambda known: None) -> str:
    """sha256 of all frames and masks of a scene.

    Args:
        scene: with its masks grown already.
        look: called with each mask, (height, width) bool, True where known.
    """
    digest = hashlib.sha256(repr((scene.count, scene.size)).encode())
    for index in range(scene.count):
        frame, known = scene.frame(index), scene.mask(index)[0]
        digest.update(frame.numpy().tobytes())
        digest.update(known.numpy().tobytes())
        look(known)
    return digest.hexdigest()


def fill_frames(scene: Scene, prior: Prior, plan: Plan, *, ahead: Scene | None = None,
                stored: Callable[[int], Tensor | None] = lambda index: None,
                device: torch.device | str = "cpu") -> Iterator[FilledFrame]:
    """The frames of a scene with their holes filled, in order; used by `medrestore inpaint` and studies.

    Args:
        scene: with its masks as given; they are grown by `plan.grow` in this function.
        prior, plan: of the fill.
        ahead: a second reader of the same scene, which gathers the frames of a stretch before `scene` reads
            them, so that each reads a video in order; `scene` itself if not given.
        stored: frame i of an earlier run that was stopped, (3, height, width) uint8, or None where it has to
            be filled.
        device: where to compute.
    """
    scene, ahead = grown(scene, plan.grow), grown(ahead or scene, plan.grow)
    previous: Tensor | None = None
    for stretch in stretches(ahead):
        for index in range(stretch.first, stretch.last):
            now = view(scene, index)
            given = stretch.background.fill(now) if plan.temporal_fill else now
            hidden, left = (float((~known).double().mean()) for known in (now.known, given.known))
            frame = stored(index)
            computed, spread = frame is None, None
            if frame is None:
                cold = plan.warm_start is None or (stretch.after_cut and index == stretch.first)
                if plan.samples > 1:
                    spread = torch.zeros(now.known.shape)
                filled = inpaint_frame(
                    given.frame, given.known, prior, plan, before=None if cold else previous, device=device,
                    spread=None if spread is None else spread.__setitem__,
                )
                frame = torch.where(now.known, now.frame, filled)
            previous = frame
            yield FilledFrame(
                index, frame, computed, FrameCoverage(hidden, 1 - left / hidden if hidden > 0 else 0.0), spread
            )
