"""What is said of a scene."""

from pathlib import Path

from helpers.frames import WINDOW, FieldPrior, known, picture, scene

from medrestore.inpainting.files import inpaint_scene
from medrestore.inpainting.job import Job
from medrestore.inpainting.plan import Plan
from medrestore.inpainting.told import dropped
from medrestore.io.frames.mha import Geometry
from medrestore.io.scenes.base import Scene


def film() -> Scene:
    return scene([picture(index) for index in range(3)], [known((10, 20, 12, 12))] * 3)


def test_lines_say_what_is_done(tmp_path: Path) -> None:
    lines: list[str] = []
    job = Job(Plan(steps=2, window=WINDOW), FieldPrior(), {"sha256": "weights"}, say=lines.append)
    inpaint_scene(film, tmp_path / "out", job, source=Path("frames"))
    assert lines[0].startswith(
        "scene: 3 frames of 64 x 48, 4.7% hidden (white means keep; at most 4.7% of a frame); prior "
    )
    assert "DDNMPlus, 2 steps" in lines[0] and "of what was hidden was seen in other frames" in lines[1]
    assert lines[-1].endswith("out  out.preview.png  out.frames.csv")


def test_what_an_output_has_no_place_for_is_named() -> None:
    given = film()
    given.obstructed.geometry = Geometry(3, {"ElementSpacing": "1 1 2"})
    (line,) = dropped(given, Path("out.mkv"))
    assert "spacing, origin and orientation are not carried over" in line and not list(dropped(given, Path("out.mha")))
