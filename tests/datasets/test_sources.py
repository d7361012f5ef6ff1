"""Sources by name: strict settings, weights, mixtures, and training kept apart from validation."""

from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from helpers.images import PHANTOMS, save_picture
from torch.utils.data import DataLoader

from medrestore.codecs import Interval
from medrestore.datasets import Crops, augmentation, disjoint, images
from medrestore.errors import InputError


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize(("source", "message"), [
    ({"kind": "phantom"}, "kind must be one of fastmri"),
    ({"count": 3}, "kind must be one of"),
    ({**PHANTOMS, "sizes": 3}, r"data phantoms: sizes is no option; did you mean size"),
    ({**PHANTOMS, "count": "6"}, r"count must be a whole number, got '6'"),
    ({**PHANTOMS, "count": True}, "count must be a whole number"),
    ({**PHANTOMS, "size": [24, 24, 24]}, r"size must be a whole number or a list of 2, got \[24"),
    ({**PHANTOMS, "form": "real"}, "form must be one of magnitude, complex, got"),
    ({**PHANTOMS, "weight": 0}, "data phantoms: weight must be at least 0.01 and at most 100, got"),
    ({**PHANTOMS, "count": 0}, "count must be at least 1"),
    ({"kind": "volumes"}, "data volumes: path is missing"),
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
    seen = Counter(both.group_of(i) for i in range(len(both)))
    assert [seen["phantoms: seed 0, number 3"], seen["phantoms: seed 9, number 2"]] == list(counts)
    assert len(seen) == 10 and len(both) == 6 * counts[0] + 4 * counts[1]


def test_a_broken_weight_spreads_its_repeats() -> None:
    both = images([PHANTOMS, {**PHANTOMS, "seed": 9, "weight": 1.5}])
    seen = Counter(both.group_of(i) for i in range(6, len(both)))
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
