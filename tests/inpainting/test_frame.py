"""One frame through the fill: what is visited, what stays as it is, what surrounds a hole."""

from dataclasses import replace

import pytest
import torch
from helpers.frames import SIZE, WINDOW, FieldPrior, known, picture

from medrestore.errors import InputError
from medrestore.inpainting.frame import (
    LatticeMask,
    check_inpaint_plan,
    feathered,
    inpaint_frame,
    regions,
    smooth_fill,
    windows_of_frame,
)
from medrestore.inpainting.plan import Plan
from medrestore.methods import DDNM, DPS, RePaint

PLAN = Plan(steps=6, sigma_max=20.0, window=WINDOW, feather=0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"noise_std": 4.0},
        {"start_sigma": 1.0},
        {"factor": 1},
        {"samples": 2},
        {"feather": 3},
        {"method": RePaint()},
        {"method": DPS()},
        {"travel_length": 2, "travel_repeat": 2},
    ],
    ids=str,
)
def test_known_pixels_come_back_bit_by_bit(changes):
    frame, keep = picture(), known((10, 20, 9, 30), (40, 0, 8, 5))
    filled = inpaint_frame(frame, keep, FieldPrior(), replace(PLAN, **changes))
    assert filled.dtype == torch.uint8 and torch.equal(filled[:, keep], frame[:, keep])
    assert not torch.equal(filled, frame)


def test_the_fill_is_nearer_to_the_truth_than_the_mean():
    """With the prior that the picture was drawn from; only edges of windows differ from the field."""
    frame, keep = picture(size=(32, 32)), known((12, 12, 6, 6), size=(32, 32))
    plan = Plan(steps=20, sigma_max=10.0, window=32, samples=8, feather=0)
    filled = inpaint_frame(torch.where(keep, frame, 0), keep, FieldPrior(), plan)
    mean = frame.float()[:, keep].mean(1, keepdim=True)
    assert (filled - frame.float())[:, ~keep].square().mean() < 0.5 * (
        mean - frame.float()[:, ~keep]
    ).square().mean()


def test_what_stands_in_the_hole_does_not_matter():
    frame, keep = picture(), known((10, 20, 9, 12))
    one, other = (
        inpaint_frame(torch.where(keep, frame, grey), keep, FieldPrior(), replace(PLAN, feather=2))
        for grey in (0, 255)
    )
    assert torch.equal(one, other)


def test_noisy_windows_side_by_side_see_what_is_around_their_hole():
    """Alone, those in the middle of a large hole would know nothing."""
    keep = known((4, 4, 64, 64), size=(80, 80))
    frame = torch.where(keep, torch.full((3, 80, 80), 200, dtype=torch.uint8), 0)
    plan = replace(PLAN, noise_std=4.0, shift=WINDOW, start_sigma=0.05)
    assert all(bool(keep[part].any()) for part in regions(keep, FieldPrior(), plan))
    filled = inpaint_frame(frame, keep, FieldPrior(), plan)
    assert (filled.float() - 200)[:, ~keep].abs().mean() < 10


@pytest.mark.parametrize("changes", [{}, {"start_sigma": 0.1}], ids=str)
def test_a_frame_hidden_whole_is_the_priors(changes):
    """Not black, nor black towards a corner: there is nothing to continue, so nothing to begin from."""
    frame, nothing = torch.zeros(3, *SIZE, dtype=torch.uint8), torch.zeros(SIZE, dtype=torch.bool)
    filled = inpaint_frame(frame, nothing, FieldPrior(), replace(PLAN, feather=8, **changes))
    assert torch.equal(filled, inpaint_frame(frame, nothing, FieldPrior(), PLAN))


@pytest.mark.parametrize("noise_std", [0.0, 4.0])
def test_only_windows_with_a_hole_are_visited(noise_std):
    prior = FieldPrior()
    inpaint_frame(picture(), known((10, 20, 6, 6)), prior, replace(PLAN, noise_std=noise_std))
    assert prior.calls == [((1, 3, WINDOW, WINDOW), sigma) for sigma in PLAN.levels(prior)[:-1]]


def test_a_frame_without_hole_passes_through():
    prior, frame = FieldPrior(), picture()
    assert torch.equal(inpaint_frame(frame, known(), prior, PLAN), frame) and not prior.calls


def test_a_hole_beyond_a_window_is_restored_coarse_first():
    prior = FieldPrior()
    inpaint_frame(picture(), known((8, 8, 30, 40)), prior, PLAN)
    alone = FieldPrior()
    inpaint_frame(picture(), known((8, 8, 30, 40)), alone, replace(PLAN, factor=1))
    assert sum(shape[0] for shape, _ in prior.calls) > sum(shape[0] for shape, _ in alone.calls)
    assert {shape[-2:] for shape, _ in prior.calls} == {(WINDOW, WINDOW)}


def test_a_hole_that_moves_a_little_keeps_its_window_and_noise():
    """Holes within one cell of the lattice: the fills differ by one more column of data only."""
    flat, plan = torch.full((3, *SIZE), 128, dtype=torch.uint8), replace(PLAN, window=32)
    fills = [inpaint_frame(flat, known((20, 20, 4, width)), FieldPrior(), plan).float() for width in (5, 6)]
    fresh = inpaint_frame(flat, known((20, 20, 4, 5)), FieldPrior(), replace(plan, seed=1)).float()
    here = (..., slice(21, 23), slice(21, 24))
    assert (fills[0][here] - fills[1][here]).abs().mean() < 0.3 * (fills[0][here] - fresh[here]).abs().mean()


def test_lattice_masks_stay_on_their_lattice():
    mask = LatticeMask(torch.ones(32, 32), 8)
    assert mask.grain == 8 and mask.restrict((slice(0, 16), slice(8, 24))).grain == 8
    assert mask.coarsen(2)[0].grain == 4 and mask.coarsen(3 - 1)[1] == 2


def test_noisy_frames_are_cut_down_to_regions_apart():
    keep = known((2, 2, 4, 4), (30, 40, 6, 20), (30, 2, 4, 4))
    parts = regions(keep, FieldPrior(), replace(PLAN, noise_std=2.0))
    cover = torch.zeros(SIZE)
    for part in parts:
        cover[part] += 1
    assert int(cover.max()) == 1 and bool((cover[~keep] == 1).all()) and float(cover.mean()) < 0.6


@pytest.mark.parametrize("changes", [{}, {"noise_std": 4.0}, {"shift": 4}], ids=str)
@pytest.mark.parametrize("boxes", [(), ((2, 2, 4, 4),), ((8, 8, 30, 40),), ((0, 40, 20, 20), (30, 2, 4, 4))])
def test_windows_are_counted_before_they_are_drawn(boxes, changes):
    prior, plan = FieldPrior(), replace(PLAN, factor=1, **changes)
    inpaint_frame(picture(), known(*boxes), prior, plan)
    assert sum(shape[0] for shape, _ in prior.calls) == plan.steps * windows_of_frame(known(*boxes), prior, plan)


@pytest.mark.parametrize(
    "boxes", [[(2, 2, 4, 4)], [(44, 60, 4, 4)], [(0, 40, 20, 20), (30, 2, 4, 4)], [(8, 8, 30, 40)]]
)
def test_a_hole_is_restored_with_its_surroundings(boxes):
    """On the lattice of windows, at least a window, with half a window or more of what is around."""
    keep = known(*boxes)
    parts = regions(keep, FieldPrior(), PLAN)
    inside = torch.zeros(SIZE, dtype=torch.bool)
    for part in parts:
        assert not inside[part].any() and all(
            side.stop - side.start >= WINDOW and side.start % 2 == 0 for side in part
        )
        inside[part] = True
    near = torch.nn.functional.max_pool2d((~keep).float()[None, None], WINDOW + 1, 1, WINDOW // 2)[0, 0] > 0
    assert bool(inside[near].all())
    assert float(inside.float().mean()) < 0.7 or boxes[0][2] == 30


def test_what_lies_far_away_does_not_matter():
    """Neither another frame size nor other pixels there: time and memory are those of the hole."""
    frame, keep = picture(size=(64, 128)), known((20, 20, 6, 6), size=(64, 128))
    filled = inpaint_frame(frame, keep, FieldPrior(), PLAN)
    assert torch.equal(
        filled[..., :48, :64], inpaint_frame(frame[..., :48, :64], keep[:48, :64], FieldPrior(), PLAN)
    )


def test_frames_smaller_than_a_window():
    frame, keep = picture(size=(10, 13)), known((2, 3, 4, 5), size=(10, 13))
    for noise_std in (0.0, 3.0):
        filled = inpaint_frame(frame, keep, FieldPrior(), replace(PLAN, noise_std=noise_std))
        assert torch.equal(filled[:, keep], frame[:, keep])


def test_frames_smaller_than_the_patches_of_a_guide_have_none():
    frame, keep = picture(size=(10, 13)), known((2, 3, 4, 5), size=(10, 13))
    plan = replace(PLAN, window=32, factor=16)
    check_inpaint_plan(plan, FieldPrior())
    alone = inpaint_frame(frame, keep, FieldPrior(), replace(plan, factor=1))
    assert torch.equal(inpaint_frame(frame, keep, FieldPrior(), plan), alone)


@pytest.mark.parametrize("window", [16, 18, 24, 50])
def test_windows_that_are_let_through_serve_holes_of_any_size(window):
    prior, plan = FieldPrior(), replace(PLAN, steps=2, window=window)
    check_inpaint_plan(plan, prior)
    keep = known((2, 2, 120, 140), size=(128, 160))
    assert inpaint_frame(picture(size=(128, 160)), keep, prior, plan).shape == (3, 128, 160)


def test_smooth_fill_continues_what_is_known():
    ramp = torch.arange(64).expand(3, 48, 64).to(torch.uint8)
    keep = known((10, 20, 20, 13))
    filled = smooth_fill(torch.where(keep, ramp, 255), keep)
    assert torch.equal(filled[:, keep], ramp[:, keep])
    assert (filled.float() - ramp)[:, ~keep].abs().max() < 8
    assert torch.equal(smooth_fill(ramp, torch.zeros(48, 64, dtype=torch.bool)), torch.zeros_like(ramp))


def test_the_seam_is_feathered_inside_the_hole_only():
    keep = known((10, 20, 12, 12))
    filled = torch.where(keep, 100, 200).expand(3, *SIZE).to(torch.uint8)
    smooth = torch.full_like(filled, 100)
    out = feathered(filled, smooth, keep, 3)
    assert torch.equal(out[:, keep], filled[:, keep])
    assert out[0, 16, 20:25].tolist() == [125, 150, 175, 200, 200]
    assert feathered(filled, smooth, keep, 0) is filled


@pytest.mark.parametrize(("changes", "says"), [
    ({"window": 15}, "multiples of 2"), ({"shift": 5}, "must be a multiple of 2"),
    ({"shift": 20}, "leaves gaps"), ({"warm_start": 100.0}, "warm_start is 100, outside"),
    ({"start_sigma": 0.001}, "start_sigma"), ({"sigma_max": 0.001}, "sigma_max"),
    ({"method": DDNM(), "noise_std": 2.0}, "free of noise"),
])
def test_plans_that_do_not_suit(changes, says):
    prior = FieldPrior()
    prior.sigma_range = (0.002, 80.0)
    with pytest.raises(InputError, match=says):
        check_inpaint_plan(replace(PLAN, **changes), prior)
    check_inpaint_plan(PLAN, prior)
