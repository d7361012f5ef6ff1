"""The form of the data step follows from the mask, the method, its steps and the memory allowed; slices are made ahead."""

import math
import threading
from collections.abc import Iterator

import pytest
import torch

from medrestore.consistency import prox
from medrestore.methods import DDNM, DDRM, DDS, DPS, HQS, DDNMPlus, DiffPIR, Method, RePaint
from medrestore.mri import sampling_mask, simulated_maps
from medrestore.operators import ResolvedSense, Sense, SpectralSense
from medrestore.problem import Problem
from medrestore.recon.data_step import data_step, exact_gb, stopped_early
from medrestore.recon.slices import ahead

SHAPE = (24, 60)
SPECTRUM, RESOLVENT, GRADIENTS = SpectralSense, ResolvedSense, Sense


def sense(kind: str = "uniform1d") -> Sense:
    maps = simulated_maps(4, SHAPE, generator=torch.Generator().manual_seed(0))
    return Sense(maps, sampling_mask(kind, SHAPE, 3, seed=0).mask)


@pytest.mark.parametrize(("method", "steps", "samples", "form"), [
    (HQS(), 50, 1, GRADIENTS), (HQS(), 3, 1, GRADIENTS), (DiffPIR(), 3, 4, GRADIENTS), (HQS(cg_steps=5), 50, 1, GRADIENTS),
    (DDNMPlus(), 2, 1, SPECTRUM), (DPS(), 50, 1, GRADIENTS), (DDS(), 50, 1, GRADIENTS),
    (DDS(gamma=5.0), 50, 1, RESOLVENT), (DDS(gamma=5.0), 4, 1, GRADIENTS), (DDS(gamma=5.0, cg_steps=5), 50, 8, GRADIENTS),
])
def test_the_form_that_pays(method: Method, steps: int, samples: int, form: type) -> None:
    scan = sense()
    chosen = data_step(scan, method, steps=steps, samples=samples, most_gb=1.0, noisy=True)
    assert type(chosen.operator) is form and (chosen.seconds > 0) == (form is not GRADIENTS)
    assert data_step(scan, method, steps=steps, samples=samples, most_gb=exact_gb(scan) * 0.99, noisy=True).operator is scan
    plane = sense("poisson2d")
    assert data_step(plane, method, steps=steps, samples=samples, most_gb=1.0, noisy=True).operator is plane


def test_exact_data_have_no_use_for_a_fixed_gamma() -> None:
    scan = sense()
    assert data_step(scan, DDS(gamma=5.0), steps=50, samples=1, most_gb=1.0, noisy=False).operator is scan


def test_data_without_noise_are_met_in_a_few_steps() -> None:
    assert stopped_early(DDS(), exact=True) == DDS(cg_steps=5) and stopped_early(HQS(0.5), exact=True) == HQS(0.5, cg_steps=5)
    for method, exact in ((DDS(), False), (DDS(cg_steps=60), True), (DDNM(), True), (DPS(), True)):
        assert stopped_early(method, exact=exact) is method


def test_every_form_takes_the_same_step() -> None:
    scan, x = sense(), torch.randn(2, 1, *SHAPE, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    y = scan(x[:1])
    forms = [data_step(scan, method, steps=50, samples=1, most_gb=1.0, noisy=noisy).operator
             for method, noisy in ((DDNMPlus(), True), (DDS(gamma=5.0), True), (DDS(), True))]
    assert len({type(form) for form in forms}) == 3
    first, *others = (prox(Problem(form, y, 0.1), x, 5.0, rtol=1e-7) for form in forms)
    for other in others:
        assert (other - first).abs().max() < 1e-3  # what the spectrum leaves out


@pytest.mark.parametrize(("method", "noisy", "cutoff"), [
    (DDNM(), False, 0.2), (RePaint(), False, 0.2), (DDNMPlus(), False, 0.2), (DDNMPlus(), True, 0.01), (DDRM(), True, 0.01),
    (DDNM(), True, 1e-3),
])
def test_which_coefficients_count_as_missing(method: Method, noisy: bool, cutoff: float, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, real = [], Sense.spectral
    monkeypatch.setattr(Sense, "spectral", lambda self, *, cutoff=1e-3: asked.append(cutoff) or real(self, cutoff=cutoff))
    data_step(sense(), method, steps=50, samples=1, most_gb=1.0, noisy=noisy)
    assert asked == [cutoff]


@pytest.mark.parametrize("threaded", [False, True])
def test_slices_in_order_and_at_most_one_ahead(threaded: bool) -> None:
    made: list[tuple[int, bool]] = []

    def make(number: int) -> int:
        made.append((number, threading.current_thread() is threading.main_thread()))
        return number

    taken = []
    for number in ahead(make, range(3, 8), threaded=threaded):
        taken.append(number)
        assert len(made) <= len(taken) + threaded
    assert taken == [3, 4, 5, 6, 7] and made == [(number, not threaded) for number in taken]


def test_the_next_slice_is_made_meanwhile() -> None:
    begun = threading.Event()

    def make(number: int) -> int:
        if number == 1:
            begun.set()
        return number

    slices = ahead(make, range(2), threaded=True)
    assert next(slices) == 0 and begun.wait(10) and next(slices) == 1


@pytest.mark.parametrize("threaded", [False, True])
def test_a_slice_that_fails(threaded: bool) -> None:
    def make(number: int) -> float:
        return math.log(1 - number)

    slices: Iterator[float] = ahead(make, range(3), threaded=threaded)
    assert next(slices) == 0.0
    with pytest.raises(ValueError, match=r"math domain|positive"):
        next(slices)
