"""The contract of a method: bounds of its hyper-parameters, memory of a trajectory, exact data at the last step."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from helpers.steps import NOISE, PINV, X0, A, Rotated, Y, close, flat, step
from torch import Tensor

import medrestore as mr
from medrestore.errors import InputError
from medrestore.levels import time_travel
from medrestore.methods import DDNM, DDRM, DDS, DPS, FRAMES, METHODS, DDNMPlus, DiffPIR, Method, RePaint
from medrestore.noise import Noise
from medrestore.priors import StationaryGaussian, WrappedPrior
from medrestore.sampling import sample

PRIOR = StationaryGaussian(torch.ones(4, 4))


def test_the_operator_of_these_tests_is_the_matrix():
    close(Rotated()(X0), flat(X0) @ A.T)
    close(flat(Rotated().adjoint(Y)), Y @ A)
    close(flat(Rotated().pinv(Y)), Y @ PINV.T)


@pytest.mark.parametrize("method", [DDNM(), DDNMPlus(), DDRM(), RePaint(), DiffPIR(), DDS(None, None)], ids=str)
def test_the_last_step_explains_exact_data(method):
    x = step(method, 0.3, 0.0, noises=(NOISE, NOISE))
    close(x @ A.T, Y)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: mr.DDS(eta=-1, gamma=-5), "DDS: gamma must be above 0, got -5"),
    (lambda: mr.DDS(eta=-1), "DDS: eta must be at least 0, got -1"),
    (lambda: mr.DDS(cg_steps=0), "DDS: cg_steps must be at least 1, got 0"),
    (lambda: mr.DDS(cg_steps=2.5), "DDS: cg_steps must be a whole number, got 2.5"),
    (lambda: mr.DDS(rtol=float("nan")), "DDS: rtol must be above 0, got nan"),
    (lambda: mr.DDIM(1.1), "DDIM: eta must be at least 0 and at most 1, got 1.1"),
    (lambda: mr.DDNM(eta=float("inf")), "DDNM: eta must be at least 0 and at most 1, got inf"),
    (lambda: mr.DDNMPlus("0.5"), "DDNMPlus: eta must be a number, got '0.5'"),
    (lambda: mr.DDRM(eta_b=-0.1), "DDRM: eta_b must be at least 0 and at most 1"),
    (lambda: mr.DiffPIR(zeta=2), "DiffPIR: zeta must be at least 0 and at most 1"),
    (lambda: mr.DiffPIR(lam=0), "DiffPIR: lam must be above 0"),
    (lambda: mr.DPS(step_size=0), "DPS: step_size must be above 0"),
    (lambda: mr.HQS(lam=None), "HQS: lam must be a number, got null"),
    (lambda: mr.HQS(cg_steps=-3), "HQS: cg_steps must be at least 1"),
    (lambda: mr.ProbabilityFlow(heun=1), "ProbabilityFlow: heun must be true or false, got 1"),
    (lambda: mr.SimplifiedDDNMPlus(eta=1.2), "SimplifiedDDNMPlus: eta must be at least 0 and at most 1, got 1.2"),
    (lambda: mr.ILVR(down_to=-1), "ILVR: down_to must be at least 0, got -1"),
    (lambda: mr.MCG(step_size=0), "MCG: step_size must be above 0"),
    (lambda: mr.PiGDM(eta=-0.1), "PiGDM: eta must be at least 0"),
    (lambda: mr.REDDiff(lam=0), "REDDiff: lam must be above 0"),
    (lambda: mr.DAPS(ode_steps=0), "DAPS: ode_steps must be at least 1, got 0"),
    (lambda: mr.PnPDM(prior_steps=1.5), "PnPDM: prior_steps must be a whole number, got 1.5"),
    (lambda: mr.SNIPS(c=2), "SNIPS: c must be above 0 and at most 1, got 2"),
])
def test_hyper_parameters_out_of_bounds_are_refused(make: Callable[[], Method], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        make()
    assert str(refusal.value).startswith(message)


def test_what_bounds_allow_is_accepted() -> None:
    assert DDS(gamma=None, cg_steps=None, eta=None) == DDS() and DDS(eta=2.0).eta == 2.0
    assert DPS(eta=3.0).eta == 3.0 and DDRM(0.0, 1.0).eta_b == 1.0 and DiffPIR(zeta=1).zeta == 1


@dataclass(frozen=True)
class Counting(Method):
    """Adds how many steps it has taken since its memory began."""

    needs = None

    def begin(self, problem: None, shape: torch.Size) -> int:
        return len(shape) - 4

    def step(self, x: Tensor, sigma: float, sigma_next: float, **lent: object) -> Tensor:
        raise AssertionError("a method with a memory is advanced")

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: int, **lent: object) -> tuple[Tensor, int]:
        return torch.full_like(x, memory), memory + 1


def test_the_memory_lives_for_one_trajectory_and_ends_with_time_travel() -> None:
    seen: list[float] = []
    levels = time_travel([4.0, 3.0, 2.0, 1.0, 0.0], 2, 2)  # 4 3 2, up to 4, 3 2 1 0
    for _ in range(2):
        sample(None, PRIOR, Counting(), levels, noise=Noise([0]), size=(4, 4),
               on_step=lambda i, x: seen.append(round(float(x.mean()), 3)))
    once = [count for count, (a, b) in zip(seen[: len(levels) - 1], pairwise(levels), strict=True) if b < a]
    assert once == [0, 1, 0, 1, 2, 3]
    assert seen[len(levels) - 1 :] == seen[: len(levels) - 1]


def test_a_method_without_memory_is_its_step() -> None:
    lent = {"problem": None, "denoise": PRIOR, "constrain": lambda x: x, "noise": lambda: torch.zeros(1, 1, 4, 4)}
    x = torch.ones(1, 1, 4, 4)
    method = mr.DDIM(0.5)
    assert method.begin(None, x.shape) is None
    advanced, memory = method.advance(x, 2.0, 1.0, None, **lent)
    assert memory is None and torch.equal(advanced, method.step(x, 2.0, 1.0, **lent))


def test_noise_free_methods_project() -> None:
    """A method that takes data as exact returns exact data, whatever noise the problem states; no other does."""
    for name in METHODS.offered(FRAMES):
        kind = METHODS[name]
        operator = mr.operators.Mask(torch.ones(4, 4))
        problem = mr.Problem(operator, torch.full((1, 1, 4, 4), 0.5), 0.4)
        restored = mr.restore(problem, PRIOR, kind(), steps=4, seed=1, codec=mr.codecs.Interval(-1, 1)).mean
        assert (float((restored - 0.5).abs().max()) < 1e-5) == kind.exact, name


class Called(WrappedPrior):
    """A prior that counts the images it denoises."""

    calls = 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += len(x)
        return self.prior(x, sigma)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "resample"])  # which is for codes alone
def test_calls_of_the_network_are_as_many_as_the_method_says(name: str) -> None:
    """For one image, of a scan of 3 coils; rises of time travel take none."""
    options = {"iterations": 3, "tolerance": 0.0} if name == "shred" else {}  # to the last iteration
    method, prior = METHODS.build(name, options), Called(StationaryGaussian(torch.ones(6, 6), channels=2))
    mask = torch.ones(1, 6)
    mask[:, 2] = 0
    operator = mr.operators.Sense(torch.full((1, 3, 6, 6), 3**-0.5, dtype=torch.complex64), mask).spectral()
    problem = mr.Problem(operator, torch.ones(1, 3, 6, 6, dtype=torch.complex64), 0.1).encoded(mr.codecs.ComplexChannels(1.0))
    levels = [4.0, 3.0, 2.0, 1.0, 0.5, 0.0]
    levels = levels if name == "shred" else time_travel(levels, 2, 2)
    sample(problem if method.needs is not None else None, prior, method, levels, noise=Noise([0]), size=(6, 6))
    steps = sum(b < a for a, b in pairwise(levels))
    assert prior.calls == method.calls(steps, 3) and steps in (5, 9)


def test_hyper_parameters_that_follow_from_the_steps() -> None:
    changed = {name for name in METHODS if METHODS[name]().in_steps(10) != METHODS[name]()}
    assert changed == {"dps", "mcg"}
