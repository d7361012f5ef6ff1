"""Shapes that an architecture is read from."""

import pytest

from medrestore.errors import InputError
from medrestore.priors.convert.shapes import shape_of

SHAPES = {"conv.weight": (8, 4, 3, 3), "norm.weight": (8,)}


def test_a_shape_is_looked_up() -> None:
    assert shape_of(SHAPES, "conv.weight", 4, "EDM") == (8, 4, 3, 3)
    assert shape_of(SHAPES, "norm.weight", 1, "EDM") == (8,)


@pytest.mark.parametrize(("key", "axes"), [("conv.bias", 1), ("conv.weight", 2), ("norm.weight", 4)])
def test_what_is_missing_or_of_other_axes_is_refused_by_its_whole_name(key: str, axes: int) -> None:
    with pytest.raises(InputError, match=f"nearly EDM, but it lacks unet.{key} of {axes} axes"):
        shape_of(SHAPES, key, axes, "EDM", prefix="unet.")
