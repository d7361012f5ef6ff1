"""Sets of scenes: one that fails, or ends its process, costs no other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.deadly import DeadlyScene
from helpers.frames import WINDOW, FieldPrior, known, picture, scene
from helpers.networks import save_rgb_prior
from PIL import Image

from medrestore.errors import InputError
from medrestore.files import exclusive
from medrestore.inpainting import scenes as module
from medrestore.inpainting.job import Job
from medrestore.inpainting.plan import Machine, Plan, Reading, Writing
from medrestore.inpainting.scenes import SceneSource, inpaint_scenes, inpaint_scenes_apart
from medrestore.io.scenes.base import Scene

JOB = Job(Plan(steps=2, window=WINDOW), FieldPrior(), {"sha256": "weights"})


def one() -> Scene:
    return scene([picture()], [known((10, 20, 12, 12))])


class Broken(dict[str, Any]):
    """A set one of whose scenes raises what nobody expects."""

    def __getitem__(self, name: str) -> Any:
        if name == "bad":
            raise ZeroDivisionError("by zero")
        return super().__getitem__(name)


@pytest.mark.parametrize(("kind", "why"), [(dict, "hides nothing"), (Broken, "ZeroDivisionError: by zero; do it alone")])
def test_scenes_that_fail_leave_the_others(tmp_path: Path, kind: type[dict[str, Any]], why: str) -> None:
    scenes: dict[str, Any] = kind(bad=scene([picture()], [known()]), good=one())
    lines: list[str] = []
    failed = inpaint_scenes(scenes, {name: tmp_path / name for name in scenes}, replace(JOB, say=lines.append),
                            source=SceneSource(Path("set")))
    assert list(failed) == ["bad"] and why in failed["bad"] and any("failed: bad" in line for line in lines)
    assert (tmp_path / "good" / "provenance.json").is_file() and not list(tmp_path.glob("bad*"))


def test_a_scene_that_another_run_is_at_is_left_alone(tmp_path: Path) -> None:
    lines: list[str] = []
    with exclusive(tmp_path / "a"):
        job = replace(JOB, say=lines.append)
        assert inpaint_scenes({"a": one()}, {"a": tmp_path / "a"}, job, source=SceneSource(Path("set"))) == {}
    assert lines[-1].startswith("left alone: ") and not (tmp_path / "a").exists()


def dreaming(folder: Path) -> Path:
    """Three scenes of one frame."""
    grey, mask = np.full((24, 40, 3), 90, np.uint8), np.full((24, 40), 255, np.uint8)
    mask[6:12, 8:16] = 0
    for name in "abc":
        for part, pixels in (("input", grey), ("mask", mask), ("gt", grey)):
            (folder / f"scene_{name}" / part).mkdir(parents=True)
            Image.fromarray(pixels).save(folder / f"scene_{name}" / part / "000.png")
    return folder


@pytest.mark.slow
def test_a_scene_that_ends_its_process_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ScenesApart", DeadlyScene)
    said: list[str] = []
    plan = Plan(steps=2, window=16, prior=str(save_rgb_prior(tmp_path / "rgb")), dataset="dreaming")
    places = {f"scene_{name}": tmp_path / "out" / name for name in "abc"}
    failed = inpaint_scenes_apart(SceneSource(dreaming(tmp_path / "set")), places, plan, Machine(device="cpu"), reading=Reading(),
                                  writing=Writing(), say=said.append, progress=lambda label, total: lambda: None)
    why = "scene_b: its process died by SIGSEGV on this scene; do it alone to see more"
    assert failed == {"scene_b": why} and f"failed: {why}" in said
    assert all((tmp_path / "out" / name).is_dir() == (name != "b") for name in "abc")


def test_what_ends_all_is_raised(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        SceneSource(tmp_path / "none").opened(Plan(), Reading())
