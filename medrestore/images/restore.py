"""Images in memory: the problem of each, its noise and scale, and samples of what it was."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..codecs import Padded
from ..consistency import relative_misfit
from ..errors import InputError
from ..methods import IMAGES, serving
from ..noise import Noise
from ..operators import LocalOperator, Mask, Operator, PseudoInvertible
from ..priors import Prior
from ..priors.latent import LatentPrior, SuperResolutionPrior, channels_of
from ..problem import Problem, check_data
from ..restoration import padded_size
from ..sampling import check_needs, in_batches, sample
from ..tiling import hierarchical
from .codes import as_seen, check_image_prior, coarse_image, images_of_codes
from .coordinates import Coordinates, coordinates, white_value
from .degradation import Degradation
from .noise import can_be_estimated, estimated, is_blurred, is_compressed, is_phaseless, rounding
from .operators import DegradationFiles, Size, image_channels, operator_of, size_before
from .plan import Plan, window_of
from .steps import Pixels, Walsh

NONE, FAINT = (
    1e-4,
    1e-3,
)  # noise, of the span from black to white: what counts as none, and the least behind a blur
FEW = 0.1  # of the values: between 5 %, with which slices come out poor, and 25 %, with which well (docs/images.md)
WHITE = 3.0  # times the root mean square of an image of which no value is known: 2.6 to 4.2 in axial slices of four heads
SLICE_SEEDS = 100_000  # seeds set apart for the samples of one slice


@dataclass(frozen=True)
class Measured:
    """Degraded images of one file.

    Attributes:
        y: (slice, channel, height, width) float32 or complex64, in the units of the file.
        step: by how much values that the file can hold differ; None where it holds floats.
        bytes: whether they are 8-bit grey levels, 0 to 255.
        name: of the file, for messages.
    """

    y: Tensor
    step: float | None = None
    bytes: bool = False
    name: str = "the image"


@dataclass(frozen=True)
class Setting:
    """What the images of a file share.

    Attributes:
        degradation, files: what was done to them.
        size, channels: of the images that are restored.
        sigma: noise of the data, in the units of the file; `noise_source` says where it is from.
        interval: black and white, in the units of the file.
        coordinates: how the prior sees them.
    """

    degradation: Degradation
    files: DegradationFiles
    size: Size
    channels: int
    sigma: float
    noise_source: str
    interval: tuple[float, float]
    coordinates: Coordinates

    @property
    def notes(self) -> list[str]:
        """What people should know of the result before they look at it."""
        kept = min((step.keep for step in self.degradation.steps if isinstance(step, Pixels | Walsh)), default=1.0)
        sparse = (f"only {100 * kept:.3g} % of the values were measured: most of the image is what the prior imagines, and it "
                  "may be no better than none; measure more" if kept < FEW else "")
        return [note for note in (self.coordinates.note, sparse) if note]

    def problem(self, y: Tensor, number: int, device: torch.device | str) -> Problem[Operator]:
        """The problem of one image.

        Args:
            y: (1, channel, height, width).
            number: of the slice.
        """
        operator = operator_of(self.degradation, self.size, self.channels, self.files, number)
        return Problem(operator, y, self.sigma).to(device)


@dataclass(frozen=True)
class Restored:
    """One restored image.

    Attributes:
        samples: (sample, channel, height, width), in the units of the file.
        simple: (channel, height, width), A^+ y, or y where it has the size of the image; None where neither is known.
        misfit: |A x - y| over what the noise explains, of the mean of the samples.
    """

    samples: Tensor
    simple: Tensor | None
    misfit: float

    @property
    def mean(self) -> Tensor:
        """(channel, height, width)."""
        return self.samples.mean(0)

    @property
    def std(self) -> Tensor:
        """(channel, height, width): spread of the samples, zero for one sample."""
        return self.samples.std(0, correction=min(1, len(self.samples) - 1))


def prepare(
    measured: Measured, plan: Plan, prior: Prior, *, files: DegradationFiles | None = None, prior_name: str = "the prior"
) -> Setting:
    """What the images of a file share, once it is known that plan and prior suit them.

    Raises:
        InputError: in one sentence, what does not fit and what would.
    """
    degradation = plan.degradation
    if not degradation.given:
        raise InputError(
            f"{measured.name} does not say what was done to it; give the `task`, such as denoise or sr"
        )
    files = DegradationFiles.read(degradation) if files is None else files
    steps, y = degradation.steps, measured.y
    size = size_before(steps, (y.shape[-2], y.shape[-1]))
    channels = image_channels(steps, y.shape[1], colour=channels_of(prior) == 3)
    interval = _interval(measured, plan, prior, degradation, files, size, channels)
    sigma, source = _noise(measured, plan, interval[1] - interval[0])
    coords = coordinates(prior, channels, interval, is_complex=y.is_complex(), name=prior_name)
    if is_compressed(steps) and channels > coords.channels:
        raise InputError("JPEG rounds brightness and colours, which are mixtures of red, green and blue, and the prior sees "
                         "these apart; give a `prior` of colours")
    plan.check_levels(prior)
    setting = Setting(degradation, files, size, channels, sigma, source, interval, coords)
    check_image_prior(plan.sampler, prior, plan)
    _check_method(setting, measured, plan, prior)
    return setting


def _noise(measured: Measured, plan: Plan, span: float) -> tuple[float, str]:
    """The noise of the data, and where it is known from.

    Args:
        span: of the values, from black to white.
    """
    steps, sampler = plan.degradation.steps, plan.sampler
    if is_compressed(steps):
        if sampler.exact:
            raise InputError(f"JPEG has rounded {measured.name}, and {plan.method_name} takes data as free of errors; "
                             "take another `method`")
        return plan.noise_std or 0.0, "given" if plan.noise_std else "none but the rounding of JPEG"
    if is_phaseless(steps) and not plan.noise_std:  # without any a data step would never leave the first phases it finds
        return FAINT * span, "assumed"
    if plan.noise_std is None and not can_be_estimated(steps):
        return 0.0, "taken as none: of hidden or random values it cannot be estimated"
    if plan.noise_std == 0 and not can_be_estimated(steps):
        return 0.0, "given"
    least = max(rounding(measured.step), NONE * span)
    sigma, source = plan.noise_std, "given"
    if sigma is None:
        middle = len(measured.y) // 2
        sigma, source = estimated(measured.y[middle : middle + 1]), "estimated from the image"
        if plan.degradation.task == "denoise" and sigma <= least:
            raise InputError(
                f"no noise is found in {measured.name}, so nothing is to be done; give its `noise_std`"
            )
    if sampler.exact and sigma > least:
        raise InputError(
            f"{measured.name} has noise of std {sigma:.3g} ({source}), and {plan.method_name} takes data as free of noise; "
            "take another `method`, or give a `noise_std` of 0"
        )
    if sampler.exact:
        return 0.0, source
    if is_blurred(steps) and sigma < FAINT * span:
        return FAINT * span, "assumed: what a blur leaves faint cannot be told from rounding"
    if sigma >= least:
        return sigma, source
    return (
        (rounding(measured.step), "of the rounding to the values of the file")
        if measured.step
        else (0.0, "none is found")
    )


def _interval(
    measured: Measured,
    plan: Plan,
    prior: Prior,
    degradation: Degradation,
    files: DegradationFiles,
    size: Size,
    channels: int,
) -> tuple[float, float]:
    """Black and white of the images, in the units of the file."""
    if plan.interval is not None:
        return plan.interval
    if measured.bytes and channels_of(prior) != 2:
        return 0.0, 255.0
    operator = operator_of(degradation, size, channels, files)
    values = measured.y
    if is_phaseless(degradation.steps):  # the energy is known, by Parseval's theorem, and no value
        return 0.0, WHITE * float((values.square().sum() / (len(values) * channels * size[0] * size[1])).sqrt())
    if isinstance(operator, Mask):
        values = values[..., operator.keep > 0]
    elif isinstance(operator, PseudoInvertible) and not can_be_estimated(degradation.steps):
        middle = len(values) // 2
        values = operator.pinv(values[middle : middle + 1])
    high = white_value(values)
    return (0.0 if values.is_complex() else min(0.0, float(values.min()))), high


def _check_method(setting: Setting, measured: Measured, plan: Plan, prior: Prior) -> None:
    """Refuses a method whose needs the operator does not meet, here and in windows."""
    problem = setting.problem(measured.y[:1], 0, measured.y.device)
    check_data(problem)
    operator, given = (
        problem.operator,
        problem.operator(torch.zeros(1, setting.channels, *setting.size, dtype=measured.y.dtype)),
    )
    if given.shape != problem.y.shape:
        raise InputError(
            f"{measured.name} has {tuple(problem.y.shape[1:])} values (channel, row, column), and {setting.degradation.name} "
            f"leaves {tuple(given.shape[1:])}; look whether that is what was done to it"
        )
    if isinstance(prior, SuperResolutionPrior):
        coarse_image(measured.y[:1], setting.size, setting.degradation, prior.factor)
    problem = as_seen(problem.unrounded, prior, plan.sampler)
    operator = problem.operator
    try:
        check_needs(problem, plan.sampler)
    except TypeError as error:
        noisy = setting.sigma > 0
        raise InputError(
            f"{plan.method_name} does not suit {setting.degradation.name}, whose operator ({operator.kind}) it cannot use; "
            f"take as `method` one of {serving(operator, noisy=noisy, use=IMAGES)}"
        ) from error


def restore_slice(
    setting: Setting, y: Tensor, number: int, prior: Prior, plan: Plan, *, device: torch.device | str = "cpu"
) -> Restored:
    """One image restored.

    Args:
        y: (1, channel, height, width), in the units of the file.
        number: of the slice, which decides its random numbers.
        device: of the prior.

    Raises:
        InputError: values that are not finite, or windows that do not suit prior and operator.
    """
    problem = setting.problem(y, number, device)
    check_data(problem)
    parts: Sequence[Problem[Operator]] = [problem]
    if setting.channels > setting.coordinates.channels:
        parts = [
            Problem(problem.operator, problem.y[:, c : c + 1], problem.sigma) for c in range(setting.channels)
        ]
    seeds = [plan.seed + SLICE_SEEDS * number + k for k in range(plan.samples)]
    samples = torch.cat([_sampled(part, setting, prior, plan, seeds, device) for part in parts], 1)
    samples = _with_known_pixels(problem, samples)
    if is_phaseless(setting.degradation.steps):  # x and -x have the same moduli
        samples = torch.where(samples.real.mean((1, 2, 3), keepdim=True) < 0, -samples, samples)
    misfit = float(relative_misfit(problem, samples.mean(0, keepdim=True)).mean())
    simple = simplest(problem, setting.size)
    return Restored(samples.cpu(), None if simple is None else simple.cpu(), misfit)


def _with_known_pixels(problem: Problem[Operator], samples: Tensor) -> Tensor:
    """The samples, pixels that noise-free data give as these have them, bit by bit."""
    operator = problem.operator
    if problem.exact is True and isinstance(operator, Mask):
        return torch.where(operator.keep > 0, problem.y, samples)
    return samples


def simplest(problem: Problem[Operator], size: Size) -> Tensor | None:
    """(channel, height, width): A^+ y, or y where it has the size of the image; None where neither is known."""
    operator, y = problem.operator, problem.y
    if isinstance(operator, PseudoInvertible) and problem.exact is True:
        return operator.pinv(y)[0]
    if tuple(y.shape[-2:]) == size and not isinstance(operator, PseudoInvertible):
        return y[0]
    return operator.pinv(y)[0] if isinstance(operator, PseudoInvertible) else None


def _sampled(
    problem: Problem[Operator],
    setting: Setting,
    prior: Prior,
    plan: Plan,
    seeds: Sequence[int],
    device: torch.device | str,
) -> Tensor:
    """(sample, channel, height, width) in the units of the file."""
    encoded, codec = problem.encoded(setting.coordinates.codec), setting.coordinates.codec
    constraints = setting.coordinates.constraints(setting.size, device)
    if isinstance(prior, LatentPrior | SuperResolutionPrior):
        small = None
        if isinstance(prior, SuperResolutionPrior):
            small = codec.encode(coarse_image(problem.y, setting.size, setting.degradation, prior.factor))
        return codec.decode(images_of_codes(
            encoded, prior, plan.sampler, plan.levels(prior), small=small, size=setting.size, seeds=seeds, device=device,
            batch_size=plan.batch_size, constraints=constraints,
        ))
    window = window_of(plan, prior, setting.size)
    if window is None:
        return codec.decode(_whole_codes(encoded, constraints, setting.size, prior, plan, seeds, device))
    if not isinstance(encoded.operator, LocalOperator):
        raise InputError(
            f"{setting.degradation.name} ({problem.operator.kind}) knows no windows, and the prior sees "
            f"{window[0]} x {window[1]} pixels of {setting.size[0]} x {setting.size[1]}; give a larger `window`, "
            "or a prior of any size"
        )
    shift = None if plan.shift is None else (plan.shift, plan.shift)
    guide = plan.guide if plan.guide == "auto" or plan.guide <= min(setting.size) else 1
    if setting.degradation.task == "colorize" and guide == "auto":
        guide = 1
    try:
        z = hierarchical(
            encoded,
            prior,
            plan.sampler,
            plan.levels(prior),
            size=setting.size,
            window=window,
            shift=shift,
            noise=Noise(seeds, device),
            factor=guide,
            constraints=constraints,
            seam=plan.seam,
            batch=plan.batch_size,
        )
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"`window`, `shift` and `guide`: {error}") from error
    return codec.decode(z)


def _whole_codes(
    problem: Problem[Operator],
    constraints: Sequence[Problem[Operator]],
    size: Size,
    prior: Prior,
    plan: Plan,
    seeds: Sequence[int],
    device: torch.device | str,
) -> Tensor:
    """Codes (sample, channel, height, width) of an image that the prior sees at once."""
    field = Padded(padded_size(prior, size), size)
    inner, given = problem.encoded(field), [one.encoded(field) for one in constraints]
    levels = plan.levels(prior)

    def draw(some: Sequence[int]) -> Tensor:
        return sample(
            inner, prior, plan.sampler, levels, noise=Noise(some, device), size=field.size, constraints=given
        )

    return field.decode(torch.cat(list(in_batches(draw, list(seeds), plan.batch_size))))
