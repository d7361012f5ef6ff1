"""Outputs of stages, finished and abandoned."""

import os
from pathlib import Path

import pytest

from medrestore.files import Stage, new_folder, new_output

posix = pytest.mark.skipif(os.name == "nt", reason="signals and limits on the size of files")


def write_output(out: Path, text: str, *, replace: bool = True) -> None:
    with new_output(out, replace=replace) as folder:
        (folder / out.name).write_text(text)
        (folder / out.with_suffix(".png").name).write_text(f"picture of {text}")


def write_folder(out: Path, text: str, *, replace: bool = False) -> None:
    with new_folder(out, replace=replace) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "a.txt").write_text(text)


def abandoned(out: Path, *, key: str = "") -> Stage:
    """The stage of a run that was killed."""
    stage = Stage(out, key=key)
    (stage.new / "half").write_text("half")
    stage.leave()
    return stage
