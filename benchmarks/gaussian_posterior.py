"""Restoration problems whose posterior is known exactly: Gaussian priors, dense linear algebra in float64.

Shared by `benchmarks/posteriors.py` and by the tests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from medrestore.codecs import ComplexChannels
from medrestore.methods import Method
from medrestore.noise import Noise
from medrestore.operators import (
    AveragePool,
    CircularBlur,
    Identity,
    LinearOperator,
    Mask,
    Sense,
    SingleCoil,
    WalshHadamard,
    gaussian_kernel,
)
from medrestore.priors import Prior, StationaryGaussian
from medrestore.problem import Problem
from medrestore.sampling import sample

SIDE = 16
SCALE = 200.0  # image units of the MRI problems, so that a slip in the units shows
EXACT = 1e-5  # noise-free data are the limit of little noise, in the prior's units


def power(height: int = SIDE, width: int = SIDE, *, variance: float = 1.0) -> Tensor:
    """A smooth field's power spectrum, (height, width) uncentred: pixels of that variance, std 0.35 to 9 per coefficient."""
    fy, fx = torch.meshgrid(torch.fft.fftfreq(height), torch.fft.fftfreq(width), indexing="ij")
    spectrum = (0.02 + fy**2 + fx**2) ** -2.0
    return spectrum * (variance / spectrum.mean())


def coil_maps(coils: int = 4, side: int = SIDE) -> Tensor:
    """(1, coil, side, side) smooth complex sensitivities of unit norm, with an empty margin of 2 pixels on the left."""
    white = torch.randn(1, coils, side, side, dtype=torch.complex64, generator=torch.Generator().manual_seed(7))
    maps = torch.fft.ifft2(torch.fft.fft2(white) * power(side, side).sqrt())
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    maps[..., :2] = 0
    return maps


def _lines() -> Tensor:
    keep = torch.zeros(1, SIDE)
    keep[:, ::3] = 1
    keep[:, SIDE // 2 - 2 : SIDE // 2 + 2] = 1
    return keep


def _dots(share: float, seed: int) -> Tensor:
    return (torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) < share).float()


def _dots_and_centre() -> Tensor:
    keep = _dots(0.3, 2)
    keep[SIDE // 2 - 2 : SIDE // 2 + 2, SIDE // 2 - 2 : SIDE // 2 + 2] = 1
    return keep


FAMILIES: dict[str, Callable[[], LinearOperator]] = {
    "denoising": Identity,
    "inpainting": lambda: Mask(_dots(0.5, 1)),
    "super-resolution": lambda: AveragePool(2, (SIDE, SIDE)),
    "deblurring": lambda: CircularBlur(gaussian_kernel(1.0), (SIDE, SIDE)),
    "compressed sensing": lambda: WalshHadamard.random((SIDE, SIDE), 0.4, generator=torch.Generator().manual_seed(3)),
    "single-coil MRI": lambda: SingleCoil(_lines()),
    "multi-coil MRI, one axis": lambda: Sense(coil_maps(), _lines()).spectral(),
    "multi-coil MRI, both axes": lambda: Sense(coil_maps(), _dots_and_centre()),
}


@dataclass(frozen=True)
class Case:
    """Several measurements through one operator, as a Gaussian prior sees them.

    Args:
        problem: in the prior's coordinates; y has one row a measurement.
        prior: what the images were drawn from.
    """

    problem: Problem
    prior: StationaryGaussian

    @classmethod
    def of(cls, operator: LinearOperator, sigma: float, *, measurements: int = 4, seed: int = 0) -> "Case":
        """Draws images and measures them; `sigma` is in the prior's units, per real number."""
        generator = torch.Generator().manual_seed(seed)
        mri = isinstance(getattr(operator, "sense", operator), SingleCoil | Sense)
        prior = StationaryGaussian(power(), channels=2 if mri else 1)
        z = prior.sample(torch.randn(measurements, prior.channels, SIDE, SIDE, generator=generator))
        x = ComplexChannels(SCALE).decode(z) if mri else z
        scale = SCALE if mri else 1.0
        y = operator(x)
        noise = torch.randn((*y.shape, 2), generator=generator)
        y = y + sigma * scale * (torch.view_as_complex(noise) if mri else noise[..., 0]) * \
            (1.0 if operator.sampled is None else operator.sampled)
        problem = Problem(operator, y, sigma * scale)
        return cls(problem.encoded(ComplexChannels(SCALE)) if mri else problem, prior)

    def repeated(self, samples: int) -> Problem:
        """Every measurement `samples` times over, for that many samples of each."""
        y = self.problem.y.repeat_interleave(samples, 0)
        return Problem(self.problem.operator, y, self.problem.sigma)

    def draw(self, method: Method, levels: Sequence[float], *, samples: int, prior: Prior | None = None) -> Tensor:
        """(measurement, sample, channel * height * width) by a method; `prior` may stand in for the case's own."""
        noise = Noise(range(len(self.problem.y) * samples))
        z = sample(self.repeated(samples), prior or self.prior, method, levels, noise=noise, size=(SIDE, SIDE))
        return z.reshape(len(self.problem.y), samples, -1)


def dense(A: Callable[[Tensor], Tensor], channels: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """A as a matrix (real measurements, channels * height * width), float64; a complex number counts as two."""
    d = channels * SIDE * SIDE
    columns = A(torch.eye(d, dtype=dtype).reshape(d, channels, SIDE, SIDE))
    return _real(columns).double().T


def _real(y: Tensor) -> Tensor:
    return (torch.view_as_real(y.resolve_conj()) if y.is_complex() else y).reshape(len(y), -1)


class Posterior:
    """N(mean, covariance) of the image given each measurement of a case.

    In `directions` both the prior and the posterior are white, with `snr` how many times the data outweigh the prior
    along each.
    """

    def __init__(self, case: Case) -> None:
        channels, sigma = case.prior.channels, max(case.problem.sigma, EXACT)
        A, y = dense(case.problem.operator, channels), _real(case.problem.y).double()
        root = dense(lambda z: torch.fft.ifft2(case.prior.power.sqrt() * torch.fft.fft2(z)).real, channels, dtype=torch.float64)
        squares, V = torch.linalg.eigh(root @ (A.T @ A) @ root / sigma**2)
        self.snr = squares.clamp(min=0).sqrt()
        self.directions = root @ V                    # x = directions @ u, with u white before the data
        self._inverse = torch.linalg.solve(root, V).T  # u = inverse @ x; root is symmetric, V orthogonal
        self.deviation = (1 + self.snr**2) ** -0.5    # std of u given y
        self.mean_u = (y @ A / sigma**2 @ self.directions) * self.deviation**2

    @cached_property
    def mean(self) -> Tensor:
        """(measurement, pixel)."""
        return self.mean_u @ self.directions.T

    @cached_property
    def covariance(self) -> Tensor:
        """(pixel, pixel), the same for every measurement."""
        return (self.directions * self.deviation**2) @ self.directions.T

    @property
    def std(self) -> Tensor:
        """(pixel,)."""
        return self.covariance.diagonal().sqrt()

    def score(self, samples: Tensor) -> "Score":
        """How samples (measurement, sample, pixel) compare with the posterior."""
        u = (samples.double() @ self._inverse.T - self.mean_u[:, None]) / self.deviation
        variance = u.var(1)
        error = (u.mean(1) ** 2 - variance / u.shape[1]).mean(0)  # what the finite number of samples adds is taken off
        return Score(*(_parts(v, self.snr > 1) for v in (error, variance.mean(0))))


def _parts(v: Tensor, measured: Tensor) -> tuple[float, float]:
    return tuple(float(v[part].mean().clamp(min=0).sqrt()) if part.any() else float("nan") for part in (measured, ~measured))


@dataclass(frozen=True)
class Score:
    """Errors in units of the posterior's std, root mean square over (measured, missing) directions.

    Measured are the directions along which the data outweigh the prior, missing the others; nan where there are none.

    Attributes:
        error: of the mean of the samples.
        spread: std of the samples around their mean; 1 is the posterior's.
    """

    error: tuple[float, float]
    spread: tuple[float, float]


def chi(problem: Problem, samples: Tensor, channels: int) -> float:
    """|A x - y| / (sigma sqrt(m)), root mean square over the samples: 1 for samples of the posterior."""
    residual = problem.operator(samples.reshape(-1, channels, SIDE, SIDE)) - problem.y
    return float((residual.abs().square().flatten(1).sum(1).mean() / int(problem.count[0])).sqrt() / problem.sigma)
