"""Clean images from files to degraded ones that `restore` understands without another word."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.dicoms import dicom
from helpers.pictured import FieldOf, grey
from PIL import Image

from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.degraded_files import degrade_file, degrade_folder
from medrestore.images.files import Job, restore_file
from medrestore.images.plan import DegradePlan, Plan, Reading, Writing
from medrestore.images.records import Recorded, read_record, record_place
from medrestore.io.images import open_images

from .test_files import png, volume


def degrade(
    source: Path,
    out: Path,
    noise: float = 0.0,
    *,
    said: list[str] | None = None,
    writing: Writing | None = None,
    crop: bool = False,
    **given: Any,
) -> bool:
    plan = DegradePlan(Degradation(**given), noise_std=noise, crop=crop)
    say = (lambda line: None) if said is None else said.append
    return degrade_file(source, out, plan, reading=Reading(), writing=writing or Writing(), say=say)


def test_the_record_is_enough_to_restore(tmp_path: Path) -> None:
    """Also where mask and kernel have gone, whose copies lie beside."""
    source, mask = png(tmp_path / "in.png"), np.zeros((20, 24), np.uint8)
    mask[3:8, 4:9] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    out = tmp_path / "out" / "d.png"
    degrade(source, out, task="inpaint", mask=str(tmp_path / "m.png"), mask_means="hole")
    (tmp_path / "m.png").unlink()
    assert (np.asarray(Image.open(out))[3:8, 4:9] == 0).all() and (out.parent / "d.png.mask.png").is_file()
    assert str(tmp_path) not in record_place(out).read_text()
    made = tmp_path / "r.png"
    restore_file(out, made, Job(Plan(steps=2), FieldOf(1), {"sha256": "w"}))
    assert (np.asarray(Image.open(made)) == np.asarray(Image.open(source)))[mask == 0].all()
    np.save(tmp_path / "k.npy", np.ones((3, 3)))
    degrade(source, tmp_path / "b.npy", 1.5, task="deblur", kernel=str(tmp_path / "k.npy"))
    found = Recorded.of(tmp_path / "b.npy")
    assert (
        found is not None
        and found.noise_std == 1.5
        and found.degradation.kernel == str(tmp_path / "b.npy.kernel.npy")
    )


def test_runs_again_give_the_same_bytes_and_none_is_replaced(tmp_path: Path) -> None:
    source, out = png(tmp_path / "in.png"), tmp_path / "d.png"
    degrade(source, out, 5.0, task="denoise")
    first = out.read_bytes(), record_place(out).read_bytes()
    assert not degrade(source, out, 5.0, task="denoise", writing=Writing(resume=True))
    with pytest.raises(InputError, match="exists"):
        degrade(source, out, 5.0, task="denoise")
    degrade(source, out, 5.0, task="denoise", writing=Writing(overwrite=True))
    assert (out.read_bytes(), record_place(out).read_bytes()) == first


def test_values_that_a_file_cannot_hold_are_told(tmp_path: Path) -> None:
    source, said = png(tmp_path / "in.png"), []
    degrade(source, tmp_path / "d.png", 90.0, said=said, task="denoise")
    assert any("outside the range of the file" in line for line in said)
    said.clear()
    degrade(source, tmp_path / "d.npy", 90.0, said=said, task="denoise")
    assert len(said) == 1 and open_images(tmp_path / "d.npy").values.min() < 0


def test_every_format_keeps_its_units(tmp_path: Path) -> None:
    sixteen = grey(size=(20, 24)).numpy().astype(np.uint16) * 257
    Image.fromarray(sixteen).save(tmp_path / "a.png")
    import tifffile

    tifffile.imwrite(tmp_path / "b.tif", np.stack([sixteen] * 3, -1), photometric="rgb")
    dicom(tmp_path / "c.dcm", sixteen, RescaleSlope=0.5, RescaleIntercept=10.0)
    volume(tmp_path / "d.nii")
    for name in ("a.png", "b.tif", "c.dcm", "d.nii"):
        source, out = tmp_path / name, tmp_path / f"out-{name}"
        degrade(source, out, task="sr", factor=2)
        given, made = open_images(source).values, open_images(out).values
        expected = given.reshape(*given.shape[:2], given.shape[2] // 2, 2, given.shape[3] // 2, 2).mean(
            (3, 5)
        )
        np.testing.assert_allclose(made, expected, atol=0.51)
        assert open_images(out).dtype == open_images(source).dtype


def test_a_folder(tmp_path: Path) -> None:
    png(tmp_path / "in" / "a.png")
    png(tmp_path / "in" / "b.png", size=(21, 24))
    failed = degrade_folder(
        tmp_path / "in",
        tmp_path / "out",
        DegradePlan(Degradation(task="sr", factor=2)),
        reading=Reading(),
        writing=Writing(),
        say=lambda line: None,
    )
    assert set(failed) == {"b.png"} and "pass `crop`" in failed["b.png"]
    assert read_record(tmp_path / "out" / "a.png")["operator"] == [{"kind": "pool", "factor": 2}]
