"""Images from nothing to files."""

from pathlib import Path

import numpy as np
import pytest
from helpers.pictured import FieldOf
from PIL import Image

from medrestore.errors import InputError
from medrestore.images.generated_files import GenerateJob, generate_file
from medrestore.images.plan import GeneratePlan, Writing
from medrestore.images.records import read_record

PLAN = GeneratePlan(height=18, width=22, steps=2)


def job(plan: GeneratePlan = PLAN, channels: int = 3, **writing) -> GenerateJob:
    return GenerateJob(plan, FieldOf(channels), {"sha256": "w"}, writing=Writing(**writing))


def test_a_picture_with_its_record(tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    assert generate_file(out, job())
    assert np.asarray(Image.open(out)).shape == (18, 22, 3)
    record = read_record(out)
    assert record["made"] == "generated" and record["seeds"] == [0] and record["method"] == "DPMSolver()"
    assert not generate_file(out, job(resume=True))
    with pytest.raises(InputError, match="exists"):
        generate_file(out, job())


def test_several_and_complex_ones(tmp_path: Path) -> None:
    many = GeneratePlan(height=18, width=22, steps=2, samples=3)
    generate_file(tmp_path / "x.npy", job(many, 2))
    assert (
        np.load(tmp_path / "x.npy").shape == (3, 18, 22) and np.load(tmp_path / "x.npy").dtype == np.complex64
    )
    generate_file(tmp_path / "x.tif", job(many, 1))
    for name, words in (
        ("x.png", "one picture"),
        ("x.nii", r"written as \.png"),
        ("x.jpg", r"written as \.png"),
    ):
        with pytest.raises(InputError, match=words):
            generate_file(tmp_path / name, job(many))
