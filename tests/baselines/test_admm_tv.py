"""Total variation by ADMM against its objective and the other solver."""

import pytest
import torch
from helpers.slices import forward, scan
from torch import Tensor

from medrestore.baselines import ADMMTV, TotalVariation, ZeroFilled, tune
from medrestore.baselines.zero_filled import brightness
from medrestore.errors import InputError
from medrestore.operators import AveragePool, Identity, Mask, gaussian_blur
from medrestore.problem import Problem


def variation(x: Tensor) -> Tensor:
    return sum((x - x.roll(1, axis)).abs().sum() for axis in (-2, -1))


@pytest.mark.parametrize("lam", [3e-4, 1e-2])
def test_scans_reach_the_minimum_of_the_primal_dual_solver(lam: float) -> None:
    kspace, maps, mask, _ = scan(24, 20)
    scale = brightness(ZeroFilled().reconstruct(kspace, maps, mask))

    def objective(x: Tensor) -> float:
        x = x / scale
        fit = torch.linalg.vector_norm(forward(x, maps, mask) - kspace / scale) ** 2 / 2
        return float(fit + lam * variation(x))

    best = objective(TotalVariation(lam, iterations=600).reconstruct(kspace, maps, mask))
    assert objective(ADMMTV(lam, iterations=150).reconstruct(kspace, maps, mask)) < 1.003 * best
    assert objective(ADMMTV(lam).reconstruct(kspace, maps, mask)) < 1.03 * best


def blocks() -> Tensor:
    x = torch.zeros(1, 3, 32, 32)
    x[:, :, 8:24, 8:24] = torch.tensor([0.9, 0.5, 0.2])[None, :, None, None]
    return x


@pytest.mark.parametrize("operator", [Identity(), AveragePool(2, (32, 32)), gaussian_blur((32, 32), 1.0),
                                      Mask((torch.rand(32, 32, generator=torch.Generator().manual_seed(0)) < 0.4).float())],
                         ids=lambda one: type(one).__name__)
def test_flat_pictures_are_restored_from_noise(operator) -> None:
    y = operator(blocks())
    n = 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    y = y + n * (1 if operator.sampled is None else operator.sampled)
    problem = Problem(operator, y, 0.05)
    off = float((ADMMTV(0.03).restore(problem) - blocks()).square().mean().sqrt())
    plain = float((operator.pinv(y) - blocks()).square().mean().sqrt())
    assert off < 0.06 and off < 0.75 * plain


def test_a_weight_for_pictures_is_chosen_by_tune() -> None:
    y = blocks() + 0.1 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    case = Problem(Identity(), y, 0.1), blocks()
    best, table = tune(ADMMTV, (1e-4, 0.05, 3.0), [case], lambda x, image: -float((x - image).square().mean()))
    assert best == 0.05 and list(table) == [1e-4, 0.05, 3.0]
    with pytest.raises(InputError, match="TotalVariation has no use for a case of 2 parts"):
        tune(TotalVariation, (1e-3,), [case], lambda x, image: 0.0)
    with pytest.raises(InputError, match="lam must be at least 0, got -1"):
        ADMMTV(-1.0)
