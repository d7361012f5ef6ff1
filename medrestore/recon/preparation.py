"""A slice of a scan made ready to be restored: undersampled, whitened, with coil maps, noise and the form of its operator."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..baselines import rss
from ..errors import InputError
from ..io import Scan
from ..io.kspace.coverage import Coverage
from ..io.kspace.plausible import is_noise
from ..mri import Sampling, calibration_width, estimate_noise, fastmri_seed, sampling_mask
from ..operators import Crop, encoding
from .along import prepare_along
from .maps import coil_maps, living, separate_calibration
from .phase import known_phase
from .plan import Plan
from .prepared import Prepared
from .shared import in_phase
from .thermal import Whitened
from .weighted import weighted

FASTMRI_KINDS = ("random", "equispaced", "equispaced_fraction", "magic", "magic_fraction")
NOISE_ALONE = ("There is no more signal at the centre of k-space than elsewhere, as in noise alone: do not trust the image.",)


def prepare(scan: Scan, plan: Plan, *, file_name: str = "scan", maps: Tensor | None = None, cache: Path | None = None,
            device: torch.device | str = "cpu", reference: Tensor | None = None,
            noise: tuple[float, str] | None = None) -> Prepared:
    """Undersamples, prewhitens, estimates coil maps and noise: from the sampled data alone.

    Everything after the first line sees only what an accelerated scan would have acquired, so a prospective scan and
    the same scan undersampled here give the same image.

    Args:
        file_name: what fastMRI's masks take their seed from.
        maps: (set, coil, h, w) given coil maps; None estimates them by ESPIRiT, cached under `cache`.
        reference: (coil,) weights of a virtual coil that sets the phase of estimated maps, for slices of a volume; None for the
            strongest of this slice.
        noise: std of every real number of the noise and its source in words, where frames of a series have told it.

    Raises:
        InputError: nothing was sampled, no calibration lines, maps of the wrong shape, noise that cannot be estimated.
    """
    check_sampled(scan)
    whole, estimated = scan, maps is None
    scan, maps, notes = living(scan, maps)
    reference = reference if estimated and scan.kspace.shape == whole.kspace.shape else None
    if scan.trajectory is not None:
        return prepare_along(scan, maps, notes, plan, cache=cache, device=device, noise=noise, reference=reference)
    shown = _reference(whole, plan)
    notes += NOISE_ALONE if is_noise(scan.kspace[0]) else ()
    kspace, sampling = _undersample(scan, plan, file_name)
    white = Whitened.of(scan, kspace, maps, separate_calibration(scan, sampling))
    sigma, source = noise or white.noise_level(plan, partial(estimate_noise, white.kspace, sampling.mask))
    maps, said = coil_maps(white, sampling, sigma, plan, cache=cache, device=device)
    if reference is not None:
        maps = in_phase(maps, white.unmix, reference)
    sense, kspace = encoding(maps.to(device), sampling.mask.to(device)), white.kspace.to(device)
    phase, held = known_phase(sense, (kspace, sense.mask), Coverage.of(scan.mask), plan)
    problem, form, source = weighted(sense, kspace, sigma, source, plan, exact=phase is None)
    return Prepared(problem, sense, kspace, sampling, source, white.gain(maps).to(device), scan.crop, shown, form,
                    (*scan.notes, *notes, *said, *held), float(scan.mask.numel() / scan.mask.sum()), phase,
                    white.unmix)


def is_empty(scan: Scan) -> bool:
    """Whether a slice holds nothing: padded, or lost in transfer."""
    return not bool(scan.kspace.any())


def check_sampled(scan: Scan) -> None:
    """Refuses a slice of which nothing was measured.

    Raises:
        InputError: what is missing.
    """
    if not bool(scan.mask.any()):
        raise InputError(f"the mask of slice {scan.index} marks no line as sampled; correct the mask, "
                         "or leave the slice out by `slices`")
    if is_empty(scan):
        raise InputError(f"the k-space of slice {scan.index} is zero everywhere; leave the slice out by `slices`")


def _reference(scan: Scan, plan: Plan) -> Tensor | None:
    """The stored reference, or root-sum-of-squares of a scan that was fully sampled before software took lines away."""
    if scan.reference is not None or plan.undersample is None or not bool(scan.mask.all()):
        return scan.reference
    image = rss(scan.kspace)[0, 0]
    height, width = image.shape
    return Crop((height, width), scan.crop)(image)


def _undersample(scan: Scan, plan: Plan, file_name: str) -> tuple[Tensor, Sampling]:
    if plan.undersample is None:
        width = calibration_width(scan.mask)
        return scan.kspace, Sampling(scan.mask, "as acquired", float(scan.mask.numel() / scan.mask.sum()), width, 0)
    asked = plan.undersample
    seed = fastmri_seed(file_name) if asked.kind in FASTMRI_KINDS else plan.seed
    shape = (scan.kspace.shape[-2], scan.kspace.shape[-1])
    drawn = sampling_mask(asked.kind, shape, asked.accel, acs=asked.acs, seed=seed)
    mask = drawn.mask * scan.mask
    if not mask.any():
        raise InputError("nothing is left of the scan after undersampling; it was undersampled before")
    realised = Sampling(mask, drawn.kind, float(mask.numel() / mask.sum()), calibration_width(mask), drawn.seed)
    return scan.kspace * mask, realised
