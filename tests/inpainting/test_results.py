"""What came of a scene, read from its record."""

from pathlib import Path

import pytest
from helpers.frames import WINDOW, FieldPrior, known, picture, scene

from medrestore.errors import InputError
from medrestore.inpainting.files import inpaint_scene
from medrestore.inpainting.job import Job
from medrestore.inpainting.plan import Plan
from medrestore.inpainting.results import read_result


def test_a_film_of_which_other_frames_show_some(tmp_path: Path) -> None:
    holes = [known((10, 20, 12, 12)), known((30, 20, 6, 12))]
    job = Job(Plan(steps=2, window=WINDOW), FieldPrior(), {"sha256": "weights"})
    inpaint_scene(lambda: scene([picture(0), picture(0)], holes), tmp_path / "out", job, source=Path("frames"))
    result = read_result(tmp_path / "out")
    assert (result.frames, result.height, result.width) == (2, *holes[0].shape) and result.scores is None
    assert result.hidden == pytest.approx((144 + 72) / (2 * holes[0].numel()))
    assert 0 < result.seen_elsewhere <= 1 and result.row()["seen_elsewhere"] == result.seen_elsewhere
    assert {Path(file).name for file in result.files} >= {"out.preview.png", "out.frames.csv"}
    with pytest.raises(InputError, match="has no record of how it was filled; fill it again"):
        read_result(tmp_path / "nothing")
