"""Notebooks run as they are, and their .ipynb are their .py, without outputs."""

import runpy
from pathlib import Path
from typing import Any

import jupytext
import matplotlib
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


@pytest.fixture
def quiet_figures():
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
    matplotlib.use(before)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
    assert {path.stem for path in NOTEBOOKS} == {path.stem for path in NOTEBOOKS[0].parent.glob("*.ipynb")}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, quiet_figures: None, capsys: pytest.CaptureFixture[str]) -> None:
    CHECKS[path.stem](runpy.run_path(str(path)), capsys.readouterr().out)


def first_restoration(left: dict[str, Any], out: str) -> None:
    """On the sample scan; the restored images beat zero-filling and explain the data."""
    assert {"results", "images", "scan", "mr"} <= set(left)
    reference = left["scan"].reference

    def psnr(name: str) -> float:
        return left["mr"].metrics.psnr(left["images"][name], reference, data_range=float(reference.max()))

    assert psnr(f"{left['best']}, mean") > psnr("zero-filled") + 2
    assert all(0.2 < float(result.misfit.mean()) < 3 for result in left["results"].values())
    assert "calibration lines" in out


def images_of_any_size(left: dict[str, Any], out: str) -> None:
    """Each picture has its size and explains its data."""
    results, scale = left["results"], left["SCALE"]
    assert {name: tuple(picture.shape[-2:]) for name, picture in results.items()} == {
        "super-resolution": (512 // scale, 1024 // scale), "inpainting": (512 // scale, 768 // scale),
        "colorization": (1024 // scale, 1268 // scale)}
    frame = left["frame"]
    assert (results["inpainting"][0] == frame.truth)[:, frame.known].all() and not frame.known.all()
    assert float(left["off"]) < 0.01 and 0.5 < left["seam"] < 1.5
    assert "means are off by at most 0.00" in out


CHECKS = {"01_first_restoration": first_restoration, "04_images_of_any_size": images_of_any_size}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_pair_is_in_step(path: Path) -> None:
    """`jupytext --to ipynb notebooks/NAME.py` makes it so again."""
    script = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [(cell.cell_type, cell.source) for cell in script.cells]
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
