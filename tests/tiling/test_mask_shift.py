"""Mask-shift restoration against fields whose law is known."""


import pytest
import torch
from helpers.fields import Field, Size, markov, natural
from helpers.holes import LADDER, SIZE, WINDOW, holes, problem
from helpers.mixtures import MODES, Bayes, Mixture
from laws import close
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from medrestore.codecs import Interval
from medrestore.consistency import misfit
from medrestore.levels import karras
from medrestore.methods import DDIM, DDNM, DDS, DPS, HQS, DDNMPlus, DiffPIR, Method, RePaint
from medrestore.noise import Noise
from medrestore.operators import (
    AveragePool,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
)
from medrestore.priors import ClassifierFree, Guided
from medrestore.problem import Problem
from medrestore.tiling import generate, mask_shift, plan, raster, seam_ratio, settled_by


class Exact(Method):
    """Draws from the exact law of a window given what `fix` holds: no error but the tiling's."""

    needs = None

    def __init__(self, prior: Field) -> None:
        self.prior = prior

    def step(self, x, sigma, sigma_next, *, problem, denoise, constrain, noise):
        size = (x.shape[-2], x.shape[-1])
        z = self.prior.draw(size, noise())
        values = constrain(torch.zeros_like(x))
        known = constrain(torch.ones_like(x)) - values == 0
        C = self.prior.covariance(size).float()
        for k in range(len(z)):
            at, flat = known[k, 0].flatten().nonzero().flatten(), z[k, 0].view(-1)
            if len(at):
                off = values[k, 0].flatten()[at] - flat[at]
                flat += C[:, at] @ torch.linalg.solve(C[at][:, at], off)
        return z


def whitened(prior: Field, z: Tensor) -> Tensor:
    """(sample, pixels) standard normal where z has the prior's law."""
    values, vectors = prior.basis((z.shape[-2], z.shape[-1]))
    return z.flatten(1) @ vectors / values.sqrt()


def test_windows_of_a_markov_field_make_the_field_exactly() -> None:
    prior = Field(markov(5.0))
    z = generate(prior, Exact(prior), [1.0, 0.0], size=(14, 20), window=WINDOW, noise=Noise(range(300)), batch=300)
    white = whitened(prior, z)
    assert float(white.square().mean()) == pytest.approx(1.0, abs=0.016)  # four stds of what 300 samples leave
    off = z.flatten(1).T @ z.flatten(1) / 300 - prior.covariance((14, 20)).float()
    assert float(off.abs().max()) < 5.5 * (2 / 300) ** 0.5
    lone = torch.cat([z[i::3][:100, ..., :8, :8] for i in range(3)], -1)[..., :, :20]
    assert float(whitened(prior, lone).square().mean()) > 1.3  # independent windows are no such field


def test_windows_of_a_field_with_memory_come_close() -> None:
    prior = Field(natural())
    z = generate(prior, Exact(prior), [1.0, 0.0], size=(14, 20), window=WINDOW, noise=Noise(range(300)), batch=300)
    assert float(whitened(prior, z).square().mean()) == pytest.approx(1.0, abs=0.05)


def test_a_hole_is_filled_from_its_exact_conditional() -> None:
    """A strip whose rows are independent of anything beyond one pixel: mean and spread given both sides."""
    prior, size = Field(markov(5.0)), (8, 20)
    x = prior.draw(size, Noise([3])((1, 1, *size)))
    keep = torch.ones(size)
    keep[:, 9:13] = 0
    z = mask_shift(Problem(Mask(keep), keep * x), prior, Exact(prior), [1.0, 0.0], size=size, window=WINDOW,
                   noise=Noise(range(400)), batch=400)
    C, seen = prior.covariance(size).float(), keep.flatten() > 0
    gain = C[~seen][:, seen] @ torch.linalg.inv(C[seen][:, seen])
    mean, spread = gain @ x.flatten()[seen], (C[~seen][:, ~seen] - gain @ C[seen][:, ~seen]).diagonal().sqrt()
    drawn = z.flatten(1)[:, ~seen]
    assert float(((drawn.mean(0) - mean) / spread).abs().max()) < 4.5 / 400**0.5
    assert float((drawn.std(0) / spread - 1).abs().max()) < 0.2


@pytest.mark.slow
def test_no_seam_shows() -> None:
    """The ratio of gradients, with a real method; what windows drawn apart leave is far off."""
    prior, size, window = Field(natural()), (24, 32), (16, 16)
    everything = torch.ones(size, dtype=torch.bool)
    z = generate(prior, DDNM(0.5), karras(100, 10.0, 0.05), size=size, window=window, noise=Noise(range(96)), batch=400)
    assert seam_ratio(z, settled_by(raster(size, window, (8, 8)), everything)) == pytest.approx(1.0, abs=0.05)
    apart = generate(prior, DDNM(0.5), karras(20, 10.0, 0.05), size=(16, 32), window=window, shift=window,
                     noise=Noise(range(96)), batch=400)
    assert seam_ratio(apart, settled_by(raster((16, 32), window, window), everything[:16])) > 1.8


@pytest.mark.parametrize("method", [DDNM(), DDNMPlus(), RePaint(), DDS(), DiffPIR(), HQS(), DDIM(1.0), DPS()], ids=str)
def test_known_pixels_come_back_bit_by_bit(method: Method) -> None:
    given = problem(Mask(holes()), channels=2)
    z = mask_shift(given, Field(natural(), 2), method, LADDER, size=SIZE, window=WINDOW, noise=Noise([0, 1]))
    known = holes().expand_as(z) > 0
    assert torch.equal(z[known], given.y.expand_as(z)[known])
    assert z.isfinite().all() and float(z[~known].std()) > 0.1
    assert not torch.equal(z[0], z[1])


CASES: dict[str, tuple[LinearOperator, float]] = {
    "inpainting": (Mask(holes()), 0.0),
    "noisy inpainting": (Mask(holes()), 0.2),
    "super-resolution": (AveragePool(4, SIZE), 0.0),
    "noisy super-resolution": (AveragePool(2, SIZE), 0.1),
    "colorization": (Grayscale(), 0.0),
    "denoising": (Identity(), 0.3),
    "old photo": (Mask(holes()[::4, ::4]) @ Grayscale() @ AveragePool(4, SIZE), 0.0),
}


@pytest.mark.slow
@pytest.mark.parametrize(("A", "sigma"), CASES.values(), ids=CASES)
def test_a_result_depends_on_no_batch(A: LinearOperator, sigma: float) -> None:
    given, prior = problem(A, sigma, 3), Field(natural(), 3)
    many, few = (mask_shift(given, prior, DDNMPlus(), LADDER, size=SIZE, window=WINDOW, shift=(4, 4), noise=Noise([4, 5, 6]),
                            batch=batch) for batch in (64, 1))
    close(many, few, 1e-4)
    (alone,) = mask_shift(given, prior, DDNMPlus(), LADDER, size=SIZE, window=WINDOW, shift=(4, 4), noise=Noise([5]))
    close(alone, many[1], 1e-4)
    if sigma == 0:
        assert float(misfit(given, many).max()) < 1e-3 * float(given.y.norm())
    else:
        assert float(misfit(given, many).max()) < 2 * sigma * float(given.count) ** 0.5


def test_only_windows_with_a_hole_are_visited() -> None:
    prior, size = Field(natural()), (64, 64)
    keep, whole = torch.ones(size), torch.ones(size)
    keep[30:34, 30:34] = 0
    y, seen = Noise([1])((1, 1, *size)), []

    def visit(given: Problem, samples: int = 1, **more) -> Tensor:
        prior.images = 0
        return mask_shift(given, prior, DDNMPlus(), LADDER, size=size, window=WINDOW, noise=Noise(range(samples)), **more)

    visit(Problem(Mask(keep), keep * y), 2, progress=lambda done, total: seen.append((done, total)))
    assert prior.images == 2 * 8 and seen == [(2, 2)]  # one window, two samples, eight levels
    visit(Problem(Mask(keep), keep * y), layout="raster")
    assert prior.images == 4 * 8
    assert torch.equal(visit(Problem(Mask(whole), y)), y) and prior.images == 0
    assert torch.equal(visit(Problem(Identity(), y)), y) and prior.images == 0
    visit(Problem(Mask(keep), keep * y, 0.1))
    assert prior.images == 15 * 15 * 8  # noisy pixels are to be restored too


def test_the_noise_of_a_window_is_its_own() -> None:
    """Windows apart see the same flat data and come out different, and the same again."""
    keep = torch.ones(8, 40)
    keep[2:6, 2:6] = keep[2:6, 34:38] = 0
    given = Problem(Mask(keep), torch.zeros(1, 1, 8, 40))
    z, again = (mask_shift(given, Field(natural()), DDNM(), LADDER, size=(8, 40), window=WINDOW, noise=Noise([0]))
                for _ in range(2))
    assert torch.equal(z, again)
    assert not torch.allclose(z[..., 2:6, 2:6], z[..., 2:6, 34:38], atol=0.05)


@pytest.mark.parametrize("size", [(5, 30), (6, 6), (13, 11)])
def test_small_and_odd_pictures_are_padded(size: Size) -> None:
    keep = torch.ones(size)
    keep[2:4, 1:4] = 0
    prior = Field(natural(), multiple=4)
    given = problem(Mask(keep), size=size)
    z = mask_shift(given, prior, DDNM(), LADDER, size=size, window=WINDOW, noise=Noise([0]))
    assert z.shape == (1, 1, *size) and prior.images == 8
    assert torch.equal(z[0, 0][keep > 0], given.y[0, 0][keep > 0])


def test_a_warm_start_stays_close() -> None:
    x = Field(natural()).draw(SIZE, Noise([1])((1, 1, *SIZE)))
    given = problem(AveragePool(2, SIZE))
    z = mask_shift(given, Field(natural()), DDNM(), [0.02, 0.0], size=SIZE, window=WINDOW, noise=Noise([0]), start=x)
    assert float((z - x).abs().mean()) < 0.03


def test_extra_constraints_are_met() -> None:
    x = Field(natural()).draw(SIZE, Noise([1])((1, 1, *SIZE)))
    seen = torch.zeros(SIZE)
    seen[10:14, 14:20] = 1  # inside the hole, from elsewhere
    z = mask_shift(problem(Mask(holes())), Field(natural()), DDNM(), LADDER, size=SIZE, window=WINDOW, noise=Noise([0]),
                   constraints=[Problem(Mask(seen), seen * x)])
    assert torch.equal(z[..., 10:14, 14:20], x[..., 10:14, 14:20])


def test_a_codec_is_folded_in_before_windows_are_cut() -> None:
    codec, A = Interval(0.0, 255.0), Mask(holes()) @ Grayscale()
    picture = codec.decode(Field(natural(), 3).draw(SIZE, Noise([1])((1, 3, *SIZE))))
    given = Problem(A, A(picture))
    z = mask_shift(given.encoded(codec), Field(natural(), 3), DDNM(), LADDER, size=SIZE, window=WINDOW, noise=Noise([0]))
    assert float(misfit(given, codec.decode(z)).max()) < 1e-4 * float(given.y.norm())


class Crowded(Field):
    """Runs out of memory beyond two images."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError
        return super().__call__(x, sigma)


def test_batches_are_halved_when_memory_runs_out() -> None:
    given = problem(Mask(holes()))
    z, other = (mask_shift(given, prior, DDNM(), LADDER, size=SIZE, window=WINDOW, noise=Noise(range(5)))
                for prior in (Crowded(natural()), Field(natural())))
    close(z, other, 1e-4)


class Allocations(TorchDispatchMode):
    """Counts results of at least `least` numbers that have memory of their own."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self.least, self.found = least, set[int]()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        given = {one.untyped_storage().data_ptr() for one in args if isinstance(one, Tensor)}
        if isinstance(made, Tensor) and made.is_floating_point() and made.untyped_storage().nbytes() >= 4 * self.least:
            self.found |= {made.untyped_storage().data_ptr()} - given
        return made


@pytest.mark.parametrize("size", [(48, 64), (96, 128)])
def test_memory_is_the_canvas_and_one_batch(size: Size) -> None:
    keep = torch.ones(size)
    keep[20:40, 20:40] = 0
    given, prior = Problem(Mask(keep), torch.zeros(1, 3, 1, 1).expand(1, 3, *size)), Field(natural(), 3)
    prior.basis(WINDOW)
    with Allocations(3 * size[0] * size[1] // 2) as made:
        mask_shift(given, prior, DDNM(), [1.0, 0.5, 0.0], size=size, window=WINDOW, noise=Noise([0]), batch=2)
    assert len(made.found) == 1  # the canvas


def test_windows_lie_where_the_plan_says() -> None:
    given, prior = problem(Mask(holes())), Field(natural())
    mask_shift(given, prior, DDNM(), LADDER, size=SIZE, window=WINDOW, noise=Noise([0]))
    assert prior.images == len(plan(holes() == 0, WINDOW, (4, 4))) * 8


def test_the_seam_of_the_paper_does_without_what_is_continued() -> None:
    given = problem(Mask(holes()))
    common = dict(size=SIZE, window=WINDOW, noise=Noise([0]))
    fixed, continued = (mask_shift(given, Field(natural()), DDNM(), LADDER, seam=seam, **common)
                        for seam in ("fixed", "continued"))
    assert not torch.equal(fixed, continued)
    known = holes() > 0
    assert torch.equal(fixed[..., known], continued[..., known])


@pytest.mark.parametrize("kind", ["by a classifier", "free of one"])
def test_every_window_is_told_the_class(kind: str) -> None:
    """Points of class "right" are about (1, -1): so is every pixel of a picture of many windows, however drawn."""
    prior = Guided(PerPixel(), PerPixelBayes(), "right") if kind == "by a classifier" else ClassifierFree(PerPixel(), "right")
    picture = generate(prior, DDIM(), karras(20, 10.0, 0.02), size=(10, 14), window=(4, 4), noise=Noise(range(2)))
    off = (picture - MODES[2][:, None, None]).abs().amax(1)
    assert float((off < 1.0).float().mean()) > 0.99
    anything = generate(PerPixel(), DDIM(), karras(20, 10.0, 0.02), size=(10, 14), window=(4, 4), noise=Noise(range(2)))
    assert float(((anything - MODES[2][:, None, None]).abs().amax(1) < 1.0).float().mean()) < 0.8


class PerPixel(Mixture):
    """Every pixel is a point of the mixture, on its own."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return together(super().__call__(apart(x), sigma), x)

    def of_classes(self, x: Tensor, sigma: float, labels: Tensor) -> Tensor:
        pixels = x.shape[-2] * x.shape[-1]
        return together(super().of_classes(apart(x), sigma, labels.repeat_interleave(pixels)), x)


class PerPixelBayes(Bayes):
    """All pixels are of one class."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return super().__call__(apart(x), sigma).reshape(len(x), -1, 2).sum(1)


def apart(x: Tensor) -> Tensor:
    """The pixels of pictures (batch, 2, height, width) as points (batch * pixels, 2, 1, 1)."""
    return x.permute(0, 2, 3, 1).reshape(-1, 2, 1, 1)


def together(points: Tensor, x: Tensor) -> Tensor:
    """The points as the pixels of pictures like `x`."""
    return points.reshape(len(x), *x.shape[-2:], 2).permute(0, 3, 1, 2)
