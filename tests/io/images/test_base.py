"""Places of pixels on coarser and finer grids, and values as whole numbers."""

import numpy as np

from medrestore.io.images.base import FileImages, Place, as_whole_numbers

AFFINE = np.array([[0.0, 0, 2.0, -30], [0, -1.5, 0, 20], [3.0, 0, 0, -10], [0, 0, 0, 1]])


def test_both_grids_cover_the_same_field() -> None:
    place = Place(AFFINE)
    for factor in (2.0, 0.5, 3.0):
        other = place.scaled(factor)
        np.testing.assert_allclose(other.affine @ [0, -0.5, -0.5, 1], AFFINE @ [0, -0.5, -0.5, 1])
        np.testing.assert_allclose(
            other.affine @ [4, 9.5, 19.5, 1], AFFINE @ [4, 10 * factor - 0.5, 20 * factor - 0.5, 1]
        )
    np.testing.assert_allclose(place.scaled(2.0).scaled(0.5).affine, AFFINE)
    np.testing.assert_allclose(place.sliced(3).affine @ [0, 1, 1, 1], AFFINE @ [3, 1, 1, 1])
    assert Place().scaled(2.0).sliced(1).affine is None


def test_values_are_rounded_and_cut() -> None:
    values, outside = as_whole_numbers(np.array([-3.0, 1.6, 300.0]), np.dtype(np.uint8))
    assert values.tolist() == [0, 2, 255] and values.dtype == np.uint8 and outside == 2
    values, outside = as_whole_numbers(np.array([-3.25]), np.dtype(np.float32))
    assert values.tolist() == [-3.25] and outside == 0


def test_which_are_bytes() -> None:
    def images(kind, dtype):
        return FileImages("x", kind, np.zeros((1, 1, 2, 2), np.float32), np.dtype(dtype))

    assert images("picture", np.uint8).is_bytes and not images("picture", np.uint16).is_bytes
    assert not images("nifti", np.uint8).is_bytes
