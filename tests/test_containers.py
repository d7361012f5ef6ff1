"""The recipes of containers: consistent with the package, and the program of DREAMING's on the layout of the platform."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from medrestore.io.frames.mha import MhaFrames, MhaWriter
from medrestore.io.scenes.grand_challenge import MASKS, RESULTS, SCENES

ROOT = Path(__file__).parents[1]
CONTAINERS = ROOT / "containers"


def stacks(root: Path, *, platform_names: bool) -> list[str]:
    """Two scenes as the platform gives them; returns their names."""
    names = ["input_scene_0092", "input_scene_0096"] if platform_names else ["1f0c", "2a7d"]
    masks = [name.replace("input", "mask") for name in names]
    columns = np.tile(np.linspace(40, 200, 40), (32, 1))
    for number, (name, mask) in enumerate(zip(names, masks, strict=True)):
        known = np.full((32, 40), 255, np.uint8)
        known[8 + number : 20, 10:24] = 0
        frame = np.stack([columns, columns[:, ::-1], columns], -1).astype(np.uint8)
        for folder, file, what, channels in ((SCENES, name, frame, 3), (MASKS, mask, known, 1)):
            path = root / "images" / folder / f"{file}.mha"
            with MhaWriter(path, size=(32, 40), count=1 + number, channels=channels) as writer:
                for _ in range(1 + number):
                    writer.put(what)
    return names


@pytest.mark.slow
@pytest.mark.parametrize("platform_names", [True, False])
def test_the_program_of_dreaming_on_the_layout_of_the_platform(tmp_path: Path, platform_names: bool) -> None:
    names = stacks(tmp_path / "input", platform_names=platform_names)
    (tmp_path / "output").mkdir()  # mounted empty
    environment = os.environ | {"INPUT": str(tmp_path / "input"), "OUTPUT": str(tmp_path / "output"),
                                "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}
    for _ in range(2):  # also over what an earlier run has left
        done = subprocess.run([str(CONTAINERS / "dreaming" / "process"), "--steps", "2"], env=environment, capture_output=True,
                              text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    written = tmp_path / "output" / "images" / RESULTS
    assert sorted(path.stem for path in written.glob("*.mha")) == names
    for number, name in enumerate(names):
        source, result = MhaFrames(tmp_path / "input/images" / SCENES / f"{name}.mha"), MhaFrames(written / f"{name}.mha")
        assert len(result) == len(source) == 1 + number
        for before, after in zip(source, result, strict=True):
            changed = (before != after).any(-1)
            assert not changed[:8].any() and not changed[20:].any() and after.shape == (32, 40, 3)


def test_recipes_name_what_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pinned = re.search(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE).group(1)
    for recipe in (CONTAINERS / "Dockerfile", CONTAINERS / "medrestore.def"):
        text = recipe.read_text()
        assert set(re.search(r"EXTRAS=([\w,]+)", text).group(1).split(",")) <= set(extras)
        assert re.search(r"TORCH=(\S+)", text).group(1) == pinned and "constraints.txt" in text
    assert "USER user" in (CONTAINERS / "Dockerfile").read_text()  # not root
    assert os.access(CONTAINERS / "dreaming" / "process", os.X_OK)
