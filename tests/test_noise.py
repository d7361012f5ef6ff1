"""Every sample has its own stream of noise, whatever its batch."""

import pytest
import torch

from medrestore.noise import Noise

SHAPE = (2, 5, 4)


def test_streams_do_not_know_their_batch() -> None:
    together, apart = Noise([3, 4, 5]), [Noise([seed]) for seed in (3, 4, 5)]
    for _ in range(3):  # fresh every time, in step
        drawn = together((3, *SHAPE))
        assert torch.equal(drawn, torch.cat([stream((1, *SHAPE)) for stream in apart]))


def test_streams_do_not_know_their_order() -> None:
    assert torch.equal(Noise([7, 1])((2, *SHAPE)), Noise([1, 7])((2, *SHAPE)).flip(0))


def test_noise_is_fresh_white_and_of_unit_std() -> None:
    noise = Noise([0, 1])
    a, b = noise((2, 1, 200, 200)), noise((2, 1, 200, 200))
    assert a.dtype == torch.float32
    for drawn in (a, b):
        assert float(drawn.mean()) == pytest.approx(0.0, abs=0.01) and float(drawn.std()) == pytest.approx(1.0, abs=0.01)
    for one, other in ((a, b), (a[:1], a[1:]), (a, a.roll(1, -1))):
        assert float((one * other).mean()) == pytest.approx(0.0, abs=0.02)


def test_noise_leaves_the_global_stream_alone() -> None:
    before = torch.random.get_rng_state()
    Noise([0])((1, *SHAPE))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_stream_for_every_sample() -> None:
    with pytest.raises(ValueError, match="2 streams, but the batch has 3"):
        Noise([0, 1])((3, *SHAPE))
