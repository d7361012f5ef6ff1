"""The doors for arrays: kinds and layouts, and what is refused."""

from typing import Any

import numpy as np
import pytest
from helpers.frames import picture
from helpers.pictured import FieldOf, grey

import medrestore as mr
from medrestore.errors import InputError
from medrestore.images.arrays import degrade, restore_image

COLOUR, GREY = picture(0, (20, 24)), grey(0, (20, 24))
LAYOUTS = {
    "grey": GREY.numpy(),
    "channels last": COLOUR.permute(1, 2, 0).numpy(),
    "channels first": COLOUR.numpy(),
    "tensor": COLOUR,
    "float": GREY.float() / 255,
}


@pytest.mark.parametrize("image", LAYOUTS.values(), ids=LAYOUTS)
def test_arrays_come_back_as_they_went(image: Any) -> None:
    y = degrade(image, task="sr", factor=2)
    assert type(y) is type(image) and y.ndim == image.ndim
    made = restore_image(
        y, prior=FieldOf(3 if image.ndim == 3 else 1), task="sr", factor=2, steps=3, method="dds", samples=2
    )
    assert (
        type(made.image) is type(image) and made.image.shape == image.shape and made.std.shape == image.shape
    )
    assert made.samples.shape == (2, *image.shape) and made.simple is not None and "2 samples" in repr(made)


def test_the_doors_are_where_they_are_looked_for() -> None:
    assert mr.degrade is degrade and mr.restore_image is restore_image and mr.images.Plan().method_name == "hqs"


def test_a_grey_image_becomes_one_in_colour() -> None:
    y = degrade(COLOUR.numpy(), task="colorize")
    assert y.shape == (20, 24)
    assert restore_image(y, prior=FieldOf(3), task="colorize", steps=3, noise_std=0).image.shape == (
        20,
        24,
        3,
    )


def test_complex_images() -> None:
    image = (GREY.float() + 1j * GREY.float().flip(0)).numpy()
    y = degrade(image, task="sr", factor=2)
    made = restore_image(y, prior=FieldOf(2), task="sr", factor=2, steps=3)
    assert made.image.dtype == np.complex64 and made.image.shape == image.shape


@pytest.mark.parametrize(
    ("image", "given", "words"),
    [
        ("text", {}, "must be a NumPy array or a tensor"),
        (np.zeros((4, 5, 6)), {}, r"must be \(height, width\)"),
        (np.full((8, 8), np.nan), {}, "not finite"),
        (np.full((8, 8), "a"), {}, "must hold numbers"),
        (np.ones((8, 8, 3), complex), {}, "three channels"),
        (np.ones((8, 8)), {"steps": 3}, "steps is no option"),
        (np.ones((8, 8)), {"axis": "axial"}, "how a file is read"),
        (np.ones((8, 8)), {"task": "sr"}, "factor is missing"),
    ],
    ids=str,
)
def test_what_is_refused(image: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        degrade(image, **given)
