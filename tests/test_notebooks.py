"""Notebooks run as they are, and their .ipynb are their .py, without outputs."""

import runpy
from pathlib import Path

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
    """On the sample scan; the restored images beat zero-filling and explain the data."""
    left = runpy.run_path(str(path))
    assert {"results", "images", "scan", "mr"} <= set(left)
    reference = left["scan"].reference

    def psnr(name: str) -> float:
        return left["mr"].metrics.psnr(left["images"][name], reference, data_range=float(reference.max()))

    assert psnr(f"{left['best']}, mean") > psnr("zero-filled") + 2
    assert all(0.2 < float(result.misfit.mean()) < 3 for result in left["results"].values())
    assert "calibration lines" in capsys.readouterr().out


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_pair_is_in_step(path: Path) -> None:
    """`jupytext --to ipynb notebooks/NAME.py` makes it so again."""
    script = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [(cell.cell_type, cell.source) for cell in script.cells]
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
