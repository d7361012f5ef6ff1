"""Sources by name: strict settings, weights, mixtures, and training kept apart from validation."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.datasets import Crops, augmentation, disjoint, images
from medrestore.datasets.splits import split
from medrestore.errors import InputError

PHANTOMS = {"kind": "phantoms", "count": 6, "size": 24}


def save_picture(path: Path, seed: int, size: tuple[int, int] = (20, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize(("source", "message"), [
    ({"kind": "phantom"}, "kind must be one of fastmri"),
    ({"count": 3}, "kind must be one of"),
    ({**PHANTOMS, "sizes": 3}, r"no setting 'sizes'; its settings are: count, size"),
    ({**PHANTOMS, "count": "6"}, r"count must be a whole number, got '6'"),
    ({**PHANTOMS, "count": True}, "count must be a whole number"),
    ({**PHANTOMS, "size": [24, 24, 24]}, r"size must be a whole number or \[a whole number, a whole number\]"),
    ({**PHANTOMS, "form": "real"}, r"magnitude \| complex"),
    ({**PHANTOMS, "weight": 0}, "weight must be a number"),
    ({**PHANTOMS, "count": 0}, "count must be at least 1"),
    ({"kind": "volumes"}, "needs the setting 'path'"),
    ({"kind": "volumes", "path": "nowhere.npz"}, "does not exist"),
    ({"kind": "pictures", "files": "nowhere"}, r"nowhere holds no \.png"),
    ({"kind": "photographs", "names": ["lena"]}, "lena given.*astronaut"),
    ({"kind": "fastmri", "files": "nowhere", "cache": "c", "split": "knees"}, "no split 'knees'; it has knee-train"),
    ([], "no sources are given"),
    (["phantoms"], "a source is a mapping"),
])  # fmt: skip
def test_wrong_sources_are_refused_in_one_sentence(source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        images(source)


@pytest.mark.parametrize(("weights", "counts"), [((1, 1), (1, 1)), ((1, 3), (1, 3)), ((1, 0.5), (2, 1)), ((2, 2), (1, 1))])
def test_weights_say_how_often_an_image_comes_and_leave_none_out(weights: tuple[float, float], counts: tuple[int, int]) -> None:
    both = images([{**PHANTOMS, "weight": weights[0]}, {**PHANTOMS, "count": 4, "seed": 9, "weight": weights[1]}])
    seen = Counter(both.group(i) for i in range(len(both)))
    assert [seen["phantoms: seed 0, number 3"], seen["phantoms: seed 9, number 2"]] == list(counts)
    assert len(seen) == 10 and len(both) == 6 * counts[0] + 4 * counts[1]


def test_a_broken_weight_spreads_its_repeats() -> None:
    both = images([PHANTOMS, {**PHANTOMS, "seed": 9, "weight": 1.5}])
    seen = Counter(both.group(i) for i in range(6, len(both)))
    assert sorted(seen.values()) == [1, 1, 1, 2, 2, 2] and seen["phantoms: seed 9, number 0"] == 2
    with pytest.raises(IndexError):
        both[len(both)]


def test_magnitudes_become_complex_beside_complex_images_and_pictures_do_not_mix(tmp_path: Path) -> None:
    both = images([PHANTOMS, {**PHANTOMS, "form": "complex", "seed": 1}])
    assert both.channels == 2 and both[0].shape == (2, 24, 24) and not both[0][1].any() and both[6][1].any()
    save_picture(tmp_path / "a.png", 0)
    with pytest.raises(InputError, match="cannot learn together"):
        images([PHANTOMS, {"kind": "pictures", "files": str(tmp_path)}])


def test_a_shared_patient_or_scene_is_refused_and_named(tmp_path: Path) -> None:
    for name in ("sub-01", "sub-02"):
        save_nifti(tmp_path / name / "anat" / f"{name}_T1w.nii.gz", np.ones((20, 20, 20)))
    everyone, one = ({"kind": "nifti", "files": str(tmp_path / part)} for part in ("", "sub-02"))
    with pytest.raises(InputError, match="share nifti: sub-02; split by patient"):
        disjoint(images([everyone, PHANTOMS]), images(one))
    disjoint(images({"kind": "nifti", "files": str(tmp_path / "sub-01")}), images(one))
    disjoint(images(PHANTOMS), images({**PHANTOMS, "first": 6}))
    with pytest.raises(InputError, match=r"number 5"):
        disjoint(images(PHANTOMS), images({**PHANTOMS, "first": 5}))


def test_the_same_folder_collides_and_one_of_the_same_name_does_not(tmp_path: Path) -> None:
    for part in ("train", "held"):
        save_picture(tmp_path / part / "images" / "1.png", 0)
    train, held = (images({"kind": "pictures", "files": str(tmp_path / part)}) for part in ("train", "held"))
    disjoint(train, held)
    with pytest.raises(InputError, match="pictures: "):
        disjoint(train, images({"kind": "pictures", "files": str(tmp_path / "train" / "*" / "*.png")}))


def test_pictures_are_in_range_upright_and_grouped(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    Image.fromarray(pixels).save(tmp_path / "s7_frame1.png", exif=exif)
    source = images({"kind": "pictures", "files": str(tmp_path), "group": r"^.*/(s\d+)_"})
    assert source.recipe == Interval() and source[0].shape == (3, 6, 4)
    assert source[0][:, 0, 3].tolist() == [1, -1, -1] and source.group(0) == "pictures: s7"
    grey = images({"kind": "pictures", "files": str(tmp_path), "channels": 1, "magnitude": True, "group": "file"})
    assert grey.recipe == CalibratedComplex() and grey[0].shape == (1, 6, 4) and grey[0].min() == 0
    assert grey.group(0) == "pictures: s7_frame1"
    with pytest.raises(InputError, match="no regular expression"):
        images({"kind": "pictures", "files": str(tmp_path), "group": "("})


def test_photographs_are_colour_and_apart() -> None:
    source = images({"kind": "photographs", "names": ["astronaut", "motorcycle_left", "motorcycle_right"]})
    assert source[0].shape == (3, 512, 512) and -1 <= source[0].min() < -0.9 < 0.9 < source[0].max() <= 1
    assert source.groups() == {"photographs: astronaut", "photographs: motorcycle"}


def test_phantoms_are_many_and_always_the_same() -> None:
    source, again = images({**PHANTOMS, "size": [64, 48]}), images({**PHANTOMS, "size": [64, 48], "first": 2})
    assert source[0].shape == (1, 64, 48) and torch.equal(source[3], again[1]) and not torch.equal(source[0], source[1])
    stack = torch.stack([source[i] for i in range(6)])
    assert stack.min() >= 0 and 0.5 < stack.max() < 3 and (stack[..., :3, :3] < 0.1).all()


def test_bytes_complex_and_magnitudes_of_an_npz(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a.npz"
    wave = (rng.standard_normal((3, 8, 9)) + 1j * rng.standard_normal((3, 8, 9))).astype(np.complex64) * 50
    np.savez(path, rgb=rng.integers(0, 256, (3, 8, 9, 3), dtype=np.uint8), wave=wave, real=np.abs(wave),
             who=np.array(["a", "b", "a"]))  # fmt: skip
    rgb, whole, real, ct = (images({"kind": "npz", "path": str(path), "group": "who", **more}) for more in (
        {"key": "rgb"}, {"key": "wave"}, {"key": "real"}, {"key": "real", "interval": [-100, 300]}))  # fmt: skip
    assert rgb.recipe == Interval() and rgb[0].shape == (3, 8, 9) and rgb[0].min() >= -1 and rgb.group(2) == "npz: a"
    assert whole.channels == 2 and whole[1].square().sum(0).sqrt().quantile(0.99) == pytest.approx(1, abs=1e-4)
    assert real.channels == 1 and real.recipe == CalibratedComplex() and real[1].quantile(0.99) == pytest.approx(1, abs=1e-4)
    assert ct.recipe == Interval(-100, 300) and ct[0][0, 2, 3] == pytest.approx((abs(wave[0, 2, 3]) + 100) / 200 - 1, abs=1e-5)
    with pytest.raises(InputError, match="name one, as key="):
        images({"kind": "npz", "path": str(path)})


def test_dreaming_finds_scenes_in_parts_and_sorts_frames_by_number(tmp_path: Path) -> None:
    for scene, part in ((1, "DREAMING_training_0000-0009"), (7, ".")):
        for frame in (2, 10, 9):
            save_picture(tmp_path / part / f"scene_{scene:04d}" / "gt" / f"{frame}.jpg", frame, (36, 64))
        save_picture(tmp_path / part / f"scene_{scene:04d}" / "mask" / "2.png", 0)
    source = images({"kind": "dreaming", "folder": str(tmp_path)})
    assert len(source) == 6 and source.groups() == {"dreaming: scene 0001", "dreaming: scene 0007"}
    assert [path.stem for _, path in source.parts[0].frames[:3]] == ["2", "9", "10"]
    some = images({"kind": "dreaming", "folder": str(tmp_path), "scenes": [7], "stride": 2, "height": 18})
    assert len(some) == 2 and some[0].shape == (3, 18, 32)
    with pytest.raises(InputError, match="holds no scenes 0008, 0009; it holds 0001, 0007"):
        images({"kind": "dreaming", "folder": str(tmp_path), "split": "part1-test"})


def test_shipped_splits_are_disjoint_and_own_ones_are_read(tmp_path: Path) -> None:
    def scenes(name: str) -> set[int]:
        return set(split("dreaming", name)["scenes"])

    assert not scenes("part1-train") & scenes("part1-test")
    train, held, early = scenes("participants-train"), scenes("participants-validation"), scenes("preliminary")
    assert train | held | early == set(range(100)) and not train & (held | early)
    assert split("fastmri", "knee-train")["share"][1] == split("fastmri", "knee-validation")["share"][0]
    (tmp_path / "own.yaml").write_text(json.dumps({"mine": {"scenes": [3]}}))
    assert split("dreaming", f"{tmp_path / 'own.yaml'}:mine") == {"scenes": [3]}
    (tmp_path / "own.yaml").write_text("mine: !!python/object/apply:os.getcwd []")
    with pytest.raises(InputError, match="not valid YAML"):
        split("dreaming", f"{tmp_path / 'own.yaml'}:mine")


@pytest.mark.parametrize(("method", "kind"), [("fork", "pictures"), ("fork", "nifti"), ("spawn", "nifti")])
def test_workers_of_either_kind_read_the_same(tmp_path: Path, method: str, kind: str) -> None:
    save_picture(tmp_path / "a.png", 0)
    save_nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).random((20, 22, 24)))
    crops = Crops(images({"kind": kind, "files": str(tmp_path)}), augmentation("crop"), seed=0)
    loader = DataLoader(crops, sampler=[(i, 16) for i in range(3)], batch_size=None, num_workers=1,
                        multiprocessing_context=method)  # fmt: skip
    assert all(torch.equal(crop, crops[i, 16]) for i, crop in enumerate(loader))


def test_rendered_scenes_are_a_source_and_disjoint_by_scene() -> None:
    settings = {"kind": "scenes", "scenes": [0, 2], "frames": 1, "size": [36, 64]}
    train = images(settings)
    assert train[1].shape == (3, 36, 64) and train.recipe == Interval()
    disjoint(train, images(settings | {"scenes": [2, 3]}))
    with pytest.raises(InputError, match="scenes: "):
        disjoint(train, images(settings | {"scenes": [1, 3]}))


SHARED = Path(__file__).parents[3] / "shared" / "data" / "images" / "ptbp_t1_60subj_18slices_uint8.npz"


@pytest.mark.skipif(not SHARED.exists(), reason="the cohort is not at hand")
def test_real_slices_fill_complex_crops() -> None:
    crops = Crops(images({"kind": "volumes", "path": str(SHARED), "subjects": [0, 4]}), augmentation("complex_mr"), seed=0)
    brightest = torch.stack([crops[i, 96] for i in range(40)]).square().sum(1).sqrt().flatten(1).quantile(0.99, dim=1)
    assert 0.8 < brightest.median() < 1.4


def test_masks_are_no_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "mask.npz", np.ones((2, 8, 8), bool))
    with pytest.raises(InputError, match="a mask and no images"):
        images({"kind": "npz", "path": str(tmp_path / "mask.npz")})


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="** may stand beside other letters since")
def test_a_pattern_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no pattern"):
        images({"kind": "pictures", "files": f"{tmp_path}/**x/*.png"})
