"""The one loop over the frames of a scene: other frames, warm starts, stored frames, grown masks."""

from dataclasses import replace

import pytest
import torch
from helpers.frames import SIZE, WINDOW, FieldPrior, known, picture, scene
from torch import Tensor

from medrestore.errors import InputError
from medrestore.inpainting.frame import inpaint_frame, windows_of_frame
from medrestore.inpainting.plan import Plan
from medrestore.inpainting.scene import fill_frames, grown, inspect_scene
from medrestore.io.scenes.base import Scene

PLAN = Plan(steps=4, sigma_max=20.0, window=WINDOW, feather=0)
WARM = replace(PLAN, warm_start=0.3)


def film() -> Scene:
    """Two frames of one view, a cut, two of another; each hides what the next shows, and one spot."""
    views = [picture(0), picture(0), 255 - picture(0), 255 - picture(0)]
    return scene(views, [known((10, 8 + 16 * (i % 2), 12, 12), (40, 50, 4, 4)) for i in range(4)])


def filled(given: Scene, plan: Plan = PLAN, **options: object) -> list[Tensor]:
    return [one.frame for one in fill_frames(given, FieldPrior(), plan, **options)]


def test_frames_come_in_order_with_their_known_pixels() -> None:
    given = film()
    made = list(fill_frames(given, FieldPrior(), PLAN))
    assert [one.index for one in made] == [0, 1, 2, 3] and all(one.computed for one in made)
    for one in made:
        mask = given.mask(one.index)[0]
        assert torch.equal(one.frame[:, mask], given.frame(one.index)[:, mask])
        assert one.coverage.hidden == pytest.approx(160 / (48 * 64))
        assert one.coverage.seen_elsewhere == pytest.approx(144 / 160)


def test_without_temporal_fill_each_frame_is_filled_alone() -> None:
    given, plan = film(), replace(PLAN, temporal_fill=False)
    made = list(fill_frames(given, FieldPrior(), plan))
    for one in made:
        frame, mask = given.frame(one.index), given.mask(one.index)[0]
        assert (
            torch.equal(one.frame, inpaint_frame(frame, mask, FieldPrior(), plan))
            and one.coverage.seen_elsewhere == 0
        )


def test_a_warm_start_follows_the_previous_frame_but_not_across_a_cut() -> None:
    given, plan = film(), replace(WARM, temporal_fill=False)
    warm = filled(given, plan)
    expected: list[Tensor] = []
    for index in range(4):
        before = None if index in (0, 2) else expected[-1]
        expected.append(
            inpaint_frame(given.frame(index), given.mask(index)[0], FieldPrior(), plan, before=before)
        )
    assert all(torch.equal(*pair) for pair in zip(warm, expected, strict=True))
    assert not torch.equal(warm[1], filled(given, replace(plan, warm_start=None))[1])


@pytest.mark.parametrize("plan", [PLAN, WARM], ids=["cold", "warm"])
@pytest.mark.parametrize("done", [1, 2, 3])
def test_stored_frames_are_taken_and_the_others_are_as_if_none_was_stored(plan: Plan, done: int) -> None:
    whole, prior = filled(film(), plan), FieldPrior()
    resumed = list(
        fill_frames(film(), prior, plan, stored=lambda index: whole[index] if index < done else None)
    )
    assert all(torch.equal(one.frame, frame) for one, frame in zip(resumed, whole, strict=True))
    assert [one.computed for one in resumed] == [index >= done for index in range(4)]
    everything = FieldPrior()
    list(fill_frames(film(), everything, plan))
    assert 0 < len(prior.calls) < len(everything.calls)


def test_a_second_reader_changes_nothing() -> None:
    assert all(torch.equal(*pair) for pair in zip(filled(film()), filled(film(), ahead=film()), strict=True))


def test_masks_grow_in_the_loop() -> None:
    given, plan = film(), replace(PLAN, grow=2)
    made = list(fill_frames(given, FieldPrior(), plan))
    for one in made:
        rim = given.mask(one.index)[0] & ~grown(given, 2).mask(one.index)[0]
        away = grown(given, 2).mask(one.index)[0]
        assert rim.any() and torch.equal(one.frame[:, away], given.frame(one.index)[:, away])
        assert one.coverage.hidden == pytest.approx(float((~away).double().mean()))
    apart = [picture(seed) for seed in (0, 1)]
    both = scene(apart, [known((10, 20, 9, 9))] * 2)
    rim = both.mask(0)[0] & ~grown(both, 2).mask(0)[0]
    assert not torch.equal(filled(both, plan)[0][:, rim], both.frame(0)[:, rim])


def test_growing_by_nothing_is_the_scene_and_nothing_hidden_does_not_grow() -> None:
    given = scene([picture()] * 2, [known(), known((20, 20, 1, 1))])
    assert grown(given, 0) is given
    masks = grown(given, 2).masks
    assert masks.known(0).all() and (~masks.known(1)).sum() == 13 and masks.survey().empty == (0,)


def test_an_inspection_measures_the_holes_and_names_the_content() -> None:
    given, prior = scene([picture()] * 2, [known((10, 20, 9, 9)), known((2, 2, 20, 30))]), FieldPrior()
    seen = inspect_scene(given, prior, PLAN)
    assert (
        seen.fullest == 1
        and seen.survey.fractions == pytest.approx((81 / 3072, 600 / 3072))
        and not prior.calls
    )
    assert seen.windows == sum(windows_of_frame(given.mask(index)[0], prior, PLAN) for index in range(2))
    assert seen.fingerprint == inspect_scene(given, prior, replace(PLAN, seed=1)).fingerprint
    other = scene([picture(), picture(1)], [known((10, 20, 9, 9)), known((2, 2, 20, 30))])
    assert inspect_scene(other, prior, PLAN).fingerprint != seen.fingerprint


def test_scenes_that_hide_nothing_all_or_most_are_refused() -> None:
    half = known((0, 0, 48, 40))
    for masks, sentence in (
        ([known()], "hides nothing"),
        ([known((0, 0, *SIZE))], "hides all"),
        ([half], "more than half"),
    ):
        with pytest.raises(InputError, match=sentence):
            inspect_scene(scene([picture()], masks), FieldPrior(), PLAN)
    assert inspect_scene(
        scene([picture()], [half]), FieldPrior(), PLAN, allow_large_hole=True
    ).survey.mostly_hole
    with pytest.raises(InputError, match="hides all"):
        inspect_scene(scene([picture()], [known((0, 0, *SIZE))]), FieldPrior(), PLAN, allow_large_hole=True)
