"""An operator of two functions obeys the laws, and is restored with, alone, encoded and side by side."""

import torch
from laws import white

from medrestore.codecs import ComplexChannels, Interval
from medrestore.methods import SimplifiedDDNMPlus
from medrestore.operators import AveragePool, Functions, PseudoInvertible, SpectralOperator, check
from medrestore.priors import StationaryGaussian
from medrestore.problem import Problem
from medrestore.restoration import restore, restore_all

SIZE = (8, 12)
POOL = AveragePool(2, SIZE)


def pooled(scale: float = 1.0) -> Functions:
    return Functions(lambda x: scale * POOL(x), lambda y: POOL.pinv(y) / scale)


def test_laws() -> None:
    check(pooled(3.0), (3, *SIZE))
    complex_one = Functions(lambda x: 1j * x, lambda y: -1j * y)
    check(complex_one, (1, *SIZE), dtype=torch.complex64)
    seen = complex_one @ ComplexChannels(2.0).linear
    assert isinstance(seen, PseudoInvertible) and not isinstance(seen, SpectralOperator)
    check(seen, (2, *SIZE))


def test_restored_as_by_its_spectrum_and_in_a_batch() -> None:
    """Embedded in a larger field too: 8 x 12 for a prior of 16 x 16."""
    x = white((2, 1, *SIZE))
    arguments = dict(codec=Interval(-1.0, 1.0), steps=6)
    prior, method = StationaryGaussian(torch.ones(16, 16)), SimplifiedDDNMPlus()
    problems = [Problem(A, A(one[None]), 0.1) for A, one in zip((pooled(), pooled(3.0)), x, strict=True)]
    joint = restore_all(problems, prior, method, seeds=[3, 4], **arguments)
    for k, seed in enumerate((3, 4)):
        alone = restore(problems[k], prior, method, seed=seed, **arguments)
        torch.testing.assert_close(joint[k].samples, alone.samples, rtol=1e-4, atol=1e-5)
    spectral = restore(Problem(POOL, problems[0].y, 0.1), prior, method, seed=3, **arguments)
    torch.testing.assert_close(joint[0].samples, spectral.samples, rtol=1e-3, atol=1e-4)
