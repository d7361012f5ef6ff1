"""Contrasts of a slice and registered pairs, as images with labels and images beside them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medrestore.codecs import CalibratedComplex
from medrestore.datasets import Crops, augmentation, images
from medrestore.datasets.contrasts import CURVES, TISSUES, rendered
from medrestore.errors import InputError

PHANTOMS = {"kind": "phantoms", "count": 3, "size": 32}


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    stack = np.random.default_rng(0).random((4, 20, 24), np.float32)
    np.savez(tmp_path / "x.npz", a=stack, b=2 * stack[::-1], few=stack[:3], other=stack[:, :16])
    return tmp_path / "x.npz"


def test_tissues_get_the_brightness_of_the_contrast() -> None:
    """A slice whose 99 % quantile is white matter of 1: each tissue, and air, has its value in the curve."""
    image = torch.full((1, 40, 40), 1.0)
    for number, value in enumerate(TISSUES[:4]):
        image[0, number, :] = value
    for name, curve in CURVES.items():
        found = rendered(image, name)
        assert [float(found[0, number, 0]) for number in range(4)] == pytest.approx(list(curve[:4]), abs=1e-5)
    torch.testing.assert_close(rendered(image, "T1w"), image)
    assert not bool(rendered(torch.zeros(1, 8, 8), "T2w").any())


def test_every_slice_comes_in_every_contrast_with_its_name() -> None:
    source = images(PHANTOMS | {"contrasts": ["T2w", "T1w"], "reference": "T1w"})
    plain = images(PHANTOMS)
    assert len(source) == 6 and source.reference_channels == 1 and source.recipe == CalibratedComplex()
    assert [source.label_of(k) for k in range(6)] == ["T2w", "T1w"] * 3 and source.classes() == {"T1w", "T2w"}
    assert source.groups() == plain.groups() and source.group_of(3) == plain.group_of(1)
    assert torch.equal(source[3], rendered(plain[1], "T1w")) and torch.equal(source[2], rendered(plain[1], "T2w"))
    assert torch.equal(source.reference_of(2), source[3])
    with pytest.raises(InputError, match="no reference images"):
        images(PHANTOMS | {"contrasts": ["T2w"]}).reference_of(0)


def test_pairs_are_of_one_place(npz: Path) -> None:
    side = {"kind": "npz", "path": str(npz)}
    source = images({"kind": "pairs", "image": side | {"key": "a", "label": "T2w"}, "reference": side | {"key": "b"}})
    assert len(source) == 4 and source.label_of(0) == "T2w" and source.reference_of(0).shape == (1, 20, 24)
    assert torch.equal(source.reference_of(1), images(side | {"key": "b"})[1])
    for key, says in (("few", "image has 4 images and reference 3"), ("other", r"\(20, 24\) and its reference \(16, 24\)")):
        with pytest.raises(InputError, match=says):
            images({"kind": "pairs", "image": side | {"key": "a"}, "reference": side | {"key": key}}).reference_of(0)


@pytest.mark.parametrize("augment", ["crop", {"kind": "complex_mr", "contrast": 0.0}], ids=str)
def test_crops_show_the_same_place_in_both(augment: str) -> None:
    """The image and its reference are the same slice: up to brightness, shading and phase so are their crops."""
    source = images(PHANTOMS | {"size": 64, "contrasts": ["T1w"], "reference": "T1w"})
    crops = Crops(source, augmentation(augment), seed=0, referenced=True)
    for position in range(6):
        batch = crops.batch((position, 24))
        assert batch.references is not None and batch.references.shape == (1, 1, 24, 24)
        image = batch.images[0].square().sum(0).sqrt().flatten()
        both = torch.stack([image, batch.references[0].flatten()])
        if float(both.std(1).min()) > 0.05:
            assert float(torch.corrcoef(both)[0, 1]) > 0.7
        assert torch.equal(crops.batch((position, 24)).images, batch.images)


def test_what_cannot_be_rendered_or_paired(npz: Path) -> None:
    for source, says in (
        (PHANTOMS | {"contrasts": ["T3w"]}, "no contrast .T3w. here; known are T1w, T2w, FLAIR, PD"),
        (PHANTOMS | {"contrasts": ["T1w", "T1w"]}, "different names"), (PHANTOMS | {"reference": "T1w"}, "beside `contrasts`"),
        (PHANTOMS | {"form": "complex", "contrasts": ["T1w"]}, "made of T1w magnitudes, one channel"),
        ({"kind": "pairs", "image": PHANTOMS}, "pairs need image and reference"),
    ):
        with pytest.raises(InputError, match=says):
            images(source)
    with pytest.raises(InputError, match="crops two images alike; take complex_mr or crop"):
        Crops(images(PHANTOMS | {"contrasts": ["T1w"], "reference": "T2w"}), augmentation("frames"), seed=0, referenced=True)
    with pytest.raises(InputError, match="the images have no reference images"):
        Crops(images(PHANTOMS), augmentation("crop"), seed=0, referenced=True)
