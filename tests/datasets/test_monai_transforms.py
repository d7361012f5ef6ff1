"""MONAI's transforms as augmentation."""

import warnings

import pytest
import torch
from helpers.crops import head, stream

from medrestore.datasets import augmentation
from medrestore.errors import InputError


def test_monai_transforms_act_and_warn_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flip = augmentation([{"RandFlip": {"prob": 1.0, "spatial_axis": 1}}])
        image = torch.rand(1, 16, 16, generator=stream())
        assert torch.equal(flip(image, 16, stream()), image.flip(-1))


@pytest.mark.parametrize(("listed", "said"), [
    (["Randomizable"], "Randomizable fails on an image of .*not callable"),
    ([{"RandSpatialCropSamples": {"roi_size": [8, 8], "num_samples": 2}}], "RandSpatialCropSamples makes no image"),
])
def test_transforms_that_cannot_be_applied_are_named(listed: list, said: str) -> None:
    with pytest.raises(InputError, match=said):
        augmentation(listed)(head(32, 32), 16, stream())
