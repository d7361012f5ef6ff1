"""What came of an image, read from its record."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.pictured import FieldOf, grey
from PIL import Image

from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.files import Job, restore_file
from medrestore.images.plan import Plan
from medrestore.images.results import read_result
from medrestore.images.steps import Pool

PLAN = Plan(Degradation(task="denoise"), noise_std=9.0, steps=2)


@pytest.mark.parametrize(("plan", "task"), [
    (PLAN, "denoise"), (replace(PLAN, degradation=Degradation(operators=(Pool(2),))), "pool"),
])
def test_a_restored_picture(tmp_path: Path, plan: Plan, task: str) -> None:
    Image.fromarray(grey(0, (20, 24)).numpy()).save(tmp_path / "in.png")
    restore_file(tmp_path / "in.png", tmp_path / "out.png", Job(plan, FieldOf(1), {"sha256": "weights"}))
    result = read_result(tmp_path / "out.png")
    assert (result.task, result.slices, result.noise_std, result.scores) == (task, 1, 9.0, {})
    assert {Path(file).name for file in result.files} == {"out.png", "out.png.json", "out.png.preview.png"}
    assert result.row() == {"input": "in.png", "output": "out.png", "error": None, "slices": 1, "task": task, "noise_std": 9.0,
                            "misfit": result.misfit}
    with pytest.raises(InputError, match="has no record of how it was restored beside it"):
        read_result(tmp_path / "in.png")
