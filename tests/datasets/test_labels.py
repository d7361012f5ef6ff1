"""Classes of files by folder, path or table, and of the images of every source."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrestore.datasets import Crops, augmentation, images
from medrestore.datasets.labels import labels_by_file, labels_of
from medrestore.errors import InputError


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "gut" / "a.png", tmp_path / "liver" / "a.png", tmp_path / "liver" / "b.png"]
    for number, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 100 * number, np.uint8)).save(path)
    return paths


def test_classes_of_files(pictures: list[Path], tmp_path: Path) -> None:
    assert labels_of(pictures, "folder", "x") == ["gut", "liver", "liver"]
    assert labels_of(pictures, r"(\w)\.png", "x") == ["a", "a", "b"]
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nliver/a.png,tumour\na.png,healthy\nb.png,healthy\n")
    assert labels_of(pictures, str(table), "x") == ["healthy", "tumour", "healthy"]  # the longest end of a path goes first


@pytest.mark.parametrize(("text", "says"), [
    ("file,label\na.png,x\n", "b.png has no line in"), ("name,kind\na.png,x\n", "line 2, lacks a file or a label"),
    ("file,label\na.png,x\na.png,y\n", "labels x and y"), ("file,label\na.png,\n", "line 2"), (b"\xff\xfe\x00", "cannot be read"),
])  # fmt: skip
def test_broken_tables(pictures: list[Path], tmp_path: Path, text: str | bytes, says: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=says):
        labels_of(pictures, str(table), "x")
    for labels, why in (("(", "no regular expression"), ("(zebra)", "finds no class"), ("none.csv", "cannot be read")):
        with pytest.raises(InputError, match=why):
            labels_of(pictures, labels, "x")
    with pytest.raises(InputError, match="cannot be read"):
        labels_by_file(tmp_path, "x")


def test_every_source_may_tell(pictures: list[Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 8, 8, 3), np.uint8), kind=np.array(["bone", "gut"]), wrong=np.zeros(3))
    npz = {"kind": "npz", "path": str(tmp_path / "x.npz"), "key": "images"}
    source = images([{"kind": "pictures", "files": str(tmp_path), "labels": "folder"}, npz | {"labels": "kind"},
                     npz | {"label": "skin"}])
    assert [source.label_of(k) for k in range(len(source))] == ["gut", "liver", "liver", "bone", "gut", "skin", "skin"]
    assert source.classes() == {"gut", "liver", "bone", "skin"} and images(npz).classes() == {None}
    with pytest.raises(InputError, match="one entry for each of the 2 images"):
        images(npz | {"labels": "wrong"})
    crops = Crops(source, augmentation(None), seed=0, classes=("bone", "gut", "liver", "skin"))
    found = [crops.batch((position, 8)) for position in range(7)]
    assert sorted(int(one.labels) for one in found if one.labels is not None) == [0, 1, 1, 2, 2, 3, 3]
    with pytest.raises(InputError, match="of the class 'bone', and those of the run are gut"):
        [Crops(images(npz | {"labels": "kind"}), augmentation(None), seed=0, classes=("gut",)).batch((k, 8)) for k in range(2)]
