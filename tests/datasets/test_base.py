"""Crops as pure functions of seed and position."""

import torch

from medrestore.datasets import Crops, augmentation, images


def test_crops_are_a_function_of_seed_and_position_and_visit_every_image() -> None:
    source = images({"kind": "phantoms", "count": 7, "size": 32})
    first, again, other = (Crops(source, augmentation("crop"), seed=seed) for seed in (1, 1, 2))
    late = again[12, 16]
    assert torch.equal(first[12, 16], late) and not torch.equal(other[12, 16], late)
    whole = [first[position, 32] for position in range(14)]
    assert all(any(torch.equal(source[i], crop) for crop in whole[:7]) for i in range(7))
    assert any(not torch.equal(a, b) for a, b in zip(whole[:7], whole[7:], strict=True))
