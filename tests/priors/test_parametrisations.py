"""What networks predict: every training target becomes the same estimate, and no other schedule is taken."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from medrestore.errors import InputError
from medrestore.priors import EDM, Epsilon, NetworkPrior, Sample, StationaryGaussian, VarianceExploding, Velocity
from medrestore.priors.parametrisations import Parametrisation, cosine_betas, linear_betas, scaled_linear_betas

SIDE = 8
POWER = torch.linspace(0.5, 4.0, SIDE * SIDE).reshape(SIDE, SIDE)
POWER = (POWER + torch.roll(torch.flip(POWER, (0, 1)), (1, 1), (0, 1))) / 2  # even, as the spectrum of a real field is
GAUSSIAN = StationaryGaussian(POWER, mean=0.3, channels=2)


def sigma_of(t: Tensor, betas: tuple[float, ...]) -> Tensor:
    """The noise level of a fractional step, log-linear between the training steps."""
    abar = torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), 0)
    logs = (1 / abar - 1).sqrt().log()
    i = t.double().floor().long().clamp(max=len(betas) - 2)
    return (logs[i] + (t - i) * (logs[i + 1] - logs[i])).exp()


class Perfect(nn.Module):
    """What a network trained to convergence on the Gaussian would return, with a learned variance behind it."""

    def __init__(self, target: str, betas: tuple[float, ...] = Epsilon().betas) -> None:
        super().__init__()
        self.target, self.betas, self.seen = target, betas, []

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.seen.append((x.dtype, t))
        sigma = float(torch.exp(4 * t[0]) if self.target == "edm" else sigma_of(t, self.betas)[0])
        if self.target == "edm":
            x = x * (sigma**2 + 0.25) ** 0.5
            x0 = GAUSSIAN(x, sigma)
            out = (x0 - 0.25 / (sigma**2 + 0.25) * x) * (sigma**2 + 0.25) ** 0.5 / (0.5 * sigma)  # Karras et al., eq. 7
        else:
            abar = 1 / (1 + sigma**2)
            x0 = GAUSSIAN(x / abar**0.5, sigma)
            n = (x - abar**0.5 * x0) / (1 - abar) ** 0.5
            out = {"sample": x0, "epsilon": n, "velocity": abar**0.5 * n - (1 - abar) ** 0.5 * x0}[self.target]
        return torch.cat([out, torch.full_like(out, 7.0)], 1)


KINDS: dict[str, Parametrisation] = {"epsilon": Epsilon(), "velocity": Velocity(), "sample": Sample(), "edm": EDM()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.02, 0.3, 2.0, 30.0])
def test_every_target_gives_the_same_estimate(kind, sigma):
    x = 0.3 + (POWER.max() + sigma**2) ** 0.5 * torch.randn(3, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    prior = NetworkPrior(Perfect(kind), KINDS[kind], channels=2)
    torch.testing.assert_close(prior(x, sigma), GAUSSIAN(x, sigma), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("betas", [Epsilon().betas, scaled_linear_betas(0.0015, 0.0195)], ids=["linear", "scaled"])
def test_the_timestep_is_exact_at_training_steps_and_monotone_between(betas):
    kind = Epsilon(betas)
    steps = torch.tensor([0.0, 1.0, 10.0, 500.0, 998.0, 999.0])
    torch.testing.assert_close(kind.timestep(sigma_of(steps, betas).float()), steps, rtol=1e-5, atol=2e-3)
    between = kind.timestep(sigma_of(torch.linspace(400, 410, 41), betas).float())
    torch.testing.assert_close(between, torch.linspace(400, 410, 41), rtol=1e-5, atol=2e-3)
    torch.testing.assert_close(kind.timestep(torch.tensor([1e-6, 1e6])), torch.tensor([0.0, 999.0]))
    assert kind.sigma_range == pytest.approx([float(s) for s in sigma_of(torch.tensor([0.0, 999.0]), betas)], rel=1e-4)


def test_the_network_is_told_the_paper_inputs():
    net = Perfect("edm")
    NetworkPrior(net, EDM(), channels=2)(torch.zeros(1, 2, SIDE, SIDE), 2.0)
    assert float(net.seen[0][1][0]) == pytest.approx(torch.log(torch.tensor(2.0)).item() / 4)


def test_the_score_of_a_variance_exploding_network_becomes_the_same_estimate() -> None:
    """score = (E[x0 | x] - x) / sigma^2, and the network takes sigma itself."""
    times: list[float] = []

    def score(x: Tensor, sigma: Tensor) -> Tensor:
        times.append(float(sigma[0]))
        return (GAUSSIAN(x, float(sigma[0])) - x) / float(sigma[0]) ** 2

    x = torch.randn(2, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    got = VarianceExploding().estimate(score, x, torch.full((2,), 0.7))
    torch.testing.assert_close(got, GAUSSIAN(x, 0.7), rtol=1e-4, atol=1e-5)
    assert times == [pytest.approx(0.7)] and VarianceExploding((0.1, 50.0)).sigma_range == (0.1, 50.0)


def test_schedules_are_those_of_their_papers() -> None:
    assert linear_betas()[0] == 1e-4 and linear_betas()[-1] == pytest.approx(0.02) and len(linear_betas()) == 1000
    scaled = scaled_linear_betas(0.0015, 0.0195, 3)
    assert scaled == pytest.approx([0.0015, ((0.0015**0.5 + 0.0195**0.5) / 2) ** 2, 0.0195])
    cosine = cosine_betas(100)
    abar = math.prod(1 - beta for beta in cosine[:50])
    ends = [math.cos((t / 100 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (0, 50)]
    assert abar == pytest.approx(ends[1] / ends[0]) and max(cosine) == 0.999


ABAR = tuple(math.prod(1 - beta for beta in linear_betas()[: step + 1]) for step in range(1000))


@pytest.mark.parametrize("kind", [Epsilon, Velocity, Sample])
@pytest.mark.parametrize(("betas", "message"), [
    (ABAR, "betas fall from 0.9999 to 4.036e-05: these look like alphas_cumprod; give betas"),
    (torch.tensor(ABAR), "these look like alphas_cumprod; give betas"),
    ([-1e-4, 0.02], "betas must lie between 0 and 1, got -0.0001"),
    ([1e-4, 1.0], "betas must lie between 0 and 1, got 1"),
    ([1e-4, math.nan], "betas must lie between 0 and 1, got nan"),
    ([1e-4, math.inf], "betas must lie between 0 and 1, got inf"),
    ([], "betas must be those of all training steps, 2 or more, got 0"),
    ([0.02], "2 or more, got 1"),
    ([0.999] * 200, "leave nothing of the image at the last step"),
])
def test_what_is_no_schedule_is_refused(kind: type[Epsilon], betas: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        kind(betas)
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_betas_of_a_scheduler_are_taken_as_they_are() -> None:
    from diffusers import DDPMScheduler

    kind = Epsilon(DDPMScheduler(num_train_timesteps=100).betas)
    assert len(kind.betas) == 100 and type(kind.betas) is tuple and hash(kind) == hash(Epsilon(kind.betas))
    assert Epsilon(cosine_betas()).sigma_range[1] < 1e5


@pytest.mark.parametrize(("make", "message"), [
    (lambda: EDM(sigma_data=0.0), "EDM: sigma_data is the std of the training images and must be above 0"),
    (lambda: EDM(sigma_data=math.nan), "EDM: sigma_data"),
    (lambda: EDM(time_scale=0.0), "EDM: time_scale must be a number other than 0"),
    (lambda: EDM(sigmas=(80.0, 0.002)), "EDM: sigmas must be the lowest and the highest noise level of training"),
    (lambda: EDM(sigmas=(0.0, 80.0)), "EDM: sigmas"),
    (lambda: VarianceExploding((0.01, math.inf)), "VarianceExploding: sigmas"),
    (lambda: VarianceExploding((-1.0, 1.0)), "VarianceExploding: sigmas"),
])
def test_numbers_that_make_no_sense_are_refused(make: Callable[[], Parametrisation], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_schedules_are_shown_by_their_ends() -> None:
    assert repr(Epsilon()) == "Epsilon(betas=1000 from 0.0001 to 0.02)"
    assert repr(Velocity(linear_betas(steps=50))) == "Velocity(betas=50 from 0.0001 to 0.02)"
    assert len(render(Epsilon)) < 4000


def render(kind: type) -> str:
    """What `help` shows."""
    import pydoc

    return pydoc.plain(pydoc.render_doc(kind))
