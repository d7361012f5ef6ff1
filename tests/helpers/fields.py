"""Gaussian fields of any size, and priors that know their windows exactly."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medrestore.priors import Prior

Size = tuple[int, int]
Law = Callable[[int], Tensor]  # distances (n,) to covariances (n,)


def markov(length: float) -> Callable[[Size], Tensor]:
    """Covariance (pixels, pixels) of the field whose rows and columns forget all but the last pixel."""
    def covariance(size: Size) -> Tensor:
        rows, columns = (torch.exp(-(torch.arange(n)[:, None] - torch.arange(n)).abs().double() / length) for n in size)
        return torch.kron(rows, columns)
    return covariance


def natural(largest: int = 192, low: float = 0.5) -> Callable[[Size], Tensor]:
    """Covariance of a field whose power falls as 1 / frequency^2, as in natural scenes: every scale looks the same."""
    f = torch.fft.fftfreq(largest, dtype=torch.float64) * largest
    power = 1 / (f[:, None] ** 2 + f**2 + low**2)
    acf = torch.fft.ifft2(power).real
    acf = acf / acf[0, 0]

    def covariance(size: Size) -> Tensor:
        y, x = torch.meshgrid(*(torch.arange(n) for n in size), indexing="ij")
        dy, dx = (v.flatten()[:, None] - v.flatten() for v in (y, x))
        return acf[dy, dx]
    return covariance


@dataclass(eq=False)
class Field(Prior):
    """N(0, covariance(size)) at every size; counts its calls and the images it is given."""

    covariance: Callable[[Size], Tensor]
    channels: int = 1
    multiple: int = 1
    calls: int = 0
    images: int = 0
    known: dict[Size, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def basis(self, size: Size) -> tuple[Tensor, Tensor]:
        """Variances and directions of a window."""
        if size not in self.known:
            values, vectors = torch.linalg.eigh(self.covariance(size))
            self.known[size] = values.clamp(min=0).float(), vectors.float()
        return self.known[size]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls, self.images = self.calls + 1, self.images + len(x)
        values, vectors = self.basis((x.shape[-2], x.shape[-1]))
        return ((x.flatten(2) @ vectors) * (values / (values + sigma**2)) @ vectors.T).reshape(x.shape)

    def draw(self, size: Size, noise: Tensor) -> Tensor:
        """Fields of `size` made of white noise of their shape."""
        values, vectors = self.basis(size)
        return (noise.flatten(2) * values.sqrt() @ vectors.T).reshape(noise.shape)
