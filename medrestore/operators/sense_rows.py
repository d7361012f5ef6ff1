"""Products of one matrix for each row of an image with that row: what the exact data steps are made of.

A matrix takes hundreds of kilobytes and serves one product with each image, so reading it is the work. On one CPU thread,
each row is taken through all its products while its matrix is in the cache, by matrix-vector products of numpy's linear
algebra. Many images, several threads and GPUs are better served by one batch of matrix products over all rows.
"""

from functools import cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

FEW = 8  # images up to which, on one thread, matrix-vector products are ahead of a batch of matrix products
NEGLIGIBLE = 1e-5  # share of the way to the target that a coefficient is spared


def by_row(matrices: Tensor, x: Tensor) -> Tensor:
    """The product of every row's matrix, (row, k, w), and that row of x, (batch, 1, row, w): (batch, 1, row, k)."""
    if not _rows_are_faster(matrices, x):
        return (_rows(x) @ matrices.mT).transpose(0, 1)[:, None]
    out = x.new_empty(len(x), 1, *matrices.shape[:2])
    with _blas().limit(limits=1):
        for matrix, images, results in zip(matrices.numpy(), _rows(x).numpy(), _rows(out).numpy(), strict=True):
            for image, result in zip(images, results, strict=True):
                np.matmul(matrix, image, out=result)
    return out


def by_row_adjoint(matrices: Tensor, c: Tensor) -> Tensor:
    """The product of every row's adjoint matrix and that row of c, (batch, 1, row, k): (batch, 1, row, w)."""
    c = c.conj().resolve_conj()  # conjugate the image, not the far larger matrices
    if not _rows_are_faster(matrices, c):
        return (_rows(c) @ matrices).transpose(0, 1)[:, None].conj()
    out = c.new_empty(len(c), 1, len(matrices), matrices.shape[2])
    with _blas().limit(limits=1):
        for matrix, images, results in zip(matrices.numpy(), _rows(c).numpy(), _rows(out).numpy(), strict=True):
            for image, result in zip(images, results, strict=True):
                np.matmul(image, matrix, out=result)
    return out.conj()


def corrected_by_row(matrices: Tensor, x: Tensor, trust: Tensor, target: Tensor) -> Tensor:
    """x + Mh trust (target - M x), M being every row's matrix: coefficients moved towards a target.

    Row by row, the first coefficients of a row are left out up to the first that would go more than `NEGLIGIBLE` of its
    way. That changes the result, in norm, by less than `NEGLIGIBLE` times their distance from the target.

    Args:
        matrices: (row, k, w) complex, with orthonormal rows.
        x: (batch, 1, row, w).
        trust: (row, k), or (1 or batch, 1, row, k).
        target: (1 or batch, 1, row, k).
    """
    if not _rows_are_faster(matrices, x):
        return x + by_row_adjoint(matrices, trust * (target - by_row(matrices, x)))
    if trust.ndim == 4 and len(trust) > 1:  # images that are moved differently
        target = target.expand(len(x), *target.shape[1:])
        return torch.cat([corrected_by_row(matrices, *one) for one in zip(x.split(1), trust[:, 0], target.split(1), strict=True)])
    trust = trust.reshape(trust.shape[-2:])
    out = torch.conj_physical(x)  # a copy, whichever way x is stored
    moved = (trust.abs() > NEGLIGIBLE).numpy()
    starts = np.where(moved.any(1), moved.argmax(1), moved.shape[1])
    rows = zip(matrices.numpy(), _rows(x).numpy(), _rows(out).numpy(), trust.numpy(), _rows(target).numpy(), starts, strict=True)
    with _blas().limit(limits=1):
        for matrix, images, results, weight, aim, start in rows:
            part = matrix[start:]
            for image, result, there in zip(images, results, np.broadcast_to(aim, (len(images), aim.shape[1])), strict=True):
                result += (weight[start:] * (there[start:] - part @ image)).conj() @ part
    return out.conj_physical_()


def _rows(x: Tensor) -> Tensor:
    """(batch, 1, row, w) as (row, batch, w)."""
    return x[:, 0].transpose(0, 1).resolve_conj()


def _rows_are_faster(matrices: Tensor, x: Tensor) -> bool:
    """Whether row by row is the faster way. Gradients only flow through torch."""
    return (x.device.type == "cpu" and x.dtype == matrices.dtype and len(x) <= FEW and torch.get_num_threads() == 1
            and not (torch.is_grad_enabled() and x.requires_grad))


@cache
def _blas() -> ThreadpoolController:
    """The linear algebra of numpy, whose threads gain nothing on matrices of this size."""
    return ThreadpoolController().select(user_api="blas")
