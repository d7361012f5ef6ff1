"""Masks: meaning, threshold, growth, and what is refused."""

import numpy as np
import pytest
from helpers.pictures import picture, refused, save, white
from PIL import Image

from medrestore.io.frames.masks import grow_hole, hole_fraction, to_known
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
    assert to_known(np.array([[0, 127, 128, 255]], np.uint8), "keep", "m").tolist() == [[False, False, True, True]]
    assert to_known(np.array([[True, False]]), "keep", "m").tolist() == [[True, False]]
    refused("holds only 0 and 1", to_known, white() // 255, "keep", "m")
    refused("holds int16", to_known, white().astype(np.int16), "keep", "m")
    equal = np.repeat(white()[..., None], 3, -1)
    assert np.array_equal(to_known(equal, "keep", "m"), white() > 0)
    equal[0, 0, 1] = 3
    refused("mask in colour", to_known, equal, "keep", "m")
    assert not to_known(equal, "keep", "m", lossless=False)[0, 0]


@pytest.mark.parametrize(("pixels", "options", "match"), [
    (picture(), {}, "mask in colour"),
    (np.dstack([np.repeat(white()[..., None], 3, -1), white()]), {}, "partly transparent"),
    (white().astype(np.uint16) * 200, {}, "pixels of the kind I"),
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
