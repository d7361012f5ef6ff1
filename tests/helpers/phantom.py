"""A head of ellipses with texture, for simulated scans."""

import torch
from torch import Tensor

from medrestore.mri import add_smooth_phase, simulated_maps

_ELLIPSES = (  # value, half axes (row, column), centre (row, column), in units of half the field of view
    (1.0, 0.85, 0.7, 0.0, 0.0),
    (-0.6, 0.78, 0.63, 0.0, 0.0),
    (0.3, 0.3, 0.12, 0.0, 0.22),
    (0.3, 0.3, 0.12, 0.0, -0.22),
    (0.4, 0.15, 0.2, 0.4, 0.0),
    (-0.2, 0.1, 0.1, -0.4, 0.1),
)


def head(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """(1, 1, h, w) complex64: ellipses, 15 % texture, smooth phase, air around."""
    y, x = (torch.linspace(-1, 1, n) for n in shape)
    image = torch.zeros(shape)
    for value, a, b, row, column in _ELLIPSES:
        image += value * (((y[:, None] - row) / a) ** 2 + ((x - column) / b) ** 2 < 1)
    frequency = torch.hypot(*torch.meshgrid(*(torch.fft.fftfreq(n) for n in shape), indexing="ij"))
    texture = torch.fft.ifft2(torch.fft.fft2(torch.randn(shape, generator=generator)) / (1 + 40 * frequency)).real
    image = (image * (1 + 0.15 * texture / texture.std())).clamp(min=0)
    return add_smooth_phase(image[None, None], generator)


def head_and_maps(shape: tuple[int, int], coils: int, seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return head(shape, generator), simulated_maps(coils, shape, generator=generator), generator


def folded(images: Tensor, width: int) -> Tensor:
    """Images (..., h, w) as a field of view of fewer columns shows them: what lies outside is wrapped to the other side."""
    out = images.new_zeros(*images.shape[:-1], width)
    for column in range(images.shape[-1]):
        out[..., (column - images.shape[-1] // 2 + width // 2) % width] += images[..., column]
    return out
