"""The network of FID, with weights that the user gives: Inception v3 as it was trained for TensorFlow in 2015.

Layers and names are those of pytorch-fid's file `pt_inception-2015-12-05-6726825d.pth`, a plain state dict: torchvision's names,
with three differences from its network. Averages over 3 x 3 pixels count those inside the image alone, the last block has a
maximum where the others have an average, and there is one class more than a thousand, whose layer FID does not use.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .perceptual import read_tensors

SIDE = 299  # pixels, to which every picture is resized
UNUSED = ("fc.weight", "fc.bias")
COUNTER = "num_batches_tracked"


class Convolution(nn.Module):
    """Convolution, batch normalisation and ReLU."""

    def __init__(self, into: int, out: int, kernel: int | tuple[int, int], stride: int = 1,
                 padding: int | tuple[int, int] = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def average(x: Tensor) -> Tensor:
    """Means over 3 x 3 pixels, of those inside the image."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class Block(nn.Module):
    """Branches side by side."""

    def branch(self, x: Tensor, *names: str) -> Tensor:
        """x through the layers of these names."""
        for name in names:
            x = self.get_submodule(name)(x)
        return x


class MixedA(Block):
    """35 x 35 pixels."""

    def __init__(self, into: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(into, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Convolution(into, 48, 1), Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(into, 64, 1), Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, padding=1)
        self.branch_pool = Convolution(into, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([
            self.branch1x1(x), self.branch(x, "branch5x5_1", "branch5x5_2"),
            self.branch(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"), self.branch_pool(average(x)),
        ], 1)


class MixedB(Block):
    """35 x 35 to 17 x 17 pixels."""

    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(into, 384, 3, 2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(into, 64, 1), Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch3x3(x), self.branch(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
                          F.max_pool2d(x, 3, 2)], 1)


class MixedC(Block):
    """17 x 17 pixels, kernels of 7 taps along one axis."""

    def __init__(self, into: int, narrow: int) -> None:
        super().__init__()
        def row(into: int, out: int) -> Convolution:
            return Convolution(into, out, (1, 7), padding=(0, 3))

        def column(into: int, out: int) -> Convolution:
            return Convolution(into, out, (7, 1), padding=(3, 0))

        self.branch1x1 = Convolution(into, 192, 1)
        self.branch7x7_1 = Convolution(into, narrow, 1)
        self.branch7x7_2, self.branch7x7_3 = row(narrow, narrow), column(narrow, 192)
        self.branch7x7dbl_1 = Convolution(into, narrow, 1)
        self.branch7x7dbl_2, self.branch7x7dbl_3 = column(narrow, narrow), row(narrow, narrow)
        self.branch7x7dbl_4, self.branch7x7dbl_5 = column(narrow, narrow), row(narrow, 192)
        self.branch_pool = Convolution(into, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([
            self.branch1x1(x), self.branch(x, *(f"branch7x7_{k}" for k in (1, 2, 3))),
            self.branch(x, *(f"branch7x7dbl_{k}" for k in (1, 2, 3, 4, 5))), self.branch_pool(average(x)),
        ], 1)


class MixedD(Block):
    """17 x 17 to 8 x 8 pixels."""

    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Convolution(into, 192, 1), Convolution(192, 320, 3, 2)
        self.branch7x7x3_1 = Convolution(into, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Convolution(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch(x, "branch3x3_1", "branch3x3_2"),
                          self.branch(x, *(f"branch7x7x3_{k}" for k in (1, 2, 3, 4))), F.max_pool2d(x, 3, 2)], 1)


class MixedE(Block):
    """8 x 8 pixels, two branches that fork."""

    def __init__(self, into: int, *, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum
        self.branch1x1 = Convolution(into, 320, 1)
        self.branch3x3_1 = Convolution(into, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(into, 448, 1), Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Convolution(into, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.branch3x3_1(x), self.branch(x, "branch3x3dbl_1", "branch3x3dbl_2")
        pooled = F.max_pool2d(x, 3, 1, 1) if self.maximum else average(x)
        return torch.cat([self.branch1x1(x), self.branch3x3_2a(a), self.branch3x3_2b(a), self.branch3x3dbl_3a(b),
                          self.branch3x3dbl_3b(b), self.branch_pool(pooled)], 1)


class Inception(nn.Module):
    """Pictures (batch, 3, height, width) in [0, 1] to the 2048 features of FID: Heusel et al., NeurIPS 2017."""

    def __init__(self) -> None:
        super().__init__()
        for name, layer in _layers():
            self.add_module(name, layer)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1
        for name, layer in self.named_children():
            if name in ("Conv2d_3b_1x1", "Mixed_5b"):
                x = F.max_pool2d(x, 3, 2)
            x = layer(x)
        return x.mean((-2, -1))

    @torch.no_grad()
    def features(self, pictures: Tensor) -> np.ndarray:
        """(picture, 2048) of pictures in [0, 1]."""
        return self(pictures.float()).cpu().numpy()


def _layers() -> Iterator[tuple[str, nn.Module]]:
    """The layers in order, by torchvision's names."""
    yield "Conv2d_1a_3x3", Convolution(3, 32, 3, 2)
    yield "Conv2d_2a_3x3", Convolution(32, 32, 3)
    yield "Conv2d_2b_3x3", Convolution(32, 64, 3, padding=1)
    yield "Conv2d_3b_1x1", Convolution(64, 80, 1)
    yield "Conv2d_4a_3x3", Convolution(80, 192, 3)
    yield "Mixed_5b", MixedA(192, 32)
    yield "Mixed_5c", MixedA(256, 64)
    yield "Mixed_5d", MixedA(288, 64)
    yield "Mixed_6a", MixedB(288)
    for name, narrow in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
        yield f"Mixed_6{name}", MixedC(768, narrow)
    yield "Mixed_7a", MixedD(768)
    yield "Mixed_7b", MixedE(1280, maximum=False)
    yield "Mixed_7c", MixedE(2048, maximum=True)


def load_inception(path: str | Path) -> Inception:
    """The network with the weights of a file: a plain state dict (.pth, .pt, of tensors alone) or .safetensors.

    Raises:
        InputError: a file that cannot be read or holds more than tensors, or a tensor that is missing or of another shape.
    """
    given = {name: value for name, value in read_tensors(Path(path)).items()
             if name not in UNUSED and not name.startswith("AuxLogits.") and not name.endswith(COUNTER)}
    with torch.device("meta"):
        network = Inception()
    wanted: Mapping[str, Tensor] = {name: value for name, value in network.state_dict().items() if not name.endswith(COUNTER)}
    for name, tensor in wanted.items():
        if name not in given or given[name].shape != tensor.shape:
            problem = f"has the shape {tuple(given[name].shape)}" if name in given else "is missing"
            raise InputError(f"{path}: {name} of Inception v3 {problem}, {tuple(tensor.shape)} is needed; give the weights that "
                             "pytorch-fid publishes, pt_inception-2015-12-05-6726825d.pth")
    if further := sorted(set(given) - set(wanted)):
        raise InputError(f"{path} also holds {further[0]}, which the Inception v3 of FID has not; give the weights that "
                         "pytorch-fid publishes, pt_inception-2015-12-05-6726825d.pth")
    counters = {name: torch.zeros((), dtype=torch.long, device="cpu") for name in network.state_dict() if name.endswith(COUNTER)}
    network.load_state_dict({name: given[name].float() for name in wanted} | counters, assign=True)
    return network.requires_grad_(False).eval()
