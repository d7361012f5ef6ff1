"""One slice of a scan in, one image out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..baselines import Baseline, CGSense, ZeroFilled, rss
from ..consistency import relative_misfit, unexplained
from ..errors import InputError
from ..io import KSpaceFile, Scan, read_kspace
from ..io.kspace.base import sampled
from ..io.kspace.plausible import is_noise
from ..methods import METHODS, SCANS, serving
from ..methods.base import ProximalMethod
from ..metrics import Scores, fastmri_scores
from ..mri import (
    Sampling,
    calibration_width,
    dead_coils,
    espirit,
    estimate_noise,
    fastmri_seed,
    joint_maps,
    noise_covariance,
    noise_std,
    prewhiten,
    sampling_mask,
    whitening,
)
from ..operators import Crop, Sense
from ..priors import ByParts, Prior
from ..problem import Problem
from ..restoration import Restoration, check, image_size, padded_size, restore_all
from .data_step import DataStep, data_step, exact_gb, stopped_early
from .noise_model import UNSOLVED, noise_profile
from .plan import SLICE_SEEDS, Plan, Reading

CG_SENSE = CGSense(lam=0.01)  # the baseline beside every reconstruction
FASTMRI_KINDS = ("random", "equispaced", "equispaced_fraction", "magic", "magic_fraction")
AXES = ("slice", "coil", "row", "col")  # of coil maps in files that do not say
ROUNDING = 1e-4  # of the data: what float32 leaves of k-space that the maps explain
RIGHT = 1.5  # times the noise: coil maps that leave no more unexplained are taken as right
NOISE_ALONE = ("There is no more signal at the centre of k-space than elsewhere, as in noise alone: do not trust the image.",)
WORST_MISFIT = 3.0  # times that of an empty image


@dataclass(frozen=True)
class Prepared:
    """A slice that is ready to be restored: the problem, and how its solution becomes the image that a scanner shows.

    Attributes:
        problem: prewhitened k-space under the SENSE model, its samples weighted where their noise differs; its operator is
            `sense` or an exact form of it, weighted alike.
        sense: the operator without weights, spectrum or resolvent.
        kspace: (1, coil, h, w) the data of `sense`: prewhitened, without weights.
        sampling: the realised mask.
        noise_source: where the noise level comes from, in words.
        gain: (1, 1, h, w), root-sum-of-squares of the coils before whitening: magnitude times gain is comparable to a
            root-sum-of-squares reference.
        crop: (h, w) of the image as shown.
        reference: (h, w) magnitude when the scan holds one or was undersampled in software, else None.
        data_step: the form of the operator that was chosen.
        acquired: acceleration of the scan itself, before software took samples away.
        notes: what was assumed or left out, one sentence each.
    """

    problem: Problem
    sense: Sense
    kspace: Tensor
    sampling: Sampling
    noise_source: str
    gain: Tensor
    crop: tuple[int, int]
    reference: Tensor | None
    data_step: DataStep
    notes: tuple[str, ...] = ()
    acquired: float = 1.0

    @property
    def acceleration(self) -> str:
        """The acceleration in words: of the whole, and what software and the scanner each have part in it."""
        total = f"{self.sampling.acceleration:.2f}x"
        if self.acquired == 1 or self.sampling.acceleration == self.acquired:
            return total
        return (f"{total}: {self.sampling.acceleration / self.acquired:.2f}x in software on top of the {self.acquired:.2f}x that "
                "the scan was acquired with")

    @cached_property
    def zero_filled(self) -> Tensor:
        """(1, 1, height, width) complex on the reconstruction grid, computed when it is first asked for."""
        return reconstructed(ZeroFilled(), self)

    @cached_property
    def cg_sense(self) -> Tensor:
        """(1, 1, height, width) complex on the reconstruction grid, computed when it is first asked for."""
        return reconstructed(CG_SENSE, self)

    def shown(self, image: Tensor) -> Tensor:
        """Complex (..., h, w) of the reconstruction grid to the image as shown, in units of the coils' root-sum-of-squares."""
        height, width = image.shape[-2:]
        inner = min(self.crop[0], height), min(self.crop[1], width)
        return Crop((height, width), inner)(self.gain.reshape(height, width) * image)


def prepare(scan: Scan, plan: Plan, *, file_name: str = "scan", maps: Tensor | None = None, cache: Path | None = None,
            device: torch.device | str = "cpu") -> Prepared:
    """Undersamples, prewhitens, estimates coil maps and noise: from the sampled data alone.

    Everything after the first line sees only what an accelerated scan would have acquired, so a prospective scan and
    the same scan undersampled here give the same image.

    Args:
        file_name: what fastMRI's masks take their seed from.
        maps: (1, coil, h, w) given coil maps; None estimates them by ESPIRiT, cached under `cache`.

    Raises:
        InputError: nothing was sampled, no calibration lines, maps of the wrong shape, noise that cannot be estimated.
    """
    check_sampled(scan)
    reference = _reference(scan, plan)
    scan, maps, notes = _living(scan, maps)
    notes += NOISE_ALONE if is_noise(scan.kspace[0]) else ()
    kspace, sampling = _undersample(scan, plan, file_name)
    calibration = _calibration(scan, sampling)
    unmix = torch.eye(kspace.shape[1], dtype=torch.complex64)
    if scan.noise is not None:
        covariance = noise_covariance(scan.noise)
        W = whitening(covariance)
        kspace, unmix = prewhiten(kspace, W), torch.linalg.inv(W).to(torch.complex64)
        maps = None if maps is None else prewhiten(maps, W)
        calibration = None if calibration is None else prewhiten(calibration, W)
        sigma, source = noise_std(covariance), "the noise scan"
    if plan.noise_std is not None:
        sigma, source = plan.noise_std, "given"
    elif scan.noise is None:
        estimate = estimate_noise(kspace, sampling.mask)
        sigma, source = estimate.std, estimate.source
    if maps is None:
        maps = espirit(kspace, mask=sampling.mask, cache=cache) if calibration is None else espirit(calibration, cache=cache)
    elif maps.shape != kspace.shape:
        raise InputError(f"the coil maps are {tuple(maps.shape[1:])} and the k-space is {tuple(kspace.shape[1:])} "
                         "(coil, height, width); give the maps of this scan")
    if plan.refine_maps:
        maps, said = _refined(kspace.to(device), sampling.mask.to(device), maps.to(device), sigma)
        notes += said
    norm = maps.abs().square().sum(1, keepdim=True).sqrt()
    maps = torch.where(norm > 0, maps / norm.where(norm > 0, 1.0), 0.0)
    gain = torch.einsum("cv,bvhw->bchw", unmix, maps).abs().square().sum(1, keepdim=True).sqrt()
    sense = Sense(maps.to(device), sampling.mask.to(device))
    problem, form, source = _weighted(sense, kspace.to(device), sigma, source, plan)
    return Prepared(problem, sense, kspace.to(device), sampling, source, gain.to(device), scan.crop, reference, form,
                    (*scan.notes, *notes), float(scan.mask.numel() / scan.mask.sum()))


def _refined(kspace: Tensor, mask: Tensor, maps: Tensor, sigma: float) -> tuple[Tensor, tuple[str, ...]]:
    """Maps estimated together with the image where the given ones leave more than the noise unexplained, and a note on it."""
    if kspace.shape[1] < 2:
        return maps.cpu(), ("The coil map was not refined: there is one coil.",)
    before = unexplained(Problem(Sense(maps, mask), kspace, sigma))
    if before <= RIGHT * sigma:
        return maps.cpu(), (f"The coil maps were not refined: they leave {before:.3g} unexplained, "
                            f"and the noise is {sigma:.3g}.",)
    refined = joint_maps(kspace, mask, maps)
    after = unexplained(Problem(Sense(refined, mask), kspace, sigma))
    if after >= before:
        return maps.cpu(), (f"The coil maps were not refined: together with the image they leave {after:.3g} unexplained, "
                            f"before {before:.3g}.",)
    return refined.cpu(), (f"The coil maps were estimated together with the image: they leave {after:.3g} unexplained, "
                           f"before {before:.3g}; the noise is {sigma:.3g}.",)


def _weighted(sense: Sense, kspace: Tensor, sigma: float, source: str, plan: Plan) -> tuple[Problem, DataStep, str]:
    """The problem with samples weighted by their noise, the form of its operator, and where the noise comes from, in words.

    A given noise level is held against what the coil maps leave unexplained, too: to fit the model's error costs up to 15 dB.
    """
    plain = Problem(sense, kspace, sigma)
    spectral = not plan.is_classical and plan.sampler.inverts()
    along_axis = spectral and sense.one_axis  # whose exact spectrum has one weight a line
    profile = None if _counts_steps(plan) else noise_profile(plain, along_axis=along_axis)
    if profile is not None:
        sense, sigma = replace(sense, mask=profile.weights), profile.sigma
    form = _data_step(sense, plan, noisy=sigma > 0)
    if profile is not None:
        source = (f"{source}, with what the coil maps leave unexplained {sigma:.3g} to {profile.largest:.3g} "
                  "from the edge of k-space to its centre")
        return Problem(form.operator, profile.weights * kspace, sigma), form, source
    problem: Problem = Problem(form.operator, kspace, sigma)
    left = unexplained(problem if sigma > 0 else plain)  # exact forms for data without noise drop weak singular values
    size = float(torch.linalg.vector_norm(kspace) / plain.count.sqrt())
    if left > max(sigma, size * (ROUNDING if sigma > 0 else UNSOLVED)):
        source = f"{source}, raised from {sigma:.3g} to what the coil maps leave unexplained"
        problem = replace(problem, sigma=left)
        if sigma == 0:  # the form is that of data with noise
            form = _data_step(sense, plan, noisy=True)
            problem = Problem(form.operator, kspace, left)
    return problem, form, source


def _counts_steps(plan: Plan) -> bool:
    """Whether the method takes a number of conjugate-gradient steps: too few for samples of very different weights.

    On a simulated scan at 4x with noise at 80 dB, weights of 1 to 29, 5 steps of DDS left 10.9 dB and 60 steps 26.4.
    """
    if plan.is_classical:
        return False
    method = plan.sampler
    return isinstance(method, ProximalMethod) and method.cg_steps is not None


def _data_step(sense: Sense, plan: Plan, *, noisy: bool) -> DataStep:
    """The form of the operator; a classical method takes the operator as it is."""
    if plan.is_classical:
        return DataStep(sense, "its own iterations", 0.0)
    return data_step(sense, plan.sampler, steps=plan.steps, samples=plan.samples, most_gb=plan.spectral_gb, noisy=noisy)


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


def _living(scan: Scan, maps: Tensor | None) -> tuple[Scan, Tensor | None, tuple[str, ...]]:
    """The scan and given maps without dead coils, and a note that names these."""
    dead = dead_coils(scan.kspace, scan.noise)
    if not bool(dead.any()) or bool(dead.all()) or (maps is not None and maps.shape != scan.kspace.shape):
        return scan, maps, ()
    numbers = torch.nonzero(dead).flatten().tolist()
    listed = f"{'coil' if len(numbers) == 1 else 'coils'} {', '.join(map(str, numbers))}"
    scan = replace(scan, kspace=scan.kspace[:, ~dead], noise=None if scan.noise is None else scan.noise[~dead],
                   calibration=None if scan.calibration is None else scan.calibration[:, ~dead])
    notes = (f"No signal or no noise comes from {listed} (counted from 0), left out.",)
    return scan, None if maps is None else maps[:, ~dead], notes


def _calibration(scan: Scan, sampling: Sampling) -> Tensor | None:
    """The separate calibration lines of a scan, where there are more of them than in the image's own centre; else None."""
    if scan.calibration is None:
        return None
    own, separate = (width if isinstance(width, int) else min(width)
                     for width in (sampling.acs, calibration_width(sampled(scan.calibration))))
    return scan.calibration if separate > own else None


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


@dataclass(frozen=True)
class Slice:
    """One reconstructed slice, all images as shown: cropped, in units of the coils' root-sum-of-squares.

    Attributes:
        image: (h, w) complex, the mean of the samples.
        samples: (sample, h, w) complex.
        std: (h, w) spread of the samples.
        reference: (h, w) or None.
        restoration: seeds, levels and misfit.
        prepared: what was restored.
    """

    image: Tensor
    samples: Tensor
    std: Tensor
    reference: Tensor | None
    restoration: Restoration
    prepared: Prepared

    @property
    def zero_filled(self) -> Tensor:
        """(h, w) complex, a baseline beside it."""
        return self.prepared.shown(self.prepared.zero_filled[0, 0]).cpu()

    @property
    def cg_sense(self) -> Tensor:
        """(h, w) complex, a baseline beside it."""
        return self.prepared.shown(self.prepared.cg_sense[0, 0]).cpu()


def restore_slice(prepared: Prepared, prior: Prior, plan: Plan, *, slice_index: int = 0,
                  on_step: Callable[[int, Tensor], None] | None = None) -> Slice:
    """Restores one prepared slice; see `restore_slices`."""
    (restored,) = restore_slices([prepared], prior, plan, numbers=[slice_index], on_step=on_step)
    return restored


def restore_slices(prepared: Sequence[Prepared], prior: Prior, plan: Plan, *, numbers: Sequence[int] | None = None,
                   batch_size: int | None = None, on_step: Callable[[int, Tensor], None] | None = None) -> list[Slice]:
    """Restores prepared slices, by a diffusion method with joint calls of the prior.

    Args:
        numbers: of the slices, which set the seeds of each apart; by default from 0.
        batch_size: samples, of whichever slices, drawn together at most; by default that of the plan.
        on_step: called with the number of the step and x (sample, channel, height, width) after it, for each batch.
    """
    numbers = range(len(prepared)) if numbers is None else numbers
    if plan.is_classical:
        return [_classical(*one, plan, on_step) for one in zip(prepared, numbers, strict=True)]
    method = stopped_early(plan.sampler, exact=all(one.problem.exact is True for one in prepared))
    results = restore_all(
        [one.problem for one in prepared], prior, method, levels=plan.levels(prior), samples=plan.samples,
        seeds=[plan.seed + SLICE_SEEDS * index for index in numbers],
        batch_size=plan.batch_size if batch_size is None else batch_size, on_step=on_step,
        starts=None if plan.start_sigma is None else [one.cg_sense for one in prepared], start_sigma=plan.start_sigma,
    )
    for index, one, result in zip(numbers, prepared, results, strict=True):
        _check_explained(one, result, index)
    return [_as_shown(*one) for one in zip(prepared, results, strict=True)]


def _classical(prepared: Prepared, number: int, plan: Plan, on_step: Callable[[int, Tensor], None] | None) -> Slice:
    """A slice by a method without a prior: one sample, with the seed that one of a diffusion method would have."""
    image = reconstructed(plan.baseline, prepared)
    if on_step is not None:
        on_step(0, image)
    seeds = (plan.seed + SLICE_SEEDS * number,)
    return _as_shown(prepared, Restoration(image, relative_misfit(prepared.problem, image), plan.baseline, (), seeds))


def reconstructed(baseline: Baseline, prepared: Prepared) -> Tensor:
    """(1, 1, height, width) complex by a classical method, on the reconstruction grid."""
    return baseline.reconstruct(prepared.kspace, prepared.sense.maps, prepared.sense.mask)


def _check_explained(prepared: Prepared, result: Restoration, index: int) -> None:
    """Refuses an image that explains the data far worse than none would: what a prior of another scale makes of them."""
    empty = max(1.0, float(relative_misfit(prepared.problem, torch.zeros_like(result.samples[:1])).max()))
    worst = float(result.misfit.max())
    if not worst <= WORST_MISFIT * empty:
        raise InputError(f"slice {index}: the image has a data misfit of {worst:.3g}, where an empty one has {empty:.3g}, so "
                         "nothing is written; the prior is of other images or another scale, or a hyper-parameter of the method "
                         "is far off: take another `prior`, or leave `options` at their defaults")


def _as_shown(prepared: Prepared, result: Restoration) -> Slice:
    """A restoration, cropped and in the units of the scanner's image."""

    def shown(image: Tensor) -> Tensor:
        return prepared.shown(image).cpu()

    return Slice(image=shown(result.mean[0]), samples=shown(result.samples[:, 0]), std=shown(result.std[0]),
                 reference=prepared.reference, restoration=result, prepared=prepared)


def check_plan(prepared: Prepared, prior: Prior, plan: Plan) -> None:
    """Refuses a method that the scan cannot serve and a prior that cannot see it.

    Raises:
        InputError: in one sentence, what does not fit and what would.
    """
    if plan.is_classical:
        return
    check_prior(prior.channels, "the prior", plan)
    plan.check_levels(prior)
    operator, method = prepared.problem.operator, plan.sampler
    if method.needs is not None and not isinstance(operator, method.needs):
        why = ("the mask undersamples both axes" if not prepared.sense.one_axis else
               f"that takes {exact_gb(prepared.sense):.2f} GiB, over the limit of `spectral_gb`, {plan.spectral_gb:g}")
        raise InputError(f"{type(method).__name__} needs the exact spectrum of the scan, and {why}; "
                         f"{serving(operator, use=SCANS)} would do")
    try:
        check(prepared.problem, method, prior, padded_size(prior, image_size(prepared.problem)))
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from error


def check_noise(prepared: Prepared, plan: Plan) -> None:
    """Refuses a method that takes noisy data as exact: it restores the noise, which the coils amplify, and fits it all the same.

    Raises:
        InputError: the method, and those that know the noise.
    """
    if plan.is_classical:
        return
    method = plan.sampler
    if method.exact and prepared.problem.exact is not True:
        raise InputError(f"{type(method).__name__} takes the data as free of noise, and these have noise of std "
                         f"{float(prepared.problem.sigma):.3g} ({prepared.noise_source}), which it would restore as image; "
                         f"take a `method` that knows the noise: {serving(prepared.problem.operator, noisy=True, use=SCANS)}")


def check_prior(channels: int, name: str, plan: Plan) -> None:
    """Refuses a prior that is not one of complex images, nor of real ones where the plan's method takes these apart."""
    if channels != 2 and not (channels == 1 and not plan.is_classical and METHODS[plan.method].by_parts):
        others = ", or one of real images with the `method` score-mri" if channels == 1 else ""
        raise InputError(f"{name} is a prior of {channels} channels, and a complex image needs one of two, real and imaginary; "
                         f"give another `prior`{others}")


def complex_prior(prior: Prior, plan: Plan) -> Prior:
    """The prior of complex images that a plan works with: of two channels, or by parts where its method takes that.

    Raises:
        InputError: it is neither.
    """
    if plan.is_classical:
        return prior
    check_prior(prior.channels, "the prior", plan)
    return ByParts(prior) if prior.channels == 1 else prior


@contextmanager
def open_scan(path: Path, plan: Plan, reading: Reading) -> Iterator[tuple[KSpaceFile, KSpaceFile | None]]:
    """The scan and, when the plan names one, the file of its coil maps."""
    with read_kspace(path, dataset=plan.dataset, axes=plan.axes, select=plan.select, uncentred=plan.uncentred,
                     noise_scan=plan.noise_scan, implausible=reading.implausible, max_gb=reading.max_gb) as scan:
        if plan.maps is None:
            yield scan, None
            return
        place = Path(plan.maps)
        stated = AXES if place.suffix.lower() in (".h5", ".hdf5", ".mat") else None
        with read_kspace(place, axes=stated, implausible=True, max_gb=reading.max_gb) as maps:
            if maps.shape != scan.shape:
                raise InputError(f"{place} holds maps of shape {maps.shape}, and {path} is {scan.shape} "
                                 "(slice, coil, height, width); give the maps of this scan")
            yield scan, maps


def score(prediction: list[Tensor], reference: list[Tensor], *, data_range: float | None = None) -> Scores:
    """The fastMRI protocol over the slices of a volume, from magnitudes (h, w)."""
    return fastmri_scores(torch.stack(prediction), torch.stack(reference), data_range=data_range)
