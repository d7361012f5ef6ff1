"""Which lines make an image where there are several measurements."""

from pathlib import Path

import numpy as np
import pytest

from medrestore.errors import InputError
from medrestore.io.kspace.counters import choose_lines

PATH = Path("scan.h5")


def counted(**numbers):
    return {name: np.array(values) for name, values in numbers.items()}


def test_averages_and_segments_are_all_read_and_of_others_the_first():
    numbers = counted(average=[0, 1, 0, 1, 0, 1], contrast=[3, 3, 3, 3, 5, 5], segment=[0, 1, 2, 3, 0, 1])
    keep, notes = choose_lines(numbers, {}, PATH)
    assert keep.tolist() == [True] * 4 + [False] * 2
    assert notes == ("2 averages are averaged; set `select.average` to read one, or `separate` to read each.",
                     "Of 2 contrasts only contrast 3 is read; set `select.contrast` to 5 for another, "
                     "or `separate` to read each.",
                     "The 4 segments are parts of one k-space, all are read; set `select.segment` to read one.")


def test_each_counter_can_be_selected():
    numbers = counted(average=[0, 1, 0, 1], contrast=[0, 0, 1, 1], segment=[0, 0, 0, 0])
    assert choose_lines(numbers, {"contrast": 1, "average": 0}, PATH)[0].tolist() == [False, False, True, False]
    assert choose_lines(numbers, {"segment": 0}, PATH)[1][-1].startswith("Of 2 contrasts only contrast 0")
    with pytest.raises(InputError, match=r"scan\.h5 holds no contrast 2; `select.contrast` may be 0, 1\."):
        choose_lines(numbers, {"contrast": 2}, PATH)
    with pytest.raises(InputError, match=r"scan\.h5 has no counter 'echo'; it has average, contrast, segment\."):
        choose_lines(numbers, {"echo": 0}, PATH)


def test_one_value_is_no_matter():
    assert choose_lines(counted(average=[2, 2], phase=[1, 1]), {}, PATH) == (pytest.approx(np.array([True, True])), ())
