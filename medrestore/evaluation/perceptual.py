"""Perceptual distances: LPIPS with weights that the user gives, and the Frechet distance of features.

No weights are shipped and none are fetched. The features of FID are those of `inception.load_inception`, with the weights that
pytorch-fid publishes as a plain state dict, or come from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError

# number of the layer in AlexNet's features: (channels in, out, kernel, stride, padding), a 3 x 3 pool of
# stride 2 before it
CONVOLUTIONS = {0: (3, 64, 11, 4, 2, False), 3: (64, 192, 5, 1, 2, True), 6: (192, 384, 3, 1, 1, True),
                8: (384, 256, 3, 1, 1, False), 10: (256, 256, 3, 1, 1, False)}
# of ImageNet, in [0, 1]; as LPIPS rounds them in [-1, 1] below
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHIFT = tuple(round(2 * value - 1, 3) for value in MEAN)
SCALE = tuple(2 * value for value in STD)
LEAST = 63  # pixels along a side, so that the last layer has any
CONVOLUTION_KEY = re.compile(r"(?:^|\.)(?:features|slice[1-5])\.(\d+)\.(weight|bias)$")
LINEAR_KEY = re.compile(r"(?:^|\.)lins?\.?([0-4])(?:\.model\.1)?\.weight$")


Distance = Callable[[Tensor, Tensor], Tensor]  # two (1, 3, h, w) pictures in [-1, 1] -> (1,)


class LPIPS(nn.Module):
    """Learned perceptual distance on AlexNet, linear variant: Zhang et al., CVPR 2018, equation 1.

    Distances of unit-normalised features after each of five rectified convolutions, squared, weighted per
    channel by the learned linear heads, averaged over the picture and added.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict({
            str(number): nn.Conv2d(into, out, kernel, stride, padding)
            for number, (into, out, kernel, stride, padding, _) in CONVOLUTIONS.items()
        })
        self.heads = nn.ParameterList([nn.Parameter(torch.zeros(1, layer[1], 1, 1)) for layer in CONVOLUTIONS.values()])
        self.requires_grad_(False)
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(batch,) distances of two (batch, 3, height, width) pictures in [-1, 1]; 0 for equal ones."""
        pairs = zip(self._features(first), self._features(second), self.heads, strict=True)
        return torch.stack([((a - b).square() * head).sum(1).mean((1, 2)) for a, b, head in pairs]).sum(0)

    def _features(self, x: Tensor) -> list[Tensor]:
        """The five layers' activations, of unit length across the channels at every pixel."""
        if min(x.shape[-2:]) < LEAST:
            raise InputError(f"LPIPS needs pictures of at least {LEAST} x {LEAST} pixels, not {x.shape[-1]} x {x.shape[-2]}.")
        x, layers = (x - self.shift) / self.scale, []
        for number, convolution in self.convolutions.items():
            if CONVOLUTIONS[int(number)][-1]:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(convolution(x))
            layers.append(x / (x.norm(dim=1, keepdim=True) + 1e-10))
        return layers


def load_lpips(*paths: str | Path) -> LPIPS:
    """LPIPS with the weights of the files given, together: AlexNet's convolutions and the five linear heads.

    Understood are .safetensors and tensor-only state dicts (.pt, .pth) with the keys of torchvision's AlexNet
    (`features.0.weight`), of the public LPIPS files (`lin0.model.1.weight`) or of both in one
    (`net.slice1.0.weight`).

    Raises:
        InputError: a file that cannot be read or holds more than tensors, or a tensor that is missing or of
            another shape.
    """
    state: dict[str, Tensor] = {}
    for path in paths:
        state |= {key: tensor
                  for name, tensor in read_tensors(Path(path)).items() if (key := _own_key(name)) is not None}
    network = LPIPS()
    wanted = network.state_dict()
    for key, tensor in wanted.items():
        if key not in state or state[key].shape != tensor.shape:
            problem = f"has the shape {tuple(state[key].shape)}" if key in state else "is missing"
            raise InputError(f"{' and '.join(map(str, paths)) or 'no file'}: {key} of LPIPS-AlexNet {problem}, "
                             f"{tuple(tensor.shape)} is needed; give AlexNet's weights and those of LPIPS, both.")
    network.load_state_dict({key: state[key].float() for key in wanted})
    return network.eval()


def _own_key(name: str) -> str | None:
    if (match := CONVOLUTION_KEY.search(name)) is not None:
        return f"convolutions.{match[1]}.{match[2]}" if int(match[1]) in CONVOLUTIONS else None
    return f"heads.{match[1]}" if (match := LINEAR_KEY.search(name)) is not None else None


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """A file's tensors by name; whatever is not a tensor is never built."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a file of weights.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file makes the readers throw has no common type
        raise InputError(f"{path} is no file of tensors alone (damaged, or it holds code); give .safetensors.") from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path} is no plain state dict; save the tensors by name as .safetensors.")
    return content


def distance_of(distance: Distance, first: Tensor, second: Tensor) -> float:
    """The distance of two pictures (1, 3, h, w) in [0, 1]."""
    with torch.no_grad():
        return float(distance(2 * first - 1, 2 * second - 1).mean())


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of two sets of features (picture, feature) as Gaussians: Heusel et al., NeurIPS 2017,
    equation 6.

    FID is this number for the 2048 pooled features of the Inception network. With fewer pictures than
    features the covariances are singular, the number depends on how many pictures there are, and only equal
    counts compare.

    Raises:
        InputError: shapes that do not fit, fewer than two pictures, or values that are not finite.
    """
    a, b = (np.asarray(features, np.float64) for features in (first, second))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(f"Features of the shapes {a.shape} and {b.shape} have no Frechet distance; "
                         "give (picture, feature) twice, at least two pictures each.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("The features hold NaN or infinite values; compute them again.")
    means = float(np.sum((a.mean(0) - b.mean(0)) ** 2))
    a, b = ((x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (a, b))
    # tr sqrt(A B) with A = a'a and B = b'b is the nuclear norm of a b', which needs no root of a singular
    # matrix
    cross = float(np.linalg.norm(a @ b.T, "nuc"))
    return means + float(np.sum(a**2) + np.sum(b**2)) - 2 * cross
