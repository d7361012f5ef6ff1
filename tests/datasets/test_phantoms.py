"""Phantoms: functions of their seed."""

import torch
from helpers.images import PHANTOMS

from medrestore.datasets import images


def test_phantoms_are_many_and_always_the_same() -> None:
    source, again = images({**PHANTOMS, "size": [64, 48]}), images({**PHANTOMS, "size": [64, 48], "first": 2})
    assert source[0].shape == (1, 64, 48) and torch.equal(source[3], again[1]) and not torch.equal(source[0], source[1])
    stack = torch.stack([source[i] for i in range(6)])
    assert stack.min() >= 0 and 0.5 < stack.max() < 3 and (stack[..., :3, :3] < 0.1).all()
