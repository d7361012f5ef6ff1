"""Restoring images in memory, against the exact prior of a Gaussian field."""

from dataclasses import fields
from typing import Any

import pytest
import torch
from helpers.frames import picture
from helpers.pictured import FieldOf, grey, off

from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.degrading import degraded
from medrestore.images.plan import DegradePlan, Plan
from medrestore.images.restore import Measured, Restored, prepare, restore_slice
from medrestore.methods import IMAGES, METHODS
from medrestore.operators import Grayscale, OfCodes, gaussian_blur

SIZE = (32, 40)
GREY, COLOUR = grey(size=SIZE).float()[None, None], picture(0, SIZE).float()[None]


def run(
    clean: torch.Tensor,
    prior: int,
    noise: float = 2.0,
    *,
    method: Any = "hqs",
    window: int | None = None,
    steps: int = 12,
    plan: dict[str, Any] | None = None,
    **given: Any,
) -> tuple[Restored, torch.Tensor]:
    """The restored image and what was given."""
    done = Degradation(**given)
    y = degraded(clean, DegradePlan(done, noise_std=noise))
    chosen = Plan(
        done,
        noise_std=noise,
        interval=(0.0, 255.0),
        method=method,
        steps=steps,
        window=window,
        sigma_max=10.0,
        **(plan or {}),
    )
    setting = prepare(Measured(y), chosen, FieldOf(prior))
    return restore_slice(setting, y, 0, FieldOf(prior), chosen), y


TASKS: dict[str, dict[str, Any]] = {
    "denoise": dict(task="denoise", noise=20.0),
    "sr": dict(task="sr", factor=2),
    "bicubic": dict(task="sr", factor=2, filter="bicubic"),
    "gaussian": dict(task="deblur", blur_std=(1.5,)),
    "motion": dict(task="deblur", motion=(5.0, 30.0)),
    "pixels": dict(task="cs", keep=0.25, noise=0.0),
    "walsh": dict(task="cs", keep=0.25, pattern="walsh-hadamard", noise=0.0),
    "old photo": dict(task="old-photo", factor=2, keep=0.8),
    "chain": dict(operators=({"kind": "gaussian", "std": (0.8,)}, {"kind": "pool", "factor": 2})),
}


@pytest.mark.parametrize("given", TASKS.values(), ids=TASKS)
def test_every_task_beats_what_needs_no_prior(given: dict[str, Any]) -> None:
    restored, y = run(GREY, 1, **given)
    simple = restored.simple if restored.simple is not None else torch.nn.functional.interpolate(y, SIZE)[0]
    assert off(restored.mean, GREY[0]) < 0.95 * off(simple, GREY[0])
    assert restored.mean.shape == (1, *SIZE)


@pytest.mark.parametrize(
    ("channels", "clean"),
    [(1, GREY), (2, GREY), (3, GREY), (1, COLOUR), (2, COLOUR), (3, COLOUR)],
    ids=lambda value: value if isinstance(value, int) else f"{value.shape[1]} of the image",
)
def test_every_prior_serves_grey_and_colour(channels: int, clean: torch.Tensor) -> None:
    restored, y = run(clean, channels, task="denoise", noise=20.0, method="dds")
    assert restored.mean.shape == clean[0].shape and off(restored.mean, clean[0]) < 0.75 * off(y, clean)


@pytest.mark.parametrize(
    "name",
    [
        "sr",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("gaussian", "motion", "pixels", "denoise", "old photo", "chain")
        ),
    ],
)
def test_windows_beat_what_needs_no_prior_too(name: str) -> None:
    """The prior's windows are no parts of its whole, as those of a network are, so less is asked than of the whole."""
    given = TASKS[name]
    if "deblur" in given.values():
        given = {**given, **({"blur_std": (0.5,)} if name == "gaussian" else {"motion": (3.0, 30.0)})}
    windows, y = run(GREY, 1, window=24, steps=8, **given)
    simple = windows.simple if windows.simple is not None else torch.nn.functional.interpolate(y, SIZE)[0]
    assert off(windows.mean, GREY[0]) < 0.95 * off(simple, GREY[0])


def test_colour_comes_back() -> None:
    restored, y = run(COLOUR, 3, 0.0, task="colorize", method="ddnm+")
    assert restored.mean.shape == (3, *SIZE)
    assert off(Grayscale()(restored.mean[None]), y) < 0.05


def test_known_pixels_are_kept_bit_by_bit(tmp_path) -> None:
    restored, y = run(GREY, 1, 0.0, task="cs", keep=0.5, method="ddnm")
    known = y != 0
    assert torch.equal(restored.samples[:1][known], y[known]) and restored.misfit == 0


def test_slices_draw_their_own_noise_and_pattern() -> None:
    done = Degradation(task="cs", keep=0.5)
    plan = Plan(done, interval=(0.0, 255.0), method="ddnm+", steps=3)
    y = degraded(GREY.expand(2, -1, -1, -1), DegradePlan(done))
    assert not torch.equal(y[0], y[1])
    setting = prepare(Measured(y), plan, FieldOf(1))
    a, b, c = (restore_slice(setting, y[n : n + 1], n, FieldOf(1), plan) for n in (0, 1, 1))
    assert not torch.equal(a.mean, b.mean) and torch.equal(b.mean, c.mean)


def test_samples_spread() -> None:
    restored, _ = run(GREY, 1, task="sr", factor=4, method="dds", plan=dict(samples=3, batch_size=2))
    assert restored.samples.shape == (3, 1, *SIZE) and float(restored.std.mean()) > 0.5
    assert torch.equal(restored.samples.mean(0), restored.mean)


def settled(y: torch.Tensor, measured: dict[str, Any] | None = None, prior: int = 1, **plan: Any):
    fields = set(Degradation.__dataclass_fields__)
    done = Degradation(**{name: value for name, value in plan.items() if name in fields})
    rest = {name: value for name, value in plan.items() if name not in fields}
    return prepare(Measured(y, **(measured or {})), Plan(done, **rest), FieldOf(prior))


def test_where_the_noise_is_from() -> None:
    smooth = gaussian_blur(SIZE, 3.0)(GREY)
    noisy = degraded(smooth, DegradePlan(Degradation(task="denoise"), noise_std=12.0))
    assert settled(noisy, task="denoise").sigma == pytest.approx(12, rel=0.25)
    assert settled(noisy, task="denoise", noise_std=5).noise_source == "given"
    flat = torch.full((1, 1, 16, 16), 9.0)
    assert settled(flat, task="sr", factor=2).sigma == 0
    assert settled(flat, {"step": 1.0}, task="sr", factor=2).sigma == pytest.approx(12**-0.5)
    assert "assumed" in settled(flat, task="deblur", blur_std=(1.0,)).noise_source
    assert "cannot be estimated" in settled(noisy, task="cs", keep=0.5).noise_source
    with pytest.raises(InputError, match="no noise is found"):
        settled(flat, task="denoise")


def test_black_and_white() -> None:
    assert settled(GREY, {"bytes": True}, task="sr", factor=2).interval == (0, 255)
    low, high = settled(GREY, {"bytes": True}, prior=2, task="sr", factor=2).interval
    assert low == 0 and 0.9 * float(GREY.max()) < high <= float(GREY.max())
    assert settled(GREY - 300, task="sr", factor=2, interval=(-300, 0)).interval == (-300, 0)
    y = degraded(GREY, DegradePlan(Degradation(task="cs", keep=0.02)))
    assert settled(y, task="cs", keep=0.02, prior=2).interval[1] > 0.7 * high
    with pytest.raises(InputError, match="shows nothing"):
        settled(torch.zeros(1, 1, 16, 16), task="sr", factor=2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dict(), "does not say what was done"),
        (dict(task="denoise", noise_std=5, method="ddnm"), "takes data as free of noise"),
        (dict(task="deblur", motion=(3.0, 0.0), method="ddnm+"), "take as `method` one of hqs, dds"),
        (dict(task="sr", factor=2, sigma_max=1e-4), "sigma_max"),
    ],
)
def test_what_does_not_suit_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        settled(GREY, **given)


def test_windows_that_do_not_suit_are_refused() -> None:
    with pytest.raises(InputError, match="`window`, `shift` and `guide`"):
        run(GREY, 1, window=9, task="sr", factor=2)
    with pytest.raises(InputError, match="`window`"):
        run(GREY, 1, window=24, task="cs", keep=0.5, pattern="walsh-hadamard")



@pytest.mark.parametrize("given", [dict(task="jpeg", quality=20), dict(task="saturation", gain=1.5)], ids=lambda one: one["task"])
def test_what_is_not_linear_is_restored_by_its_gradient(given: dict[str, Any]) -> None:
    """By linearisation where no method is named; methods that need more are refused."""
    restored, y = run(GREY, 1, 1.0, method=None, **given)
    assert restored.mean.shape == (1, *SIZE) and bool(restored.mean.isfinite().all())
    blank = torch.full_like(y, float(y.mean()))
    assert off(restored.mean, GREY[0]) < 0.5 * off(blank, GREY)
    if given["task"] == "saturation":
        with pytest.raises(InputError, match=r"take as `method` one of .*hqs.*dps.*shred"):
            run(GREY, 1, 1.0, method="ddrm", **given)


def test_jpeg_serves_methods_of_a_spectrum() -> None:
    """Its coefficients are linear samples with noise, so that all but methods for data without errors take them."""
    restored, y = run(GREY, 1, 1.0, method="ddrm", task="jpeg", quality=20)
    assert off(restored.mean, GREY[0]) < 0.5 * off(torch.full_like(y, float(y.mean())), GREY)
    assert 0.5 < restored.misfit < 2
    with pytest.raises(InputError, match="JPEG has rounded the image, and ddnm takes data as free of errors"):
        run(GREY, 1, 1.0, method="ddnm", task="jpeg", quality=20)


def test_jpeg_of_colours_needs_a_prior_of_colours() -> None:
    """It rounds brightness and colours, of which red, green and blue are mixtures."""
    with pytest.raises(InputError, match=r"rounds brightness and colours, .* give a `prior` of colours"):
        run(GREY.expand(-1, 3, -1, -1), 1, 1.0, method=None, task="jpeg", quality=20)


def test_phases_that_were_not_measured_are_found() -> None:
    """An image from the moduli of its transform, which are those of its negative and of itself turned by half, too."""
    restored, y = run(GREY, 1, 0.5, method="hqs", task="phase-retrieval")
    assert y.shape == (1, 1, 2 * SIZE[0], 2 * SIZE[1]) and restored.simple is None
    flat = torch.full_like(GREY, float(GREY.mean()))
    assert min(off(found, GREY[0]) for found in (restored.mean, restored.mean.flip(1, 2))) < 0.25 * off(flat, GREY)


OF_PIXELS = [name for name in METHODS.offered(IMAGES) if not METHODS[name].given and METHODS[name].needs is not OfCodes]


@pytest.mark.parametrize("name", OF_PIXELS)
def test_every_method_that_is_offered_serves(name: str) -> None:
    """Those that iterate do so twice; those of other priors are tested in test_codes.py."""
    options = {"iterations": 2} if "iterations" in {one.name for one in fields(METHODS[name])} else {}
    small = GREY[..., :12, :16]
    restored, _ = run(small, 1, 0.0, steps=3, method=name, plan=dict(options=options), task="sr", factor=2)
    assert restored.mean.shape == (1, 12, 16) and bool(restored.mean.isfinite().all())
