"""Coil sensitivities: estimated from the calibration region of a scan, or simulated."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medrestore.errors import InputError
from medrestore.fft import ifft2c
from medrestore.mri.sampling import Width, calibration_region

_MAX_WIDTH = 32  # calibration lines used at most: more cost time and change little
_MIN_WIDTH = 8  # calibration lines: below, even a 3 x 3 kernel has too few positions to tell signal from the rest
_CACHE_VERSION = 1  # raise when the maps of the same samples change


def espirit(
    kspace: Tensor,
    *,
    mask: Tensor | None = None,
    acs: Width | None = None,
    kernel: int = 6,
    threshold: float = 0.02,
    crop: float = 0.8,
    cache: Path | None = None,
) -> Tensor:
    """Coil maps (1, coil, h, w) complex64 by ESPIRiT, from the calibration region of the scan and nothing else.

    Uecker et al., MRM 71:990-1001, 2014, one set of maps, by sigpy. kspace: (1, coil, h, w); the calibration region
    is the fully sampled centre of `mask` (by default where kspace is not zero), no wider than `acs`, of which the
    central square of at most 32 lines is used. `kernel` is the widest kernel: n < 16 lines have too few positions for
    one of 6, which would empty the support, so it is narrowed to (n + 2) // 3. `threshold` cuts the singular values
    of the calibration matrix, `crop` the eigenvalues that make the support.

    The maps have unit root-sum-of-squares inside the support and are exactly 0 outside. Their phase is that of a
    virtual coil, the principal component of the calibration data, which is nowhere near zero inside most objects, so
    that the combined image has a smooth phase. With `cache`, a folder, maps are kept there by a hash of the
    calibration samples and settings. Raises InputError with fewer than 8 calibration lines.
    """
    calibration = _calibration(kspace, mask, acs)
    kernel = min(kernel, (calibration.shape[-1] + 2) // 3)
    shape = tuple(kspace.shape[1:])
    if cache is None:
        return _espirit(calibration, shape, kernel, threshold, crop).to(kspace.device)
    key = hashlib.sha256(repr((_CACHE_VERSION, shape, calibration.shape, kernel, threshold, crop)).encode())
    key.update(np.ascontiguousarray(calibration).tobytes())
    path = Path(cache) / f"espirit-{key.hexdigest()}.npy"
    maps = _read_cached(path, (1, *shape))
    if maps is None:
        maps = _espirit(calibration, shape, kernel, threshold, crop)
        _write_cached(path, maps)
    return maps.to(kspace.device)


def low_resolution(kspace: Tensor, mask: Tensor, maps: Tensor | None = None) -> Tensor:
    """The coil-combined image of the calibration region alone, Hamming-apodised: (1, 1, h, w) complex64.

    With maps (1, coil, h, w) the coils are combined by them; without, by root-sum-of-squares, with the phase of the
    principal component of the coils. Intensities are those of the full-resolution image, blurred. Raises InputError
    when the centre of k-space is not sampled.
    """
    rows, columns = _region(kspace, mask)
    window = torch.zeros(kspace.shape[-2:], device=kspace.device)
    window[rows, columns] = (_hamming(rows)[:, None] * _hamming(columns)).to(kspace.device)
    coils = ifft2c(kspace * window)
    if maps is not None:
        return (maps.conj() * coils).sum(dim=1, keepdim=True)
    principal = torch.from_numpy(_principal_axes(kspace[0, :, rows, columns].cpu().numpy())[:, :1]).to(coils.device)
    reference = torch.einsum("bchw,co->bohw", coils, principal.conj())
    return torch.polar(coils.abs().square().sum(dim=1, keepdim=True).sqrt(), reference.angle())


def calibration_scale(kspace: Tensor, mask: Tensor, maps: Tensor | None = None, *, quantile: float = 0.99) -> float:
    """The scale of the image: a quantile of the calibration image's magnitude inside the support of the maps.

    It needs the calibration region only, so that it is the same for any undersampling around it. Blur
    lowers bright details, so it is below the quantile of the full image: on a 96 x 96 brain 0.83, 0.80, 0.69 and 0.57
    of it from 32, 24, 13 and 8 lines.
    """
    magnitude = low_resolution(kspace, mask, maps).abs()
    inside = magnitude.flatten() if maps is None else magnitude[(maps != 0).any(dim=1, keepdim=True)]
    if inside.numel() == 0 or not inside.any():
        raise InputError(
            "The calibration image is zero inside the coil maps, so the scan has no scale; check that the maps belong to it."
        )
    return float(np.quantile(inside.cpu().numpy(), quantile))


def simulated_maps(coils: int, shape: tuple[int, int], *, generator: torch.Generator) -> Tensor:
    """Smooth maps (1, coil, h, w) complex64 of a ring of coils turned by a random angle, unit root-sum-of-squares.

    sigpy's birdcage model on a square around the matrix; each coil has a random constant phase.
    """
    from sigpy.mri import birdcage_maps

    phases = torch.rand(coils + 1, generator=generator, dtype=torch.float64) * 2 * torch.pi
    if coils == 1:
        return torch.ones(1, 1, *shape, dtype=torch.complex64)
    radius = 1.2 + 0.6 * float(torch.rand((), generator=generator))
    maps = torch.from_numpy(birdcage_maps((coils, *shape), r=radius))
    maps = maps * torch.exp(1j * phases[1:])[:, None, None]
    return (maps / maps.abs().square().sum(dim=0).sqrt())[None].to(torch.complex64)


def _region(kspace: Tensor, mask: Tensor) -> tuple[slice, slice]:
    """The calibration region of a mask in k-space: all rows for a mask along one axis."""
    rows, columns = calibration_region(mask)
    if columns.stop == columns.start or rows.stop == rows.start:
        raise InputError("The centre of k-space is not sampled, so there are no calibration lines; give maps with --maps FILE.")
    return (slice(0, kspace.shape[-2]) if mask.shape[0] == 1 else rows), columns


def _calibration(kspace: Tensor, mask: Tensor | None, acs: Width | None) -> np.ndarray:
    """The central square (coil, n, n) of the calibration region."""
    if mask is None:
        mask = (kspace != 0).any(dim=1)[0].float()
    rows, columns = _region(kspace, mask)
    asked = (_MAX_WIDTH,) * 2 if acs is None else (acs if isinstance(acs, tuple) else (_MAX_WIDTH, acs))
    width = min(_MAX_WIDTH, rows.stop - rows.start, columns.stop - columns.start, *asked)
    if width < _MIN_WIDTH:
        raise InputError(f"ESPIRiT needs {_MIN_WIDTH} calibration lines but finds {width}; give coil maps with --maps FILE.")
    square = kspace[0, :, _middle(rows, kspace.shape[-2], width), _middle(columns, kspace.shape[-1], width)].detach()
    square = square.to("cpu", torch.complex64).numpy()
    if not np.isfinite(square).all() or not square.any():
        raise InputError("The calibration region holds no signal or values that are not finite; give coil maps with --maps FILE.")
    return square


def _middle(region: slice, size: int, width: int) -> slice:
    """`width` lines of a region, as near the origin of k-space as the region allows."""
    start = min(max(size // 2 - width // 2, region.start), region.stop - width)
    return slice(start, start + width)


def _espirit(calibration: np.ndarray, shape: tuple[int, int, int], kernel: int, threshold: float, crop: float) -> Tensor:
    from sigpy.mri.app import EspiritCalib

    # ESPIRiT commutes with a rotation of the coils, and sigpy refers the phase to its first coil. So: rotate to the
    # principal axes, whose first is the virtual reference coil, and back. A dead first coil then does no harm either.
    axes = _principal_axes(calibration)
    width = calibration.shape[-1]
    kspace = np.zeros(shape, dtype=np.complex64)
    rows, columns = (slice(n // 2 - width // 2, n // 2 - width // 2 + width) for n in shape[1:])
    kspace[:, rows, columns] = np.einsum("cyx,cv->vyx", calibration, axes.conj())
    app = EspiritCalib(kspace, calib_width=width, thresh=threshold, kernel_width=kernel, crop=crop, show_pbar=False)
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 where the reference coil is exactly 0
        virtual = np.nan_to_num(app.run(), posinf=0, neginf=0)
    maps = np.einsum("vyx,cv->cyx", virtual, axes)
    norm = np.sqrt((np.abs(maps) ** 2).sum(axis=0))
    if not norm.any():
        raise InputError(f"ESPIRiT finds no object in the {width} calibration lines: they are too few or too noisy; "
                         "lower `crop` or give coil maps with --maps FILE.")  # fmt: skip
    maps = np.where(norm > 0, maps / np.where(norm > 0, norm, 1), 0).astype(np.complex64)
    return torch.from_numpy(maps)[None]


def _principal_axes(calibration: np.ndarray) -> np.ndarray:
    """Unitary (coil, virtual coil), by falling energy; the strongest coil's entry is real, to fix the phase."""
    samples = calibration.reshape(len(calibration), -1)
    axes = np.linalg.eigh(samples @ samples.conj().T)[1][:, ::-1]
    first = axes[np.argmax(np.abs(axes), axis=0), np.arange(len(axes))]
    return (axes * (first.conj() / np.abs(first))).astype(np.complex64)


def _hamming(lines: slice) -> Tensor:
    """A Hamming window over the lines, 1 in the middle: rings less than none, blurs less than Hann."""
    return torch.hamming_window(lines.stop - lines.start, periodic=False)


def _read_cached(path: Path, shape: tuple[int, ...]) -> Tensor | None:
    """The maps in a cache file, or None where it is missing, damaged or of another kind."""
    try:
        maps = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(maps, np.ndarray) or maps.shape != shape or maps.dtype != np.complex64 or not np.isfinite(maps).all():
        return None
    return torch.from_numpy(maps)


def _write_cached(path: Path, maps: Tensor) -> None:
    """Written aside, then renamed: a reader sees all of it or nothing, and several writers do no harm.

    Where nothing can be written (a read-only home, a full disk) nothing is kept: the next run takes longer, that is all.
    """
    aside = path.with_name(f"{path.stem}.{os.getpid()}.part")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                np.save(file, maps.numpy())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
