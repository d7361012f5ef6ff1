"""Classical reconstructions against dense solves, long runs and the laws that all of them share."""

from dataclasses import FrozenInstanceError
from functools import partial

import numpy as np
import pytest
import torch

from medrestore.baselines import CGSense, L1Wavelet, TotalVariation, ZeroFilled, rss, tune
from medrestore.errors import InputError
from medrestore.fft import fft2c

COILS = 4


def maps_of(height, width, coils=COILS):
    """Smooth complex sensitivities around the image, normalised to unit sum of squares."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    angles = torch.arange(coils) * 2 * torch.pi / coils
    cy, cx = 1.2 * angles.sin()[:, None, None], 1.2 * angles.cos()[:, None, None]
    maps = torch.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2) * torch.exp(1j * (cy * x - cx * y))
    return (maps / torch.linalg.vector_norm(maps, dim=0))[None].to(torch.complex64)


def blocks(height, width):
    """A piecewise constant image with a constant phase."""
    image = torch.zeros(height, width)
    image[height // 6 : -height // 6, width // 6 : -width // 6] = 0.5
    image[height // 3 : height // 2, width // 4 : width // 2] = 1.0
    return (image * np.exp(0.7j)).to(torch.complex64)[None, None]


def scan(height=45, width=38, noise_std=0.01, mask=None):
    """(kspace, maps, mask, image); every third phase encode and a centre block by default."""
    image, maps = blocks(height, width), maps_of(height, width)
    if mask is None:
        mask = torch.zeros(1, width)
        mask[:, ::3] = 1
        mask[:, width // 2 - 3 : width // 2 + 3] = 1
    random = torch.Generator().manual_seed(0)
    noise = 2**0.5 * noise_std * torch.randn(maps.shape, dtype=torch.complex64, generator=random)
    return (fft2c(maps * image) + noise) * mask, maps, mask, image


def forward(x, maps, mask):
    return fft2c(maps * x) * mask


def error(x, image):
    return (torch.linalg.vector_norm(x - image) / torch.linalg.vector_norm(image)).item()


def brightness(kspace, maps, mask):
    return np.quantile(ZeroFilled().reconstruct(kspace, maps, mask).abs().numpy(), 0.99)


ALL = [ZeroFilled(), CGSense(1e-3), TotalVariation(1e-3, 60), L1Wavelet(1e-3, 60)]
REGULARISED = ALL[1:]


def test_zero_filled_is_the_adjoint():
    _, maps, mask, _ = scan(9, 8)
    random = torch.Generator().manual_seed(1)
    x = torch.randn(1, 1, 9, 8, dtype=torch.complex64, generator=random)
    y = torch.randn(maps.shape, dtype=torch.complex64, generator=random)
    left = torch.vdot(y.flatten(), forward(x, maps, mask).flatten())
    right = torch.vdot(ZeroFilled().reconstruct(y, maps, mask).flatten(), x.flatten())
    assert torch.allclose(left, right, rtol=1e-5)


def test_rss_of_coil_images():
    _, maps, _, image = scan(9, 8)
    assert torch.allclose(rss(fft2c(maps * image)), image.abs(), atol=1e-6)  # the maps have unit sum of squares


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


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("size", [(45, 38), (44, 37)])
def test_image_lies_where_it_was(baseline, size):
    """Full sampling without noise gives the image back, so centring and the coils' conjugates are right in odd sizes too."""
    kspace, maps, mask, image = scan(*size, noise_std=0, mask=torch.ones(1, size[1]))
    found = baseline.reconstruct(kspace, maps, mask)
    assert found.shape == image.shape and found.dtype == torch.complex64
    assert error(found, image) < 0.02


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


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_image_scales_with_the_data(baseline):
    kspace, maps, mask, _ = scan()
    image = baseline.reconstruct(kspace, maps, mask)
    assert error(baseline.reconstruct(1e-6 * kspace, maps, mask) * 1e6, image) < 1e-4


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_repeatable_and_without_side_effects(baseline):
    kspace, maps, mask, _ = scan(24, 20)
    copies, state = [x.clone() for x in (kspace, maps, mask)], np.random.get_state()[1].copy()
    first, again = (baseline.reconstruct(kspace, maps, mask) for _ in range(2))
    assert torch.equal(first, again)
    assert all(torch.equal(x, copy) for x, copy in zip((kspace, maps, mask), copies, strict=True))
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_what_the_mask_leaves_out_is_ignored(baseline):
    kspace, maps, mask, _ = scan(24, 20)
    image = baseline.reconstruct(kspace, maps, mask)
    assert torch.allclose(baseline.reconstruct(kspace + 3 * (1 - mask), maps, mask), image, atol=1e-6)
    assert torch.allclose(baseline.reconstruct(kspace, maps, mask.expand(24, 20)), image, atol=1e-6)


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_an_empty_slice_is_empty(baseline):
    kspace, maps, mask, _ = scan(12, 10)
    assert not baseline.reconstruct(torch.zeros_like(kspace), maps, mask).any()


def test_conjugate_views_are_read():
    kspace, maps, mask, _ = scan(24, 20)
    baseline = CGSense(1e-3)
    views = (kspace.conj().resolve_conj().conj(), maps.conj().resolve_conj().conj())
    assert torch.equal(baseline.reconstruct(*views, mask), baseline.reconstruct(kspace, maps, mask))


def test_larger_weight_means_less_variation():
    kspace, maps, mask, _ = scan(24, 20)
    rough, smooth = (TotalVariation(lam, 60).reconstruct(kspace, maps, mask) for lam in (0.0, 0.1))
    assert smooth.diff(dim=-1).abs().sum() < 0.8 * rough.diff(dim=-1).abs().sum()


def test_bad_slices_are_refused():
    kspace, maps, mask, _ = scan(12, 10)
    bad = [
        ((kspace[0], maps, mask), "one slice"),
        ((kspace.real, maps, mask), "one slice"),
        ((kspace, maps[:, :3], mask), "coil maps"),
        ((kspace, maps, mask[0]), "mask is"),
        ((kspace, maps, mask * 0.5), "0 or 1"),
        ((kspace, maps, mask * 0), "at least one sample"),
        ((kspace * torch.nan, maps, mask), "not finite"),
        ((kspace, maps * torch.inf, mask), "not finite"),
        ((kspace, maps * 0, mask), "zero everywhere"),
    ]
    for inputs, sentence in bad:
        for baseline in ALL:
            with pytest.raises(InputError, match=sentence):
                baseline.reconstruct(*inputs)


@pytest.mark.parametrize("baseline_type", [CGSense, TotalVariation, L1Wavelet])
def test_bad_settings_are_refused(baseline_type):
    for lam in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="weight"):
            baseline_type(lam)
    with pytest.raises(InputError, match="iterations"):
        baseline_type(1e-3, iterations=0)
    with pytest.raises(FrozenInstanceError):
        baseline_type(1e-3).lam = 1.0


def test_tune_finds_the_best_weight():
    cases = [scan(24, 20, noise_std=noise) for noise in (0.05, 0.06)]
    weights = (1e-5, 0.03, 10.0)
    best, table = tune(partial(CGSense, iterations=40), weights, iter(cases), lambda x, image: -error(x, image))
    assert best == 0.03
    assert list(table) == list(weights) and all(len(scores) == 2 for scores in table.values())
    assert table[10.0][1] == -error(CGSense(10.0, 40).reconstruct(*cases[1][:3]), cases[1][3])


def test_tune_refuses_what_gives_no_answer():
    case = scan(12, 10)
    for weights, cases in (((), [case]), ((1e-3,), [])):
        with pytest.raises(InputError, match="at least one"):
            tune(CGSense, weights, cases, lambda x, image: 0.0)
    with pytest.raises(InputError, match="not a number"):
        tune(CGSense, (1e-3,), [case], lambda x, image: float("nan"))
