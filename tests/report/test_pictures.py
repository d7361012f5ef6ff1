"""Panels of images: peak, gain, region, and pixels that are not finite."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.pages import Page, head, written

from medrestore.report.html import Picture
from medrestore.report.pictures import chosen_region, error_map


def test_images_share_one_peak_and_errors_have_their_gain(tmp_path: Path) -> None:
    reference = np.linspace(0, 3, 64 * 48).reshape(64, 48)
    other = reference + 0.1
    other[0, 0] = -1
    page = Page(written(tmp_path / "r.html", pictures=[Picture("case", reference, {"a": other}, 2.0)], gain=4))
    assert np.array_equal(page.image("Reference, whole image"), np.round(127.5 * reference.clip(0, 2)))
    assert np.array_equal(page.image("a, whole image"), np.round(127.5 * other.clip(0, 2)))
    error = page.image("Error of a, times 4")
    assert error[0, 0] == 255 and (error.ravel()[1:] == round(255 * 4 * 0.1 / 2)).all()
    words = "".join(page.words)
    assert "error × 4" in words and "White is 2 in every image" in words and "0.5 or more, 25 % of white" in words


def test_colour_stays_colour_and_its_error_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    reference = np.zeros((20, 30, 3))
    image = reference + np.array([0.3, 0.0, 0.0])
    page = Page(written(tmp_path / "r.html", pictures=[Picture("frame", reference, {"a": image}, 1.0)], gain=2))
    assert (page.image("a, whole image") == [round(255 * 0.3), 0, 0]).all()
    assert (page.image("Error of a, times 2") == round(255 * 2 * 0.1)).all()


def test_region_is_boxed_and_magnified_where_errors_and_detail_are() -> None:
    rng = np.random.RandomState(0)
    reference = np.ones((80, 80))
    reference[40:60, 20:40] += 0.1 * rng.standard_normal((20, 20))  # detail
    reference[5:15, 60:75] += 0.1 * rng.standard_normal((10, 15))  # some more, which every method gets right
    wrong = reference.copy()
    wrong[40:60, 20:40] += 0.05 * rng.standard_normal((20, 20))
    wrong[65:80, 65:80] += 0.05  # wrong too, yet plain
    region = chosen_region(reference, [error_map(wrong, reference), np.zeros((80, 80))])
    assert (region.height, region.width) == (20, 20) and abs(region.top - 40) <= 2 and abs(region.left - 20) <= 2


def test_region_shown_is_the_one_boxed(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    reference = head(rng, (60, 90))
    picture = Picture("case", reference, {"a": reference * 0.9, "b": head(rng, (60, 90))}, 2.0)
    text = written(tmp_path / "r.html", pictures=[picture])
    boxes = re.findall(r'class="box" style="left: ([\d.]+)%; top: ([\d.]+)%; width: ([\d.]+)%; height: ([\d.]+)%"', text)
    assert len(boxes) == 3 and len(set(boxes)) == 1
    left, top, width, height = (round(float(part) * side / 100) for part, side in zip(boxes[0], (90, 60, 90, 60), strict=True))
    page = Page(text)
    for label in ("Reference", "a", "b"):
        whole = page.image(f"{label}, whole image")
        assert np.array_equal(page.image(f"{label}, region"), whole[top : top + height, left : left + width])


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 300), (64, 64, 3)])
def test_any_size_and_nothing_to_see(tmp_path: Path, shape: tuple[int, ...]) -> None:
    still = np.zeros(shape)
    Page(written(tmp_path / "r.html", pictures=[Picture("case", still, {"same": still}, 1.0), Picture("alone", still, {}, 1.0)]))


def test_pixels_that_are_not_finite_are_black_counted_and_wholly_wrong(tmp_path: Path) -> None:
    reference = np.ones((16, 16), dtype=np.float32)
    image = reference.copy()
    image[0, :3] = np.nan, np.inf, -np.inf
    page = Page(written(tmp_path / "r.html", pictures=[Picture("case", reference, {"a": image}, 1.0)]))
    assert (page.image("a, whole image")[0] == [0, 0, 0] + [255] * 13).all()
    assert (page.image("Error of a, times 5")[0] == [255, 255, 255] + [0] * 13).all()
    assert "3 values are not finite" in "".join(page.words)


def test_two_dozen_images_stay_small(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    rows = np.linspace(-1, 1, 320)
    reference = np.exp(-3 * (rows[:, None] ** 2 + rows**2)) * (1 + 0.1 * np.sin(40 * rows))
    pictures = [Picture(f"case {case}", reference, {f"method {number}": np.abs(reference + 0.01 * rng.standard_normal((320, 320)))
                                                    for number in range(12)}, 1.0) for case in range(2)]
    assert len(written(tmp_path / "r.html", pictures=pictures)) < 8e6
