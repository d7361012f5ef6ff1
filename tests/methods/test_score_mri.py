"""Score-MRI against its paper's algorithms, coil by coil."""

from itertools import pairwise

import pytest
import torch
from helpers.operators import coil_maps, lines
from torch import Tensor

import medrestore as mr
from medrestore.codecs import ComplexChannels
from medrestore.levels import karras
from medrestore.methods import ScoreMRI
from medrestore.methods.score_mri import begun, coils_of, of_coils
from medrestore.methods.score_sde import corrected, predicted
from medrestore.noise import Noise
from medrestore.operators import Mask, Sense, SingleCoil
from medrestore.priors import Prior
from medrestore.problem import Problem, stack

SIZE, COILS = (12, 10), 4


class Shrinking(Prior):
    """Depends on the image and on the level, and on no other image of the batch."""

    channels = 2

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return torch.tanh(x) / (1 + sigma)


def problem(sigma: float, seed: int = 0) -> Problem:
    A = Sense(coil_maps(*SIZE), lines(10))
    random = torch.Generator().manual_seed(seed)
    y = torch.randn(1, COILS, *SIZE, dtype=torch.complex64, generator=random)
    return Problem(A, A.mask * y, sigma)


def draws() -> list[Tensor]:
    random = torch.Generator().manual_seed(5)
    return [torch.randn(2, 2, *SIZE, generator=random) for _ in range(60)]


def to_complex(x: Tensor) -> Tensor:
    return torch.complex(x[:, 0], x[:, 1])


def to_real(c: Tensor) -> Tensor:
    return torch.stack([c.real, c.imag], 1)


def fourier(c: Tensor) -> Tensor:
    return torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(c, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))


def inverse(k: Tensor) -> Tensor:
    return torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(k, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))


@pytest.mark.parametrize("combination", ["hybrid", "ssos"])
@pytest.mark.parametrize("sigma_y", [0.0, 0.3])
def test_a_trajectory(combination: str, sigma_y: float) -> None:
    """Written out for one coil after another, with the maps, the mask and the transforms by hand."""
    about, levels, prior = problem(sigma_y), [3.0, 1.0, 0.4, 0.0], Shrinking()
    maps, mask = about.operator.maps[0], about.operator.mask
    seen = about.encoded(ComplexChannels(1.0))
    method = ScoreMRI(combination, every=2)
    left = iter(draws())
    x, memory = 3.0 * draws()[-1], method.begin(seen, torch.Size((2, 2, *SIZE)))
    got = x
    for sigma, tau in pairwise(levels):
        got, memory = method.advance(got, sigma, tau, memory, problem=seen, denoise=prior, constrain=lambda v: v,
                                     noise=lambda: next(left))

    given = iter(draws())
    noises = [next(given) for _ in range(COILS)]
    common = sum(maps[c].conj() * to_complex(noises[c]) for c in range(COILS))
    coil = [to_real(maps[c] * to_complex(x) + 3.0 * (to_complex(noises[c]) - maps[c] * common)) for c in range(COILS)]

    def lam(level: float) -> float:
        return level**2 / (level**2 + sigma_y**2)

    def consistent(c: int, z: Tensor, level: float) -> Tensor:
        k = fourier(to_complex(z))
        return to_real(inverse(k + lam(level) * mask * (about.y[0, c] - k)))

    for number, (sigma, tau) in enumerate(pairwise(levels)):
        if tau == 0:
            coil = [consistent(c, prior(coil[c], sigma), sigma) for c in range(COILS)]
            break
        noises = [next(given) for _ in range(COILS)]
        coil = [consistent(c, predicted(coil[c], prior(coil[c], sigma), sigma, tau, noises[c]), tau) for c in range(COILS)]
        noises = [next(given) for _ in range(COILS)]
        coil = [consistent(c, corrected(coil[c], (prior(coil[c], tau) - coil[c]) / tau**2, noises[c], 0.16), tau)
                for c in range(COILS)]
        if combination == "hybrid" and number % 2 == 1:
            image = sum(maps[c].conj() * to_complex(coil[c]) for c in range(COILS))
            left_over = sum(maps[c].conj() * inverse(mask * (about.y[0, c] - fourier(maps[c] * image))) for c in range(COILS))
            coil = [coil[c] + lam(tau) * to_real(maps[c] * left_over) for c in range(COILS)]
    image = sum(maps[c].conj() * to_complex(coil[c]) for c in range(COILS))
    if combination == "ssos":
        image = sum(to_complex(z).abs().square() for z in coil).sqrt() * torch.sgn(image)
    torch.testing.assert_close(to_complex(got), image, rtol=1e-4, atol=1e-4)


def test_coil_images_begin_with_white_noise_and_their_combination_is_x() -> None:
    coils = coils_of(problem(0.1).encoded(ComplexChannels(1.0)))
    n, x = (torch.randn(many, 2, *SIZE, generator=torch.Generator().manual_seed(k)) for k, many in ((1, 500 * COILS), (2, 500)))
    images = begun(coils, 2.0 * x, 2.0, n)
    torch.testing.assert_close(coils.combine(images), coils.combine(coils.spread(2.0 * x)), rtol=1e-3, atol=1e-3)
    flat = images.reshape(500, -1)
    assert abs(float(flat.std()) - 2) < 0.02
    coil, other = images.reshape(500, COILS, -1)[:, 0], images.reshape(500, COILS, -1)[:, 1]
    assert float((coil * other).mean().abs()) < 0.05


def test_samples_of_stacked_scans_are_those_of_each() -> None:
    prior, levels, codec = Shrinking(), karras(4, 3.0, 0.1), ComplexChannels(1.0)
    problems = [problem(0.1, 1), problem(0.3, 2)]
    together = mr.restore_all(problems, prior, ScoreMRI(), codec=codec, levels=levels, seeds=[3, 9], samples=2)
    for one, seed, made in zip(problems, (3, 9), together, strict=True):
        alone = mr.restore(one, prior, ScoreMRI(), codec=codec, levels=levels, seed=seed, samples=2)
        torch.testing.assert_close(made.samples, alone.samples, rtol=1e-4, atol=1e-4)
    stacked = of_coils(stack(problems), 2)
    assert stacked.y.shape == (2 * COILS, 1, *SIZE) and stacked.sigma.flatten().tolist() == pytest.approx([0.1] * 4 + [0.3] * 4)


def test_a_single_coil_is_met_exactly_without_noise() -> None:
    A = SingleCoil(lines(10))
    y = A.mask * torch.randn(1, 1, *SIZE, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    made = mr.restore(Problem(A, y), Shrinking(), ScoreMRI(), codec=ComplexChannels(1.0), levels=[3.0, 1.0, 0.2, 0.0], seed=0)
    assert float(made.misfit.max()) < 1e-5


def test_time_travel_begins_anew_from_the_combined_image() -> None:
    seen = problem(0.1).encoded(ComplexChannels(1.0))
    x = mr.sample(seen, Shrinking(), ScoreMRI(), [2.0, 1.0, 2.0, 1.0, 0.0], noise=Noise([0, 1]), size=SIZE)
    assert x.shape == (2, 2, *SIZE) and bool(x.isfinite().all())


def test_images_without_coils_are_refused() -> None:
    with pytest.raises(TypeError, match=r"ScoreMRI needs a CoilOperator, and Mask is not one; .* would do"):
        mr.restore(Problem(Mask(torch.ones(SIZE)), torch.ones(1, 2, *SIZE)), Shrinking(), ScoreMRI(),
                   codec=mr.codecs.Interval(-1, 1))
