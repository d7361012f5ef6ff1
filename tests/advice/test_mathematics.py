"""Advice on problems, operators, methods, tilings and volumes, followed in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.advice import case, followed
from helpers.operators import coil_maps, lines, pixels
from helpers.priors import smooth
from laws import white
from torch import Tensor

import medrestore as mr
from medrestore import levels
from medrestore.codecs import ComplexChannels, Interval
from medrestore.inversion import Blind, DiffusionEM, Trajectory, descend, restore_blind
from medrestore.methods import DDNM, DDS, DPS
from medrestore.methods.across_slices import AcrossSlices
from medrestore.mri import espirit, points_of, sampling_mask
from medrestore.noise import Noise
from medrestore.operators import (
    CircularBlur,
    Grayscale,
    Identity,
    Magnitude,
    Mask,
    ReflectingBlur,
    Saturation,
    Sense,
    WalshHadamard,
    check,
)
from medrestore.operators.local import as_local
from medrestore.problem import Problem, stack
from medrestore.tiling import hierarchical, mask_shift
from medrestore.tiling.windows import raster
from medrestore.volumes import restore_volume

SIDE = 8
FLAT = smooth(SIDE)
LADDER = levels.karras(3, 10.0, 0.1)
KERNEL = torch.tensor([[0.0, 0.1, 0.0], [0.2, 0.4, 0.2], [0.0, 0.1, 0.0]])
IMAGE = 0.5 + 0.4 * torch.sin(white((1, 1, SIDE, SIDE)))
KEEP = pixels(SIDE, SIDE)


def restored(
    A: Any, y: Tensor, *, prior: Any = FLAT, codec: Any = None, method: Any = None, **how: Any
) -> Tensor:
    codec = Interval() if codec is None else codec
    return mr.restore(Problem(A, y, 0.05), prior, method or DDS(), codec=codec, steps=2, **how).samples


def blind(y: Tensor, method: Any = None, prior: Any = FLAT, sigma: float = 0.0) -> bool:
    """Whether there is an image of the data's shape, and a kernel that sums to 1."""
    made = restore_blind(
        y, prior, method or Blind((3,), iterations=2), sigma=sigma, codec=Interval(-1, 1), levels=LADDER
    )
    return made.samples.shape == y.shape and abs(float(made.kernels.sum()) - 1) < 1e-3


def explained(A: Any, y: Tensor, x: Tensor, off: float = 0.3) -> bool:
    """Whether images explain the data nearly as well as their noise allows."""
    return bool(((A(x) - y).norm() / y.norm()) < off)


class Rounded(Magnitude):
    """An operator that loses the gradient by its image."""

    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x).detach()


COMPLEX = torch.complex(IMAGE, 0.2 * IMAGE)
TWO = smooth(SIDE, channels=2)
RGB = IMAGE.expand(1, 3, SIDE, SIDE)
PROBLEMS = [
    case(
        "measurements of shapes {} cannot be stacked; restore problems of different sizes apart",
        lambda _: stack([Problem(Identity(), IMAGE, 0.1), Problem(Identity(), IMAGE[..., :4], 0.1)]),
        lambda _: torch.equal(stack([Problem(Identity(), IMAGE, 0.1)] * 2).y, IMAGE.repeat(2, 1, 1, 1)),
    ),
    case(
        "{} measures {} of an image, and y has shape {}; give the data as the operator returns them, "
        "batch axis first",
        lambda _: restored(Saturation(2.0), IMAGE[..., :4], size=(SIDE, SIDE), method=DPS()),
        lambda _: restored(Saturation(2.0), Saturation(2.0)(IMAGE), size=(SIDE, SIDE), method=DPS()).shape == IMAGE.shape,
    ),
    case(
        "{} measures {} data, and y is {}; give the data as the operator returns them",
        lambda _: restored(Magnitude(Identity()), COMPLEX, size=(SIDE, SIDE), method=DPS()),
        lambda _: (
            restored(Magnitude(Identity()), IMAGE.abs(), size=(SIDE, SIDE), method=DPS()).shape == IMAGE.shape
        ),
    ),
    case(
        "{} cannot have measured y of shape {}, {} ({}); give the data as the operator returns them",
        lambda _: restored(Mask(KEEP), IMAGE[..., :5]),
        lambda _: explained(Mask(KEEP), KEEP * IMAGE, restored(Mask(KEEP), KEEP * IMAGE)),
    ),
    case(
        "the data are of a {} image and the prior's codec is of {} images; take a prior (or a codec) "
        "of the same kind of image",
        lambda _: restored(Identity(), COMPLEX),
        lambda _: explained(
            Identity(), COMPLEX, restored(Identity(), COMPLEX, prior=TWO, codec=ComplexChannels(1.0))
        ),
    ),
    case(
        "the data are of an image of shape {} (channel, height, width) and the prior makes images of "
        "{}; take a prior of as many channels",
        lambda _: restored(Identity(), RGB),
        lambda _: explained(Identity(), RGB, restored(Identity(), RGB, prior=smooth(SIDE, channels=3))),
    ),
    case(
        "{} cannot be applied to an image of shape {}, {} ({}); take a prior and a size that suit it",
        lambda _: restored(Magnitude(Mask(KEEP)), IMAGE, size=(4, 4), prior=smooth(4), method=DPS()),
        lambda _: (
            restored(Magnitude(Mask(KEEP)), IMAGE, size=(SIDE, SIDE), method=DPS()).shape == IMAGE.shape
        ),
    ),
    case(
        "what {} measures has no gradient by the image, and operators that are not linear are "
        "followed by it; write it with differentiable functions of torch",
        lambda _: restored(Rounded(Identity()), IMAGE.abs(), size=(SIDE, SIDE), method=DPS()),
        lambda _: (
            restored(Magnitude(Identity()), IMAGE.abs(), size=(SIDE, SIDE), method=DPS()).shape == IMAGE.shape
        ),
    ),
    case(
        "{} is not linear, so the size of its image is not known; give size=(height, width)",
        lambda _: restored(Saturation(2.0), Saturation(2.0)(IMAGE), method=DPS(), prior=AnySize()),
        lambda _: (
            restored(Saturation(2.0), Saturation(2.0)(IMAGE), method=DPS(), prior=AnySize(), size=(8, 8)).shape
            == IMAGE.shape
        ),
    ),
    case(
        "a constraint needs a SpectralOperator, and {} is not one; give what it measures as part of "
        "the problem",
        lambda _: restored(
            Mask(KEEP), KEEP * IMAGE, constraints=[Problem(ReflectingBlur(KERNEL, (8, 8)), IMAGE, 0)]
        ),
        lambda _: (
            restored(Mask(KEEP), KEEP * IMAGE, constraints=[Problem(Mask(KEEP), KEEP * IMAGE, 0)]).shape
            == IMAGE.shape
        ),
    ),
]
MAPS = coil_maps(SIDE, SIDE)
OPERATORS = [
    case(
        "{} channels are weighed, and the image has {}; give as many weights as channels",
        lambda _: Grayscale((0.5, 0.5))(RGB),
        lambda _: torch.allclose(Grayscale((0.2, 0.3, 0.5))(RGB), IMAGE),
    ),
    case(
        "{} cannot be applied to images of shape {}, {} ({}); give the shape and dtype of its images",
        lambda _: check(Mask(KEEP), (1, 5, 5)),
        lambda _: check(Mask(KEEP), (1, SIDE, SIDE)) is None,
    ),
    case(
        "{} is not local: a window of its image is not a problem of its own; restore the whole image instead",
        lambda _: as_local(WalshHadamard.random((8, 8), 0.5, generator=torch.Generator())),
        lambda _: restored(WALSH, WALSH(IMAGE)).shape == IMAGE.shape,
    ),
    case(
        "a window of {} pixels explains nothing of a filter of {}; take larger windows",
        lambda _: BLUR.footprint((slice(4, 6), slice(4, 12))),
        lambda _: (
            torch.allclose(
                BLUR.restrict((slice(4, 12), slice(4, 12)))(torch.ones(1, 1, 8, 8)), torch.ones(1, 1, 6, 6)
            )
            and BLUR.footprint((slice(4, 12), slice(4, 12))) == (slice(5, 11), slice(5, 11))
        ),
    ),
    case(
        "coil maps are (1, coil, height, width) complex, and these have shape {} and type {}; give "
        "maps such as mri.espirit makes",
        lambda _: Sense(MAPS[0], lines(SIDE)),
        lambda _: (
            Sense(espirit(KSPACE, kernel=3), lines(16))(torch.ones(1, 1, 16, 16) + 0j).shape == (1, 4, 16, 16)
        ),
    ),
    case(
        "Sense has {} only for masks along one phase-encode axis; take a method that needs a "
        "LinearOperator or less",
        lambda _: Sense(MAPS, KEEP).spectral(),
        lambda _: explained(
            Sense(MAPS, KEEP),
            SCATTERED,
            restored(Sense(MAPS, KEEP), SCATTERED, prior=TWO, codec=ComplexChannels(1.0)),
        ),
    ),
    case(
        "a mask whose columns have different numbers of points has no readouts of one length; give "
        "its points as readouts of one sample",
        lambda _: points_of(KEEP, (8, 8)),
        lambda _: (
            mr.operators.NonCartesianSense(MAPS, SINGLE[:, None], torch.ones(len(SINGLE), 1))(COMPLEX).shape
            == (1, 4, len(SINGLE), 1)
        ),
    ),
]
WALSH = WalshHadamard.random((8, 8), 0.5, generator=torch.Generator().manual_seed(0))
BLUR = ReflectingBlur(KERNEL, (16, 16))
KSPACE = mr.fft.fft2c(coil_maps(16, 16) * (1 + 0.1 * white((1, 1, 16, 16), torch.complex64)))
SCATTERED = Sense(MAPS, KEEP)(COMPLEX)
SINGLE = (KEEP.nonzero() - SIDE // 2).float()


class AnySize(mr.priors.Prior):
    """The posterior mean under N(0, 1), at any size."""

    channels, sigma_range, recipe = 1, (0.01, 40.0), Interval()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x / (1 + sigma**2)


def pieces(
    window: tuple[int, int], *, shift: tuple[int, int] | None = None, operator: Any = None, factor: int = 0
) -> Tensor:
    """A picture of 16 x 16 pixels restored in windows; with a factor, after its means."""
    picture = torch.ones(1, 1, 16, 16) / 2
    A = Mask(pixels(16, 16)) if operator is None else operator
    common: dict[str, Any] = dict(size=(16, 16), window=window, shift=shift, noise=Noise([0]))
    problem = Problem(A, A(picture), 0.05)
    if factor:
        return hierarchical(problem, AnySize(), DDNM(), LADDER, factor=factor, **common)
    return mask_shift(problem, AnySize(), DDS(), LADDER, **common)


TILES = [
    case(
        "a window of {} pixels does not fit into a picture of {}; take a smaller window",
        lambda _: raster((4, 4), (8, 8), (4, 4)),
        lambda _: raster((4, 4), (4, 2), (4, 2)) == [(slice(0, 4), slice(0, 2)), (slice(0, 4), slice(2, 4))],
    ),
    case(
        "a shift of {} pixels leaves gaps between windows of {}; take 1 to the window's side",
        lambda _: pieces((8, 8), shift=(9, 8)),
        lambda _: all(pieces((8, 8), shift=(side, 8)).isfinite().all() for side in (4, 8)),
    ),
    case(
        "windows of {} pixels are too small for the operator, which looks {} pixels around each; "
        "take more than {}",
        lambda _: pieces((4, 4), operator=WIDE),
        lambda _: pieces((14, 14), operator=WIDE).shape == (1, 1, 16, 16),
    ),
    case(
        "a picture of {} pixels has no means over {} x {}; take 1 (no guide) to its shorter side",
        lambda _: pieces((8, 8), factor=17),
        lambda _: all(pieces((8, 8), factor=factor).shape == (1, 1, 16, 16) for factor in (1, 2)),
    ),
]
WIDE = ReflectingBlur(torch.ones(5, 5) / 25, (16, 16))
Y = CircularBlur(KERNEL, (SIDE, SIDE))(IMAGE)
INVERSION = [
    case(
        "sizes of the kernel are missing; give one or more odd numbers",
        lambda _: Blind(()),
        lambda _: blind(Y, Blind((3,), iterations=2)),
    ),
    case(
        "sigma is {}, and DiffusionEM weighs the data by their noise; give its std, above 0",
        lambda _: blind(Y, DiffusionEM(3, iterations=2)),
        lambda _: blind(Y, DiffusionEM(3, iterations=2), sigma=0.05),
    ),
    case(
        "y has {} pixels and the prior takes {}; crop it",
        lambda _: blind(torch.ones(1, 1, SIDE + 1, SIDE), prior=FLAT),
        lambda _: blind(torch.ones(1, 1, SIDE + 1, SIDE)[:, :, :SIDE], prior=FLAT),
    ),
    case(
        "y is {} {} and images of the prior are {} {}; take a prior of such images",
        lambda _: blind(Y.expand(1, 3, SIDE, SIDE)),
        lambda _: blind(Y.expand(1, 3, SIDE, SIDE), prior=smooth(SIDE, channels=3)),
    ),
    case(
        "a kernel of {} is too large for an image of {} pixels; take `{}` up to {}",
        lambda _: blind(Y, Blind((9,), edges="unknown", iterations=1)),
        lambda _: blind(Y, Blind((7,), edges="unknown", iterations=1)),
    ),
    case(
        "a trajectory that is inverted has falling noise levels, and these rise (time travel); take "
        "a ladder of medrestore.levels as it is",
        lambda _: Trajectory(FLAT, levels.time_travel(LADDER, 1, 2)),
        lambda _: Trajectory(FLAT, LADDER)(IMAGE).isfinite().all(),
    ),
    case(
        "what the operator measures has no gradient by the image, and this method follows it; write "
        "the operator with differentiable functions of torch",
        lambda _: descend(
            Trajectory(FLAT, LADDER),
            IMAGE,
            lambda x: ((x - Y).square().mean((1, 2, 3)).detach(), ()),
            lr=0.1,
            iterations=2,
        ),
        lambda _: descended(0.05),
    ),
    case(
        "the loss is not finite; take a lower lr, and levels within the range of the prior",
        lambda _: descended(float("inf")),
        lambda _: descended(0.05),
    ),
]


def descended(lr: float) -> bool:
    found = descend(
        Trajectory(FLAT, LADDER),
        IMAGE,
        lambda x: ((x * (lr / lr) - Y).square().mean((1, 2, 3)), ()),
        lr=lr,
        iterations=4,
    )
    return bool(found.history[-1] < found.history[0])


def volume(count: int) -> list[Tensor]:
    A = Sense(MAPS, lines(SIDE))
    made = restore_volume(
        [Problem(A, A(COMPLEX), 0.05)] * count,
        TWO,
        AcrossSlices(DDS()),
        levels=LADDER,
        codec=ComplexChannels(1.0),
    )
    return [one.samples for one in made]


def magic(acs: int) -> int:
    return int(sampling_mask("magic_fraction", (16, 64), 4, acs=acs, seed=0).mask.sum())


OTHERS = [
    case(
        "a volume needs at least two slices to agree with each other; restore one with `restore`",
        lambda _: volume(1),
        lambda _: (
            len(volume(2)) == 2
            and explained(
                Sense(MAPS, KEEP),
                SCATTERED,
                restored(Sense(MAPS, KEEP), SCATTERED, prior=TWO, codec=ComplexChannels(1.0)),
            )
        ),
    ),
    case(
        "The reference is zero everywhere, so no relative error can be given; leave it out.",
        lambda _: mr.metrics.complex_nrmse(1j * np.ones((1, 4, 4)), 0j * np.ones((1, 4, 4))),
        lambda _: mr.metrics.complex_nrmse(1j * np.ones((1, 4, 4)), 2j * np.ones((1, 4, 4))) == 0.5,
    ),
    case(
        "The {} calibration lines take all {} lines of a {}x mask; ask for fewer lines.",
        lambda _: magic(16),
        lambda _: 8 < magic(8) < 32,
    ),
    case(
        "The calibration region alone takes {} samples, but {}x leaves {} of {}; ask for a smaller "
        "region or a lower acceleration.",
        lambda _: sampling_mask("uniform2d", (16, 16), 8, acs=12, seed=0),
        lambda _: (
            [
                int(sampling_mask("uniform2d", (16, 16), R, acs=acs, seed=0).mask.sum()) >= acs**2
                for R, acs in ((8, 4), (1.5, 12))
            ]
            == [True, True]
        ),
    ),
    case(
        "A calibration width of {} does not fit a matrix of {} x {}; ask for 0 to {}.",
        lambda _: sampling_mask("uniform1d", (16, 16), 2, acs=17, seed=0),
        lambda _: (
            [
                bool(sampling_mask("uniform1d", (16, 16), R, acs=acs, seed=0).mask.any())
                for R, acs in ((2, 0), (1, 16))
            ]
            == [True, True]
        ),
    ),
]


@pytest.mark.parametrize(("sentence", "wrong", "right"), [*PROBLEMS, *OPERATORS, *TILES, *INVERSION, *OTHERS])
def test_what_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
