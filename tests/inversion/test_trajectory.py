"""The deterministic sampler as a map: against its closed form, finite differences, and what it holds in memory."""

import math
from itertools import pairwise

import pytest
import torch
from helpers.priors import smooth, tiny_prior
from laws import close, white
from torch import Tensor

from medrestore.errors import InputError
from medrestore.inversion import Trajectory, on_sphere
from medrestore.levels import ddpm_strided, karras, time_travel
from medrestore.methods import DDIM
from medrestore.noise import Noise
from medrestore.priors import load
from medrestore.sampling import sample

LEVELS = karras(10, 40.0, 0.01)


def test_it_is_ddim_without_fresh_noise() -> None:
    prior = smooth(8)
    noise = Noise([3, 4])
    x = Trajectory(prior, LEVELS)(Noise([3, 4])((2, 1, 8, 8)))
    close(x, sample(None, prior, DDIM(0.0), LEVELS, noise=noise, size=(8, 8)))


def test_the_map_of_a_gaussian_prior_is_its_closed_form() -> None:
    prior = smooth(8, mean=0.3)
    noise = white((1, 1, 8, 8))
    gain = torch.full((8, 8), LEVELS[0])
    for sigma, sigma_next in pairwise(LEVELS):
        kept = prior.power / (prior.power + sigma**2)
        gain = gain * (kept + sigma_next / sigma * (1 - kept))
    offset = 0.3 * (1 - gain[0, 0] / LEVELS[0])
    expected = torch.fft.ifft2(gain * torch.fft.fft2(noise)).real + offset
    close(Trajectory(prior, LEVELS)(noise), expected, 1e-5)


@pytest.mark.parametrize("gradient", ["full", "shortcut"])
@pytest.mark.parametrize("checkpointed", [True, False])
def test_gradients(gradient: str, checkpointed: bool) -> None:
    """Full: finite differences. Shortcut: that by the image times the first level, noise estimates being constants."""
    trajectory = Trajectory(tiny_prior(), karras(3, 2.0, 0.1), gradient, checkpointed=checkpointed)
    noise, weight = white((1, 1, 8, 8)), white((1, 1, 8, 8), seed=2)
    z = noise.clone().requires_grad_()
    (gradient_found,) = torch.autograd.grad((weight * trajectory(z)).sum(), z)
    if gradient == "shortcut":
        close(gradient_found, 2.0 * weight)
        return
    h, direction = 1e-2, 8 * gradient_found / gradient_found.norm()
    ahead, behind = (float((weight * trajectory(noise + s * h * direction)).double().sum()) for s in (1, -1))
    found = float((gradient_found * direction).sum())
    assert found == pytest.approx((ahead - behind) / (2 * h), rel=2e-3)


def test_checkpoints_change_nothing() -> None:
    prior, noise = tiny_prior(), white((2, 1, 8, 8))
    made = []
    for checkpointed in (True, False):
        z = noise.clone().requires_grad_()
        x = Trajectory(prior, karras(4, 2.0, 0.1), checkpointed=checkpointed)(z)
        made.append((x.detach(), torch.autograd.grad(x.square().sum(), z)[0]))
    for one, other in zip(*made, strict=True):
        close(one, other, 1e-6)


def test_estimates_are_clipped() -> None:
    x = Trajectory(smooth(8), LEVELS, clip=0.1)(white((1, 1, 8, 8)))
    assert float(x.abs().max()) == pytest.approx(0.1)


def test_constraints_and_a_start() -> None:
    keep = torch.zeros(8, 8)
    keep[2:5] = 1
    start = white((1, 1, 8, 8), seed=5)
    prior = smooth(8)
    x = Trajectory(prior, [0.5, 0.0], constrain=lambda x0: keep * x0, start=start)(white((1, 1, 8, 8)))
    close(x, keep * prior(start + 0.5 * white((1, 1, 8, 8)), 0.5))


def test_the_sphere() -> None:
    z = on_sphere(7.0 * white((3, 2, 4, 4)))
    close(z.flatten(1).norm(dim=1), torch.full((3,), math.sqrt(32)))
    close(z, white((3, 2, 4, 4)) * (z / white((3, 2, 4, 4)))[:, :1, :1, :1], 1e-5)


def test_time_travel_is_refused() -> None:
    with pytest.raises(InputError, match="rise"):
        Trajectory(smooth(8), time_travel(LEVELS, 2, 2))
    with pytest.raises(InputError, match="down to 0"):
        Trajectory(smooth(8), [1.0, 0.5])


def peak(run) -> int:
    """Bytes held at most by tensors that were made during a call."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    held = most = 0
    events = profile.profiler.kineto_results.events()
    for event in sorted((one for one in events if one.name() == "[memory]"), key=lambda one: one.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def peak_of_gradient(call, channels: int) -> int:
    """Of one gradient by noise of 256 x 256."""
    noise = white((1, channels, 256, 256))

    def run() -> None:
        z = noise.clone().requires_grad_()
        torch.autograd.grad(call(z).square().sum(), z)

    return peak(run)


TEN = ddpm_strided(100, 40.0, 0.01)  # calls


def test_peak_memory_is_that_of_one_call() -> None:
    """At most 1.5 of one call with gradient; without checkpoints far more."""
    prior = tiny_prior(width=8)
    one = peak_of_gradient(lambda z: prior(z, 2.0), 1)
    assert peak_of_gradient(Trajectory(prior, TEN), 1) <= 1.5 * one
    assert peak_of_gradient(Trajectory(prior, TEN, checkpointed=False), 1) > 4 * one


@pytest.mark.slow
def test_peak_memory_with_a_prior_that_ships() -> None:
    """Its activations are so many that the ten images hardly count beside them."""
    prior = load("surgical-starter", device="cpu", bf16=False)
    one = peak_of_gradient(lambda z: prior(z, 2.0), 3)
    assert peak_of_gradient(Trajectory(prior, TEN), 3) <= 1.1 * one


def test_the_result_has_a_type() -> None:
    assert isinstance(Trajectory(smooth(8), LEVELS)(white((1, 1, 8, 8))), Tensor)
