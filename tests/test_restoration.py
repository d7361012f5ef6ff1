"""`restore`: from one measurement in physical units to samples in physical units."""

from dataclasses import dataclass, replace

import pytest
import torch
from gaussian_posterior import FAMILIES, SIDE, Case, Posterior, coil_maps, power
from torch import Tensor

from medrestore.codecs import CalibratedComplex, ComplexChannels, Interval, OneChannel, Padded
from medrestore.consistency import relative_misfit
from medrestore.errors import InputError
from medrestore.levels import karras
from medrestore.methods import (
    DDNM,
    DDPM,
    DDRM,
    DDS,
    DPS,
    HQS,
    ILVR,
    DDNMPlus,
    DiffPIR,
    Method,
    PiGDM,
    RePaint,
)
from medrestore.noise import Noise
from medrestore.operators import JPEG, Identity, Mask, Operator, Sense
from medrestore.priors import Prior, StationaryGaussian
from medrestore.problem import Problem
from medrestore.restoration import codec_for, restore, restore_all
from medrestore.sampling import sample

LADDER = karras(12, 20.0, 0.02)
PAPER = DDS(5.0, 5, eta=0.85)
BEST = DiffPIR(1.25, 0.5)


class AnySize(Prior):
    """The Gaussian of every size that is a multiple of 8, counting its calls."""

    multiple = 8

    def __init__(self, channels: int = 1, most: int = 10**9) -> None:
        self.channels, self.most, self.calls, self.seen = channels, most, 0, []

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        self.seen.append(tuple(x.shape))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return StationaryGaussian(power(*x.shape[-2:]), channels=self.channels)(x, sigma)


class Cubed(Operator):
    def __call__(self, x: Tensor) -> Tensor:
        return x**3


def drawn(height: int, width: int, *, channels: int = 1, seed: int = 0) -> Tensor:
    """An image of the prior, in its coordinates."""
    noise = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return StationaryGaussian(power(height, width), channels=channels).sample(noise)


def half(height: int, width: int, seed: int = 1) -> Mask:
    return Mask((torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) < 0.5).float())


def multicoil(mask: Tensor) -> tuple[Sense, Tensor]:
    """An encoding whose maps leave a margin of 2 pixels empty, and an image."""
    return Sense(coil_maps(), mask), ComplexChannels(200.0).decode(drawn(SIDE, SIDE, channels=2))


def lines() -> Tensor:
    keep = torch.zeros(1, SIDE)
    keep[:, ::2] = 1
    return keep


def dots() -> Tensor:
    return (torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(4)) < 0.5).float()


@pytest.mark.parametrize("family", ["denoising", "inpainting", "super-resolution", "single-coil MRI"])
def test_a_calibrated_method_in_physical_units(family):
    """The same samples' mean, std and misfit as the posterior's, seen through the codec."""
    case = Case.of(FAMILIES[family](), 0.1, measurements=1)
    posterior = Posterior(case)
    mri = case.prior.channels == 2
    codec = ComplexChannels(200.0) if mri else Interval(0.0, 255.0)
    operator = FAMILIES[family]()
    if mri:
        problem = Problem(operator, case.problem.y * 200.0, case.problem.sigma * 200.0)
    else:  # an image of -1 to 1 becomes one of 0 to 255, and every row of these operators sums to one or to nothing
        offset = operator(torch.full((1, 1, SIDE, SIDE), 127.5))
        problem = Problem(operator, case.problem.y * 127.5 + offset, case.problem.sigma * 127.5)
    result = restore(
        problem, case.prior, BEST, codec=codec, levels=karras(50, 40.0, 0.01), samples=48, batch_size=48
    )
    assert 0.85 < float(result.misfit.square().mean().sqrt()) < 1.1
    z = torch.stack([codec.encode(x[None])[0] for x in result.samples])
    score = posterior.score(z.reshape(1, 48, -1))
    assert all(error < 0.55 or error != error for error in score.error)
    assert all(0.8 < spread < 1.1 or spread != spread for spread in score.spread)
    torch.testing.assert_close(codec.encode(result.mean[None])[0], z.mean(0), rtol=1e-4, atol=1e-4)
    assert result.std.shape == result.mean.shape == result.samples.shape[1:]
    assert (result.method, result.seeds) == (BEST, tuple(range(48)))


def test_samples_do_not_depend_on_the_batch_size():
    operator = half(SIDE, SIDE)
    problem = Problem(operator, operator(drawn(SIDE, SIDE)), 0.1)
    whole, split, later = (
        restore(
            problem,
            AnySize(),
            BEST,
            codec=Interval(-1.0, 1.0),
            levels=LADDER,
            samples=n,
            seed=seed,
            batch_size=size,
        )
        for n, seed, size in ((5, 3, 8), (5, 3, 2), (1, 6, 8))
    )
    torch.testing.assert_close(whole.samples, split.samples, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole.samples[3:4], later.samples, rtol=1e-4, atol=1e-5)
    assert whole.seeds == (3, 4, 5, 6, 7)


@pytest.mark.parametrize(
    "method", [DDNM(), DDNMPlus(), DDRM(), RePaint(), BEST, DDS(None, None)], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize("size", [(12, 20), (13, 9), (16, 8)])
def test_sizes_that_the_prior_does_not_know_are_padded(method, size):
    operator = half(*size)
    x = 127.5 * drawn(*size) + 127.5
    prior = AnySize()
    result = restore(
        Problem(operator, operator(x)), prior, method, codec=Interval(0.0, 255.0), levels=LADDER, samples=2
    )
    assert result.samples.shape == (2, 1, *size) and result.misfit.max() < 1e-4
    assert {shape[2:] for shape in prior.seen} == {tuple(-(-side // 8) * 8 for side in size)}


def test_the_middle_of_a_padded_field_follows_its_own_posterior():
    """A Gaussian of 24 x 24 pixels seen in its middle 16 x 16: what is not seen is marginalised, by the walk as by algebra."""
    field = Padded((24, 24), (SIDE, SIDE))
    x = field.decode(drawn(24, 24))
    operator = half(SIDE, SIDE)
    y = operator(x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2)))

    prior = StationaryGaussian(power(24, 24))
    result = restore(
        Problem(operator, y, 0.1),
        prior,
        BEST,
        codec=Interval(-1.0, 1.0),
        levels=karras(50, 40.0, 0.01),
        samples=48,
        batch_size=48,
    )
    eye = torch.eye(24 * 24, dtype=torch.float64).reshape(-1, 1, 24, 24)
    root = torch.fft.ifft2(prior.power.sqrt() * torch.fft.fft2(eye)).real.reshape(24 * 24, -1)
    crop = field.linear(eye).reshape(24 * 24, -1).T
    cov = crop @ root @ root @ crop.T
    A = torch.diag(operator.keep.double().flatten())
    gain = torch.linalg.solve(A @ cov @ A + 0.01 * torch.eye(len(A)), A @ cov).T
    mean, std = gain @ y.double().flatten(), (cov - gain @ A @ cov).diagonal().sqrt()
    off = (result.mean.flatten() - mean) / std
    assert off.square().mean().sqrt() < 0.5
    assert 0.85 < (result.std.flatten() / std).square().mean().sqrt() < 1.15


EVERY = [DDNM(), DDNMPlus(), DDRM(), RePaint(), PAPER, DDS(None, None), BEST, HQS(), DPS()]


@pytest.mark.parametrize("method", EVERY, ids=str)
def test_nothing_appears_outside_the_support(method):
    sense, x = multicoil(lines())
    operator = sense.spectral()
    y = operator(x * sense.support)
    result = restore(
        Problem(operator, y, 2.0), AnySize(2), method, codec=ComplexChannels(200.0), levels=LADDER, samples=2
    )
    outside = sense.support == 0
    assert outside.sum() == 2 * SIDE
    assert (result.samples[..., outside] == 0).all() and (result.samples[..., ~outside] != 0).all()


@pytest.mark.parametrize("method", [PAPER, BEST, DPS()], ids=lambda m: type(m).__name__)
def test_nothing_appears_outside_the_support_in_a_padded_field(method):
    """Maps of 13 x 11 pixels in a field of 16 x 16: the field's margin is known to be empty as well."""
    sense, x = multicoil(dots())
    sense, x = Sense(sense.maps[..., :13, :11], sense.mask[:13, :11]), x[..., :13, :11]
    fields = []
    result = restore(
        Problem(sense, sense(x * sense.support), 2.0),
        AnySize(2),
        method,
        codec=ComplexChannels(200.0),
        levels=LADDER,
        on_step=lambda i, z: fields.append(z),
    )
    assert (result.samples[..., sense.support == 0] == 0).all()
    support = Padded((16, 16), (13, 11)).linear.adjoint(sense.support[None, None])[0, 0]
    assert (fields[-1][..., support == 0] == 0).all() and (fields[-1][..., support == 1] != 0).any()


def test_a_walk_may_begin_part_way():
    x = 100.0 * drawn(12, 20) + 100.0
    operator = half(12, 20)
    problem = Problem(operator, operator(x), 0.5)
    arguments = dict(codec=Interval(0.0, 200.0), levels=karras(12, 20.0, 0.02), samples=4)
    whole = restore(problem, AnySize(), PAPER, **arguments)
    near = restore(problem, AnySize(), PAPER, start=x, start_sigma=0.1, **arguments)
    assert (
        near.levels[0] == 0.1
        and near.levels[1] < 0.1
        and near.levels[-1] == 0
        and len(near.levels) < len(whole.levels)
    )

    def off(result):
        return (result.samples - x).square().mean().sqrt()

    assert off(near) < 0.5 * off(whole)  # little noise leaves the start's detail where it was
    for half_of_it in ({"start": x}, {"start_sigma": 0.1}):
        with pytest.raises(ValueError, match="both start"):
            restore(problem, AnySize(), PAPER, **arguments, **half_of_it)


def test_a_prior_without_a_recipe_asks_for_a_codec():
    with pytest.raises(TypeError, match="pass one with codec="):
        restore(Problem(Identity(), torch.zeros(1, 1, SIDE, SIDE), 0.1), AnySize(), PAPER)


# Preconditions, each one sentence before the first call of the prior.


def problem_of(sigma: float = 0.1) -> Problem:
    return Problem(half(SIDE, SIDE), half(SIDE, SIDE)(drawn(SIDE, SIDE)), sigma)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"samples": 0}, "samples is 0 and must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0 and must be at least 1"),
        ({"steps": 0}, "steps is 0 and must be at least 1"),
        ({"levels": []}, "got none"),
        ({"levels": [1.0, 0.5]}, "add a 0 at the end"),
        ({"levels": [1.0, float("nan"), 0.0]}, "must be finite"),
        ({"levels": [float("inf"), 1.0, 0.0]}, "must be finite"),
        ({"levels": [1.0, 0.0, 0.0]}, "positive but for the last"),
        ({"levels": [1.0, -0.5, 0.0]}, "positive but for the last"),
        ({"levels": [0.1, 1.0, 5.0, 0.0]}, "must decrease from the first.*got 0.1, 1, 5, 0"),
        ({"levels": [1.0, 0.5, 0.5, 0.0]}, "must decrease"),
    ],
)
def test_counts_and_levels_are_checked(more: dict, says: str) -> None:
    prior = AnySize()
    with pytest.raises(InputError, match=says):
        restore(problem_of(), prior, PAPER, codec=Interval(-1.0, 1.0), **more)
    if "levels" in more:
        with pytest.raises(InputError, match=says):
            sample(problem_of(), prior, PAPER, more["levels"], noise=Noise([0]), size=(SIDE, SIDE))
    assert prior.calls == 0


def test_a_rise_below_the_first_level_is_time_travel() -> None:
    restore(problem_of(), AnySize(), PAPER, codec=Interval(-1.0, 1.0), levels=[5.0, 1.0, 2.0, 0.5, 0.0])


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (
            lambda y: y.expand(3, 1, SIDE, SIDE),
            "a batch of 3 measurements, and restore takes one; give a list of problems to restore_all",
        ),
        (lambda y: y[0, 0], "without a batch axis"),
        (lambda y: y[0], r"add the batch axis as y\[None\]"),
        (lambda y: y / 0, "not finite"),
        (lambda y: y + 0j, "of a complex image and the prior's codec is of real images"),
        (lambda y: 255 * y.abs() / y.abs().max(), "far outside the interval of the prior"),
        (lambda y: y[..., :5], "Mask cannot have measured y"),
    ],
)
def test_measurements_that_no_image_made_are_refused(y, says: str) -> None:
    prior, right = AnySize(), problem_of()
    for call in (restore, lambda one, *more, **named: restore_all([right, one], *more, **named)):
        with pytest.raises(InputError, match=says):
            call(replace(right, y=y(right.y)), prior, PAPER, codec=Interval(-1.0, 1.0), levels=LADDER)
    assert prior.calls == 0


def test_lists_that_do_not_fit_the_problems_are_refused() -> None:
    problems = [problem_of(), problem_of()]
    for more, says in (
        ({"seeds": [1]}, "2 problems and 1 seeds"),
        ({"starts": [drawn(SIDE, SIDE)] * 3, "start_sigma": 0.5}, "3 starts"),
        ({"constraints": []}, "0 constraints"),
    ):
        with pytest.raises(InputError, match=says):
            restore_all(problems, AnySize(), PAPER, codec=Interval(-1.0, 1.0), levels=LADDER, **more)
    with pytest.raises(ValueError, match="both starts"):
        restore_all(problems, AnySize(), PAPER, codec=Interval(-1.0, 1.0), levels=LADDER, start_sigma=0.5)


@pytest.mark.parametrize("method", [PiGDM(), DDNM(), ILVR()], ids=lambda m: type(m).__name__)
def test_restore_says_what_a_method_needs(method: Method) -> None:
    with pytest.raises(
        TypeError,
        match=rf"{type(method).__name__} needs a \w+, and Cubed is not one; hqs, dds, diffpir, dps, pnp-admm, red, shred and "
              "red-diff would do$",
    ):
        restore(Problem(Cubed(), drawn(SIDE, SIDE) ** 3, 0.1), AnySize(), method, codec=Interval(-1.0, 1.0))


def test_what_cannot_be_differentiated_is_refused() -> None:
    @dataclass(frozen=True)
    class Counted(Operator):
        def __call__(self, x):
            return x.detach().round()

    prior = AnySize()
    with pytest.raises(InputError, match="Counted measures has no gradient by the image"):
        restore(Problem(Counted(), drawn(SIDE, SIDE), 0.1), prior, DPS(), codec=Interval(-1.0, 1.0), size=(SIDE, SIDE))
    assert prior.calls == 0


def test_dps_restores_what_is_only_differentiable() -> None:
    x = drawn(12, 20).abs()
    problem, ladder = Problem(Cubed(), x**3, 0.1), karras(30, 20.0, 0.02)
    arguments = dict(codec=Interval(-1.0, 1.0), levels=ladder, samples=4)
    with pytest.raises(
        InputError, match=r"Cubed is not linear, so the size of its image is not known; give size="
    ):
        restore(problem, AnySize(), DPS(0.3), **arguments)
    result = restore(problem, AnySize(), DPS(0.3), size=(12, 20), **arguments)
    z = sample(None, AnySize(), DDPM(), ladder, noise=Noise(range(4)), size=(16, 24))
    free = Padded((16, 24), (12, 20)).decode(z)
    assert result.samples.shape == (4, 1, 12, 20) and result.misfit.median() < 0.8 * relative_misfit(problem, free).median()
    joint = restore_all([problem, problem], AnySize(), DPS(0.3), size=(12, 20), seeds=[0, 9], **arguments)
    torch.testing.assert_close(joint[0].samples, result.samples, rtol=0, atol=1e-3)
    fixed = restore(
        Problem(Cubed(), drawn(SIDE, SIDE) ** 3, 0.1),
        StationaryGaussian(power()),
        DPS(0.3),
        codec=Interval(-1.0, 1.0),
    )
    assert fixed.samples.shape == (1, 1, SIDE, SIDE)  # the prior's own size


def test_the_calibration_of_an_encoding_gives_its_codec() -> None:
    sense, x = multicoil(lines())
    prior = AnySize(2)
    prior.recipe = CalibratedComplex()
    problems = [Problem(A, sense(x)) for A in (sense, sense.spectral(), sense.resolvent(2.0))]
    codecs = [codec_for(prior, problem) for problem in problems]
    assert codecs[0] == codecs[1] == codecs[2] and codecs[0].scale > 0
    with pytest.raises(TypeError, match="gives no codec for Mask; pass one with codec="):
        codec_for(prior, problem_of())


def test_a_restoration_is_shown_in_a_line() -> None:
    result = restore(problem_of(), AnySize(), PAPER, codec=Interval(-1.0, 1.0), levels=LADDER)
    text = repr(result)
    assert (
        text.startswith("Restoration(samples=float32[1, 1, 16, 16], misfit=float32[1], method=DDS(")
        and len(text) < 250
    )


@pytest.mark.parametrize("codec", [OneChannel.magnitude(2.0), OneChannel((0.6, 0.8), 2.0)], ids=["magnitude", "other"])
def test_images_of_one_channel_are_zero_across_it(codec: OneChannel) -> None:
    """At a size that is padded, too: what the sampler ends at is the image again, and nothing beside it."""
    ends: list[Tensor] = []
    y = torch.rand(1, 1, 12, 16, generator=torch.Generator().manual_seed(0))
    made = restore(Problem(Identity(), y, 0.1), AnySize(2), DDS(), codec=codec, steps=5, on_step=lambda i, x: ends.append(x))
    a, b = codec.weights
    across = b * ends[-1][:, 0] - a * ends[-1][:, 1]
    assert made.samples.shape == y.shape and float(across.abs().max()) < 1e-5


@pytest.mark.parametrize("method", [DDS(), DDRM(), DDNMPlus(), PiGDM()], ids=lambda one: type(one).__name__)
def test_jpeg_is_restored_as_its_samples_are(method: Method) -> None:
    """By methods that need a spectrum, too, and without being told the size; better than the file."""
    spectrum = 0.04 * power(SIDE, SIDE)  # in [-1, 1], of which images in [0, 1] are half
    white = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    x = 0.5 + 0.5 * torch.fft.ifft2(spectrum.sqrt() * torch.fft.fft2(white)).real
    y = JPEG(10)(x)
    made = restore(Problem(JPEG(10), y), StationaryGaussian(spectrum), method, codec=Interval(0, 1), steps=15,
                   samples=4)
    assert float((made.mean - x).square().mean()) < 0.95 * float((y - x).square().mean())
    assert 0.2 < float(made.misfit.mean()) < 1.2  # smooth: most coefficients are near the middle of their quanta
