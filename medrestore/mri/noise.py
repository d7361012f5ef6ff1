"""The noise of a scan, from a noise scan or from the undersampled scan itself, and prewhitening."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import InputError
from ..fft import ifft2c
from .sampling import calibration_region

_BLOCK = 24  # calibration lines a side that are looked at: a matrix of 576 x 576 takes half a second
_GRID = 4  # pixels a calibration line, of the grid on which air is told from object
_AIR = (0.05, 0.02, 0.01, 0.005, 0.002)  # of the brightest pixel of the calibration image: what is darker is air
_LEAK = 1e-6  # of a functional's energy may lie in the object
_ENOUGH = 128  # noise samples, over all coils, that make an estimate (a std to 4 %)
_FEWEST = 32  # that do where there are no more, as with a single coil (a std to 9 %)
_DEAD = 1e-12  # of the strongest coil's power: below it a coil is dead
CORNERS = "the corners of k-space, which hold signal too: at most this"
_CORNERS = 0.02  # of the samples, those farthest out in k-space


@dataclass(frozen=True)
class NoiseEstimate:
    """The noise of a scan: its level, its covariance, and the samples behind them."""

    std: float  # of every real number of the noise, k-space units
    samples_used: int  # complex numbers, over all coils
    source: str  # the part of the scan that the samples are from
    covariance: Tensor = field(repr=False)  # (coil, coil) complex128, E[n n^H]; its mean diagonal is 2 std^2


def noise_covariance(samples: Tensor) -> Tensor:
    """E[n n^H] of the coils, (coil, coil) complex128, from noise-only samples (coil, n).

    Receiver noise has mean zero, so nothing is subtracted and the estimate is unbiased. Raises InputError on fewer
    samples than coils or samples that are not finite.
    """
    coils, count = samples.shape
    if count < coils or not torch.isfinite(torch.view_as_real(samples)).all():
        raise InputError(f"The noise scan has {count} samples for {coils} coils; it needs at least one a coil, and finite ones: "
                         "leave it out by `noise_scan` false.")
    n = samples.to(torch.complex128)
    return n @ n.mH / count


def dead_coils(kspace: Tensor, noise: Tensor | None = None) -> Tensor:
    """(coil,) booleans: coils without signal, or without noise where there is a noise scan; they measure nothing.

    Args:
        kspace: (1, coil, h, w).
        noise: (coil, n) samples of noise alone.
    """
    dead = _silent(kspace[0].flatten(1))
    return dead if noise is None else dead | _silent(noise.to(dead.device))


def _silent(samples: Tensor) -> Tensor:
    power = samples.to(torch.complex128).abs().square().sum(1)
    return power <= _DEAD * power.max()


def noise_std(covariance: Tensor) -> float:
    """The std of every real number of the noise, averaged in power over the coils: sqrt(mean diagonal / 2)."""
    return float((covariance.diagonal().real.mean() / 2).sqrt())


def whitening(covariance: Tensor) -> Tensor:
    """W (coil, coil) complex128 with W Psi W^H = mean(diag Psi) I: coils made independent, the overall scale unchanged.

    Pruessmann et al., MRM 46:638-651, 2001: the inverse of the Cholesky factor. Raises InputError on a covariance
    that is not positive definite.
    """
    psi = covariance.to(torch.complex128)
    factor, failed = torch.linalg.cholesky_ex(psi)
    pivots = factor.diagonal().real
    if failed or not torch.isfinite(pivots).all() or (pivots**2 <= 1e-12 * psi.diagonal().real.max()).any():
        raise InputError("The noise covariance is singular, so a coil is dead, two coils are one, or the noise scan is too "
                         "short; leave the noise scan out by `noise_scan` false.")
    scale = psi.diagonal().real.mean().sqrt()
    return scale * torch.linalg.solve_triangular(factor, torch.eye(len(psi), dtype=psi.dtype, device=psi.device), upper=False)


def prewhiten(kspace: Tensor, W: Tensor) -> Tensor:
    """k-space (1, coil, h, w) with the coils mixed by W (coil, coil); same type, zeros where it was zero in all coils."""
    return torch.einsum("vc,bchw->bvhw", W.to(kspace), kspace)


def estimate_noise(kspace: Tensor, mask: Tensor) -> NoiseEstimate:
    """The noise of an undersampled scan (1, coil, h, w) with mask (1, w) or (h, w), from sampled entries only.

    Three places hold nearly nothing but noise, and what signal is left can only add to them, so the smallest of their
    estimates is taken: the air around the object as the calibration region sees it; the air at the ends of the
    readout, for masks along one axis; and the corners of k-space. Coil images are not needed, white noise having the
    same std on both sides of an orthonormal transform. Raises InputError when no place has enough samples.
    """
    kspace = kspace.detach().to("cpu", torch.complex64)
    mask = mask.detach().cpu()
    if not torch.isfinite(torch.view_as_real(kspace)).all():
        raise InputError("The k-space holds values that are not finite, so its noise cannot be estimated.")
    places = {
        "air in the calibration image": _calibration_air(kspace[0], mask),
        "air at the ends of the readout": _readout_air(kspace[0], mask) if mask.shape[0] == 1 else None,
        CORNERS: _corners(kspace[0], mask),
    }
    return _least(places)


def estimate_trajectory_noise(kspace: Tensor, trajectory: Tensor, weights: Tensor | None = None) -> NoiseEstimate:
    """The noise of samples (1, coil, readout, sample) along a trajectory (readout, sample, 2), from these alone.

    As of a Cartesian scan, the least of the estimates from places that hold nearly nothing but noise. Along a readout, straight
    or not, the signal of an object within the field of view has no frequency above half the cycles from a sample to the next, so
    that those above are air wherever readouts are oversampled.

    Args:
        weights: (readout, sample), 0 where nothing was measured.

    Raises:
        InputError: no place has enough samples, or values are not finite.
    """
    kspace = kspace.detach().to("cpu", torch.complex64)[0]
    if not torch.isfinite(torch.view_as_real(kspace)).all():
        raise InputError("The k-space holds values that are not finite, so its noise cannot be estimated.")
    taken = torch.ones(kspace.shape[1:], dtype=torch.bool) if weights is None else weights.detach().cpu() > 0
    readouts = taken.any(1)
    sides = trajectory.detach().cpu().abs().flatten(0, 1).amax(0).clamp(min=1)
    radius = torch.linalg.vector_norm(trajectory.detach().cpu() / sides, dim=-1)
    return _least({
        "air at the ends of the readout": _air_of(kspace[:, readouts][..., taken[readouts].all(0)].mT),
        CORNERS: _outermost(kspace[:, taken], radius[taken]),
    })


def _least(places: dict[str, Tensor | None]) -> NoiseEstimate:
    """The least of the estimates from places, (coil, n) samples of each by what it is."""
    estimates = []
    for source, samples in places.items():
        if samples is not None and samples.numel() >= _FEWEST and samples.any():
            covariance = samples @ samples.mH / samples.shape[1]
            estimates.append(NoiseEstimate(noise_std(covariance), samples.numel(), source, covariance))
    if not estimates:
        raise InputError("The scan has too few samples to estimate its noise from; give `noise_std`.")
    many = [estimate for estimate in estimates if estimate.samples_used >= _ENOUGH]
    if any(estimate.source != CORNERS for estimate in many):
        estimates = many  # of few samples the least is too low
    return min(estimates, key=lambda estimate: estimate.std)


def _calibration_air(kspace: Tensor, mask: Tensor) -> Tensor | None:
    """Noise samples (coil, n): projections of the calibration region on functions that live in the air alone.

    The darker the level below which a pixel counts as air, the less faint signal is left in it, but the fewer the
    functions; the level with the least power is taken.
    """
    rows, columns = calibration_region(mask)
    rows = slice(0, kspace.shape[-2]) if mask.shape[0] == 1 else rows
    block = kspace[:, _middle(rows), _middle(columns)].to(torch.complex128)
    if min(block.shape[1:]) < 2:
        return None
    height, width = block.shape[1:]
    window = _hann(height)[:, None] * _hann(width)
    image = torch.fft.ifftn(block * window, s=(_GRID * height, _GRID * width), dim=(1, 2)).abs().square().sum(dim=0).sqrt()
    candidates: list[Tensor] = []
    for level in _AIR:
        samples = block.flatten(1) @ _air_functions(image > level * image.max(), (height, width))
        if samples.numel() < (_ENOUGH if candidates else _FEWEST):
            break
        candidates.append(samples)
    return min(candidates, key=lambda samples: float(samples.abs().square().mean()), default=None)


def _air_functions(inside: Tensor, size: tuple[int, int]) -> Tensor:
    """Orthonormal columns (samples of a k-space block of `size`, n) that reach nearly nothing `inside` the image.

    Prolate functions (Slepian, Bell Syst. Tech. J. 43:3009-3057, 1964) of the outside: the eigenvectors, with
    eigenvalues near 0, of the Fourier-Toeplitz matrix of `inside`. Being orthonormal they keep white noise white.
    """
    spectrum = torch.fft.fftn(inside.double()) / inside.numel()
    y, x = ((torch.arange(n)[:, None] - torch.arange(n)) % m for n, m in zip(size, inside.shape, strict=True))
    toeplitz = spectrum[y[:, None, :, None], x[None, :, None, :]].reshape(size[0] * size[1], -1)
    share, functions = torch.linalg.eigh(toeplitz)
    return functions[:, share < _LEAK].conj()


def _readout_air(kspace: Tensor, mask: Tensor) -> Tensor | None:
    """Noise samples (coil, n): readout positions without signal, from the acquired lines far from the centre.

    From the quietest tenth of the positions, the set grows over all that noise of its level explains.
    """
    width, centre = mask.shape[1], calibration_region(mask)[1]
    lines = torch.nonzero(mask[0] > 0)[:, 0]
    lines = lines[(lines < centre.start) | (lines >= centre.stop)]
    distance = (lines - width // 2).abs()
    return _air_of(kspace[..., lines[2 * distance >= distance.max()] if len(lines) else lines])


def _air_of(kspace: Tensor) -> Tensor | None:
    """Noise samples (coil, n): positions without signal along readouts (coil, position, readout); None of too few."""
    lines = kspace.shape[-1]
    if lines < 4 or kspace.shape[-2] < 40:
        return None
    window = torch.hann_window(kspace.shape[-2])  # keeps the object from leaking into the air
    profiles = ifft2c(kspace * (window / window.square().mean().sqrt())[:, None], axes=(-2,)).to(torch.complex128)
    power = profiles.abs().square().mean(dim=(0, 2))
    quiet = power.argsort()[: len(power) // 10]
    for _ in range(20):
        samples = profiles[:, quiet].flatten(1)
        covariance = samples @ samples.mH / samples.shape[1]
        spread = float(covariance.abs().square().sum().sqrt() / covariance.diagonal().real.sum()) / lines**0.5
        grown = torch.nonzero(power < (1 + 1.5 * spread) * power[quiet].mean())[:, 0]
        if torch.equal(grown, quiet):
            break
        quiet = grown
    return samples


def _corners(kspace: Tensor, mask: Tensor) -> Tensor:
    """Noise samples (coil, n): the acquired samples farthest from the centre of k-space."""
    height, width = kspace.shape[-2:]
    y, x = ((torch.arange(n) - n // 2) / (n / 2) for n in (height, width))
    taken = torch.nonzero((mask > 0).expand(height, width).flatten())[:, 0]
    return _outermost(kspace.flatten(1)[:, taken], torch.hypot(y[:, None], x).flatten()[taken])


def _outermost(samples: Tensor, radius: Tensor) -> Tensor:
    """Those of samples (coil, n) that are farthest from the centre of k-space, single strong ones made as weak as the others."""
    farthest = radius.topk(min(len(radius), max(_ENOUGH, int(_CORNERS * len(radius))))).indices
    samples = samples[:, farthest].to(torch.complex128)
    # The median lets single strong samples pass; for complex Gaussian noise it is ln 2 of the mean power.
    power = samples.abs().square()
    robust = power.median(dim=1).values / torch.log(torch.tensor(2.0))
    return samples * (robust / power.mean(dim=1).clamp(min=torch.finfo(power.dtype).tiny)).sqrt()[:, None]


def _middle(lines: slice) -> slice:
    start = (lines.start + lines.stop - min(_BLOCK, lines.stop - lines.start)) // 2
    return slice(start, start + min(_BLOCK, lines.stop - lines.start))


def _hann(lines: int) -> Tensor:
    return torch.hann_window(lines + 2, periodic=False, dtype=torch.float64)[1:-1]
