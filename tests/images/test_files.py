"""Degraded images from files to files: what is written, resumed, never replaced, and kept private."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from helpers.dicoms import dicom
from helpers.pictured import FieldOf, grey
from helpers.volumes import save
from PIL import Image
from torch import Tensor

from medrestore.errors import InputError
from medrestore.files import preview_place, unfinished
from medrestore.images.degradation import Degradation
from medrestore.images.files import Job, each, restore_file, restore_folder, settled_by_file
from medrestore.images.plan import Plan, Reading, Writing
from medrestore.images.records import damaged, read_record, record_place
from medrestore.io.images import open_images

PLAN = Plan(Degradation(task="denoise"), noise_std=9.0, steps=2)
AFFINE = np.array([[2.0, 0, 0, -30], [0, 1.0, 0, -20], [0, 0, 1.5, -10], [0, 0, 0, 1]])


def job(plan: Plan = PLAN, *, said: list[str] | None = None, prior: Any = None, **writing: Any) -> Job:
    say = (lambda line: None) if said is None else said.append
    return Job(plan, prior or FieldOf(1), {"sha256": "weights"}, say=say, writing=Writing(**writing))


def png(path: Path, seed: int = 0, size: tuple[int, int] = (20, 24)) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(grey(seed, size).numpy()).save(path)
    return path


def volume(path: Path, codes: str = "LPS") -> Path:
    ras = np.stack([grey(n, (14, 12)).numpy().T for n in range(3)], -1).astype(np.float32)
    return save(path, ras, AFFINE, codes)


def test_a_picture_with_its_record_and_preview(tmp_path: Path) -> None:
    source, out, said = png(tmp_path / "in.png"), tmp_path / "out.png", []
    assert restore_file(source, out, job(said=said), truth=source)
    assert (
        np.asarray(Image.open(out)).shape == (20, 24) and preview_place(out).is_file() and damaged(out) == []
    )
    record = read_record(out)
    assert (
        record["config"]["degradation"]["task"] == "denoise"
        and record["noise_std"] == 9
        and record["made"] == "restored"
    )
    assert (
        record["method"] == "HQS(lam=0.25, cg_steps=None, rtol=None, order=2)"
        and record["input"]["name"] == "in.png"
    )
    assert (
        set(record["scores"]) == {"without a prior", "restored"}
        and str(tmp_path) not in record_place(out).read_text()
    )
    assert any("denoise" in line for line in said) and sorted(path.name for path in tmp_path.iterdir()) == [
        "in.png",
        "out.png",
        "out.png.json",
        "out.png.preview.png",
    ]


def test_an_output_is_current_for_its_own_plan_only(tmp_path: Path) -> None:
    source, out = png(tmp_path / "in.png"), tmp_path / "out.png"
    restore_file(source, out, job())
    first = out.read_bytes()
    with pytest.raises(InputError, match="exists; pass `overwrite`"):
        restore_file(source, out, job())
    assert not restore_file(source, out, job(resume=True))
    assert restore_file(source, out, job(replace(PLAN, steps=3), resume=True)) and out.read_bytes() != first
    assert restore_file(source, out, job(overwrite=True)) and out.read_bytes() == first
    out.write_bytes(b"damaged")
    assert restore_file(source, out, job(resume=True)) and out.read_bytes() == first
    png(source, 1)
    assert restore_file(source, out, job(resume=True)) and out.read_bytes() != first


def test_a_volume_keeps_its_affine_and_its_axes(tmp_path: Path) -> None:
    source, out = volume(tmp_path / "v.nii.gz"), tmp_path / "o.nii.gz"
    plan = replace(PLAN, degradation=Degradation(task="sr", factor=2), noise_std=1.0)
    restore_file(source, out, job(plan))
    given, made = nibabel.load(source), nibabel.load(out)
    assert nibabel.aff2axcodes(made.affine) == nibabel.aff2axcodes(given.affine) == ("L", "P", "S")
    assert made.shape == (24, 28, 3)
    corner = np.array([-0.5, -0.5, 0, 1])  # both grids cover the same field
    np.testing.assert_allclose(made.affine @ corner, given.affine @ corner, atol=1e-5)
    np.testing.assert_allclose(made.affine[:3, :3] * [2, 2, 1], given.affine[:3, :3])
    back = made.get_fdata().reshape(12, 2, 14, 2, 3).mean((1, 3))
    assert np.corrcoef(back.ravel(), given.get_fdata().ravel())[0, 1] > 0.9


class Stopping(FieldOf):
    """Interrupts the program at one of its calls."""

    def __init__(self, after: int) -> None:
        super().__init__(1)
        self.after = after

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        if len(self.sizes) == self.after:
            raise KeyboardInterrupt
        return super().__call__(x, sigma)


def test_a_volume_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    source, out, said = volume(tmp_path / "v.nii.gz"), tmp_path / "o.nii.gz", []
    with pytest.raises(KeyboardInterrupt):
        restore_file(source, out, job(said=said, prior=Stopping(6)))  # one for the clock, two for each slice
    assert "2 of 3 slices are stored" in said[-1] and not out.exists() and unfinished(out)
    prior = FieldOf(1)
    restore_file(source, out, job(said=said, prior=prior))
    assert len(prior.sizes) == 3 and not unfinished(out)
    restore_file(source, tmp_path / "again.nii.gz", job())
    assert (tmp_path / "again.nii.gz").read_bytes() == out.read_bytes()


def test_some_slices_with_samples_and_spread(tmp_path: Path) -> None:
    source, out = volume(tmp_path / "v.nii"), tmp_path / "o.nii"
    plan = replace(PLAN, method="dds", options={}, samples=2, keep_samples=True, slices=(1, 3))
    restore_file(source, out, job(plan))
    made, spread = nibabel.load(out), nibabel.load(tmp_path / "o.spread.nii")
    assert made.shape == spread.shape == (12, 14, 2)
    np.testing.assert_allclose(made.affine[:, 3], nibabel.load(source).affine @ [0, 0, 1, 1])
    samples = np.load(tmp_path / "o.samples.npy")
    assert samples.shape == (2, 2, 14, 12) and float(spread.get_fdata().max()) > 0
    np.testing.assert_allclose(samples.mean(0)[0], open_images(out).values[0, 0], rtol=1e-4, atol=1e-3)
    with pytest.raises(InputError, match="has slices 0 to 2"):
        restore_file(source, tmp_path / "x.nii", job(replace(PLAN, slices=(2, 9))))


def test_a_dicom_keeps_units_and_geometry_and_loses_the_patient(tmp_path: Path) -> None:
    pixels = grey(size=(20, 24)).numpy().astype(np.uint16) * 4
    source = dicom(
        tmp_path / "i.dcm",
        pixels,
        RescaleSlope=2.0,
        RescaleIntercept=-100.0,
        PixelSpacing=[1.0, 0.5],
        ImagePositionPatient=[10.0, 20.0, 30.0],
        ImageOrientationPatient=[1.0, 0, 0, 0, 1.0, 0],
        Modality="MR",
    )
    import pydicom

    out = tmp_path / "o.dcm"
    plan = replace(PLAN, degradation=Degradation(task="sr", factor=2), noise_std=1.0)
    restore_file(source, out, job(plan))
    made = pydicom.dcmread(out)
    assert str(made.PatientName) == "" and made.PatientID == "" and b"Doe" not in out.read_bytes()
    assert [float(v) for v in made.PixelSpacing] == [0.5, 0.25] and made.Rows == 40 and made.RescaleSlope == 2
    np.testing.assert_allclose([float(v) for v in made.ImagePositionPatient], [9.875, 19.75, 30])
    values = open_images(out).values
    assert values.mean() == pytest.approx(float(pixels.mean()) * 2 - 100, rel=0.05)
    restore_file(source, tmp_path / "p.dcm", job(plan, keep_patient=True))
    assert pydicom.dcmread(tmp_path / "p.dcm").PatientID == "MRN-4711"


def test_a_folder_goes_on_after_what_fails(tmp_path: Path) -> None:
    folder, out, said = tmp_path / "in", tmp_path / "out", []
    png(folder / "a.png")
    (folder / "b.png").write_bytes(b"none")
    png(folder / "c.png", 2)
    failed = restore_folder(folder, out, job(said=said))
    assert set(failed) == {"b.png"} and (out / "a.png").is_file() and (out / "c.png").is_file()
    assert each([], Writing(), said.append, lambda a, b: None) == {}
    with pytest.raises(InputError, match="exists"):
        restore_folder(folder, out, job())


def test_nothing_is_guessed(tmp_path: Path) -> None:
    source = png(tmp_path / "in.png")
    with pytest.raises(InputError, match="give the `task`"):
        restore_file(source, tmp_path / "out.png", job(Plan(noise_std=1.0)))
    with pytest.raises(InputError, match="their clean images"):
        restore_file(source, tmp_path / "out.png", job(), truth=png(tmp_path / "small.png", size=(8, 8)))
    assert not (tmp_path / "out.png").exists() and not unfinished(tmp_path / "out.png")


@pytest.mark.parametrize(("plan", "titles"), [
    (PLAN, ["given", "restored"]), (replace(PLAN, method="dds", samples=2), ["given", "restored", "spread"]),
])
def test_whoever_looks_on_is_shown_each_slice(tmp_path: Path, plan: Plan, titles: list[str]) -> None:
    source, shown, steps = volume(tmp_path / "in.nii"), [], []
    given = replace(job(plan), show=lambda number, images: shown.append((number, images)),
                    progress=lambda label, total: lambda: steps.append(total))
    restore_file(source, tmp_path / "out.nii", given)
    assert [number for number, _ in shown] == [0, 1, 2] and list(shown[0][1]) == titles
    before, after = open_images(source).values, open_images(tmp_path / "out.nii").values
    for number, images in shown:
        np.testing.assert_array_equal(images["given"], before[number, 0])
        np.testing.assert_allclose(images["restored"], after[number, 0], rtol=1e-6)
    assert steps == [len(steps)] * len(steps) and len(steps) == 3 * plan.steps * plan.samples  # the bar ends where it said


def test_the_prior_that_auto_stands_for(tmp_path: Path) -> None:
    picture = png(tmp_path / "grey.png")
    assert settled_by_file(Plan(Degradation(task="denoise")), picture, Reading()).prior == "brain-mr-starter"
    assert settled_by_file(Plan(Degradation(task="colorize")), picture, Reading()).prior == "pictures-starter"
    assert settled_by_file(Plan(Degradation(task="denoise"), prior="mine"), picture, Reading()).prior == "mine"
