"""Scores of outputs that exist: which belong to which reference, and what is refused. The scores are tested with the command."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrestore.errors import InputError
from medrestore.evaluation.tables import read_rows
from medrestore.study.score_files import score_outputs


def pictures(folder: Path, names: str, add: int = 0) -> Path:
    """A folder of pictures, brightened by some grey levels."""
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 200, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels + np.uint8(add)).save(folder / f"{name}.png")
    return folder


def test_outputs_are_scored_against_references_of_their_names(tmp_path: Path) -> None:
    outputs, reference = pictures(tmp_path / "out", "ab", add=5), pictures(tmp_path / "truth", "abc")
    scored = score_outputs(outputs, reference, "natural", out=tmp_path / "scores")
    assert [row["case"] for row in scored.rows] == ["a", "b"] and scored.failed == {}
    assert all(row["psnr"] == pytest.approx(20 * np.log10(255 / 5), abs=1e-3) for row in scored.rows)
    assert scored.lines[0] == "2 pictures, natural" and scored.lines[-1] == "1 references have no output and are not counted"
    assert len(read_rows(tmp_path / "scores" / "results.csv")) == 2


def test_a_damaged_output_is_named_and_the_others_are_scored(tmp_path: Path) -> None:
    outputs, reference = pictures(tmp_path / "out", "ab"), pictures(tmp_path / "truth", "ab")
    (outputs / "b.png").write_bytes(b"damaged")
    scored = score_outputs(outputs, reference, "natural")
    assert [row["case"] for row in scored.rows] == ["a"] and "b.png" in scored.failed["b.png"]


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    outputs, reference = pictures(tmp_path / "out", "xy"), pictures(tmp_path / "truth", "ab")
    with pytest.raises(InputError, match=r"holds no file named like .*x\.png, .*y\.png"):
        score_outputs(outputs, reference, "natural")
    with pytest.raises(InputError, match="features of outputs and of references belong together"):
        score_outputs(outputs, reference, "dreaming-official", features=("a.npz", None))
    with pytest.raises(InputError, match="belong together, and to the protocols of DREAMING"):
        score_outputs(outputs, reference, "natural", features=("a.npz", "b.npz"))
    with pytest.raises(InputError, match="fastmri has no LPIPS"):
        score_outputs(outputs, reference, "fastmri", lpips=("a.pt",))
    with pytest.raises(InputError, match="does not exist; give the outputs, and the references"):
        score_outputs(outputs, tmp_path / "none", "natural")
