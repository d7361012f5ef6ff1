"""Coil sensitivities: estimated from the calibration region of a scan, or simulated."""

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..fft import fft2c, ifft2c
from ..files import write_file
from ..solvers import cg
from .sampling import Width, calibration_region

_MAX_WIDTH = 32  # calibration lines used at most: more cost time and change little
_MIN_WIDTH = 8  # calibration lines: below, even a 3 x 3 kernel has too few positions to tell signal from the rest
_UNFOLDED, _STEPS, _REGULARISATION = 24, 20, 1e-3  # central lines of the image by SENSE, steps to it and their damping
_CACHE_VERSION = 2  # raise when the maps of the same samples change
_BLOCK_BYTES = 2**21  # pixels' operators in memory at once on a CPU: about the size of its cache
_BLOCK_BYTES_GPU = 2**28


def espirit(
    kspace: Tensor,
    *,
    mask: Tensor | None = None,
    acs: Width | None = None,
    kernel: int = 6,
    threshold: float = 0.02,
    crop: float = 0.8,
    sets: int = 1,
    cache: Path | None = None,
) -> Tensor:
    """Coil maps (set, coil, h, w) complex64 by ESPIRiT, from the calibration region of the scan and nothing else.

    Uecker et al., MRM 71:990-1001, 2014. One set is what an image needs, unless the field of view is smaller than the
    object: where it wraps, two places share a pixel, the second eigenvalue is near 1 as well, and `sets` = 2 gives a
    second set, which is zero elsewhere. kspace: (1, coil, h, w); the calibration region
    is the fully sampled centre of `mask` (by default where kspace is not zero), no wider than `acs`, of which the
    central square of at most 32 lines is used. `kernel` is the widest kernel: n < 16 lines have too few positions for
    one of 6, which would empty the support, so it is narrowed to (n + 2) // 3. `threshold` cuts the singular values
    of the calibration matrix, `crop` the eigenvalues that make the support. Computed where kspace lies.

    The maps have unit root-sum-of-squares inside the support and are exactly 0 outside. Their phase is that of a
    virtual coil, the principal component of the calibration data, which is far from zero inside most objects, so
    that the combined image has a smooth phase. Where there are two sets any two vectors of their plane would do: the
    first is the one nearest to the virtual coil, so that it varies smoothly, the second is orthogonal to it. With
    `cache`, a folder, maps are stored in it by a hash of the calibration samples and settings. A single coil with fewer
    than 8 calibration lines has the map 1 everywhere. Raises InputError for several coils with fewer than 8.
    """
    if kspace.shape[1] == 1 and _calibration_lines(kspace, mask, acs) < _MIN_WIDTH:
        ones = torch.ones(kspace.shape, dtype=torch.complex64, device=kspace.device)
        return torch.cat([ones, *[torch.zeros_like(ones)] * (sets - 1)])
    calibration = _calibration(kspace, mask, acs)
    kernel = min(kernel, (calibration.shape[-1] + 2) // 3)
    coils, height, width = kspace.shape[1:]
    shape = (coils, height, width)
    if cache is None:
        return _espirit(calibration, shape, kernel, threshold, crop, sets, kspace.device)
    key = hashlib.sha256(repr((_CACHE_VERSION, shape, calibration.shape, kernel, threshold, crop, sets)).encode())
    key.update(calibration.numpy().tobytes())
    path = Path(cache) / f"espirit-{key.hexdigest()}.npy"
    maps = _read_cached(path, (sets, *shape))
    if maps is None:
        maps = _espirit(calibration, shape, kernel, threshold, crop, sets, kspace.device)
        _write_cached(path, maps)
    return maps.to(kspace.device)


def low_resolution(kspace: Tensor, mask: Tensor, maps: Tensor | None = None) -> Tensor:
    """The coil-combined image of the calibration region alone, Hamming-apodised: (1, set, h, w) complex64.

    With maps (set, coil, h, w) the coils are combined by each set; without, by root-sum-of-squares, with the phase of the
    principal component of the coils. Intensities are those of the full-resolution image, blurred. Raises InputError
    when the centre of k-space is not sampled.
    """
    rows, columns = _region(kspace, mask)
    window = torch.zeros(kspace.shape[-2:], device=kspace.device)
    window[rows, columns] = (_hamming(rows)[:, None] * _hamming(columns)).to(kspace.device)
    coils = ifft2c(kspace * window)
    if maps is not None:
        return _combined(maps, coils)
    reference = torch.einsum("bchw,c->bhw", coils, principal_coil(kspace[0, :, rows, columns]).conj())[:, None]
    return torch.polar(coils.abs().square().sum(dim=1, keepdim=True).sqrt(), reference.angle())


def calibration_scale(kspace: Tensor, mask: Tensor, maps: Tensor | None = None, *, quantile: float = 0.99) -> float:
    """The scale of the image: a quantile of the calibration image's magnitude inside the support of the maps.

    It needs the calibration region only, so that it is the same for any undersampling around it. Blur
    lowers bright details, so it is below the quantile of the full image: on a 96 x 96 brain 0.83, 0.80, 0.69 and 0.57
    of it from 32, 24, 13 and 8 lines. Where the scan has fewer than 8 lines, and its maps come from elsewhere, the maps tell
    what 24 lines would show.
    """
    if maps is not None and _calibration_lines(kspace, mask, None) < _MIN_WIDTH:
        magnitude = _unfolded(kspace, mask, maps).abs()
    else:
        magnitude = low_resolution(kspace, mask, maps).abs()
    inside = magnitude.flatten() if maps is None else magnitude[(maps != 0).any(dim=1)[None]]
    if inside.numel() == 0 or not inside.any():
        raise InputError(
            "The calibration image is zero inside the coil maps, so the scan has no scale; check that the maps belong to it."
        )
    return float(np.quantile(inside.cpu().numpy(), quantile))


def _unfolded(kspace: Tensor, mask: Tensor, maps: Tensor) -> Tensor:
    """(1, set, h, w): the image of the central lines as SENSE finds it by least squares, Hamming-apodised."""
    sampled = (mask > 0).to(kspace.real.dtype)

    def adjoint(k: Tensor) -> Tensor:
        return _combined(maps, ifft2c(k))

    def normal(x: Tensor) -> Tensor:
        return adjoint(sampled * fft2c(torch.einsum("schw,bshw->bchw", maps, x))) + _REGULARISATION * x

    image = cg(normal, adjoint(sampled * kspace), max_steps=_STEPS)
    window = torch.zeros(kspace.shape[-2:], device=kspace.device)
    rows, columns = (slice(n // 2 - min(_UNFOLDED, n) // 2, n // 2 - min(_UNFOLDED, n) // 2 + min(_UNFOLDED, n))
                     for n in kspace.shape[-2:])
    rows = slice(0, kspace.shape[-2]) if mask.shape[0] == 1 else rows
    window[rows, columns] = (_hamming(rows)[:, None] * _hamming(columns)).to(kspace.device)
    return ifft2c(fft2c(image) * window)


def _combined(maps: Tensor, coils: Tensor) -> Tensor:
    """Coil images (1, coil, h, w) combined by maps (set, coil, h, w): (1, set, h, w)."""
    return (maps.conj() * coils).sum(1)[None]


def simulated_maps(coils: int, shape: tuple[int, int], *, generator: torch.Generator) -> Tensor:
    """Smooth maps (1, coil, h, w) complex64 of a ring of coils turned by a random angle, unit root-sum-of-squares.

    The birdcage model of sigpy on a square around the matrix; each coil has a random constant phase.
    """
    phases = torch.rand(coils + 1, generator=generator, dtype=torch.float64) * 2 * torch.pi
    if coils == 1:
        return torch.ones(1, 1, *shape, dtype=torch.complex64)
    radius = 1.2 + 0.6 * float(torch.rand((), generator=generator))
    angles = torch.arange(coils, dtype=torch.float64)[:, None, None] * (2 * torch.pi / coils)
    rows, columns = (torch.arange(size, dtype=torch.float64) / (size / 2) - 1 for size in shape)
    right, down = columns - radius * angles.cos(), rows[:, None] - radius * angles.sin()  # from each coil to each pixel
    magnitudes = 1 / torch.hypot(right, down)
    magnitudes = magnitudes / magnitudes.square().sum(dim=0).sqrt()
    return torch.polar(magnitudes, torch.atan2(right, -down) - angles + phases[1:, None, None])[None].to(torch.complex64)


def _region(kspace: Tensor, mask: Tensor) -> tuple[slice, slice]:
    """The calibration region of a mask in k-space: all rows for a mask along one axis."""
    rows, columns = calibration_region(mask)
    if columns.stop == columns.start or rows.stop == rows.start:
        raise InputError("The centre of k-space is not sampled, so there are no calibration lines; give coil maps by `maps`.")
    return (slice(0, kspace.shape[-2]) if mask.shape[0] == 1 else rows), columns


def _calibration_lines(kspace: Tensor, mask: Tensor | None, acs: Width | None) -> int:
    """The calibration lines that there are, along both axes; 0 where the centre of k-space is not sampled."""
    if mask is None:
        mask = (kspace != 0).any(dim=1)[0].float()
    rows, columns = calibration_region(mask)
    if columns.stop == columns.start or rows.stop == rows.start:
        return 0
    asked = (_MAX_WIDTH,) * 2 if acs is None else (acs if isinstance(acs, tuple) else (_MAX_WIDTH, acs))
    height = kspace.shape[-2] if mask.shape[0] == 1 else rows.stop - rows.start
    return min(_MAX_WIDTH, height, columns.stop - columns.start, *asked)


def _calibration(kspace: Tensor, mask: Tensor | None, acs: Width | None) -> Tensor:
    """The central square (coil, n, n) complex64 of the calibration region, on the CPU."""
    if mask is None:
        mask = (kspace != 0).any(dim=1)[0].float()
    rows, columns = _region(kspace, mask)
    width = _calibration_lines(kspace, mask, acs)
    if width < _MIN_WIDTH:
        raise InputError(f"ESPIRiT needs {_MIN_WIDTH} calibration lines but finds {width}; give coil maps by `maps`.")
    square = kspace[0, :, _nearest_to_origin(rows, kspace.shape[-2], width),
                    _nearest_to_origin(columns, kspace.shape[-1], width)].detach()
    square = square.to("cpu", torch.complex64).contiguous()
    if not square.isfinite().all() or not square.any():
        raise InputError("The calibration region holds no signal or values that are not finite; give coil maps by `maps`.")
    return square


def _nearest_to_origin(region: slice, size: int, width: int) -> slice:
    """`width` lines of a region, as near the origin of k-space as the region allows."""
    start = min(max(size // 2 - width // 2, region.start), region.stop - width)
    return slice(start, start + width)


def _espirit(calibration: Tensor, shape: tuple[int, int, int], kernel: int, threshold: float, crop: float, sets: int,
             device: torch.device) -> Tensor:
    """Maps (set, coil, h, w): the eigenvectors of G to its largest eigenvalues, as far as these are above `crop`."""
    coils, height, width = shape
    samples = torch.view_as_real(_coarse_operator(calibration, kernel, threshold)).flatten(2).to(device)
    nodes = len(samples)
    vertical, horizontal = _interpolation(height, nodes).to(device), _interpolation(width, nodes).to(device)
    maps = torch.empty(height, width, sets, coils, dtype=torch.complex64, device=device)
    inside = torch.empty(height, width, sets, dtype=torch.bool, device=device)
    step = max(1, (_BLOCK_BYTES if device.type == "cpu" else _BLOCK_BYTES_GPU) // (8 * coils**2 * width))
    for rows in (slice(i, i + step) for i in range(0, height, step)):
        lines = (vertical[rows] @ samples.flatten(1)).reshape(-1, nodes, 2 * coils * coils)
        operators = torch.view_as_complex((horizontal @ lines).reshape(-1, coils, coils, 2))
        for k in range(sets):
            vectors, eigenvalues = _dominant(operators)
            for other in maps[rows, :, :k].flatten(0, 1).unbind(1):  # two equal eigenvalues leave a little of one in the other
                vectors = vectors - other * (other.conj() * vectors).sum(1, keepdim=True)
            vectors = vectors / _norm(vectors)[:, None].clamp(min=torch.finfo(torch.float32).tiny)
            maps[rows, :, k] = vectors.reshape(-1, width, coils)
            inside[rows, :, k] = (eigenvalues > crop).reshape(-1, width)
            operators = operators - eigenvalues[:, None, None] * vectors[:, :, None] * vectors[:, None].conj()
    if not inside[..., 0].any():
        raise InputError(f"ESPIRiT finds no object in the {calibration.shape[-1]} calibration lines: they are too few or too "
                         "noisy; lower `crop` or give coil maps by `maps`.")
    maps = torch.where(inside[..., None], maps, 0)
    reference = principal_coils(calibration, sets).to(device)
    if sets > 1:
        maps = _turned(maps, reference[0])
    phase = torch.einsum("hwsc,sc->hws", maps, reference.conj()).conj().sgn()
    return (maps * phase[..., None]).permute(2, 3, 0, 1).contiguous()


def _turned(maps: Tensor, reference: Tensor) -> Tensor:
    """Maps (h, w, set, coil) turned within the plane of the first two, where both are there: the first towards `reference`."""
    share = torch.einsum("hwsc,c->hws", maps[:, :, :2].conj(), reference)
    length = torch.linalg.vector_norm(share, dim=-1, keepdim=True)
    both = (maps[:, :, 1] != 0).any(-1, keepdim=True) & (length > 0)
    a, b = (share / length.where(length > 0, 1.0)).unbind(-1)
    first = a[..., None] * maps[:, :, 0] + b[..., None] * maps[:, :, 1]
    second = b.conj()[..., None] * maps[:, :, 0] - a.conj()[..., None] * maps[:, :, 1]
    turned = [torch.where(both, first, maps[:, :, 0]), torch.where(both, second, maps[:, :, 1])]
    return torch.stack([*turned, *maps[:, :, 2:].unbind(2)], 2)


def _coarse_operator(calibration: Tensor, kernel: int, threshold: float) -> Tensor:
    """Samples (m, m, coil, coil) of G on m = 2 kernel - 1 equispaced positions along each axis.

    The rows of the calibration matrix are its patches; kernels are its right singular vectors above the threshold. Their
    Fourier transforms f_k give G(r) = sum_k f_k(r) f_k(r)^H / kernel^2, the operator of the paper's eigenvalue equation
    G s = s for the sensitivities s at r. Two transforms of `kernel` coefficients multiply to one of 2 kernel - 1, so these
    few samples hold all of G, and no kernel is ever transformed at the size of the image.
    """
    patches = calibration.unfold(1, kernel, 1).unfold(2, kernel, 1).permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)
    _, s, Vh = torch.linalg.svd(patches, full_matrices=False)
    kernels = Vh[s > threshold * s[0]].reshape(-1, len(calibration), kernel, kernel)
    nodes = 2 * kernel - 1
    f = torch.fft.ifft2(kernels, s=(nodes, nodes), norm="forward").permute(2, 3, 1, 0)
    return f @ f.mH / kernel**2


def _interpolation(size: int, nodes: int) -> Tensor:
    """(size, nodes) real: from equispaced samples of a trigonometric polynomial to its values along a centred axis.

    Exact when it has no more than `nodes` (odd) coefficients.
    """
    turns = (torch.arange(size, dtype=torch.float64) - size // 2)[:, None] / size - torch.arange(nodes) / nodes
    lags = torch.arange(-(nodes // 2), nodes // 2 + 1)
    return torch.cos(2 * torch.pi * turns[..., None] * lags).mean(-1).float()


def _dominant(G: Tensor) -> tuple[Tensor, Tensor]:
    """Unit eigenvectors (n, coil) to the largest eigenvalues (n,) of Hermitian G (n, coil, coil) >= 0, all at once.

    Power iteration: five squarings and six products, as good as 192 plain steps. Starting from the longest column, of
    G^32, it cannot start orthogonal to what it looks for.
    """
    power = G
    for _ in range(5):
        power = power @ power
    weights = power.diagonal(dim1=1, dim2=2).real
    longest = power[torch.arange(len(power), device=G.device), :, weights.argmax(1), None]
    trace = weights.sum(1)[:, None, None].clamp(min=torch.finfo(weights.dtype).tiny)  # near the largest eigenvalue of G^32
    v = longest / trace
    for _ in range(5):
        v = (power @ v) / trace
    image = (G @ v)[..., 0]
    length = _norm(image)
    return image / length[:, None], length / _norm(v[..., 0])


def _norm(v: Tensor) -> Tensor:
    """Length of each row (torch's own norm of complex rows takes several times as long)."""
    return torch.linalg.vector_norm(torch.view_as_real(v).flatten(1), dim=1)


def principal_coil(samples: Tensor) -> Tensor:
    """(coil,): unit weights of the virtual coil with the most energy; the strongest coil's is real, to fix the phase."""
    return principal_coils(samples, 1)[0]


def principal_coils(samples: Tensor, count: int) -> Tensor:
    """(count, coil): unit weights of the orthogonal virtual coils with the most energy, phases as `principal_coil` has them."""
    samples = samples.flatten(1)
    weights = torch.linalg.eigh(samples @ samples.mH)[1].flip(-1)[:, :count].T
    strongest = weights.gather(1, weights.abs().argmax(1, keepdim=True))
    return weights * strongest.conj().sgn()


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
    """Stores maps; several runs may do so at once.

    Where nothing can be written (a read-only home, a full disk) nothing is stored, and the next run computes them again.
    """
    with suppress(InputError):
        write_file(path, lambda file: np.save(file, maps.cpu().numpy()))
