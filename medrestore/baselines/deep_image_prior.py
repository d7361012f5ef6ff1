"""An untrained network fitted to one slice or picture: what it draws easily comes before the noise and the aliasing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..mri.sampling import calibration_region
from ..operators import LinearOperator, Sense
from ..problem import Problem
from ..settings import Bounds, Checked
from .base import Baseline, check_slice
from .pictures import PictureBaseline
from .supervised import drawn_from
from .zero_filled import ZeroFilled, brightness

EVERY = 10  # steps between evaluations on the validation samples


@dataclass(frozen=True)
class DeepImagePrior(Checked, Baseline, PictureBaseline):
    """A convolutional decoder of a fixed random input, fitted to the samples of one slice through SENSE, or to a picture.

    Deep image prior: Ulyanov, Vedaldi & Lempitsky, CVPR 2018. The decoder is ConvDecoder: Darestani & Heckel, IEEE TCI 7, 2021,
    which draws coil images; here it draws the one image behind them, as the coil maps are known, and is narrower and fitted in
    hundreds of steps instead of ten thousand. The image is the exponential average of the outputs (Ulyanov et al., section 4). A
    share of the samples outside the calibration region is not fitted but predicted, and the average that predicts it best is
    returned, which ends the fit before noise is drawn (self-validation: Yaman, Hosseini & Akcakaya, ICLR 2022).

    Attributes:
        channels: of every layer.
        layers: of the decoder, each finer than the one before by the same factor.
        steps: of Adam, at most.
        lr: of Adam.
        average: share of the old average that a step keeps, from 0 to below 1.
        held_out: share of the samples outside the calibration region that is predicted, from 0 to below 1; where
            there are none, all the steps are taken.
        patience: steps without a better prediction after which the fit ends.
        seed: of the input, the first weights and the choice of samples.
    """

    channels: Annotated[int, Bounds(at_least=1)] = 32
    layers: Annotated[int, Bounds(at_least=2)] = 6
    steps: Annotated[int, Bounds(at_least=1)] = 400
    lr: Annotated[float, Bounds(above=0)] = 0.01
    average: Annotated[float, Bounds(at_least=0, below=1)] = 0.95
    held_out: Annotated[float, Bounds(at_least=0, below=1)] = 0.05
    patience: Annotated[int, Bounds(at_least=1)] = 100
    seed: Annotated[int, Bounds(at_least=0)] = 0

    def reconstruct(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        check_slice(kspace, maps, mask)
        scale = brightness(ZeroFilled().reconstruct(kspace, maps, mask))
        if scale == 0:
            return torch.zeros_like(kspace[:, :1], dtype=torch.complex64)
        generator = torch.Generator().manual_seed(self.seed)
        size = (kspace.shape[-2], kspace.shape[-1])
        fitted, predicted = (part.to(kspace.device) for part in _split_samples(mask.cpu(), size, self.held_out, generator))
        y = (kspace / scale).to(torch.complex64)
        draw, weights = self._decoder(size, 2, generator, kspace.device)

        def image() -> Tensor:
            return torch.view_as_complex(draw().permute(0, 2, 3, 1).contiguous())[:, None]

        sense = Sense(maps.to(kspace.device, torch.complex64), torch.ones_like(fitted))
        return scale * self._fit(image, weights, y, sense, fitted, predicted)

    def restore(self, problem: Problem[LinearOperator]) -> Tensor:
        A, y = problem.operator, problem.y
        channels, *size = problem.back_projected.shape[1:]
        generator = torch.Generator().manual_seed(self.seed)
        given = torch.ones(y.shape[-2:]) if A.sampled is None else (A.sampled != 0).float().cpu().expand(y.shape[-2:])
        held = given * (torch.rand(y.shape[-2:], generator=generator) < self.held_out)
        draw, weights = self._decoder((size[0], size[1]), channels, generator, y.device)
        return self._fit(draw, weights, y, A, (given - held).to(y.device), held.to(y.device))

    def _decoder(self, size: tuple[int, int], outputs: int, generator: torch.Generator,
                 device: torch.device) -> tuple[Callable[[], Tensor], list[nn.Parameter]]:
        """A function that computes the image (1, outputs, height, width), and the weights to fit."""
        with drawn_from(generator):
            net = decoder(self.channels, self.layers, size, outputs).to(device)
        start = torch.randn(1, self.channels, *_sizes(self.layers, size)[0], generator=generator).to(device)
        return lambda: net(start), list(net.parameters())

    @torch.enable_grad()
    def _fit(self, draw: Callable[[], Tensor], weights: list[nn.Parameter], y: Tensor, A: LinearOperator, fitted: Tensor,
             predicted: Tensor) -> Tensor:
        """The averaged output that predicts best, or the last where nothing is held out."""
        optimiser = torch.optim.Adam(weights, self.lr)
        mean: Tensor | float = 0.0
        best: Tensor | None = None
        least, best_step = float("inf"), 0
        for step in range(1, self.steps + 1):
            image = draw()
            loss = _error(fitted * (A(image) - y), fitted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            mean = self.average * mean + (1 - self.average) * image.detach()
            if step % EVERY and step < self.steps:
                continue
            current = mean / (1 - self.average**step)
            error = float(_error(predicted * (A(current) - y), predicted))
            if error < least or not predicted.any():
                best, least, best_step = current, error, step
            elif step - best_step >= self.patience:
                break
        if best is None or not torch.isfinite(best).all():
            raise InputError(f"The deep image prior diverged at lr {self.lr:g}; take a lower one.")
        return best


def decoder(channels: int, layers: int, size: tuple[int, int], outputs: int = 2) -> nn.Sequential:
    """ConvDecoder: layers of upsampling to the next size, 3 x 3 convolution, ReLU and normalisation, and a linear last one.

    Normalised over the one image of the batch, as batch normalisation would, without its running averages.
    """
    parts: list[nn.Module] = []
    for at in _sizes(layers, size)[1:]:
        parts += [nn.Upsample(size=at, mode="nearest"), *_convolution(channels)]
    return nn.Sequential(*parts, *_convolution(channels), nn.Conv2d(channels, outputs, 1, bias=False))


def _convolution(channels: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.ReLU(), nn.InstanceNorm2d(channels, affine=True)]


def _sizes(layers: int, size: tuple[int, int]) -> list[tuple[int, int]]:
    """(height, width) of the input and of every layer's output but the last's: from 8 pixels up, each by the same factor."""
    count = layers - 1

    def along(n: int, k: int) -> int:
        first = min(n, 8)
        return round(first * (n / first) ** (k / count))

    return [(along(size[0], k), along(size[1], k)) for k in range(count + 1)]


def _error(difference: Tensor, where: Tensor) -> Tensor:
    """Mean squared error of the samples in `where`."""
    real = torch.view_as_real(difference) if difference.is_complex() else difference
    return real.square().sum() / (where.sum().clamp(min=1) * difference.shape[1])


def _split_samples(mask: Tensor, size: tuple[int, int], share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The samples to fit and those to predict, masks of `size`; the calibration region is always fitted."""
    rows, columns = calibration_region(mask)
    chosen = mask * (torch.rand(size, generator=generator) < share)
    chosen[rows if len(mask) > 1 else slice(None), columns] = 0
    return mask - chosen, chosen
