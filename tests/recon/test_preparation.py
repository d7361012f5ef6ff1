"""A slice made ready: what is estimated, what is given, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.arrays import complex_normal
from helpers.ready import PLAN, noisy
from helpers.scans import NOISE, SHAPE

from medrestore.errors import InputError
from medrestore.io import Scan
from medrestore.operators import Sense, SpectralSense
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare


def test_what_is_estimated_and_what_is_given(scan: Any) -> None:
    ready = prepare(scan, PLAN)
    assert isinstance(ready.problem.operator, Sense) and ready.sense is ready.problem.operator  # two steps do not pay for more
    assert ready.sampling.kind == "uniform1d" and ready.reference is not None and ready.reference.shape == SHAPE
    assert ready.noise_source != "given" and 0.3 * NOISE < ready.problem.sigma < 30 * NOISE
    given = prepare(scan, replace(PLAN, method="ddnm+", noise_std=0.25))
    assert given.problem.sigma == 0.25 and given.noise_source == "given"
    assert isinstance(given.problem.operator, SpectralSense) and isinstance(given.sense, Sense)
    torch.testing.assert_close(given.sense.maps, ready.sense.maps)


@pytest.mark.parametrize(("mask", "kspace", "sentence"), [
    (0, 1, "the mask of slice 0 marks no line as sampled; correct the mask"), (1, 0, "the k-space of slice 0 is zero everywhere"),
])
@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, undersample=None), replace(PLAN, noise_std=0.1)])
def test_slices_of_which_nothing_was_sampled(scan: Any, plan: Plan, mask: int, kspace: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        prepare(replace(scan, mask=mask * scan.mask, kspace=kspace * scan.kspace), plan)


@pytest.mark.parametrize("dead", ["signal", "noise", "both"])
@pytest.mark.parametrize("given", [False, True])
def test_a_dead_coil_is_left_out(scan: Any, dead: str, given: bool) -> None:
    """With a noise scan, which cannot be inverted then, without one, and with given maps, which do not know of it."""
    maps = prepare(scan, PLAN).sense.maps if given else None
    kspace, noise = scan.kspace.clone(), noisy(scan)
    if dead != "noise":
        kspace[0, 2] = 0
    if dead != "signal":
        noise[2] = 0
    others = [0, 1, 3]
    for with_noise in (True, False) if dead != "noise" else (True,):
        broken = replace(scan, kspace=kspace, noise=noise if with_noise else None)
        without = replace(scan, kspace=scan.kspace[:, others], noise=noise[others] if with_noise else None)
        ready = prepare(broken, PLAN, maps=maps)
        expected = prepare(without, PLAN, maps=None if maps is None else maps[:, others])
        assert ready.notes == ("No signal or no noise comes from coil 2 (counted from 0), left out.",) and expected.notes == ()
        assert ready.problem.sigma == expected.problem.sigma and torch.equal(ready.problem.y, expected.problem.y)
        torch.testing.assert_close(ready.sense.maps, expected.sense.maps)


def test_noise_alone_is_said() -> None:
    def prepared(signal: float) -> tuple[str, ...]:
        noise = torch.from_numpy(complex_normal(5, 1, 4, 24, 24))
        noise[..., 12, 12] += signal
        noise[..., 11:14, 11:14] *= 1 + signal
        scan = Scan("s", 0, noise, torch.ones(1, 24), None, None, None, (24, 24), None, None)
        return prepare(scan, Plan(noise_std=1.0), maps=torch.full((1, 4, 24, 24), 0.5 + 0j)).notes

    assert "as in noise alone" in prepared(0.0)[-1] and not prepared(9.0)
