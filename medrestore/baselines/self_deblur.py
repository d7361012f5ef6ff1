"""Two untrained networks fitted to one blurred image: one draws the image, the other the kernel."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..inversion import KernelNetwork
from ..operators import CircularBlur
from ..settings import Bounds, Checked
from .supervised import drawn_from

INPUT = 8  # channels of the random input
JITTER = 0.001  # std of the noise on it, new at every step


@dataclass(frozen=True)
class SelfDeblur(Checked):
    """Blind deblurring without a prior: Ren, Zhang, Wang, Hu & Zuo, CVPR 2020, in joint optimisation by Adam.

    The image network is an hourglass with skips of three scales, narrower than the published one; the kernel network is that of
    SHRED's blind form. The learning rates fall to half at 40 %, 60 % and 80 % of the steps, as in the published code.

    Args:
        size: side of the kernel, odd.
        steps: of Adam; 5000 in the published code.
        lr, kernel_lr: of image and kernel network.
        channels: of the image network.
        seed: of inputs and first weights.
    """

    size: Annotated[int, Bounds(at_least=3)] = 41
    steps: Annotated[int, Bounds(at_least=1)] = 2000
    lr: Annotated[float, Bounds(above=0)] = 0.01
    kernel_lr: Annotated[float, Bounds(above=0)] = 1e-4
    channels: Annotated[int, Bounds(at_least=1)] = 32
    seed: Annotated[int, Bounds(at_least=0)] = 0

    @torch.enable_grad()
    def deblur(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The image, shaped like y, and the kernel (size, size) of sum 1.

        Args:
            y: (1, channel, height, width) real and not negative, or complex; it is taken to repeat beyond its edges.

        Raises:
            InputError: another shape, values that are not finite or all zero, or an image smaller than the kernel.
        """
        if y.ndim != 4 or len(y) != 1 or not bool(y.isfinite().all()) or not bool(y.any()):
            raise InputError(f"y must be one image (1, channel, height, width) of finite values, not all zero, "
                             f"got {tuple(y.shape)}")
        height, width = y.shape[-2:]
        if self.size > min(height, width):
            raise InputError(f"a kernel of {self.size} is larger than the image of {(height, width)} pixels; "
                             "take a smaller `size`")
        generator = torch.Generator().manual_seed(self.seed)
        kernel = KernelNetwork(self.size, generator=generator, device=y.device)
        with drawn_from(generator):
            net = Hourglass(INPUT, y.shape[1] * (2 if y.is_complex() else 1), self.channels).to(y.device)
        start = torch.rand(1, INPUT, height, width, generator=generator).to(y.device) / 10
        scale = y.abs().max()
        adam = torch.optim.Adam([{"params": list(net.parameters()), "lr": self.lr},
                                 {"params": kernel.weights, "lr": self.kernel_lr}])
        milestones = [max(1, round(share * self.steps)) for share in (0.4, 0.6, 0.8)]
        falling = torch.optim.lr_scheduler.MultiStepLR(adam, milestones, 0.5)
        for _ in range(self.steps):
            jitter = JITTER * torch.randn(start.shape, generator=generator).to(y.device)
            image, drawn = self._image(net, start + jitter, y), kernel()
            loss = (CircularBlur(drawn, (height, width))(image) - y / scale).abs().square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            falling.step()
        with torch.no_grad():
            return scale * self._image(net, start, y), kernel().detach()

    def _image(self, net: nn.Module, start: Tensor, y: Tensor) -> Tensor:
        """In units of the largest value of y: between 0 and 1 where it is real."""
        out: Tensor = net(start)
        if not y.is_complex():
            return torch.sigmoid(out)
        real, imaginary = out.chunk(2, 1)
        return torch.complex(real.contiguous(), imaginary.contiguous())


class Hourglass(nn.Module):
    """Three scales down and up again, with skips: the shape of network of Ulyanov et al., CVPR 2018."""

    def __init__(self, into: int, out: int, channels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_convolution_block(into if k == 0 else channels, channels, stride=2) for k in range(3))
        self.skips = nn.ModuleList(nn.Conv2d(into if k == 0 else channels, 4, 1) for k in range(3))
        self.up = nn.ModuleList(_convolution_block(channels + 4, channels, stride=1) for _ in range(3))
        self.last = nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        beside = []
        for down, skip in zip(self.down, self.skips, strict=True):
            beside.append(skip(x))
            x = down(x)
        for up, skipped in zip(self.up, reversed(beside), strict=True):
            x = up(torch.cat([F.interpolate(x, size=skipped.shape[-2:], mode="bilinear", align_corners=False), skipped], 1))
        result: Tensor = self.last(x)
        return result


def _convolution_block(into: int, out: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(into, out, 3, stride, 1, padding_mode="reflect"), nn.InstanceNorm2d(out, affine=True),
                         nn.LeakyReLU(0.2))
