"""Unknown kernels as outputs of a small network."""

import torch
from torch import Tensor

from ..errors import InputError

CODE, HIDDEN, CODE_SIZE = 200, 1000, 0.1  # of the published network: numbers of the code, hidden units, largest code value


class KernelNetwork:
    """A blur kernel as a perceptron's output for a fixed code: linear, ReLU6, linear, softmax.

    Non-negative and of sum 1 by the softmax. Ren et al., CVPR 2020 (SelfDeblur), sec. 3.2; the sizes are those of BIRD's code.

    Args:
        size: side of the kernel, odd.
        generator: of the code and the first weights.
        device: of the weights.

    Raises:
        InputError: the size is not an odd number of at least 3.
    """

    def __init__(self, size: int, *, generator: torch.Generator, device: torch.device | str = "cpu") -> None:
        if size < 3 or size % 2 == 0:
            raise InputError(f"the side of a blur kernel must be an odd number of at least 3, got {size}")
        self.size = size

        def uniform(*shape: int, bound: float) -> Tensor:
            return ((2 * torch.rand(shape, generator=generator, device="cpu") - 1) * bound).to(device)

        self.code = uniform(CODE, bound=CODE_SIZE / 2) + CODE_SIZE / 2
        self.weights = [
            uniform(HIDDEN, CODE, bound=CODE**-0.5), uniform(HIDDEN, bound=CODE**-0.5),
            uniform(size**2, HIDDEN, bound=HIDDEN**-0.5), uniform(size**2, bound=HIDDEN**-0.5),
        ]
        for weight in self.weights:
            weight.requires_grad_()

    def __call__(self) -> Tensor:
        """The kernel (size, size)."""
        into, bias, out, last = self.weights
        hidden = torch.nn.functional.relu6(into @ self.code + bias)
        return torch.softmax(out @ hidden + last, 0).reshape(self.size, self.size)


def kernel_correlation(a: Tensor, b: Tensor) -> float:
    """The largest normalised cross-correlation of two kernels over all shifts: 1 when they are equal but for a shift.

    A shift of the kernel is made up for by one of the image, so no measurement tells it.
    """
    a, b = (one.detach().double().cpu() for one in (a, b))
    size = [m + n for m, n in zip(a.shape, b.shape, strict=True)]
    product = torch.fft.ifft2(torch.fft.fft2(a, s=size) * torch.fft.fft2(b, s=size).conj()).real
    return float(product.max() / (a.norm() * b.norm()))


def off_centre(kernel: Tensor) -> tuple[int, int]:
    """Whole pixels (down, along) from the middle of a kernel (side, side) to its centre of mass."""
    middle, total = kernel.shape[-1] // 2, kernel.sum()
    at = torch.arange(kernel.shape[-1], device=kernel.device) - middle
    return round(float((kernel.sum(1) * at).sum() / total)), round(float((kernel.sum(0) * at).sum() / total))
