"""Every sample has its own stream of noise, whatever its batch."""

import pytest
import torch
from helpers.pretend_device import counting, pretending

from medrestore import noise as noises
from medrestore.noise import Noise, derived_seed

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


def test_noise_is_the_same_on_every_device_and_copied_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noises, "PIECE", 4 * 4 * 2 * 40)  # four draws of two samples
    here = Noise([3, 4])
    with pretending() as device, counting() as counts:
        there = Noise([3, 4], device)
        for count in range(1, 12):
            drawn = there((2, *SHAPE))
            assert drawn.device.type == "pretend"
            assert torch.equal(drawn.to("cpu"), here((2, *SHAPE)))
            assert counts.copies == sum(count > first for first in (0, 1, 3, 7))  # pieces of 1, 2, 4, 4 draws
    assert counts.waits == 0


def test_another_shape_takes_nothing_from_the_streams() -> None:
    """What was drawn ahead and not used is drawn again."""
    here = Noise([3, 4])
    with pretending() as device:
        there = Noise([3, 4], device)
        for shape in [SHAPE] * 4 + [(1, 7, 3)] * 2 + [SHAPE] * 2:
            assert torch.equal(there((2, *shape)).cpu(), here((2, *shape)))


def test_derived_seeds_are_the_same_everywhere() -> None:
    assert derived_seed(3, 0, 64) == 11146902665587860564 and derived_seed(3, 0, 64, size=7) == 61379793759217421
    assert derived_seed(3, 0, 65) != derived_seed(3, 0, 64)
