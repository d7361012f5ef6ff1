"""The loop over noise levels: constraints, steps, batches, and what is refused before the first step."""


import pytest
import torch
from gaussian_posterior import SIDE, power

from medrestore.codecs import ComplexChannels, Interval
from medrestore.levels import karras
from medrestore.methods import (
    DAPS,
    DDIM,
    DDNM,
    DDPM,
    DDRM,
    DDS,
    DPS,
    HQS,
    DDNMPlus,
    DiffPIR,
    Langevin,
    PiGDM,
    PnPDM,
    ProbabilityFlow,
    RePaint,
)
from medrestore.noise import Noise
from medrestore.operators import AveragePool, Identity, Mask, Operator
from medrestore.priors import Prior, StationaryGaussian
from medrestore.problem import Problem
from medrestore.restoration import restore
from medrestore.sampling import sample

from .test_restoration import BEST, LADDER, PAPER, AnySize, Cubed, dots, drawn, half, multicoil


def test_batches_halve_when_memory_runs_out():
    operator = half(SIDE, SIDE)
    problem = Problem(operator, operator(drawn(SIDE, SIDE)), 0.1)
    small = AnySize(most=2)
    result = restore(problem, small, BEST, codec=Interval(-1.0, 1.0), levels=LADDER, samples=7, batch_size=8)
    want = restore(problem, AnySize(), BEST, codec=Interval(-1.0, 1.0), levels=LADDER, samples=7)
    torch.testing.assert_close(result.samples, want.samples, rtol=1e-4, atol=1e-5)
    assert {shape[0] for shape in small.seen} == {7, 4, 2, 1}
    with pytest.raises(torch.OutOfMemoryError):
        restore(problem, AnySize(most=0), BEST, codec=Interval(-1.0, 1.0), levels=LADDER, samples=3)


def test_on_step_sees_every_step():
    seen = []
    problem = Problem(Identity(), drawn(SIDE, SIDE), 0.1)
    result = restore(
        problem,
        AnySize(),
        BEST,
        codec=Interval(-1.0, 1.0),
        levels=LADDER,
        samples=2,
        on_step=lambda i, x: seen.append((i, x.clone())),
    )
    assert [i for i, _ in seen] == list(range(len(LADDER) - 1))
    torch.testing.assert_close(seen[-1][1], result.samples)


@pytest.mark.parametrize(
    "method", [PAPER, BEST, DPS(), HQS()], ids=lambda m: type(m).__name__
)
def test_constraints_are_met(method):
    """A coarse image in physical units: the mean of every patch is given."""
    x = 127.5 * drawn(SIDE, SIDE) + 127.5
    coarse = AveragePool(4, (SIDE, SIDE))
    operator = half(SIDE, SIDE)
    noisy = Problem(
        operator, operator(x + 30.0 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))), 30.0
    )
    result = restore(
        noisy,
        AnySize(),
        method,
        codec=Interval(0.0, 255.0),
        levels=LADDER,
        samples=2,
        constraints=[Problem(coarse, coarse(x))],
    )
    assert (coarse(result.samples) - coarse(x)).abs().max() < 0.05


@pytest.mark.parametrize("method", [DDIM(), DDPM(), ProbabilityFlow()], ids=lambda m: type(m).__name__)
def test_constraints_are_met_by_the_prior_alone(method):
    x, coarse = drawn(SIDE, SIDE), AveragePool(4, (SIDE, SIDE))
    z = sample(None, AnySize(), method, LADDER, noise=Noise(range(2)), size=(SIDE, SIDE),
               constraints=[Problem(coarse, coarse(x))])
    assert (coarse(z) - coarse(x)).abs().max() < 0.05 / 127.5


def test_two_constraints_that_agree_are_both_met():
    x = drawn(SIDE, SIDE)
    coarse, known = AveragePool(4, (SIDE, SIDE)), Mask(torch.zeros(SIDE, SIDE))
    known.keep[:, :4] = 1  # whole patches, so that the one leaves the other alone
    result = restore(
        Problem(half(SIDE, SIDE), half(SIDE, SIDE)(x), 0.1),
        AnySize(),
        PAPER,
        codec=Interval(-1.0, 1.0),
        levels=LADDER,
        constraints=[Problem(coarse, coarse(x)), Problem(known, known(x))],
    )
    torch.testing.assert_close(coarse(result.samples), coarse(x), rtol=0, atol=1e-4)
    torch.testing.assert_close(known(result.samples), known(x), rtol=0, atol=1e-5)


# Refusals come before the first step.


def refused(
    error: type[Exception],
    says: str,
    operator: Operator,
    method,
    *,
    size: tuple[int, int] = (SIDE, SIDE),
    prior: Prior | None = None,
) -> None:
    prior = AnySize() if prior is None else prior
    problem = Problem(operator, torch.zeros(1, 1, *size), 0.1)
    with pytest.raises(error, match=says):
        sample(problem, prior, method, LADDER, noise=Noise([0]), size=size)
    assert getattr(prior, "calls", 0) == 0


@pytest.mark.parametrize("method", [DDNM(), DDNMPlus(), DDRM(), RePaint()], ids=lambda m: type(m).__name__)
def test_spectral_methods_refuse_what_is_only_linear(method):
    sense, x = multicoil(dots())
    problem, prior = Problem(sense, sense(x), 1.0), AnySize(2)
    with pytest.raises(
        TypeError,
        match=rf"{type(method).__name__} needs a SpectralOperator, and Sense is not one; "
        "hqs, dds, diffpir, dps, .* would do",
    ):
        restore(problem, prior, method, codec=ComplexChannels(200.0))
    assert prior.calls == 0
    with pytest.raises(TypeError, match="one phase-encode axis"):
        sense.spectral()


@pytest.mark.parametrize("method", [DAPS(), PiGDM(), PnPDM(), Langevin()], ids=lambda m: type(m).__name__)
def test_linear_methods_refuse_what_is_not_linear(method):
    refused(
        TypeError, rf"{type(method).__name__} needs a LinearOperator, and Cubed is not one", Cubed(), method
    )


@pytest.mark.parametrize("method", [DDS(), DiffPIR(), HQS(order=2)], ids=lambda m: type(m).__name__)
def test_proximal_steps_are_taken_by_linearising(method):
    x = drawn(SIDE, SIDE).abs()
    made = sample(Problem(Cubed(), x**3, 0.1), AnySize(), method, karras(15, 5.0, 0.02), noise=Noise([0]), size=(SIDE, SIDE))
    assert (made**3 - x**3).norm() < 0.2 * (x**3).norm()


def test_gradients_suffice_for_dps():
    x = drawn(SIDE, SIDE).abs()
    problem = Problem(Cubed(), x**3, 0.1)
    z = sample(problem, AnySize(), DPS(0.3), karras(30, 20.0, 0.02), noise=Noise(range(4)), size=(SIDE, SIDE))
    alone = sample(None, AnySize(), DDPM(), karras(30, 20.0, 0.02), noise=Noise(range(4)), size=(SIDE, SIDE))
    assert (z**3 - x**3).norm() < 0.5 * (alone**3 - x**3).norm()


def test_methods_of_data_refuse_to_have_none():
    with pytest.raises(TypeError, match="DDS needs an Operator, and no problem was given"):
        sample(None, AnySize(), PAPER, LADDER, noise=Noise([0]), size=(SIDE, SIDE))


def test_sizes_are_refused_with_the_way_out():
    refused(ValueError, "multiples of 8.*Padded", Identity(), PAPER, size=(12, 16))
    refused(
        ValueError,
        r"images of \(16, 16\) pixels only",
        Identity(),
        PAPER,
        size=(24, 24),
        prior=StationaryGaussian(power()),
    )


def test_a_constraint_needs_a_spectrum() -> None:
    sense, x = multicoil(dots())
    with pytest.raises(TypeError, match="a constraint needs a SpectralOperator, and Sense is not one"):
        restore(
            Problem(sense, sense(x), 1.0),
            AnySize(2),
            PAPER,
            codec=ComplexChannels(200.0),
            levels=LADDER,
            constraints=[Problem(sense, sense(x))],
        )
