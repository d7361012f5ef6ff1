"""Whole scenes: the same at any size, with a camera that moves slowly."""

import numpy as np
import torch
from helpers.rendered import SIZE, theatres

from medrestore.datasets.rendering.theatre import Theatre
from medrestore.datasets.scenes import render_frame


def test_a_camera_is_still_or_moves_slowly() -> None:
    still = next(number for number, theatre in enumerate(theatres(20)) if not theatre.moving)
    moving = next(number for number, theatre in enumerate(theatres(20)) if theatre.moving)
    truths = [render_frame(0, still, frame, size=SIZE).truth for frame in (0, 7, 500)]
    assert torch.equal(truths[0], truths[1]) and torch.equal(truths[0], truths[2])
    before, after, much_later = (Theatre(0, moving).view(frame, SIZE) for frame in (0, 1, 60))
    step = np.hypot(after.x - before.x, after.y - before.y).max() / before.pixel
    assert 0 < step < 1 and np.abs(much_later.x - before.x).max() > np.abs(after.x - before.x).max()


def test_a_scene_is_the_same_at_any_size() -> None:
    small, large = (render_frame(0, 4, 0, size=size).truth for size in (SIZE, (2 * SIZE[0], 2 * SIZE[1])))
    pooled = torch.nn.functional.avg_pool2d(large[None], 2)[0]
    assert (pooled - small).abs().mean() < 0.04
