"""Volumes restored as a whole: agreement of slices, their noise, and what is refused."""

import pytest
import torch
from helpers.ready import Shrink

from medrestore.codecs import ComplexChannels
from medrestore.errors import InputError
from medrestore.methods import DDS, HQS
from medrestore.methods.across_slices import AcrossSlices
from medrestore.metrics import flicker
from medrestore.mri import sampling_mask, simulated_maps
from medrestore.operators import Sense
from medrestore.problem import Problem
from medrestore.restoration import restore_all
from medrestore.volumes import restore_volume

SHAPE = (24, 20)
LEVELS = [5.0, 1.5, 0.5, 0.15, 0.05, 0.0]


@pytest.fixture(scope="module")
def slices() -> tuple[list[Problem], torch.Tensor]:
    """Slices of one image that hardly change, each undersampled at other points."""
    generator = torch.Generator().manual_seed(0)
    maps, image = simulated_maps(3, SHAPE, generator=generator), torch.zeros(6, 1, *SHAPE, dtype=torch.complex64)
    image[:, :, 5:19, 4:16] = 1
    image[:3, :, 8:12, 7:11] = 0.3
    problems = []
    for number, one in enumerate(image):
        A = Sense(maps, sampling_mask("uniform2d", SHAPE, 4, acs=8, seed=number).mask)
        noise = 0.02 * torch.randn(1, 3, *SHAPE, dtype=torch.complex64, generator=generator) * 2**0.5
        problems.append(Problem(A, A(one[None]) + A.mask * noise, 0.02))
    return problems, image[:, 0].abs()


@pytest.mark.parametrize("method", [DDS(), HQS()])
def test_slices_that_are_restored_together_flicker_less(slices: tuple[list[Problem], torch.Tensor], method: DDS | HQS) -> None:
    problems, truth = slices
    codec = ComplexChannels(1.0)
    apart = restore_all(problems, Shrink(), method, levels=LEVELS, codec=codec)
    across = restore_volume(problems, Shrink(), AcrossSlices(method, weight=5.0), levels=LEVELS, codec=codec)
    images = [torch.stack([one.mean[0].abs() for one in results]) for results in (apart, across)]
    flickers = [flicker(image, truth, data_range=1.0) for image in images]
    errors = [float((image - truth).square().mean()) for image in images]
    assert flickers[1] < 0.6 * flickers[0] and errors[1] < errors[0]
    assert max(float(one.misfit.max()) for one in across) < 3


def test_noise_and_samples(slices: tuple[list[Problem], torch.Tensor]) -> None:
    problems, method = slices[0][:3], AcrossSlices(DDS())
    same, own = (restore_volume(problems, Shrink(), method, levels=LEVELS, samples=2, seed=4, same_noise=one)
                 for one in (True, False))
    assert [one.seeds for one in same] == [(4, 5)] * 3
    assert [one.seeds for one in own] == [(4, 5), (100004, 100005), (200004, 200005)]
    assert same[0].samples.shape == (2, 1, *SHAPE) and not torch.equal(*same[0].samples)
    few = restore_volume(problems, Shrink(), method, levels=LEVELS, samples=1, seed=5, batch_size=2)
    torch.testing.assert_close(few[1].samples[0], same[1].samples[1])


def test_what_is_no_volume_is_refused(slices: tuple[list[Problem], torch.Tensor]) -> None:
    problems, method = slices[0], AcrossSlices(DDS())
    with pytest.raises(InputError, match="at least two slices"):
        restore_volume(problems[:1], Shrink(), method, levels=LEVELS)
    other = Problem(Sense(torch.ones(1, 2, *SHAPE, dtype=torch.complex64), torch.ones(1, SHAPE[1])),
                    torch.zeros(1, 2, *SHAPE, dtype=torch.complex64))
    with pytest.raises(InputError, match="must have one shape"):
        restore_volume([problems[0], other], Shrink(), method, levels=LEVELS)
