"""The Fourier transform at any points of k-space: finufft on the CPU, cufinufft on a GPU that has it.

finufft is called directly: mri-nufft fixes the numbers of images and coils when an operator is made, guesses the units of a
trajectory from its values, and leaves PyTorch on the way.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..extras import extra

PRECISION = {torch.complex64: 1e-6, torch.complex128: 1e-12}  # relative, asked of the transforms


def nufft(images: Tensor, points: Tensor) -> Tensor:
    """Images (..., height, width) complex to the values (..., n) of their centred, orthonormal Fourier transform at points.

    Differentiable by the images.

    Args:
        points: (n, 2) real, (row, column) in cycles per field of view: at integers the values are those of `fft2c`.
    """
    return _Forward.apply(images, points)


def nufft_adjoint(values: Tensor, points: Tensor, shape: tuple[int, int]) -> Tensor:
    """The adjoint of `nufft`: values (..., n) complex to images (..., *shape). Differentiable by the values."""
    return _Adjoint.apply(values, points, shape)


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, points: Tensor) -> Tensor:
        ctx.points, ctx.shape = points, (images.shape[-2], images.shape[-1])
        return _nufft(images, points, ctx.shape, adjoint=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return nufft_adjoint(gradients[0], ctx.points, ctx.shape), None


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, points: Tensor, shape: tuple[int, int]) -> Tensor:
        ctx.points = points
        return _nufft(values, points, shape, adjoint=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return nufft(gradients[0], ctx.points), None, None


def _nufft(data: Tensor, points: Tensor, shape: tuple[int, int], *, adjoint: bool) -> Tensor:
    """Type 1 of (..., n) with a positive exponent, or type 2 of (..., height, width) with a negative one; orthonormal."""
    single = data.dtype != torch.complex128
    dtype = torch.complex64 if single else torch.complex128
    lead = data.shape[:-1] if adjoint else data.shape[:-2]
    flat = data.detach().to(dtype).reshape(-1, len(points)) if adjoint else data.detach().to(dtype).reshape(-1, *shape)
    angles = radians(points, shape).to(torch.float32 if single else torch.float64)
    package, home = _package(data.device)
    row, column, values = (_for_package(each, home) for each in (*angles.unbind(-1), flat))
    how: dict[str, Any] = {"eps": PRECISION[dtype], "isign": 1 if adjoint else -1}
    if home.type == "cpu":
        how["nthreads"] = torch.get_num_threads()
    if not len(flat):
        out = values
    elif adjoint:
        out = package.nufft2d1(row, column, values, n_modes=shape, **how)
    else:
        out = package.nufft2d2(row, column, values, **how)
    result = torch.from_numpy(out) if isinstance(out, np.ndarray) else out
    tail = shape if adjoint else (len(points),)
    return result.reshape(*lead, *tail).to(data.device) / float(shape[0] * shape[1]) ** 0.5


def radians(points: Tensor, shape: tuple[int, int]) -> Tensor:
    """Points in cycles per field of view, as radians per pixel within -pi to pi, in double precision."""
    sides = torch.tensor(shape, dtype=torch.float64, device="cpu")
    turns = points.detach().to("cpu", torch.float64) / sides
    return 2 * torch.pi * (turns - turns.round())


def _package(device: torch.device) -> tuple[Any, torch.device]:
    """finufft, or cufinufft where the data are on a GPU and it is installed; and where its arrays have to be."""
    if device.type == "cuda":
        try:
            import cufinufft

            return cufinufft, device
        except ImportError:
            pass
    with extra("nufft", "a trajectory"):
        import finufft
    return finufft, torch.device("cpu")


def _for_package(values: Tensor, home: torch.device) -> Any:
    """An array as the package takes it: of NumPy on the CPU, a tensor on a GPU."""
    here = values.to(home).resolve_conj().contiguous()
    return here.numpy() if home.type == "cpu" else here
