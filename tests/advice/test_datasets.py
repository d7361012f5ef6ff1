"""Advice on data to train on, followed: the source is told otherwise, or another one given."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from helpers.advice import case, followed
from helpers.images import save_picture
from helpers.scans import fastmri, kspace
from torch import Tensor

from medrestore.datasets import augmentation, disjoint, images
from medrestore.datasets.augment import check_light
from medrestore.datasets.base import Crops
from medrestore.datasets.dreaming import split_numbers
from medrestore.datasets.fastmri import clean_image
from medrestore.datasets.files import name_group
from medrestore.datasets.labels import labels_of
from medrestore.datasets.scenes import render_frame, write_scene
from medrestore.datasets.splits import split
from medrestore.io import read_kspace

RNG = np.random.default_rng(0)
PHANTOMS = {"kind": "phantoms", "count": 2, "size": 16}
GREY = RNG.random((2, 16, 16)).astype(np.float32)
VOL = RNG.integers(1, 255, (2, 16, 16, 2), dtype=np.uint8)


def npz(folder: Path, values: np.ndarray, **more: Any) -> dict[str, Any]:
    np.savez(folder / "a.npz", x=values)
    return {"kind": "npz", "path": str(folder / "a.npz"), **more}


def volumes(folder: Path, subjects: list[int]) -> int:
    np.savez(folder / "v.npz", vol=VOL * np.array([0, 1], np.uint8)[:, None, None, None])
    return len(images({"kind": "volumes", "path": str(folder / "v.npz"), "subjects": subjects}))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def dreaming(folder: Path, *scenes: str, **more: Any) -> int:
    for scene in scenes:
        save_picture(folder / scene / "gt" / "0.png", 0)
    return len(images({"kind": "dreaming", "folder": str(folder), **more}))


def own_split(folder: Path, text: str) -> tuple[int, ...]:
    (folder / "own.yaml").write_text(text)
    return split_numbers(f"{folder / 'own.yaml'}:mine")


def clean(folder: Path, lines: slice) -> Tensor:
    """The image that a scan shows whose sampled columns are these."""
    mask = np.zeros(40, np.float32)
    mask[lines] = 1
    return clean_image(read_kspace(fastmri(folder / "s.h5", kspace()[0] * mask, mask=mask))[0], "rss")


def training_volume(folder: Path, *, mask: Any = None) -> int:
    fastmri(folder / "v.h5", kspace()[0], mask=mask)
    return len(images({"kind": "fastmri", "files": str(folder), "cache": str(folder / "cache")}))


def labelled(folder: Path, labels: str, table: str = "") -> list[str]:
    """The classes of a.png and b.png."""
    if table:
        (folder / "labels.csv").write_text(table)
    return labels_of([folder / "a.png", folder / "b.png"], labels.replace("DIR", str(folder)), "data")


def nifti(folder: Path, *filled: bool) -> int:
    for number, full in enumerate(filled):
        nibabel.save(
            nibabel.Nifti1Image(full * GREY.repeat(2, 0).repeat(2, 1), np.eye(4)), folder / f"v{number}.nii"
        )
    return len(images({"kind": "nifti", "files": str(folder)}))


def crop(listed: list[Any]) -> Tensor:
    return augmentation(listed)(torch.rand(1, 16, 16, generator=generator()), 16, generator())


def classes_of(folder: Path, *wanted: str) -> list[int]:
    source = images([{**PHANTOMS, "label": "gut"}, {**PHANTOMS, "seed": 1, "label": "bone"}])
    crops = Crops(source, augmentation("crop"), seed=0, classes=wanted)
    return sorted(int(one.labels) for k in range(4) if (one := crops.batch((k, 8))).labels is not None)


PICTURES = {"kind": "pictures", "files": "DIR"}


def mixed(folder: Path, *sources: dict[str, Any]) -> int:
    save_picture(folder / "p.png", 0)
    return images([{**one, **({"files": str(folder)} if "files" in one else {})} for one in sources]).channels


def apart(folder: Path, **more: Any) -> bool:
    """Whether two folders are of different scenes."""
    for part in ("a", "b"):
        save_picture(folder / part / "p.png", 0)
    disjoint(*(images({"kind": "pictures", "files": str(folder / part), **more}) for part in ("a", "b")))
    return True


CASES = [
    case(
        "{}: its array is true or false, which is a mask and no images; give another.",
        lambda folder: images(npz(folder, GREY > 0.5)),
        lambda folder: images(npz(folder, GREY))[0].shape == (1, 16, 16),
    ),
    case(
        "{}: which values are dark and bright is not known; give interval: [low, high].",
        lambda folder: images(npz(folder, GREY[..., None].repeat(3, -1))),
        lambda folder: torch.allclose(
            images(npz(folder, GREY[..., None].repeat(3, -1), interval=[0, 2]))[0],
            torch.from_numpy(GREY[0]) - 1,
        ),
    ),
    case(
        "{}: image {} holds NaN or infinite values; leave it out.",
        lambda folder: images(npz(folder, GREY * np.array([1, np.nan], np.float32)[:, None, None]))[1],
        lambda folder: images(npz(folder, GREY[:1]))[0].isfinite().all(),
    ),
    case(
        "augment: frames is for pictures in [-1, 1], and these images are magnitudes or complex; "
        "take complex_mr or crop.",
        lambda _: check_light(augmentation("frames"), images(PHANTOMS)),
        lambda _: (
            [check_light(augmentation(name), images(PHANTOMS)) for name in ("complex_mr", "crop")]
            == [None, None]
        ),
    ),
    case(
        "complex_mr needs magnitudes (one channel, none below 0) or complex images (two channels); "
        "set magnitude: true and channels: 1 for pictures of magnitudes, or use frames.",
        lambda folder: (
            mixed(folder, PICTURES),
            augmentation("complex_mr")(source(folder)[0], 8, generator()),
        ),
        lambda folder: (
            augmentation("complex_mr")(source(folder, magnitude=True, channels=1)[0], 8, generator()).shape
            == (2, 8, 8)
            and augmentation("frames")(source(folder)[0], 8, generator()).shape == (3, 8, 8)
        ),
    ),
    case(
        "reference images need an augmentation that crops two images alike; take complex_mr or crop",
        lambda _: Crops(referenced(), augmentation("frames"), seed=0, referenced=True),
        lambda _: (
            [
                Crops(referenced(), augmentation(name), seed=0, referenced=True)
                .batch((0, 8))
                .images.shape[-1]
                for name in ("complex_mr", "crop")
            ]
            == [8, 8]
        ),
    ),
    case(
        "image {} of {} is of the class {}, and those of the run are {}; correct the labels of the data",
        lambda folder: classes_of(folder, "gut"),
        lambda folder: classes_of(folder, "bone", "gut") == [0, 0, 1, 1],
    ),
    case(
        "{}: all slices of the subjects {} to {} are empty; give others.",
        lambda folder: volumes(folder, [0, 1]),
        lambda folder: volumes(folder, [1, 2]) == 2,
    ),
    case(
        "contrasts are made of T1w magnitudes, one channel; leave them out, or take magnitudes",
        lambda folder: images(npz(folder, GREY + 0j, contrasts=["T2w"])),
        lambda folder: (
            images(npz(folder, GREY + 0j)).channels == 2
            and images(npz(folder, GREY, contrasts=["T2w"])).channels == 1
        ),
    ),
    case(
        "{} is no folder; give the unpacked download.",
        lambda folder: images({"kind": "dreaming", "folder": str(folder / "archive.zip")}),
        lambda folder: dreaming(folder, "scene_0001") == 1,
    ),
    case(
        "{} holds no scene_NNNN/gt, nor do its folders; give the unpacked download.",
        lambda folder: dreaming(folder),
        lambda folder: dreaming(folder, "part/scene_0001") == 1,
    ),
    case(
        "{} holds one scene twice, in {} and {}; keep one of them.",
        lambda folder: dreaming(folder, "a/scene_0001", "b/scene_0001"),
        lambda folder: (
            (
                (folder / "b").rename(folder / "elsewhere_b"),
                (folder / "elsewhere_b" / "scene_0001").rename(folder / "x"),
            )
            and dreaming(folder) == 1
        ),
    ),
    case(
        "split and numbers each choose scenes; give one of them",
        lambda folder: dreaming(folder, "scene_0001", split="part1-train", numbers=[1]),
        lambda folder: dreaming(folder, "scene_0001", numbers=[1]) == 1,
    ),
    case(
        "split {} must hold numbers, a list of those of its scenes, and nothing else; correct it.",
        lambda folder: own_split(folder, "mine: {numbers: 3}"),
        lambda folder: own_split(folder, "mine: {numbers: [3]}") == (3,),
    ),
    case(
        "{} has more than {} bytes, which no split has; give another file.",
        lambda folder: own_split(folder, "#" * (1 << 22) + "\nmine: {numbers: [3]}"),
        lambda folder: own_split(folder, "mine: {numbers: [3]}") == (3,),
    ),
    case(
        "{} cannot be read ({}); give FILE.yaml:NAME or the name of a split that ships.",
        lambda folder: split("dreaming", f"{folder / 'none.yaml'}:mine"),
        lambda folder: (
            own_split(folder, "mine: {numbers: [3]}") == (3,) and bool(split("dreaming", "part1-train"))
        ),
    ),
    case(
        "{}: slice {} is undersampled, so it shows no clean image; train on volumes of *_train or *_val.",
        lambda folder: clean(folder, slice(0, 40, 2)),
        lambda folder: clean(folder, slice(0, 40)).shape == (1, 48, 40),
    ),
    case(
        "{} {}; train on volumes of *_train or *_val.",
        lambda folder: training_volume(folder, mask=np.ones(40, np.float32)),
        lambda folder: training_volume(folder) == 1,
    ),
    case(
        "{}: group {} is no regular expression ({}); write file, folder or one.",
        lambda folder: name_group(folder / "p7" / "a.png", "(", "data"),
        lambda folder: (
            [name_group(folder / "p7" / "a.png", group, "data") for group in ("file", r"p(\d)")] == ["a", "7"]
            and name_group(folder / "a.png", "folder", "data") == str(folder.resolve())
        ),
    ),
    case(
        "{}: {} has no line in {}; add its name with its label",
        lambda folder: labelled(folder, "DIR/labels.csv", "file,label\na.png,x\n"),
        lambda folder: labelled(folder, "DIR/labels.csv", "file,label\na.png,x\nb.png,y\n") == ["x", "y"],
    ),
    case(
        "{}: labels {} finds no class in {}; correct it, or give a .csv",
        lambda folder: labelled(folder, "(zebra)"),
        lambda folder: (
            labelled(folder, r"(\w)\.png") == ["a", "b"]
            and labelled(folder, "DIR/labels.csv", "file,label\na.png,x\nb.png,y\n") == ["x", "y"]
        ),
    ),
    case(
        "{}: labels {} is no regular expression ({}); write folder, the path of a .csv, or one",
        lambda folder: labelled(folder, "("),
        lambda folder: (
            labelled(folder, "folder") == [folder.name] * 2 and labelled(folder, r"(\w)\.png") == ["a", "b"]
        ),
    ),
    case(
        "{}: the labels {} cannot be read ({}); give a .csv with the columns file and label",
        lambda folder: labelled(folder, "DIR/none.csv"),
        lambda folder: labelled(folder, "DIR/labels.csv", "file,label\na.png,x\nb.png,y\n") == ["x", "y"],
    ),
    case(
        "augment: MONAI's {} makes no image (channels, height, width) of one of {}; leave it out.",
        lambda _: crop(["RandFlip", {"RandSpatialCropSamples": {"roi_size": [8, 8], "num_samples": 2}}]),
        lambda _: crop(["RandFlip"]).shape == (1, 16, 16),
    ),
    case(
        "augment: the list of MONAI transforms is empty; name some, or write crop.",
        lambda _: augmentation([]),
        lambda _: (
            crop(["RandFlip"]).shape == augmentation("crop")(torch.rand(1, 16, 16), 16, generator()).shape
        ),
    ),
    case(
        "augment: {} is not allowed; use MONAI's array transforms Rand... or {}.",
        lambda _: crop(["LoadImage"]),
        lambda _: crop(["RandFlip"]).shape == (1, 16, 16),
    ),
    case(
        "{}: its {} % quantile is {}, so it shows nothing; leave it out.",
        lambda folder: nifti(folder, True, False),
        lambda folder: ((folder / "v1.nii").unlink(), nifti(folder, True))[1] > 0,
    ),
    case(
        "a simulated frame of {} x {} was asked for: give sides of 8 pixels and more, at most {} "
        "pixels in all.",
        lambda _: render_frame(0, 0, 0, size=(4, 100)),
        lambda _: render_frame(0, 0, 0, size=(8, 8)).known.shape == (8, 8),
    ),
    case(
        "scene {} with {} frames, every {}, cannot be written: give a scene up to 9999, at least 1 "
        "frame, and every at least 1.",
        lambda folder: write_scene(folder, 0, 10_000, frames=0, size=(8, 8)),
        lambda folder: len(list(write_scene(folder, 0, 9999, frames=1, size=(8, 8)).glob("gt/*"))) == 1,
    ),
    case(
        "{} exists already; remove it or choose another folder",
        lambda folder: [write_scene(folder, 0, 1, frames=1, size=(8, 8)) for _ in range(2)],
        lambda folder: write_scene(folder / "other", 0, 1, frames=1, size=(8, 8)).is_dir(),
    ),
    case(
        "Training and validation share {}{}; split by patient or scene (subjects, first, scenes, "
        "numbers, split or other folders), or set group where different ones only have the same name.",
        lambda folder: apart(folder, group="file"),
        lambda folder: apart(folder, group="folder"),
    ),
    case(
        "data: {} gives {} channels for {} but {} gives {} for {}, which one prior cannot learn "
        "together; train on sources of one sort.",
        lambda folder: mixed(folder, PHANTOMS, PICTURES),
        lambda folder: mixed(folder, PHANTOMS, {**PHANTOMS, "seed": 1}) == 1 and mixed(folder, PICTURES) == 3,
    ),
]


def source(folder: Path, **more: Any) -> Any:
    save_picture(folder / "p.png", 0)
    return images({"kind": "pictures", "files": str(folder), **more})


def referenced() -> Any:
    return images({**PHANTOMS, "contrasts": ["T2w"], "reference": "T1w"})


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_data_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
