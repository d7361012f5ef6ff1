"""A slice that was acquired along a trajectory, made ready to be restored."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..io import Scan
from ..io.kspace.coverage import Coverage
from ..mri import Sampling, calibration_width, covered, estimate_trajectory_noise, gridded_centre, prewhiten
from .maps import AllSamples, coil_maps
from .phase import known_phase
from .plan import Plan
from .prepared import Prepared
from .shared import in_phase
from .thermal import Whitened
from .weighted import weighted

LOST = 1e-3  # of the energy of the data, which virtual coils may leave out
OVER_NOISE = 1.02  # times the noise, below which a virtual coil holds none but noise


def prepare_along(scan: Scan, maps: Tensor | None, notes: tuple[str, ...], plan: Plan, *, cache: Path | None,
                  device: torch.device | str, noise: tuple[float, str] | None = None,
                  reference: Tensor | None = None) -> Prepared:
    """Whitens, estimates noise, leaves out empty virtual coils, and estimates coil maps from the centre of k-space, regridded.

    Args:
        scan: its living coils.
        maps: (1, coil, h, w) given coil maps of these.
        noise, reference: as `prepare` has them; no reference where maps are given or coils were left out.
        notes: on the coils that were left out.

    Raises:
        InputError: software undersampling, no sample at the centre of k-space, maps of another shape, noise that cannot be
            estimated, or a phase that is asked for and cannot be held.
    """
    trajectory, shape = scan.trajectory, scan.shape
    assert trajectory is not None  # as `prepare` saw
    if plan.undersample is not None:
        raise InputError("software takes lines out of Cartesian scans alone, and this one was acquired along a trajectory; leave "
                         "`undersample` out")
    white = Whitened.of(scan, scan.kspace, maps, None)
    estimate = partial(estimate_trajectory_noise, white.kspace, trajectory, scan.mask)
    sigma, source = noise or white.noise_level(plan, estimate)
    white, said = virtual_coils(white, sigma)
    centre, inner = gridded_centre(white.kspace, trajectory, shape, scan.mask)
    mask = covered(trajectory, shape, scan.mask)
    sampling = Sampling(mask, "along a trajectory", float(mask.numel() / mask.sum()), calibration_width(inner), 0)
    measured = AllSamples(white.kspace, scan.mask, trajectory)
    found, told = coil_maps(replace(white, kspace=centre), replace(sampling, mask=inner), sigma, plan, cache=cache,
                            device=device, measured=measured)
    if reference is not None:
        found = in_phase(found, white.unmix, reference)
    sense, kspace = measured.encoding(found.to(device)), white.kspace.to(device)
    phase, held = known_phase(sense, (centre.to(device), inner.to(device)),
                              Coverage.of_points(trajectory, scan.mask, shape), plan)
    problem, form, source = weighted(sense, kspace, sigma, source, plan)
    return Prepared(problem, sense, kspace, sampling, source, white.gain(found).to(device), scan.crop, scan.reference, form,
                    (*scan.notes, *notes, *said, *told, *held), sampling.acceleration, phase, white.unmix)


def virtual_coils(white: Whitened, sigma: float) -> tuple[Whitened, tuple[str, ...]]:
    """The slice in as few virtual coils as hold its signal, by a rotation that keeps white noise white; and a note on it.

    Buehrer et al., MRM 57:1131, 2007. Each coil takes two transforms of twice the side in every step of a data step.
    """
    samples = white.kspace[0].flatten(1).to(torch.complex128)
    power, axes = torch.linalg.eigh(samples @ samples.mH)
    power, axes = power.flip(0).clamp(min=0), axes.flip(1)
    taken = int((samples != 0).any(0).sum())
    left = power.flip(0).cumsum(0).flip(0) / power.sum()
    needed = (left > LOST) & (power > OVER_NOISE * 2 * sigma**2 * taken)
    count = max(1, int(needed.sum()))
    if count == len(power):
        return white, ()
    rotation = axes[:, :count].mH
    return (
        Whitened(prewhiten(white.kspace, rotation), None if white.maps is None else prewhiten(white.maps, rotation), None,
                 white.unmix @ rotation.mH.to(white.unmix), white.sigma),
        (f"{len(power)} coils are taken together to {count} virtual ones; the others hold less than {LOST:.1%} of the energy, or "
         "nothing but noise.",),
    )
