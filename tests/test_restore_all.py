"""`restore_all`: several problems in one batch, each as alone."""

from dataclasses import replace

import pytest
import torch
from gaussian_posterior import SIDE, coil_maps
from torch import Tensor

from medrestore.codecs import ComplexChannels, Interval
from medrestore.errors import InputError
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
    ILVR,
    MCG,
    SNIPS,
    DDNMPlus,
    DPMSolver,
    Method,
    PiGDM,
    PnPDM,
    ProbabilityFlow,
    REDDiff,
    RePaint,
    SimplifiedDDNMPlus,
)
from medrestore.operators import AveragePool, Identity, Sense
from medrestore.priors import Prior
from medrestore.problem import Problem
from medrestore.restoration import Restoration, restore, restore_all

from .test_restoration import BEST, LADDER, PAPER, AnySize, dots, drawn, half, lines

ALL = [
    DDNM(),
    DDNMPlus(),
    DDRM(),
    RePaint(),
    PAPER,
    DDS(),
    DDS(5.0, None),
    BEST,
    HQS(),
    DPS(0.5),
    SimplifiedDDNMPlus(),
    ILVR(),
    MCG(0.5),
    PiGDM(),
    REDDiff(),
    DAPS(),
    PnPDM(2),
    SNIPS(),
]


def scans(form: str, sigmas: list[float]) -> list[Problem]:
    """Slices that differ in image, coil maps and noise, under one mask."""
    problems = []
    for k, sigma in enumerate(sigmas):
        maps = coil_maps().roll(k, 1) * torch.exp(torch.tensor(0.3j * k))
        sense = Sense(maps, dots() if form == "points" else lines())
        image = ComplexChannels(200.0).decode(drawn(SIDE, SIDE, channels=2, seed=k))
        operator = {"spectral": sense.spectral, "resolvent": lambda A=sense: A.resolvent(5.0)}.get(
            form, lambda A=sense: A
        )()
        noise = torch.randn(
            sense(image).shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(k)
        )
        problems.append(Problem(operator, sense(image) + sense.mask * sigma * 2**0.5 * noise, sigma))
    return problems


def as_alone(
    joint: list[Restoration],
    problems: list[Problem],
    prior: Prior,
    method: Method,
    tolerance: float = 1e-4,
    **more,
) -> None:
    """Each of the restorations is what `restore` makes of its problem, to rounding."""
    assert len(joint) == len(problems)
    for result, problem in zip(joint, problems, strict=True):
        alone = restore(problem, prior, method, seed=result.seeds[0], samples=len(result.seeds), **more)
        assert (result.seeds, result.levels, result.method) == (alone.seeds, alone.levels, alone.method)
        size = alone.samples.abs().max()
        assert (result.samples - alone.samples).abs().max() < tolerance * size
        torch.testing.assert_close(result.misfit, alone.misfit, rtol=2e-2, atol=1e-4)


@pytest.mark.parametrize("method", ALL, ids=repr)
@pytest.mark.parametrize(
    "sigmas", [[2.0, 2.0, 2.0], [2.0, 3.0, 5.0], [0.0, 2.0, 5.0]], ids=["one noise", "noises", "mixed"]
)
@pytest.mark.parametrize("form", ["spectral", "resolvent", "lines", "points"])
def test_several_are_restored_as_each_alone(method: Method, sigmas: list[float], form: str) -> None:
    if method.inverts() and form != "spectral":
        return
    problems, prior = scans(form, sigmas), AnySize(2)
    arguments = dict(codec=ComplexChannels(200.0), levels=LADDER)
    joint = restore_all(problems, prior, method, samples=2, seeds=[7, 3, 11], **arguments)
    assert {shape[0] for shape in prior.seen} == {6}
    as_alone(
        joint, problems, prior, method, tolerance=1e-3 if form in ("lines", "points") else 1e-4, **arguments
    )


@pytest.mark.parametrize("method", [DDNM(), DDS(), BEST, DPS(0.5)], ids=lambda m: type(m).__name__)
def test_pictures_under_different_operators(method: Method) -> None:
    size = (12, 20)
    operators = [half(*size), half(*size, seed=2), Identity(), half(*size)]
    problems = [Problem(A, A(127.5 * drawn(*size, seed=k) + 127.5), 0.0) for k, A in enumerate(operators)]
    arguments = dict(codec=Interval(0.0, 255.0), levels=LADDER)
    prior = AnySize()
    joint = restore_all(problems, prior, method, **arguments)
    assert [one.seeds for one in joint] == [(0,), (1,), (2,), (3,)] and prior.seen[0] == (4, 1, 16, 24)
    as_alone(joint, problems, prior, method, **arguments)


def test_other_sizes_are_calls_of_their_own() -> None:
    sizes = [(16, 16), (12, 20), (16, 16), (13, 9), (16, 24)]
    problems = [Problem(half(*size), half(*size)(drawn(*size, seed=k)), 0.1) for k, size in enumerate(sizes)]
    arguments = dict(codec=Interval(-1.0, 1.0), levels=LADDER)
    prior = AnySize()
    joint = restore_all(problems, prior, BEST, batch_size=2, **arguments)
    assert [one.samples.shape[2:] for one in joint] == sizes
    assert {shape for shape in prior.seen} == {(2, 1, 16, 16), (1, 1, 16, 24), (1, 1, 16, 16)}
    as_alone(joint, problems, prior, BEST, **arguments)


def test_starts_and_constraints_of_each() -> None:
    x = [50.0 * drawn(12, 20, seed=k) + 100.0 for k in range(3)]
    mean = AveragePool(4, (12, 20))
    problems = [Problem(half(12, 20, seed=k), half(12, 20, seed=k)(one), 0.5) for k, one in enumerate(x)]
    given = [[Problem(mean, mean(one))] for one in x]
    arguments = dict(codec=Interval(0.0, 200.0), levels=karras(12, 20.0, 0.02), start_sigma=0.4)
    joint = restore_all(problems, AnySize(), PAPER, samples=2, starts=x, constraints=given, **arguments)
    for k, result in enumerate(joint):
        alone = restore(
            problems[k],
            AnySize(),
            PAPER,
            samples=2,
            seed=2 * k,
            start=x[k],
            constraints=given[k],
            **arguments,
        )
        torch.testing.assert_close(result.samples, alone.samples, rtol=0, atol=2e-2)
        assert result.levels == alone.levels and result.levels[0] == 0.4
        assert (mean(result.samples) - mean(x[k])).abs().max() < 0.05


def test_each_keeps_its_support() -> None:
    problems = scans("points", [2.0, 2.0])
    moved = replace(problems[1].operator, maps=problems[1].operator.maps.roll(3, -1))
    problems[1] = Problem(moved, problems[1].y, 2.0)
    for result, problem in zip(
        restore_all(problems, AnySize(2), PAPER, codec=ComplexChannels(200.0), levels=LADDER),
        problems,
        strict=True,
    ):
        outside = problem.operator.support == 0
        assert (result.samples[..., outside] == 0).all() and (result.samples[..., ~outside] != 0).all()


def test_steps_of_every_batch_are_seen() -> None:
    problems, seen = scans("lines", [2.0] * 3), []
    restore_all(
        problems,
        AnySize(2),
        PAPER,
        codec=ComplexChannels(200.0),
        levels=LADDER,
        batch_size=2,
        on_step=lambda i, x: seen.append((i, len(x))),
    )
    steps = range(len(LADDER) - 1)
    assert seen == [(i, 2) for i in steps] + [(i, 1) for i in steps]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
        ),
    ],
)
def test_memory_that_runs_out_halves_the_batch(error: Exception) -> None:
    class Small(AnySize):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            if len(x) > 2:
                raise error
            return super().__call__(x, sigma)

    problems, small = scans("lines", [2.0] * 5), Small(2)
    arguments = dict(codec=ComplexChannels(200.0), levels=LADDER)
    as_alone(
        restore_all(problems, small, PAPER, **arguments),
        problems,
        AnySize(2),
        PAPER,
        tolerance=1e-3,
        **arguments,
    )
    assert {shape[0] for shape in small.seen} == {2, 1}


def test_another_error_is_not_taken_for_memory() -> None:
    class Faulty(AnySize):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            self.calls += 1
            raise RuntimeError("expected scalar type Float")

    prior = Faulty(2)
    with pytest.raises(RuntimeError, match="expected scalar type Float"):
        restore_all(scans("lines", [2.0] * 2), prior, PAPER, codec=ComplexChannels(200.0), levels=LADDER)
    assert prior.calls == 1


@pytest.mark.parametrize("method", [DDIM(), DDPM(), ProbabilityFlow(), DPMSolver()], ids=lambda m: type(m).__name__)
def test_methods_of_the_prior_alone_are_refused(method: Method) -> None:
    """They would ignore y."""
    problem, prior = Problem(half(12, 20), half(12, 20)(drawn(12, 20)), 0.1), AnySize()
    match = rf"{type(method).__name__} samples the prior alone and would ignore the measurement; call `sample`"
    with pytest.raises(InputError, match=match):
        restore(problem, prior, method, codec=Interval(-1.0, 1.0))
    with pytest.raises(InputError, match=match):
        restore_all([problem, problem], prior, method, codec=Interval(-1.0, 1.0))
    assert not prior.calls
