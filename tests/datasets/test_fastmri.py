"""fastMRI volumes as training images: combined or RSS, scaled, cropped, cached, resumable; never undersampled ones."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from medrestore.datasets import disjoint, fastmri, images
from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.io import read_kspace
from medrestore.mri import simulated_maps

ROWS, COLUMNS, CROP, SLICES, COILS = 48, 40, 36, 3, 4


def truths(seed: int) -> Tensor:
    """(slice, rows, columns) complex: what the volume of that seed shows."""
    source = images({"kind": "phantoms", "count": SLICES, "size": [ROWS, COLUMNS], "seed": seed, "form": "complex"})
    return torch.stack([torch.complex(*source[i]) for i in range(SLICES)]) * 1e-4


def save(path: Path, seed: int, patient: str, acquisition: str = "CORPD_FBK", *, mask: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    maps = simulated_maps(COILS, (ROWS, COLUMNS), generator=torch.Generator().manual_seed(seed))
    coils = maps * truths(seed)[:, None]
    kspace = fft2c(torch.nn.functional.pad(coils, (0, 0, ROWS // 2, ROWS // 2)))  # readout oversampling
    rss = coils.abs().square().sum(1).sqrt()[:, (ROWS - CROP) // 2 :, (COLUMNS - CROP) // 2 :][:, :CROP, :CROP]
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace.numpy()
        if mask:
            file["mask"] = np.ones(COLUMNS, np.uint8)
        else:
            file["reconstruction_rss"] = rss.numpy()
        file["ismrmrd_header"] = HEADER.encode()
        file.attrs.update({"patient_id": patient, "acquisition": acquisition})
    return path


HEADER = (
    '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding><encodedSpace>'
    f"<matrixSize><x>{2 * ROWS}</x><y>{COLUMNS}</y><z>1</z></matrixSize>"
    "<fieldOfView_mm><x>440</x><y>220</y><z>5</z></fieldOfView_mm></encodedSpace>"
    f"<reconSpace><matrixSize><x>{ROWS}</x><y>{CROP}</y><z>1</z></matrixSize>"
    "<fieldOfView_mm><x>220</x><y>220</y><z>5</z></fieldOfView_mm></reconSpace>"
    f"<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{COLUMNS - 1}</maximum><center>{COLUMNS // 2}</center>"
    "</kspace_encoding_step_1></encodingLimits><trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
)


@pytest.fixture(scope="module")
def download(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fastmri")
    save(root / "multicoil_train" / "file1.h5", 1, "patient-a")
    save(root / "multicoil_train" / "file2.h5", 2, "patient-b", "CORPDFS_FBK")
    save(root / "multicoil_val" / "file3.h5", 3, "patient-a")
    return root


def source(download: Path, cache: Path, **settings: object) -> dict[str, object]:
    return {"kind": "fastmri", "files": str(download / "multicoil_train"), "cache": str(cache), **settings}


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_combined_images_are_complex_scaled_and_cropped(download: Path, tmp_path: Path) -> None:
    found = images(source(download, tmp_path))
    assert len(found) == 2 * SLICES and found.channels == 2 and found[0].shape == (2, CROP, CROP)
    magnitude = found[1].square().sum(0).sqrt()
    truth = truths(1)[1].abs()[(ROWS - CROP) // 2 :, (COLUMNS - CROP) // 2 :][:CROP, :CROP]
    inside = magnitude > 0.1
    assert correlation(magnitude[inside], truth[inside]) > 0.98
    assert 0.8 < magnitude.quantile(0.99) < 3  # the calibration image is blurred, so details are brighter than 1


def test_rss_images_are_the_reference_scaled(download: Path, tmp_path: Path) -> None:
    found = images(source(download, tmp_path, target="rss"))
    with read_kspace(download / "multicoil_train" / "file1.h5") as file:
        reference = file[2].reference
    assert found.channels == 1 and found[2].shape == (1, CROP, CROP)
    ratio = found[2][0][reference > reference.max() / 5] / reference[reference > reference.max() / 5]
    assert ratio.std() / ratio.mean() < 2e-3


def test_splits_acquisitions_and_slices_select(download: Path, tmp_path: Path) -> None:
    one = images(source(download, tmp_path, acquisitions=["CORPDFS_FBK"], slices=[1, -1]))
    assert len(one) == 1 and [volume.path.stem for volume in one.parts[0].volumes] == ["file2"]
    own = tmp_path / "own.yaml"
    own.write_text("a: {folder: multicoil_val, files: [file3.h5]}\nlow: {folder: multicoil_train, share: [0.0, 0.5]}\n"
                   "high: {folder: multicoil_train, share: [0.5, 1.0]}\n")  # fmt: skip
    root = source(download, tmp_path, target="rss") | {"files": str(download)}
    assert len(images(root | {"split": f"{own}:a"})) == SLICES
    parts = []
    for part in ("low", "high"):
        try:
            parts.append(len(images(root | {"split": f"{own}:{part}"})))
        except InputError:  # all patients may fall on one side
            parts.append(0)
    assert sum(parts) == 2 * SLICES
    with pytest.raises(InputError, match=r"none of the 2 volumes found is selected \(acquisitions CORPDFS_FBK, CORPD_FBK"):
        images(source(download, tmp_path, acquisitions=["AXT2"]))


def test_one_patient_in_two_files_is_found_and_no_identifier_is_kept(download: Path, tmp_path: Path) -> None:
    train = images(source(download, tmp_path))
    held = images(source(download, tmp_path) | {"files": str(download / "multicoil_val")})
    with pytest.raises(InputError, match="share fastmri: "):
        disjoint(train, held)
    assert not any("patient" in name for name in train.groups())


def test_a_killed_preparation_goes_on_where_it_was(download: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, made = source(download, tmp_path, target="rss"), []
    clean = fastmri.clean_image

    def dying(scan, target):
        if len(made) == SLICES + 1:  # in the middle of the second volume
            raise KeyboardInterrupt
        made.append(scan.index)
        return clean(scan, target)

    monkeypatch.setattr(fastmri, "clean_image", dying)
    with pytest.raises(KeyboardInterrupt):
        images(settings).prepare()
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(fastmri, "clean_image", lambda scan, target: made.append(scan.index) or clean(scan, target))
    made.clear()
    steps = []
    found = images(settings)
    found.prepare(lambda label, total: lambda: steps.append((label, total)))
    assert len(made) == SLICES and steps == [("fastMRI volumes", 2)] * 2
    made.clear()
    kept = sorted(tmp_path.iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:200])  # cut short
    assert torch.isfinite(found[0]).all() and torch.isfinite(found[SLICES]).all() and len(made) == SLICES


def test_undersampled_volumes_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "test.h5", 0, "p", mask=True)
    with pytest.raises(InputError, match="holds a mask"):
        images(source(tmp_path, tmp_path) | {"files": str(tmp_path)})
    gaps = save(tmp_path / "gaps" / "g.h5", 0, "p")
    with h5py.File(gaps, "r+") as file:
        file["kspace"][:, :, :, 3::7] = 0
    with pytest.raises(InputError, match="undersampled"):
        images(source(tmp_path, tmp_path) | {"files": str(gaps)})[0]


def test_a_full_disk_is_one_sentence(download: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medrestore.datasets.cache.np.save", full)
    with pytest.raises(InputError, match=r"cannot be written \(no space left on device\)"):
        images(source(download, tmp_path, target="rss"))[0]
    assert not list(tmp_path.iterdir())
