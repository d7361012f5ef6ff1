"""One step of a method on a random matrix with chosen singular values, in the coordinates of the papers.

The references are dense float64 linear algebra in x_t = sqrt(abar) x0 + sqrt(1 - abar) n.
"""

import math

import torch
from torch import Tensor

from medrestore.methods import Method
from medrestore.operators import FromSpectrum, Functions, Operator, Spectrum
from medrestore.priors import Prior
from medrestore.problem import Problem

SIDE, ROWS = 4, 12
D = SIDE * SIDE
SINGULAR = torch.cat([torch.zeros(6), torch.logspace(-1.5, 0.7, 10)]).double()  # six directions are not measured
JUMPS = [(4.0, 3.0), (2.0, 0.6), (0.5, 0.1)]


def random(*shape: int, seed: int) -> Tensor:
    """White noise in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


V = torch.linalg.qr(random(D, D, seed=1))[0]
U = torch.linalg.qr(random(ROWS, ROWS, seed=2))[0]
U = torch.cat([torch.zeros(ROWS, 6).double(), U[:, :10]], 1)
A = U * SINGULAR @ V.T
PINV = torch.linalg.pinv(A, rtol=1e-8)


class Rotated(FromSpectrum):
    """The matrix A, on images."""

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(SINGULAR.reshape(SIDE, SIDE), lambda x: image(flat(x) @ V), lambda c: image(flat(c) @ V.T),
                        lambda c: flat(c) @ U.T, lambda y: image(y @ U))


class Linear(Prior):
    """A denoiser that depends on x, so that gradients through it count."""

    channels = 1

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return X0 + 0.1 * torch.tanh(x) / sigma


def flat(x: Tensor) -> Tensor:
    """Images as vectors."""
    return x.reshape(len(x), D)


def image(v: Tensor) -> Tensor:
    """Vectors as images."""
    return v.reshape(len(v), 1, SIDE, SIDE)


X0, START, NOISE = (random(2, 1, SIDE, SIDE, seed=k) for k in (3, 4, 5))
Y = random(2, D, seed=6) @ A.T
PRIOR = Linear()


def by_functions() -> Functions:
    """The matrix A and its pseudo-inverse as functions, with no spectrum."""
    return Functions(lambda x: flat(x) @ A.T, lambda y: image(y @ PINV.T))


def step(method: Method, sigma: float, tau: float, *, sigma_y: float = 0.0, noises: tuple[Tensor, ...] = (NOISE,),
         operator: Operator | None = None) -> Tensor:
    """START one step later, in the coordinates of the level that it reaches; by default the operator has its spectrum."""
    drawn = iter(noises)
    problem = Problem(Rotated() if operator is None else operator, Y, sigma_y)
    x = method.step(sigma * START, sigma, tau, problem=problem, denoise=PRIOR, constrain=lambda v: v, noise=lambda: next(drawn))
    return flat(x) / math.sqrt(1 + tau**2)


class VP:
    """x_t, x_0|t, epsilon and alpha-bar of the papers, for one jump."""

    def __init__(self, sigma: float, tau: float) -> None:
        self.abar, self.abar_next = 1 / (1 + sigma**2), 1 / (1 + tau**2)
        self.x = self.abar**0.5 * flat(sigma * START)
        self.x0 = flat(PRIOR(sigma * START, sigma))
        self.e = (self.x - self.abar**0.5 * self.x0) / (1 - self.abar) ** 0.5
        self.n = flat(NOISE)
        self.beta = 1 - self.abar / self.abar_next
        self.beta_tilde = (1 - self.abar_next) / (1 - self.abar) * self.beta

    def ddim(self, x0: Tensor, e: Tensor, eta: float) -> Tensor:
        """Song, Meng & Ermon, eqs. 12 and 16."""
        fresh = eta**2 * self.beta_tilde
        return self.abar_next**0.5 * x0 + (1 - self.abar_next - fresh) ** 0.5 * e + fresh**0.5 * self.n

    def posterior_mean(self, x0: Tensor) -> Tensor:
        """Ho, Jain & Abbeel, eq. 7."""
        alpha = 1 - self.beta
        return (self.abar_next**0.5 * self.beta * x0 + alpha**0.5 * (1 - self.abar_next) * self.x) / (1 - self.abar)


def close(got: Tensor, want: Tensor) -> None:
    """Equal to the float32 constants inside."""
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
