"""Codes of crops, made once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.autoencoders import autoencoder
from helpers.runs import Waves
from safetensors.torch import load_file

from medrestore.datasets.augment import Plain
from medrestore.datasets.base import Crops
from medrestore.priors.spaces import LatentSpace
from medrestore.training.codes import FILE, CodeSource, enlarged


def source(images: Waves | None = None, **changes: Any) -> CodeSource:
    given: dict[str, Any] = {"space": LatentSpace(autoencoder(), 2.0), "space_key": "a", "side": 16, "count": 5, "seed": 3}
    return CodeSource(images or Waves(count=3), Plain(), **given | changes)


class Counted:
    """Counts what is made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, label: str, total: int) -> Any:
        def advance() -> None:
            self.made += 1

        return advance


def test_codes_are_those_of_the_crops_and_made_once(tmp_path: Path) -> None:
    counted, one = Counted(), source()
    codes = one.read(tmp_path, "codes", counted).pairs
    crops = Crops(Waves(count=3), Plain(), seed=3)
    with torch.no_grad():
        expected = one.space.encode(torch.stack([crops[k, 16] for k in range(5)]))
    torch.testing.assert_close(codes, expected, rtol=0, atol=2e-3)  # kept in half precision
    assert torch.equal(one.read(tmp_path, "codes", counted).pairs, codes) and counted.made == 5


def test_the_coarse_image_stands_behind_the_code(tmp_path: Path) -> None:
    pairs = source(factor=4).read(tmp_path, "codes", Counted()).pairs
    crops = Crops(Waves(count=3), Plain(), seed=3)
    small = torch.nn.functional.avg_pool2d(crops[0, 16][None], 4)
    assert pairs.shape == (5, 5, 8, 8)
    torch.testing.assert_close(pairs[:1, 3:], enlarged(small, (8, 8)), rtol=0, atol=1e-3)
    pixels = source(factor=4, space=None, space_key="").read(tmp_path, "codes", Counted()).pairs
    torch.testing.assert_close(pixels[0, :2], crops[0, 16], rtol=0, atol=1e-3)


@pytest.mark.parametrize("changes", [{"space_key": "b"}, {"side": 8}, {"count": 4}, {"seed": 4}, {"factor": 2},
                                     {"factor": 2, "recipe": "bsr"}])
def test_anything_else_is_another_cache(changes: dict[str, Any]) -> None:
    assert source(**changes).key != source().key == source().key


def test_classes_of_the_crops_are_kept_with_them(tmp_path: Path) -> None:
    class Labelled(Waves):
        def label_of(self, index: int) -> str:
            return "ab"[index % 2]

    one = source(Labelled(count=3), classes=("a", "b"))
    made, again = one.read(tmp_path, "codes", Counted()), one.read(tmp_path, "codes", Counted())
    crops = Crops(Labelled(count=3), Plain(), seed=3, classes=("a", "b"))
    expected = torch.cat([crops.batch((k, 16)).labels for k in range(5)])
    assert torch.equal(made.labels, expected) and torch.equal(again.labels, expected) and len(again) == 5
    assert one.key != source(Waves(count=3)).key and source().read(tmp_path, "codes", Counted()).labels is None


def test_the_images_themselves_decide() -> None:
    assert source(Waves(count=3)).key != source(Waves(first=3, count=3)).key


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    counted, one = Counted(), source()
    codes = one.read(tmp_path, "codes", counted).pairs
    (path,) = tmp_path.glob(f"*/{FILE}")
    path.write_bytes(path.read_bytes()[:-8])
    assert torch.equal(one.read(tmp_path, "codes", counted).pairs, codes) and counted.made == 10
    assert load_file(path)["codes"].dtype == torch.float16
