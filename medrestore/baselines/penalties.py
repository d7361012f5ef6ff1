"""What the penalties of regularised fits are made of: differences, wavelets, and shrinking."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


def wrapped_differences(x: Tensor) -> Tensor:
    """Of neighbours along both axes, wrapped at the border: (2, *x.shape)."""
    return torch.stack([x - x.roll(1, -2), x - x.roll(1, -1)])


def wrapped_adjoint(d: Tensor) -> Tensor:
    """The adjoint of `wrapped_differences`."""
    return d[0] - d[0].roll(-1, -2) + d[1] - d[1].roll(-1, -1)


def soft_threshold(d: Tensor, threshold: float) -> Tensor:
    """The proximal map of threshold |.|_1: magnitudes less by `threshold`, at least 0."""
    size = d.abs()
    return d * ((size - threshold).clamp(min=0) / size.clamp(min=torch.finfo(size.dtype).tiny))


@dataclass(frozen=True)
class Wavelets:
    """An orthogonal wavelet transform W of images, by PyWavelets on the CPU.

    Images are extended by zeros, also to an even size, so that W keeps norms and has more coefficients than pixels.

    Attributes:
        name: of an orthogonal wavelet of PyWavelets.
    """

    name: str

    def shrunk(self, image: Tensor, threshold: float) -> Tensor:
        """W^H of the shrunk coefficients W x of each image (1, image, height, width)."""
        if image.shape[1] > 1:
            return torch.cat([self.shrunk(one, threshold) for one in image.split(1, 1)], 1)
        import pywt

        height, width = image.shape[-2:]
        even = functional.pad(image, (0, width % 2, 0, height % 2)).roll((height % 2, width % 2), (-2, -1))
        listed = pywt.wavedec2(even[0, 0].cpu().resolve_conj().numpy(), self.name, mode="zero")
        coefficients, places = pywt.coeffs_to_array(listed)
        small = soft_threshold(torch.from_numpy(coefficients), threshold).numpy()
        back = pywt.waverec2(pywt.array_to_coeffs(small, places, output_format="wavedec2"), self.name, mode="zero")
        rows, columns = slice(height % 2, height % 2 + height), slice(width % 2, width % 2 + width)
        return torch.from_numpy(back[rows, columns]).to(image)[None, None]
