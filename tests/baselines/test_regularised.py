"""Regularised SENSE against its objective and against sigpy."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import pywt
import torch
from helpers.slices import ALL, error, forward, scan

from medrestore.baselines import CGSense, L1Wavelet, TotalVariation, ZeroFilled
from medrestore.errors import InputError
from medrestore.operators import Sense, SmoothPhase


def brightness(kspace, maps, mask):
    return np.quantile(ZeroFilled().reconstruct(kspace, maps, mask).abs().numpy(), 0.99)


REGULARISED = ALL[1:]


@pytest.mark.parametrize("both_axes", [False, True])
def test_cg_sense_solves_the_normal_equations(both_axes):
    random = torch.Generator().manual_seed(2)
    mask = (torch.rand(7, 6, generator=random) < 0.6).float() if both_axes else torch.tensor([[1.0, 0, 1, 1, 0, 1]])
    kspace, maps, mask, _ = scan(7, 6, mask=mask)
    basis = torch.eye(42, dtype=torch.complex64).reshape(42, 1, 7, 6)
    dense = torch.stack([forward(e[None], maps, mask).flatten() for e in basis], dim=1).to(torch.complex128)
    normal = dense.mH @ dense + 0.02 * torch.eye(42)
    exact = torch.linalg.solve(normal, dense.mH @ kspace.flatten().to(torch.complex128))
    found = CGSense(0.02, iterations=60).reconstruct(kspace, maps, mask)
    assert torch.allclose(found.flatten(), exact.to(torch.complex64), atol=2e-5)


def in_phase(kspace, maps, mask):
    """An encoding whose phase is held, and its matrix for real and imaginary parts."""
    height, width = kspace.shape[-2:]
    phase = torch.polar(torch.ones(1, 1, height, width), torch.linspace(-2, 2, width).expand(1, 1, height, width))
    A = SmoothPhase(Sense(maps, mask), phase, torch.linspace(0.2, 1.5, height)[:, None].expand(1, 1, height, width))
    basis = torch.eye(height * width, dtype=torch.complex64).reshape(-1, 1, height, width)
    columns = [torch.view_as_real(A(v[None])).flatten() for v in torch.cat([basis, 1j * basis])]
    return A, torch.stack(columns, 1).double()


def test_cg_sense_with_a_phase_solves_the_normal_equations():
    kspace, maps, mask, _ = scan(7, 6, mask=torch.tensor([[0.0, 0, 1, 1, 1, 1]]))
    A, dense = in_phase(kspace, maps, mask)
    right = dense.T @ torch.view_as_real(A.data(kspace)).flatten().double()
    exact = torch.linalg.solve(dense.T @ dense + 0.02 * torch.eye(84), right)
    found = CGSense(0.02, iterations=80).in_phase(A, kspace)
    assert torch.allclose(found.flatten(), torch.complex(*exact.float().chunk(2)), atol=1e-4)


@pytest.mark.parametrize(("baseline", "penalty"), [
    (TotalVariation(3e-3), lambda x: sum((x - x.roll(1, dims=axis)).abs().sum() for axis in (-2, -1))),
    (L1Wavelet(3e-3, iterations=240), lambda x: torch.from_numpy(pywt.coeffs_to_array(
        pywt.wavedec2(x[0, 0].numpy(), "db4", mode="zero"))[0]).abs().sum()),
], ids=["TV", "L1-wavelet"])
def test_penalties_with_a_phase_reach_the_minimum(baseline, penalty):
    kspace, maps, mask, _ = scan(24, 20)
    A, _ = in_phase(kspace, maps, mask)
    found = baseline.in_phase(A, kspace)
    scale = np.quantile(A.encoding.adjoint(kspace).abs().numpy(), 0.99)

    def objective(x):
        misfit = torch.linalg.vector_norm(A(x / scale) - A.data(kspace) / scale) ** 2 / 2
        return float(misfit + 3e-3 * penalty(x / scale))

    least = objective(found)
    random = torch.Generator().manual_seed(0)
    for size in (0.1, 0.01):
        step = size * scale * torch.randn(found.shape, dtype=found.dtype, generator=random)
        assert least < objective(found + step)
    assert least < 0.999 * objective(0.97 * found) and least < 0.999 * objective(1.03 * found)


@pytest.mark.parametrize("both_axes", [False, True])
def test_cg_sense_and_l1_wavelet_are_sigpys(both_axes):
    """Step for step: few of them, so that none has converged."""
    from sigpy.mri.app import L1WaveletRecon, SenseRecon

    random = torch.Generator().manual_seed(3)
    kspace, maps, mask, _ = scan(mask=(torch.rand(45, 38, generator=random) < 0.4).float() if both_axes else None)
    scale = brightness(kspace, maps, mask)
    y, weights = (kspace[0] / scale).numpy(), np.broadcast_to(mask.numpy(), kspace.shape[2:])
    for baseline, app, options in ((CGSense, SenseRecon, {}), (L1Wavelet, L1WaveletRecon, {"alpha": 1.0})):
        theirs = app(y, maps[0].numpy(), lamda=0.01, weights=weights, max_iter=6, show_pbar=False, **options).run()
        ours, converged = (baseline(0.01, steps).reconstruct(kspace, maps, mask)[0, 0] / scale for steps in (6, 60))
        assert (ours - torch.from_numpy(theirs)).norm() < 1e-4 * ours.norm() < 0.1 * (ours - converged).norm()


@pytest.mark.parametrize("lam", [3e-4, 1e-2])
def test_total_variation_reaches_the_minimum(lam):
    kspace, maps, mask, _ = scan()
    scale = brightness(kspace, maps, mask)

    def objective(x):
        x = x / scale
        differences = [(x - x.roll(1, dims=axis)).abs().sum() for axis in (-2, -1)]
        fit = torch.linalg.vector_norm(forward(x, maps, mask) - kspace / scale) ** 2 / 2
        return (fit + lam * sum(differences)).item()

    best = objective(TotalVariation(lam, iterations=1500).reconstruct(kspace, maps, mask))
    found = objective(TotalVariation(lam).reconstruct(kspace, maps, mask))
    assert found < 0.9 * objective(ZeroFilled().reconstruct(kspace, maps, mask))
    assert best * (1 - 1e-4) <= found <= best * (1 + 5e-3)


@pytest.mark.parametrize("lam", [3e-4, 1e-2])
@pytest.mark.parametrize("size", [(48, 40), (45, 37)])
def test_l1_wavelet_reaches_the_minimum(lam, size):
    """The reference is another algorithm (ADMM on the coefficients) for the objective as the docstring states it."""
    import sigpy
    from sigpy.mri.linop import Sense

    kspace, maps, mask, _ = scan(*size)
    scale = brightness(kspace, maps, mask)
    y, operator, wavelet = (kspace[0] / scale).numpy(), Sense(maps[0].numpy(), weights=mask.numpy()), sigpy.linop.Wavelet(size)

    def objective(x):
        return np.linalg.norm(operator(x) - y) ** 2 / 2 + lam * np.abs(wavelet(x)).sum()

    best = sigpy.app.LinearLeastSquares(
        operator,
        y,
        proxg=sigpy.prox.L1Reg(wavelet.oshape, lam),
        G=wavelet,
        solver="ADMM",
        rho=20 * lam,
        max_iter=150,
        max_cg_iter=5,
        show_pbar=False,
    ).run()
    found = (L1Wavelet(lam).reconstruct(kspace, maps, mask)[0, 0] / scale).numpy()
    zero_filled = (ZeroFilled().reconstruct(kspace, maps, mask)[0, 0] / scale).numpy()
    assert objective(found) < 0.9 * objective(zero_filled)
    assert objective(found) == pytest.approx(objective(best), rel=5e-3)


@pytest.mark.parametrize("baseline", [CGSense(0.03), TotalVariation(0.01), L1Wavelet(0.01)], ids=lambda b: type(b).__name__)
def test_better_than_zero_filled(baseline):
    """With a weight that fits the noise: too small a one lets CG-SENSE amplify it past the zero-filled error."""
    kspace, maps, mask, image = scan()
    zero_filled = ZeroFilled().reconstruct(kspace, maps, mask)
    assert error(baseline.reconstruct(kspace, maps, mask), image) < 0.7 * error(zero_filled, image)


@pytest.mark.parametrize("baseline", REGULARISED, ids=lambda b: type(b).__name__)
def test_undersampling_is_undone_without_noise(baseline):
    kspace, maps, mask, image = scan(noise_std=0)
    assert error(ZeroFilled().reconstruct(kspace, maps, mask), image) > 0.1
    assert error(baseline.reconstruct(kspace, maps, mask), image) < 0.02


def test_larger_weight_means_less_variation():
    kspace, maps, mask, _ = scan(24, 20)
    rough, smooth = (TotalVariation(lam, 60).reconstruct(kspace, maps, mask) for lam in (0.0, 0.1))
    assert smooth.diff(dim=-1).abs().sum() < 0.8 * rough.diff(dim=-1).abs().sum()


@pytest.mark.parametrize("baseline_type", [CGSense, TotalVariation, L1Wavelet])
def test_bad_settings_are_refused(baseline_type):
    for lam in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="lam must be at least 0"):
            baseline_type(lam)
    with pytest.raises(InputError, match="iterations"):
        baseline_type(1e-3, iterations=0)
    with pytest.raises(FrozenInstanceError):
        baseline_type(1e-3).lam = 1.0
