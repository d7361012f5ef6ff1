"""The bounds of a run that trains a baseline, and of how scans are simulated."""

from typing import Any

import pytest

from medrestore.errors import InputError
from medrestore.settings import plain
from medrestore.training.baseline_config import Acquisition, BaselineConfig, Loss
from medrestore.training.config import changes_since
from medrestore.training.kinds import read


def test_sides_of_a_baseline_are_positive() -> None:
    with pytest.raises(InputError, match=r"data.sides\[0\] must be at least 1, got 0"):
        read({"baseline": "unet", "data": {"sides": [0]}}, "my.yaml")


def test_a_baseline_goes_on_from_a_config_of_an_earlier_version() -> None:
    now = read({"baseline": "unet"}, "x")
    before = plain(now)
    del before["loss"]["ssim"], before["keep"]
    assert changes_since(before, now, "x") == []
    assert changes_since(before | {"seed": 4}, now, "x") == ["seed was 4 and is 0"]


@pytest.mark.parametrize(("kind", "values", "message"), [
    (BaselineConfig, {"baseline": "resnet"},
     r"^BaselineConfig: baseline must be one of unet, varnet, got 'resnet'; did you mean varnet\?$"),
    (Acquisition, {"kinds": ("spiral",)}, r"^Acquisition: kinds must be sampling masks \(.*uniform1d.*\), got 'spiral'$"),
    (Acquisition, {"coils": ()}, "^Acquisition: coils needs at least one entry$"),
    (Acquisition, {"cut": 1.5}, "^Acquisition: cut must be at least 0 and at most 1, got 1.5$"),
    (Loss, {"l1": 0.0, "ssim": 0.0}, "^Loss: l1 and ssim are both 0"),
])
def test_bounds_hold_in_python_too(kind: type, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**values)
