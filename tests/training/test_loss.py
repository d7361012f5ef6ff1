"""Each weighting turns the error of x0 into the plain error of what the network predicts; noise levels are those asked for."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from medrestore.errors import InputError
from medrestore.priors.parametrisations import (
    EDM,
    Epsilon,
    Parametrisation,
    Sample,
    VarianceExploding,
    Velocity,
    linear_betas,
)
from medrestore.training.config import Levels, Objective
from medrestore.training.loss import (
    denoising_loss,
    edm_weight,
    min_snr_weight,
    noise_levels,
    simple_weight,
    target_of,
    weighting,
)

N = 64
GENERATOR = torch.Generator().manual_seed(0)
X0, NOISE, OUT = (torch.randn(N, 2, 4, 4, dtype=torch.float64, generator=GENERATOR) for _ in range(3))
SIGMA = (torch.randn(N, dtype=torch.float64, generator=GENERATOR) - 0.5).exp()
S = SIGMA.reshape(-1, 1, 1, 1)
ALPHA, BETA = 1 / (1 + S**2).sqrt(), S / (1 + S**2).sqrt()  # sqrt(abar), sqrt(1 - abar)


def net(x: Tensor, t: Tensor) -> Tensor:
    """A network that says the same whatever it sees."""
    return OUT


# what the network should have said, written from each paper in its own coordinates
IDEAL: dict[str, tuple[Parametrisation, Tensor]] = {
    "epsilon": (Epsilon(), NOISE),
    "velocity": (Velocity(), ALPHA * NOISE - BETA * X0),
    "sample": (Sample(), X0),
    "edm": (EDM(0.3), (X0 - 0.09 / (S**2 + 0.09) * (X0 + S * NOISE)) / (S * 0.3 / (S**2 + 0.09).sqrt())),
}


@pytest.mark.parametrize("kind", IDEAL)
def test_simple_is_the_plain_squared_error_of_the_target(kind: str) -> None:
    target, ideal = IDEAL[kind]
    loss = denoising_loss(net, target, X0, SIGMA, NOISE, simple_weight(target))
    assert float(loss) == pytest.approx(float((OUT - ideal).square().mean()), rel=1e-9)


def test_simple_for_scores_is_denoising_score_matching() -> None:
    """lambda |S + n / s|^2 with lambda = s^2."""
    target = VarianceExploding()
    loss = denoising_loss(net, target, X0, SIGMA, NOISE, simple_weight(target))
    assert float(loss) == pytest.approx(float((S * OUT + NOISE).square().mean()), rel=1e-9)


@pytest.mark.parametrize(("kind", "weight"), [
    ("epsilon", lambda snr: snr.clamp(max=5) / snr),
    ("velocity", lambda snr: snr.clamp(max=5) / (snr + 1)),
    ("sample", lambda snr: snr.clamp(max=5)),
])
def test_min_snr_is_that_of_the_paper(kind: str, weight: Callable[[Tensor], Tensor]) -> None:
    target, ideal = IDEAL[kind]
    snr = (ALPHA / BETA) ** 2
    expected = (weight(snr) * (OUT - ideal).square()).mean()
    assert float(denoising_loss(net, target, X0, SIGMA, NOISE, min_snr_weight(5.0))) == pytest.approx(float(expected), rel=1e-9)


def test_edm_weighs_every_level_the_same_for_an_untrained_network() -> None:
    generator = torch.Generator().manual_seed(0)
    x0 = 0.5 * torch.randn(4000, 2, 4, 4, generator=generator)
    noise = torch.randn(x0.shape, generator=generator)

    def zero(x: Tensor, t: Tensor) -> Tensor:
        return torch.zeros_like(x)

    levels = [torch.full((4000,), s) for s in (0.01, 0.5, 20.0)]
    losses = [float(denoising_loss(zero, EDM(0.5), x0, sigma, noise, edm_weight(0.5))) for sigma in levels]
    assert losses == pytest.approx([1.0, 1.0, 1.0], rel=0.05)


def test_an_objective_names_its_target_and_weight() -> None:
    assert target_of(Objective()) == EDM(0.5, 60.0, (0.002, 80.0))
    assert target_of(Objective(kind="velocity")) == Velocity(linear_betas())
    assert float(weighting(Objective(weighting="min_snr", gamma=2.0), Sample())(torch.tensor(0.1))) == 2.0
    assert float(weighting(Objective(weighting="edm"), Sample())(torch.tensor(0.5))) == pytest.approx(8.0)


def draw(noise: Levels, target: Parametrisation, count: int = 20_000) -> Tensor:
    return noise_levels(Objective(noise=noise), target)(count, torch.Generator().manual_seed(1))


def test_log_normal_levels() -> None:
    log = draw(Levels("log_normal", -2.0, 1.3), EDM(sigmas=(1e-4, 1e4))).log()
    assert float(log.mean()) == pytest.approx(-2.0, abs=0.03) and float(log.std()) == pytest.approx(1.3, abs=0.03)
    kept = draw(Levels("log_normal", -2.0, 1.3), EDM(sigmas=(0.1, 0.2)))
    assert float(kept.min()) == pytest.approx(0.1) and float(kept.max()) == pytest.approx(0.2)


def test_scheduled_levels_are_the_timesteps_as_often_each() -> None:
    target = Epsilon(linear_betas(steps=10, end=0.3))
    steps = target.timestep(draw(Levels("schedule"), target))
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert steps.round().long().bincount() / len(steps) == pytest.approx(torch.full((10,), 0.1), abs=0.01)
    assert torch.equal(draw(Levels(), target), draw(Levels("schedule"), target))


def test_log_uniform_levels_span_the_target() -> None:
    log = draw(Levels("log_uniform"), VarianceExploding((0.01, 100.0))).log10()
    assert [float(log.quantile(q)) for q in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([-2, -1, 0, 2], abs=0.05)


def test_a_schedule_needs_timesteps() -> None:
    with pytest.raises(InputError, match="schedule, and this target has no timesteps; take log_normal or log_uniform"):
        draw(Levels("schedule"), EDM())


def test_the_weight_of_a_parent_is_that_of_its_own_sigma_data() -> None:
    sigma = torch.tensor([0.1, 1.0])
    found = weighting(Objective(weighting="edm", sigma_data=0.5), EDM(0.3))(sigma)
    torch.testing.assert_close(found, (sigma**2 + 0.09) / (0.3 * sigma) ** 2)
