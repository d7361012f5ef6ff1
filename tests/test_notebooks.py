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


def multi_coil_dds(left: dict[str, Any], out: str) -> None:
    """The walk by hand is the library's, the exact pull is where conjugate gradients go, and the misfit is that of the noise."""
    assert float((left["result"].samples[0] - left["by_hand"]).abs().max()) < 1e-3 * left["peak"]
    assert left["far"] == sorted(left["far"], reverse=True)
    assert left["scores"]["justified weight, solved"] > left["psnr"](left["start"]) + 2
    assert left["scores"]["justified weight, 5 CG steps"] > left["scores"]["gamma 500, solved"] + 3
    assert 0.5 < left["least"] < 1 and "<Ax, y>" in out


def inpainting_a_scene(left: dict[str, Any], out: str) -> None:
    """What other frames have shown is right and is most of the gain; known pixels are untouched; the wrong polarity is seen."""
    table, shares = left["table"], left["shares"]
    assert shares["keep"] < 0.2 and abs(shares["keep"] + shares["hole"] - 1) < 1e-9
    assert float(left["wrong"].mean()) < 2
    assert table["seen elsewhere, then DDNM+"].hole_psnr > table["DDNM+, each frame alone"].hole_psnr + 2
    assert table["DDNM+, each frame alone"].hole_psnr > table["mean colour"].hole_psnr
    assert abs(table["seen elsewhere, then DDNM+"].flicker) < abs(table["DDNM+, each frame alone"].flicker)
    for frame, known, filled in zip(left["frames"], left["known"], left["fills"]["the same, warm start"], strict=True):
        assert (frame == filled)[:, known].all()


def reading_an_evaluation(left: dict[str, Any], out: str) -> None:
    """The study is whole, goes on where it was, and the trap catches min-max scores alone."""
    assert not left["result"].failed and left["result"].done == 43
    assert (left["again"].done, left["again"].skipped) == (8, 43)
    assert {pair.patients for pair in left["pairs"]} == {8} and "0.0625" in out
    right, wrong, turned = left["trap"].values()
    assert abs(right[0] - wrong[0]) < 1e-3 and right[1] > wrong[1] + 10 and turned[2] > 1
    assert "<table" in left["page"] and not left["out"].exists()


def what_spread_means(left: dict[str, Any], out: str) -> None:
    """Spreads are as the page on posteriors has them, and the conformal factor mends the coverage of new heads."""
    spread = left["toy_spread"]
    assert abs(spread["the posterior"][0] - 1) < 0.05 and max(spread["HQS"]) < 1e-5  # it draws no samples: rounding
    assert spread["DDS, gamma 5"][0] < 0.1 < spread["DDNM+"][0] < spread["DDS"][0] < spread["DiffPIR"][0]
    assert left["factor"] == max(left["needed"]) > 1.645
    assert min(left["mended"]) > 0.85 > max(left["plain"])
    assert all(0 < found.spread_skill < 1 for found in left["figures"].values())


def restoring_images(left: dict[str, Any], out: str) -> None:
    """The finer volume beats interpolation and lies where it lay; noise and blur become less."""
    scores = left["scores"]
    assert scores["restored"]["psnr"] > scores["bicubic"]["psnr"] > scores["without a prior"]["psnr"]
    assert abs(left["fine_affine"] - left["clean_affine"]).max() < 1e-4
    assert left["quiet"]["restored"]["psnr"] > left["quiet"]["without a prior"]["psnr"] + 5
    assert left["sharp_psnr"] > left["blurred_psnr"] and "estimated from the image" in out


def radial_brain(left: dict[str, Any], out: str) -> None:
    """The prior beats CG-SENSE, which beats gridding, and explains the samples."""
    scores = left["scores"]
    assert scores["with the prior"] > scores["CG-SENSE"] + 3 > scores["gridding"] + 6
    assert 0.5 < float(left["result"].misfit) < 1.5 and "the ends of the readout" in out


def volume(left: dict[str, Any], out: str) -> None:
    """Slices that are restored together flicker less, at a higher PSNR."""
    flicker, psnr = left["flicker"], left["psnr"]
    assert flicker["together"] < 0.7 * flicker["slice by slice"] and psnr["together"] > psnr["slice by slice"] + 1


CHECKS = {
    "01_first_restoration": first_restoration, "02_multi_coil_dds": multi_coil_dds, "03_inpainting_a_scene": inpainting_a_scene,
    "04_images_of_any_size": images_of_any_size, "05_reading_an_evaluation": reading_an_evaluation,
    "06_uncertainty": what_spread_means, "07_restoring_images": restoring_images,
    "08_radial_brain": radial_brain, "09_volume": volume,
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_pair_is_in_step(path: Path) -> None:
    """`jupytext --to ipynb notebooks/NAME.py` makes it so again."""
    script = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [(cell.cell_type, cell.source) for cell in script.cells]
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
