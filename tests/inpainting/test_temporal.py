"""What other frames of a scene show: motion, cuts, backgrounds."""

import pytest
import torch
from helpers.frames import SIZE, known, picture, scene

from medrestore.inpainting.temporal import Background, KnownFrame, is_cut, motion, stands_still, stretches
from medrestore.noise import Noise


def shifted(frame, by):
    return torch.roll(frame, by, -1)


@pytest.mark.parametrize("by", [0, 1, 2])
def test_motion_is_measured_in_pixels(by):
    frame = picture(size=(96, 128))
    keep = known((20, 30, 30, 20), size=(96, 128))
    assert motion(KnownFrame(frame, keep), KnownFrame(shifted(frame, by), keep)) == pytest.approx(
        by, abs=0.15 * by + 0.05
    )
    assert stands_still(KnownFrame(frame, keep), KnownFrame(shifted(frame, by), keep)) == (by == 0)


def test_zoom_is_motion():
    frame = picture(size=(96, 128)).float()[None]
    grid = torch.nn.functional.affine_grid(
        torch.tensor([[[0.98, 0.0, 0.0], [0.0, 0.98, 0.0]]]), frame.shape, align_corners=True
    )
    zoomed = torch.nn.functional.grid_sample(frame, grid, align_corners=True)[0].round().to(torch.uint8)
    keep = known(size=(96, 128))
    assert motion(KnownFrame(picture(size=(96, 128)), keep), KnownFrame(zoomed, keep)) == pytest.approx(
        0.02 * 79.5, rel=0.25
    )


def test_noise_and_a_little_light_are_no_motion_and_no_cut():
    frame, keep = picture(), known((10, 10, 12, 12))
    noisy = (frame + 3 * Noise([1])((1, 3, *SIZE))[0] + 3).round().clamp(0, 255).to(torch.uint8)
    assert stands_still(KnownFrame(frame, keep), KnownFrame(noisy, keep)) and not is_cut(
        KnownFrame(frame, keep), KnownFrame(noisy, keep)
    )
    assert is_cut(KnownFrame(frame, keep), KnownFrame(255 - frame, keep)) and is_cut(
        KnownFrame(frame, keep), KnownFrame(frame, ~keep)
    )


def test_what_others_show_is_taken_from_there():
    truth = picture()
    masks = [known((10, 8 + 16 * i, 12, 12)) for i in range(3)]
    film = scene([torch.where(mask, truth, 0) for mask in masks], masks)
    (stretch,) = stretches(film)
    assert (stretch.first, stretch.last, stretch.after_cut) == (0, 3, True)
    for index, mask in enumerate(masks):
        filled = stretch.background.fill(KnownFrame(film.frame(index), mask))
        assert bool(filled.known.all()) and torch.equal(filled.frame, truth)


def test_what_is_hidden_in_all_stays_hidden():
    truth, mask = picture(), known((10, 8, 12, 12))
    (stretch,) = stretches(scene([truth, truth], [mask, mask]))
    assert torch.equal(stretch.background.fill(KnownFrame(truth, mask)).known, mask)


def test_what_changes_is_not_background():
    background, keep = Background(SIZE), known((10, 8, 12, 12))
    for value in (0, 60):
        background.add(KnownFrame(torch.full((3, *SIZE), value, dtype=torch.uint8), known()))
    assert torch.equal(background.fill(KnownFrame(picture(), keep)).known, keep)


def test_stretches_end_where_the_camera_moves_or_the_view_changes():
    one, other = picture(size=(96, 128)), 255 - picture(size=(96, 128))
    frames = [one, one, shifted(one, 1), shifted(one, 1), other]
    found = list(stretches(scene(frames, [known((40, 40, 10, 10), size=(96, 128))] * 5)))
    assert [(s.first, s.last, s.after_cut) for s in found] == [(0, 2, True), (2, 4, False), (4, 5, True)]
