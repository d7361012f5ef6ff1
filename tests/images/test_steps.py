"""Steps refuse numbers that make none."""

import pytest

from medrestore.errors import InputError
from medrestore.images.steps import Gaussian, Kernel, Motion, Pixels, Pool, Walsh
from medrestore.settings import plain


@pytest.mark.parametrize(
    "made",
    [
        lambda: Pool(1),
        lambda: Pixels(0.0),
        lambda: Pixels(1.5),
        lambda: Gaussian((0.0,)),
        lambda: Motion(-1.0),
        lambda: Walsh(0.5, 1),
        lambda: Kernel(3),
    ],
)
def test_numbers_out_of_bounds_are_refused(made) -> None:
    with pytest.raises(InputError, match="must be"):
        made()


def test_steps_are_plain_data() -> None:
    assert plain(Pool(2)) == {"factor": 2, "kind": "pool"}
    assert plain(Gaussian((1.0, 2.0))) == {"std": [1.0, 2.0], "kind": "gaussian"}
