"""Scores of outputs that exist: which belong to which reference, and what is refused. The scores are tested with the command."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from medrestore.errors import InputError
from medrestore.evaluation.tables import read_rows
from medrestore.files import claim
from medrestore.study import score_files as module
from medrestore.study.score_files import FOLDER, score_outputs


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


def test_scores_replace_others_when_asked_to_and_never_a_study(tmp_path: Path) -> None:
    outputs, reference, out = pictures(tmp_path / "out", "ab", add=5), pictures(tmp_path / "truth", "ab"), tmp_path / "scores"
    score_outputs(outputs, reference, "natural", out=out)
    first = (out / "results.csv").read_bytes()
    pictures(tmp_path / "out", "ab", add=9)
    with pytest.raises(InputError, match=r"results\.csv exists; pass `overwrite` to replace it"):
        score_outputs(outputs, reference, "natural", out=out)
    assert (out / "results.csv").read_bytes() == first
    score_outputs(outputs, reference, "natural", out=out, overwrite=True)
    assert (out / "results.csv").read_bytes() != first
    claim(tmp_path / "study", FOLDER)
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is the folder of a study, whose tables would be replaced"):
            score_outputs(outputs, reference, "natural", out=tmp_path / "study", overwrite=overwrite)


def test_a_patient_is_named_by_the_first_case(tmp_path: Path) -> None:
    """Nothing of the identifier is stored, not even a hash that a list of identifiers would lead back to it."""
    for folder in ("made", "truth"):
        (tmp_path / folder).mkdir()
    for name, patient in (("b1", "SECRET"), ("b2", "OTHER"), ("b3", "SECRET"), ("b4", None)):
        for folder, key in (("made", "reconstruction"), ("truth", "reconstruction_rss")):
            with h5py.File(tmp_path / folder / f"{name}.h5", "w") as file:
                file[key] = np.random.default_rng(3).random((1, 16, 16)).astype(np.float32)
                if patient is not None:
                    file.attrs["patient_id"] = patient
    scored = score_outputs(tmp_path / "made", tmp_path / "truth", "fastmri", out=tmp_path / "scores")
    assert {row["case"]: row["patient"] for row in scored.rows} == {"b1": "b1", "b2": "b2", "b3": "b1", "b4": "b4"}


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


def test_tables_are_written_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, reference, out = pictures(tmp_path / "out", "ab", add=5), pictures(tmp_path / "truth", "ab"), tmp_path / "scores"
    real = module.write_rows

    def full(path: Path, rows: list[dict[str, Any]]) -> None:
        if path.name == "volumes.csv":
            raise InputError(f"{path} cannot be written (no space left on device); make room or choose another output")
        real(path, rows)

    monkeypatch.setattr(module, "write_rows", full)
    with pytest.raises(InputError, match=r"scores/volumes\.csv cannot be written \(no space left"):
        score_outputs(outputs, reference, "natural", out=out)
    assert not out.exists()


def test_no_name_of_a_file_is_told_where_that_is_asked(tmp_path: Path) -> None:
    outputs, reference, out = pictures(tmp_path / "SMITH", "PQ", add=5), pictures(tmp_path / "truth", "PQ"), tmp_path / "scores"
    scored = score_outputs(outputs, reference, "natural", out=out, anonymous=True)
    assert [(row["case"], row["patient"], row["method"]) for row in scored.rows] == [
        ("case-0001", "case-0001", "outputs"), ("case-0002", "case-0002", "outputs")]
    assert not any(name in (out / "results.csv").read_text() for name in ("P", "Q", "SMITH"))
