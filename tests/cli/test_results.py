"""Results for other programs: one JSON object and nothing else on stdout, and a table of a folder."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.scans import Bench, fastmri, kspace
from PIL import Image

from medrestore.cli import results
from medrestore.settings import Privacy

HALF = ("--undersample", "uniform1d", "--accel", 2, "--acs", 14)


def png(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.RandomState(seed).randint(0, 255, (24, 32, 3), np.uint8)).save(path)
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def document(outcome: Any) -> dict[str, Any]:
    assert outcome.out.startswith("{") and outcome.out.endswith("}\n")
    return json.loads(outcome.out)


def test_recon(bench: Bench, scan: Path) -> None:
    outcome = bench.recon(scan, *HALF, "-o", bench / "out.h5", "--json")
    told = document(outcome)
    assert outcome.code == 0 and list(told) == ["command", "medrestore", "results", "failed"] and told["command"] == "recon"
    (one,) = told["results"]
    assert (one["slices"], one["height"], one["width"], one["method"], one["input"]) == (1, 48, 40, "diffpir", "scan.h5")
    assert set(one["scores"]) == {"zero_filled", "cg_sense", "mean"} and 0 < one["misfit"] < 10 and one["acceleration"] > 1.3
    assert one["files"] == [str(bench / "out.h5"), str(bench / "out.png")] and one["provenance"]["levels"]
    assert f"mean         {one['scores']['mean']['psnr']:8.2f}" in outcome.err and "data misfit" in outcome.err
    again = document(bench.recon(scan, *HALF, "-o", bench / "out.h5", "--json", "--resume"))
    assert again == told  # of an output that was complete already


def test_a_folder_of_scans(bench: Bench) -> None:
    (bench / "scans").mkdir()
    for seed, name in enumerate(("a", "=1+1")):
        data, images = kspace(seed=seed)
        fastmri(bench / "scans" / f"{name}.h5", data, reference=images)
    (bench / "scans" / "c.h5").write_bytes(b"broken")
    outcome = bench.recon(bench / "scans", *HALF, "-o", bench / "images", "--json")
    told = document(outcome)
    assert outcome.code == 1 and [one["input"] for one in told["results"]] == ["=1+1.h5", "a.h5"]
    assert [one["input"] for one in told["failed"]] == ["c.h5"] and "no known k-space format" in told["failed"][0]["error"]
    text = (bench / "images" / "summary.csv").read_text()
    assert str(bench.folder) not in text
    rows = table(bench / "images" / "summary.csv")
    assert [row["input"] for row in rows] == ["'=1+1.h5", "a.h5", "c.h5"]
    assert float(rows[1]["mean_psnr"]) == told["results"][1]["scores"]["mean"]["psnr"]
    assert rows[2]["error"].startswith("c.h5 is of no known")


def test_names_are_left_out_of_the_table_where_they_are_to_be(tmp_path: Path) -> None:
    results.write_summary(tmp_path, [], {"Jane.h5": f"{tmp_path}/in/Jane.h5: empty"}, source=tmp_path / "in",
                          names=Privacy(anonymous=True))
    assert (tmp_path / "summary.csv").read_text() == "input,error\nomitted,omitted: empty\n"


@pytest.mark.parametrize("content", [b"precious", b""])
def test_a_table_of_somebody_else_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    place = tmp_path / "summary.csv"
    place.write_bytes(content)
    for _ in range(2):
        results.write_summary(tmp_path, [], {"a.h5": "empty"}, source=tmp_path, names=Privacy())
    assert place.read_bytes() == content and "is of another program and stays" in capsys.readouterr().out
    place.unlink()
    for why in ("empty", "broken"):  # one of ours is replaced
        results.write_summary(tmp_path, [], {"a.h5": why}, source=tmp_path, names=Privacy())
    assert place.read_text() == "input,error\na.h5,broken\n"


def test_restore(bench: Bench, rgb_prior: Path) -> None:
    words = ("--task", "denoise", "--noise-std", 9, "--prior", rgb_prior, "--steps", 2, "--json")
    source = png(bench / "a.png")
    outcome = bench.call("restore", source, "-o", bench / "b.png", "--truth", source, *words)
    told = document(outcome)
    (one,) = told["results"]
    assert outcome.code == 0 and (one["task"], one["noise_std"], one["slices"], one["input"]) == ("denoise", 9.0, 1, "a.png")
    assert f"restored         {one['scores']['restored']['psnr']:8.2f}" in outcome.err
    for seed in range(2):
        png(bench / "many" / f"{seed}.png", seed)
    outcome = bench.call("restore", bench / "many", "-o", bench / "done", *words)
    assert [one["input"] for one in document(outcome)["results"]] == ["0.png", "1.png"]
    assert [row["output"] for row in table(bench / "done" / "summary.csv")] == ["0.png", "1.png"]
    assert document(bench.call("restore", bench / "many", "-o", bench / "done", "--resume", *words))["failed"] == []


def test_inpaint(bench: Bench, rgb_prior: Path) -> None:
    mask = np.zeros((24, 32), np.uint8)
    mask[8:14, 10:18] = 255
    Image.fromarray(mask).save(bench / "m.png")
    outcome = bench.call("inpaint", png(bench / "a.png"), "--mask", bench / "m.png", "--mask-means", "hole",
                         "-o", bench / "b.png", "--truth", bench / "a.png", "--prior", rgb_prior, "--steps", 2,
                         "--window", 16, "--json")
    (one,) = document(outcome)["results"]
    assert outcome.code == 0 and (one["frames"], one["height"], one["width"]) == (1, 24, 32)
    assert one["hidden"] == pytest.approx((mask > 0).mean()) and one["scores"]["hole_psnr"] is not None
    assert one["seen_elsewhere"] == 0 and {Path(file).name for file in one["files"]} == {"b.png.preview.png", "b.png.frames.csv",
                                                                                        "b.png.json"}


def test_inspect(bench: Bench, scan: Path) -> None:
    for what in (scan, "brain-mr-starter"):
        told = document(bench.call("inspect", what, "--json"))
        lines = bench.call("inspect", what).out.splitlines()
        assert told["file"] == str(what) and [line.split(":")[0] for line in lines] == list(told["facts"])
    assert told["facts"]["channels"] == 2  # a number is a number


def test_doctor(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from medrestore.cli import doctor

    monkeypatch.setattr(doctor, "_checks", lambda devices: iter([("one", lambda: True), ("two", lambda: 1 / 0)]))
    outcome = bench.call("doctor", "--json")
    told = document(outcome)
    assert outcome.code == 1 and told["packages"]["torch"] and told["packages"]["medrestore"] == told["medrestore"]
    assert told["checks"] == [{"name": "one", "ok": True, "why": ""}, {"name": "two", "ok": False, "why": "division by zero"}]
    assert "cpu" in told["devices"] and "FAIL two (division by zero)" in outcome.err


def test_nothing_is_printed_where_it_fails(bench: Bench) -> None:
    (bench / "x.h5").write_bytes(b"")
    for words in (("recon", bench / "x.h5", "-o", bench / "y.h5"), ("inspect", bench / "x.h5"),
                  ("restore", bench / "x.h5", "-o", "z")):
        outcome = bench.call(*words, "--json")
        assert outcome.code == 2 and outcome.out == "" and outcome.err.startswith(f"medrestore {words[0]}: error: ")
