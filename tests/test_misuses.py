"""Forty-odd ways to misuse the library from Python: each is refused in one sentence that says what is wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import medrestore as mr
from medrestore import operators, priors
from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.metrics import psnr, ssim
from medrestore.operators import AveragePool, Grayscale, Identity, LinearOperator, Mask, Sense, stack

PACKAGE = Path(mr.__file__).parent
FLAT = priors.StationaryGaussian(torch.ones(8, 8))
COMPLEX = priors.StationaryGaussian(torch.ones(8, 8), channels=2)
MAPS = torch.ones(1, 2, 8, 8, dtype=torch.complex64) / 2**0.5
KSPACE = torch.ones(1, 2, 8, 8, dtype=torch.complex64)
LINES = torch.ones(1, 8)


def image(*shape: int) -> Tensor:
    return torch.rand(*(shape or (1, 1, 8, 8)), generator=torch.Generator().manual_seed(0))


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class WrongAdjoint(LinearOperator):
    """Its adjoint is that of another operator."""

    kind = "an operator of mine"

    def __call__(self, x: Tensor) -> Tensor:
        return 2 * x

    def adjoint(self, y: Tensor) -> Tensor:
        return 3 * y


def restored(**how: object) -> object:
    given = {"problem": mr.Problem(Identity(), image(), 0.1), "prior": FLAT, "method": mr.DDS()} | how
    return mr.restore(given.pop("problem"), given.pop("prior"), given.pop("method"), codec=Interval(), **given)


MISUSES: dict[str, tuple[Callable[[Path], object], str]] = {
    # shapes
    "data without a batch": (lambda _: restored(problem=mr.Problem(Identity(), image(1, 8, 8), 0.1)), "add the batch axis"),
    "a batch of measurements": (lambda _: restored(problem=mr.Problem(Identity(), image(2, 1, 8, 8), 0.1)), "batch of 2"),
    "maps of another size": (lambda _: Sense(MAPS, torch.ones(1, 9)), "mask"),
    "maps without a batch": (lambda _: Sense(MAPS[0], LINES), "maps"),
    "a mask of one axis": (lambda _: Mask(torch.ones(8)), "mask of pixels has shape"),
    "k-space for other coils": (lambda _: restored(problem=mr.Problem(Sense(MAPS, LINES), KSPACE[:, :1], 0.1), prior=COMPLEX),
                                "shape|coil|real images"),
    "an image that a factor does not divide": (lambda _: AveragePool(3, (8, 8)), "divide"),
    "a factor of nothing": (lambda _: AveragePool(0, (8, 8)), "factor"),
    "grey data of three channels": (lambda _: restored(problem=mr.Problem(Grayscale(), image(1, 3, 8, 8), 0.1)), "one channel"),
    "a power of one axis": (lambda _: priors.StationaryGaussian(torch.ones(8)), "power"),
    "problems that do not stack": (lambda _: stack([]), "stack|none|empty|no operator"),
    "samples of two sizes": (lambda _: mr.restore_all(
        [mr.Problem(Identity(), image(1, 1, 8, size), 0.1) for size in (8, 16)], FLAT, mr.DDS(), codec=Interval()), "shape"),
    # types
    "real k-space": (lambda _: mr.reconstruct(np.ones((2, 16, 16), np.float32)), "complex"),
    "a list for k-space": (lambda _: mr.reconstruct([1, 2]), "array|tensor"),
    "real maps of integers": (lambda _: Sense(MAPS.real.int(), LINES), "maps|complex"),
    "a prior of another kind of image": (lambda _: restored(prior=COMPLEX), "channel|complex"),
    "magnitudes asked of complex images": (lambda _: ssim(image().to(torch.complex64), image(), data_range=1.0), "magnitude"),
    "a method that is none": (lambda _: mr.restore(mr.Problem(Identity(), image(), 0.1), FLAT, "dds", codec=Interval()), "dds"),
    "a prior that is none": (lambda _: restored(prior="brain-mr-starter"), "prior|load"),
    # devices and ranges
    "a device that is none": (lambda _: priors.load("brain-mr-starter", device="tpu9"), "tpu9"),
    "bytes as an image": (lambda _: restored(problem=mr.Problem(Identity(), 255 * image(), 0.1)), "interval|far outside"),
    "data that are not finite": (lambda _: restored(problem=mr.Problem(Identity(), image() / 0, 0.1)), "finite"),
    "noise below zero": (lambda _: mr.Problem(Identity(), image(), -0.1), "sigma is the std of the noise"),
    "noise that is no number": (lambda _: mr.Problem(Identity(), image(), float("nan")), "sigma is the std of the noise"),
    "a mask of 255": (lambda _: Mask(255 * torch.ones(8, 8)), "0|1"),
    "an acceleration below one": (lambda _: mr.mri.sampling_mask("uniform1d", (8, 8), 0.5, seed=0), "at least 1"),
    "a sampling that is none": (lambda _: mr.mri.sampling_mask("spiral", (8, 8), 4, seed=0), "choose one of"),
    "calibration wider than the scan": (lambda _: mr.mri.sampling_mask("uniform1d", (8, 8), 2, acs=99, seed=0), "calibration"),
    "too few lines for maps": (lambda _: mr.mri.espirit(KSPACE, mask=LINES, acs=2), "calibration"),
    "a score without its range": (lambda _: psnr(image(), image(), data_range=0.0), "data range"),
    "a score of an empty reference": (lambda _: mr.metrics.nmse(image(), torch.zeros(1, 1, 8, 8)), "zero everywhere"),
    # batches, steps, levels
    "no samples": (lambda _: restored(samples=0), "samples"),
    "no steps": (lambda _: restored(steps=0), "steps"),
    "an empty batch": (lambda _: restored(batch_size=0), "batch_size"),
    "levels that rise": (lambda _: restored(levels=[0.1, 1.0, 0.0]), "decrease"),
    "levels without an end": (lambda _: restored(levels=[1.0, 0.1]), "add a 0 at the end"),
    "seeds for other problems": (lambda _: mr.restore_all([mr.Problem(Identity(), image(), 0.1)], FLAT, mr.DDS(),
                                                          codec=Interval(), seeds=[1, 2]), "one for each problem"),
    # betas and parametrisations
    "alphas for betas": (lambda _: priors.Epsilon(betas=tuple(0.99 - 0.09 * k for k in range(10))), "alphas_cumprod"),
    "betas above one": (lambda _: priors.Epsilon(betas=(0.1, 1.5)), "between 0 and 1"),
    "one beta": (lambda _: priors.Epsilon(betas=(0.1,)), "2 or more"),
    "sigmas that fall": (lambda _: priors.EDM(sigmas=(40.0, 0.01)), "positive and rising"),
    # methods, adjoints
    "a spectrum that is not there": (lambda _: restored(problem=mr.Problem(Sense(MAPS, LINES), KSPACE, 0.1), prior=COMPLEX,
                                                        method=mr.DDNM()), "spectr"),
    "exact data for noisy ones": (lambda _: mr.DDS(gamma=-1.0), "gamma"),
    "an option that is none": (lambda _: mr.recon.Plan("dds", options={"lamda": 1.0}), "lamda"),
    "a method of another job": (lambda _: mr.recon.Plan("ddim"), "ddim"),
    "a wrong adjoint": (lambda _: operators.check(WrongAdjoint(), (1, 8, 8)), "adjoint"),
    # files
    "a missing scan": (lambda folder: mr.io.read_kspace(folder / "none.h5"), "does not exist"),
    "a folder for a scan": (lambda folder: mr.io.read_kspace(folder), "folder|file"),
    "a missing prior": (lambda folder: priors.load(folder / "none"), "no prior at"),
    "an unknown sample": (lambda _: mr.io.read_kspace("sample:knee"), "the samples are"),
    "text for a scan": (lambda folder: mr.io.read_kspace(_text(folder)), "known k-space format"),
}


def _text(folder: Path) -> Path:
    (folder / "scan.h5").write_text("hello")
    return folder / "scan.h5"


@pytest.mark.parametrize("name", MISUSES)
def test_a_misuse_is_one_sentence(name: str, tmp_path: Path) -> None:
    misuse, said = MISUSES[name]
    with pytest.raises((InputError, ValueError, TypeError), match=said) as error:  # the latter two for mistakes of a program
        misuse(tmp_path)
    assert Path(error.traceback[-1].path).is_relative_to(PACKAGE), "another library's words"
    text = str(error.value)
    assert 10 < len(text) < 400 and "\n" not in text and "Traceback" not in text
    assert not list(tmp_path.glob("*.part"))


def test_there_are_forty() -> None:
    assert len(MISUSES) >= 40
