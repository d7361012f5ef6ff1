"""Masks: meaning, threshold, growth, and what is refused."""

import numpy as np
import pytest
from helpers.pictures import picture, refused, save, white
from PIL import Image
from scipy import ndimage

from medrestore.io.frames.masks import grow_hole, hole_fraction, runs, to_known
from medrestore.io.scenes.open import open_frames, open_scenes


def test_meaning_is_never_guessed(tmp_path):
    hole, keep = (to_known(white(), means, "m") for means in ("hole", "keep"))
    assert hole.sum() == 192 - 9 and np.array_equal(keep, ~hole)
    assert hole_fraction(hole) == pytest.approx(9 / 192)
    refused("'hole' or 'keep'", to_known, white(), None, "m")
    save(tmp_path / "a.png", picture())
    save(tmp_path / "m.png", white())
    refused("state what white means", open_scenes, tmp_path / "a.png", mask=tmp_path / "m.png")


def test_threshold_and_values():
    for black, white_ in ((0, 255), (0, 128), (127, 255), (10, 240)):
        assert to_known(np.array([[black, white_]], np.uint8), "keep", "m").tolist() == [[False, True]]
    for one in (0, 255):
        assert to_known(np.full((2, 2), one, np.uint8), "keep", "m").all() == (one == 255)
    assert to_known(np.array([[True, False]]), "keep", "m").tolist() == [[True, False]]
    refused("grey levels 0, 1: .*`hole_values` 1, or", to_known, white() // 255, "keep", "m")
    refused("holds int16", to_known, white().astype(np.int16), "keep", "m")
    equal = np.repeat(white()[..., None], 3, -1)
    assert np.array_equal(to_known(equal, "keep", "m"), white() > 0)
    equal[0, 0, 1] = 3
    refused("mask in colour", to_known, equal, "keep", "m")
    assert not to_known(equal, "keep", "m", lossless=False)[0, 0]


@pytest.mark.parametrize(("pixels", "options", "match"), [
    (picture(), {}, "mask in colour"),
    (np.dstack([np.repeat(white()[..., None], 3, -1), white()]), {}, "partly transparent"),
    (white().astype(np.uint16) * 200, {}, "16 bits a channel"),
])
def test_masks_refused(tmp_path, pixels, options, match):
    path = save(tmp_path / "m.png", pixels, **options)
    refused(rf"m\.png.*{match}", open_frames, path, kind="mask")


def test_grey_masks_of_any_kind_are_equal(tmp_path):
    Image.fromarray(white()).convert("1").save(tmp_path / "bit.png")
    Image.fromarray(white()).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(white()).convert("RGB").save(tmp_path / "rgb.png")
    Image.fromarray(white()).convert("RGBA").save(tmp_path / "rgba.png")
    for path in tmp_path.iterdir():
        assert np.array_equal(open_frames(path, kind="mask")[0], white())


def test_survey(tmp_path):
    for index, mask in enumerate([white() * 0, white(), white() * 0 + 255]):
        save(tmp_path / "f" / f"{index}.png", picture(index))
        save(tmp_path / "m" / f"{index}.png", mask)
    found = open_scenes(tmp_path / "f", mask=tmp_path / "m", means="hole")["f"].survey()
    assert found.empty == (0,) and found.full == (2,) and not found.mostly_hole
    assert found.hole_fraction == pytest.approx((9 / 192 + 1) / 3)
    refused("hides all of 1 of 3 frames", found.check)
    assert found.check(allow_full=True) is found
    empty = open_scenes(tmp_path / "f" / "0.png", mask=tmp_path / "m" / "0.png", means="hole")["0"].survey()
    refused("hides nothing", empty.check)
    full = open_scenes(tmp_path / "f" / "0.png", mask=tmp_path / "m" / "0.png", means="keep")["0"].survey()
    assert full.mostly_hole
    refused("hides all of 1", full.check)


def test_a_grown_hole_is_all_within_a_euclidean_distance():
    known = np.random.default_rng(3).random((14, 17)) > 0.05
    rows, columns = np.nonzero(~known)
    y, x = np.mgrid[:14, :17]
    distance = np.sqrt((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(-1)
    for by in (1, 2.5, 4):
        np.testing.assert_array_equal(grow_hole(known, by), distance > by)
    assert grow_hole(np.ones((3, 4), bool), 2).all()


def labels() -> np.ndarray:
    """Shaft, wrist and claspers of EndoVis 2017, as the preparation scripts of its users write them."""
    mask = np.zeros((12, 16), np.uint8)
    mask[2:6, 2:6], mask[6:8, 2:6], mask[8:9, 2:6] = 85, 170, 255
    return mask


@pytest.mark.parametrize(("mask", "says"), [
    (labels(), "grey levels 0, 85, 170, 255: .*`hole_values` 85,170,255, or save it as 0 and 255"),
    (np.minimum(labels(), 85), "grey levels 0, 85: .*`hole_values` 85, or"),
    (np.full((4, 4), 128, np.uint8), "grey levels 128"),
    (np.arange(192, dtype=np.uint8).reshape(12, 16), "grey levels 0 to 191 .*`hole_values` 1-255 for all but black"),
], ids=["labels", "one label", "one level", "soft"])
def test_several_levels_are_never_thresholded(mask, says):
    for meaning in ("hole", "keep"):
        refused(says, to_known, mask, meaning, "m")


def test_levels_that_are_stated_hide(tmp_path):
    assert np.array_equal(to_known(labels(), "hole", "m", hole_values=(85, 170, 255)), labels() == 0)
    assert np.array_equal(to_known(labels(), "hole", "m", hole_values=(170,)), labels() != 170)
    save(tmp_path / "a.png", picture())
    save(tmp_path / "m.png", labels())
    with open_scenes(tmp_path / "a.png", mask=tmp_path / "m.png", hole_values=range(1, 256)) as scenes, scenes["a"] as scene:
        assert np.array_equal(scene.mask(0)[0].numpy(), labels() == 0) and scene.masks.meaning == "hole"
    refused("leave one of them out", open_scenes, tmp_path / "a.png", mask=tmp_path / "m.png", means="keep", hole_values=(85,))
    refused("from 0 to 255", open_scenes, tmp_path / "a.png", mask=tmp_path / "m.png", hole_values=(300,))


def test_labels_of_a_lossy_format():
    """Blurred edges of black and white are no areas of grey; those of labels are."""
    blurred = ndimage.uniform_filter(np.kron(labels() == 255, np.full((8, 8), 255)).astype(float), 3).round().astype(np.uint8)
    assert to_known(blurred, "keep", "m", lossless=False).any()
    refused("areas of grey", to_known, np.kron(labels(), np.ones((8, 8), np.uint8)), "hole", "m", lossless=False)
    refused("does not keep the levels", to_known, labels(), "hole", "m", lossless=False, hole_values=(85,))


def test_runs():
    assert runs((255, 1, 2, 3)) == "1-3, 255" and runs(range(1, 256)) == "1-255" and runs(()) == ""
