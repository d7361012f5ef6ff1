"""What each kernel takes, so that a regression shows: `python -m pytest benchmarks/kernels --benchmark-autosave`, then, after a
change, `python -m pytest benchmarks/kernels --benchmark-compare --benchmark-compare-fail=median:10%`.
"""

import time
from collections.abc import Callable
from functools import partial

import pytest
import torch
from speed_cases import head

from medrestore.consistency import prox
from medrestore.mri import espirit, sampling_mask, simulated_maps
from medrestore.operators import Sense
from medrestore.problem import Problem

pytest.importorskip("pytest_benchmark", reason="pip install pytest-benchmark")
pytestmark = pytest.mark.benchmark(timer=time.process_time, warmup=True, warmup_iterations=1, min_rounds=5, max_time=2.0,
                                   disable_gc=True)

Benchmark = Callable[..., torch.Tensor]


@pytest.fixture(scope="module")
def sense() -> Sense:
    """15 coils, 320 x 320, 4x along one axis."""
    return made("uniform1d", 15, 320)


def made(kind: str, coils: int, side: int) -> Sense:
    """Simulated maps and a mask of `kind`."""
    maps = simulated_maps(coils, (side, side), generator=torch.Generator().manual_seed(0))
    return Sense(maps, sampling_mask(kind, (side, side), 4, seed=0).mask)


def images(count: int, side: int = 320) -> torch.Tensor:
    """White complex images (count, 1, side, side)."""
    return torch.randn(count, 1, side, side, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("kind", "count", "coils", "side"), [
    ("uniform1d", 1, 15, 320), ("uniform1d", 8, 16, 256), ("poisson2d", 1, 15, 320), ("poisson2d", 8, 16, 256),
])
def test_normal(benchmark: Benchmark, kind: str, count: int, coils: int, side: int) -> None:
    """Ah A."""
    assert benchmark(made(kind, coils, side).normal, images(count, side)).isfinite().all()


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("form", ["spectral", "resolvent", "cg"])
def test_pull(benchmark: Benchmark, sense: Sense, form: str, count: int) -> None:
    """The data step at gamma 5: exact for any gamma, for this one, and five CG steps."""
    operator = {"spectral": sense.spectral, "resolvent": partial(sense.resolvent, 5.0), "cg": lambda: sense}[form]()
    problem = Problem(operator, sense(images(1)), 0.01)
    assert benchmark(prox, problem, images(count), 5.0, cg_steps=5 if form == "cg" else None).isfinite().all()


def test_espirit(benchmark: Benchmark) -> None:
    """Coil maps from 24 lines."""
    scan, lines = head(15, (320, 320))
    assert benchmark(espirit, scan, mask=lines).any()


@pytest.mark.parametrize("form", ["spectral", "resolvent"])
def test_set_up(benchmark: Benchmark, sense: Sense, form: str) -> None:
    """What the exact steps cost before the first; seconds, so three times only."""
    work = {"spectral": sense.spectral, "resolvent": partial(sense.resolvent, 5.0)}[form]
    benchmark.pedantic(work, rounds=3, warmup_rounds=0)
