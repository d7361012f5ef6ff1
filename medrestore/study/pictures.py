"""Photographs as cases, what is done to them, and how the methods of a study restore them."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..baselines import DeepImagePrior, PictureBaseline
from ..consistency import relative_misfit
from ..datasets.files import find_files
from ..datasets.folders import Photographs
from ..datasets.scenes import render_frame
from ..errors import InputError
from ..evaluation.protocols import score
from ..files import digest_of
from ..images.plan import Plan
from ..inpainting.frame import check_rgb
from ..io.frames.pictures import SUFFIXES, picture_size, read_picture
from ..metrics import residual
from ..operators import (
    AveragePool,
    CircularBlur,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
    OfCodes,
    WalshHadamard,
    bicubic_downsample,
    gaussian_blur,
    motion_kernel,
    sample_pixels,
)
from ..operators.plugged import plugged
from ..priors import Prior
from ..problem import Problem
from ..restoration import restore
from ..settings import Registry, suggested
from .cases import Case, Clock, Item, Solved
from .config import Baseline, PictureMethod
from .fills import biharmonic
from .fingerprints import Fingerprints
from .methods import Facts, MethodImage, NetworkSolver, Solver, mean_and_first, planned
from .perceptual import inception_of, lpips_of
from .sources import QUARTER, Condition, Degrade, Pictures

SHIPPED = "surgical-starter"  # the prior of methods that name none
EVERY = ("super-resolution", "inpainting", "deblurring", "colorization", "compressed-sensing", "denoising")
BASELINES: "Registry[PictureBaseline]" = Registry("medrestore", {  # and the degradations that each has a use for
    "PseudoInverse": ("baselines.pictures:PseudoInverse", *EVERY),
    "Degraded": ("baselines.pictures:Degraded", *(kind for kind in EVERY if kind != "compressed-sensing")),
    "Bicubic": ("baselines.pictures:Bicubic", "super-resolution"),
    "ADMMTV": ("baselines.admm_tv:ADMMTV", *EVERY),
    "Biharmonic": ("study.pictures:Biharmonic", "inpainting"),
    "DeepImagePrior": ("baselines.deep_image_prior:DeepImagePrior", *EVERY),
})


@dataclass(frozen=True)
class PictureCase(Case[Degrade, "PictureSolver"]):
    """One picture.

    Attributes:
        path: its file.
        crop: side of the central square, or None.
        resize: side of the square that it is made first, or None.
    """

    path: str
    crop: int | None
    resize: int | None = None

    @property
    def images(self) -> int:
        return 1

    @property
    def grid(self) -> tuple[int, int]:
        height, width = self.picture().shape[-2:]
        return height, width

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.grid, 3)

    def picture(self) -> Tensor:
        """(1, 3, h, w) in [0, 1]; sides are multiples of `Pictures.SIDES`."""
        pixels = torch.from_numpy(self._pixels().copy()).permute(2, 0, 1)
        sides = [(side if self.crop is None else self.crop) // Pictures.SIDES * Pictures.SIDES
                 for side in pixels.shape[-2:]]
        top, left = ((side - inner) // 2 for side, inner in zip(pixels.shape[-2:], sides, strict=True))
        return pixels[None, :, top : top + sides[0], left : left + sides[1]].float() / 255

    def _pixels(self) -> np.ndarray:
        """(h, w, 3) uint8, before it is cropped."""
        read = read_picture(Path(self.path))
        return read if self.resize is None else resized(read, self.resize)

    def solve(self, item: Item[Degrade, "PictureSolver"], device: str, clock: Clock) -> Solved:
        """The row of a picture, and the picture with its truth, (h, w, 3) in [0, 1]."""
        problem, truth = degraded_picture(self, item.content.condition, item.content.seed, device)
        with clock.timing("method"):
            restored = item.solver.restore(problem, item.label, item.content.seed, device)
        rows = []
        for made in restored:
            off = residual(problem.operator(made.image), problem.y)
            shown = made.image.cpu().clamp(0, 1)
            for scores in score("natural", shown, truth, lpips=lpips_of(item.resources.lpips)):
                scores.pop("slice")
                rows.append({**item.row(made.label, None, None), **scores, **made.facts, "residual": off,
                             "consistency_l1": float((problem.operator(made.image) - problem.y).abs().sum()),
                             "misfit": float(relative_misfit(problem, made.image).mean())})
        main, network = restored[0].image.cpu().clamp(0, 1), inception_of(item.resources.inception)
        features = None if network is None else network.features(torch.cat([main, truth]))
        return Solved(rows, main[0].permute(1, 2, 0), truth[0].permute(1, 2, 0), features)


@dataclass(frozen=True)
class RenderedCase(PictureCase):
    """One rendered scene without what hides the patient, rendered when it is read.

    Attributes:
        seed, number: of the scene.
        side: of the picture, pixels.
    """

    seed: int = 0
    number: int = 0
    side: int = Pictures.SIDES

    def _pixels(self) -> np.ndarray:
        truth = render_frame(self.seed, self.number, 0, size=(self.side, self.side)).truth
        return (255 * truth.permute(1, 2, 0).numpy()).round().astype(np.uint8)


def _rendered_pictures(source: Pictures) -> Iterator[PictureCase]:
    for number in range(*(source.scenes or (0, 0))):
        name, side = f"scene-{source.seed}-{number}", source.crop or Pictures.SIDES
        yield RenderedCase(name, name, digest_of([name, side]), f"rendered {name}", "", None, seed=source.seed, number=number,
                           side=side)


def picture_cases(source: Pictures, prints: Fingerprints, where: str) -> list[PictureCase]:
    """The cases of a source.

    Raises:
        InputError: no pictures, or one smaller than the crop.
    """
    if source.scenes is not None:
        return list(_rendered_pictures(source))
    files = Photographs().files if source.folder == "bundled" else find_files(source.folder, SUFFIXES, where)
    least = max(source.crop or Pictures.SIDES, source.resize or 0)
    cases = []
    for path in files:
        side = min(picture_size(path))
        if side < least:
            raise InputError(f"{where}: {path} has a side of {side} pixels, less than {least}; leave it out")
        content = prints(path)
        cases.append(PictureCase(path.stem, path.stem, digest_of([content, source.crop, source.resize]), content,
                                 str(path), source.crop, source.resize))
    return cases


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) uint8 as a square of a side: the short side halved by means while it is at least twice as long, then bicubic,
    then the centre. The recipe of ADM (Dhariwal & Nichol, NeurIPS 2021), whose pictures the papers use.
    """
    from PIL import Image

    picture = Image.fromarray(pixels)
    while min(picture.size) >= 2 * side:
        picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
    scale = side / min(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
    top, left = (picture.height - side) // 2, (picture.width - side) // 2
    return np.asarray(picture)[top : top + side, left : left + side]


def degraded_picture(case: PictureCase, condition: Degrade, seed: int, device: str) -> tuple[Problem, Tensor]:
    """What is left of a picture, and the picture (1, 3, h, w) in [0, 1].

    Chance (noise, pixels that are left) is that of the picture's name and the seed.
    """
    truth = case.picture()
    digits = hashlib.sha256(f"{case.name} {seed}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digits[:7], "big"))
    height, width = truth.shape[-2:]
    operator = operator_of_condition(condition, (height, width), generator)
    y = operator(truth)
    y = y + condition.noise_std * torch.randn(y.shape, generator=generator)
    return Problem(operator, y, condition.noise_std).to(device), truth


def operator_of_condition(condition: Degrade, size: tuple[int, int], generator: torch.Generator) -> LinearOperator:
    """What a degradation does to pictures of a (height, width)."""
    if condition.kind == "super-resolution":
        bicubic = condition.filter == "bicubic"
        return bicubic_downsample(size, condition.factor) if bicubic else AveragePool(condition.factor, size)
    if condition.kind == "deblurring":
        if condition.motion is not None:
            return CircularBlur(motion_kernel(*condition.motion), size)
        return gaussian_blur(size, condition.std)
    if condition.kind == "colorization":
        return Grayscale()
    if condition.kind == "denoising":
        return Identity()
    if condition.operator is not None:
        operator = plugged(condition.operator, size, 3, condition.options)
        if not isinstance(operator, LinearOperator):
            raise InputError(f"{condition.operator}: a study of pictures takes linear operators, and {operator.kind} is none")
        return operator
    if condition.kind == "compressed-sensing":
        return WalshHadamard.random(size, condition.keep or QUARTER, generator=generator)
    if condition.box is None:
        return sample_pixels(size, condition.keep or 0.0, generator=generator)
    known = torch.ones(size)
    top, left = (max((side - condition.box) // 2, 0) for side in size)
    known[top : top + condition.box, left : left + condition.box] = 0
    return Mask(known)


class PictureSolver(Solver, ABC):
    """A method that restores degraded pictures."""

    @abstractmethod
    def restore(self, problem: Problem, label: str, seed: int, device: str) -> list[MethodImage]:
        """The picture; of several samples, also the first of them. `seed` is that of the study."""


@dataclass(frozen=True)
class Biharmonic(PictureBaseline):
    """Hidden pixels by the biharmonic equation, `fills.biharmonic`; known ones as they are."""

    def restore(self, problem: Problem) -> Tensor:
        known = problem.operator.sampled.bool().cpu()
        filled = biharmonic((255 * problem.y[0].cpu().clamp(0, 1)).round().to(torch.uint8), known).float() / 255
        return torch.where(known, problem.y[0].cpu(), filled)[None].to(problem.y.device)


@dataclass(frozen=True)
class WithoutPrior(PictureSolver):
    """A baseline.

    Args:
        name: in the table of baselines, which says what it is for.
        baseline: with its weight.
    """

    name: str
    baseline: PictureBaseline

    def serves(self, condition: Condition) -> bool:
        return isinstance(condition, Degrade) and BASELINES.suits(self.name, condition.kind)

    def restore(self, problem: Problem, label: str, seed: int, device: str) -> list[MethodImage]:
        baseline = self.baseline
        if isinstance(baseline, DeepImagePrior):
            baseline = replace(baseline, seed=baseline.seed + seed)
        return [MethodImage(label, baseline.restore(problem), {"calls": 0.0})]


@dataclass(frozen=True)
class PictureDiffusion(NetworkSolver[Plan], PictureSolver):
    """A diffusion method on pictures.

    Args:
        from_prior: whether noise levels span the range of the prior instead of the plan's.
    """

    from_prior: bool

    def restore(self, problem: Problem, label: str, seed: int, device: str) -> list[MethodImage]:
        plan, prior = self.seeded(seed), self.network.load(device)
        levels = None if self.from_prior else plan.levels(prior)
        made = restore(problem, prior, plan.sampler, levels=levels, steps=plan.steps, samples=plan.samples,
                       seed=plan.seed, batch_size=plan.batch_size)
        facts: Facts = {"calls": float(prior.calls)}
        return mean_and_first(label, made.mean[None], made.samples[:, None], facts,
                              {"calls": prior.calls / plan.samples})


def picture_solver(config: Baseline | PictureMethod, protocol: str, source: str, where: str) -> PictureSolver:
    """The solver of a method; see `methods.SolverMaker`."""
    if isinstance(config, Baseline):
        if config.baseline not in BASELINES:
            raise InputError(f"there is no baseline {config.baseline!r} for this data; "
                             f"{suggested('', config.baseline, BASELINES)}")
        if config.weights is not None:
            raise InputError(f"{config.baseline} has no weights")
        if config.options and not fields(BASELINES[config.baseline]):  # type: ignore[arg-type]  # all are dataclasses
            raise InputError(f"{config.baseline} has no options")
        return WithoutPrior(config.baseline, BASELINES.build(config.baseline, config.options, source, f"{where}.options"))
    plan, network = planned(Plan, config, check_rgb_prior, _check_plan, prior=config.prior or SHIPPED)
    return PictureDiffusion(plan, network, config.sigma_max is None)


def _check_plan(plan: Plan, prior: Prior) -> None:
    """Refuses noise levels outside those of the prior, and methods of priors of codes, which studies do not take."""
    plan.check_levels(prior)
    if plan.sampler.given or plan.sampler.needs is OfCodes:
        raise InputError(f"{plan.method_name} is for priors of codes, and a study of pictures takes one of pictures; "
                         "take another method")


def check_rgb_prior(about: Mapping[str, Any], prior: str) -> None:
    """Refuses a prior that is not one of pictures in [-1, 1]; for `methods.network_of`."""
    check_rgb(about["channels"], (about["recipe"] or {}).get("kind") == "interval", prior)
