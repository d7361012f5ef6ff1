"""Studies: which tasks run, which are skipped, and that the numbers do not depend on the process that computes them."""

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from helpers.scans import fastmri, kspace
from helpers.studies import PHANTOMS, TINY, TOO_FEW_LINES, bytes_of, changed, opened, run

from medrestore.errors import InputError
from medrestore.evaluation.tables import read_rows
from medrestore.files import claim
from medrestore.study.config import as_plain, read
from medrestore.study.run import StudyResult, scored_tasks, slug
from medrestore.study.score_files import FOLDER


def test_a_study_leaves_tables_rows_and_a_report(tmp_path: Path, tiny_prior: Path) -> None:
    given = changed(methods={"DDS": {"method": "dds", "prior": str(tiny_prior), "steps": 2, "samples": 2, "uncertainty": True}})
    assert run(given, tmp_path / "out") == StudyResult({}, 6 + 6, 0, 0)
    rows = read_rows(tmp_path / "out" / "results.csv")
    assert rows == read_rows(tmp_path / "out" / "results.parquet")
    assert [row["method"] for row in rows] == ["ZF", "CG", "DDS", "DDS, one sample"] * 2
    assert {row["case"] for row in rows} == {row["patient"] for row in rows} == {"phantom0", "phantom1"}
    assert {row["setting"] for row in rows} == {"uniform1d 2x"} and all(1.5 < row["accel"] < 2.5 for row in rows)
    assert [row["calls"] for row in rows[:4]] == [0, 0, 4, 2]
    assert 0 <= rows[2]["coverage_90"] <= 1 and rows[2]["misfit"] > 0 and rows[1]["misfit"] is None
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert "| DDS, one sample |" in tables and "against DDS, paired" in tables and "network calls an image" in tables
    assert "<svg" not in tables and "phantom0, uniform1d 2x" in (tmp_path / "out" / "report.html").read_text()
    made = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert set(made["cases"]) == {"phantom0", "phantom1"} and made["methods"]["DDS"]["weights_sha256"]
    assert len((tmp_path / "out" / "timings.csv").read_text().splitlines()) == 1 + 12
    import yaml

    again = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert read(again, "config.yaml") == read(given, "my.yaml") and as_plain(read(again, "x")) == again


def test_tasks_with_an_output_are_skipped_and_a_changed_method_alone_is_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(TINY, out).done == 10
    before = (out / "tables.md").read_bytes()
    assert run(TINY, out) == StudyResult({}, 0, 10, 0) and (out / "tables.md").read_bytes() == before
    more = {"L1": {"baseline": "L1Wavelet", "options": {"lam": 1e-3, "iterations": 2}}}
    assert run(changed(methods=more), out) == StudyResult({}, 2, 10, 0)
    other = {"L1": {"baseline": "L1Wavelet", "options": {"lam": 1e-3, "iterations": 3}}}
    assert run(changed(methods=other), out) == StudyResult({}, 2, 10, 0)
    assert run(changed(pictures=0), out) == StudyResult({}, 2, 8, 0)  # the case whose image was stored


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, tiny_prior: Path) -> None:
    given = changed(methods={"CG": {"baseline": "CGSense", "options": {"lam": 0.01}},
                             "DPS": {"method": "dps", "prior": str(tiny_prior), "steps": 2}})
    run(given, tmp_path / "one")
    assert run(given, tmp_path / "two", workers=2).failed == {}
    assert bytes_of(tmp_path / "one" / "tasks") == bytes_of(tmp_path / "two" / "tasks")
    for name in ("results.csv", "volumes.csv", "tables.md", "provenance.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_shards_share_a_folder_and_the_last_one_writes_the_tables(tmp_path: Path) -> None:
    out, said = tmp_path / "out", []
    assert run(TINY, out, shard=(1, 2)).waiting > 0 and not (out / "tuned.json").exists()
    assert run(TINY, out, shard=(2, 2), say=said.append).waiting > 0 and (out / "tuned.json").exists()
    assert not (out / "results.csv").exists() and any("left to other shards" in line for line in said)
    assert run(TINY, out, shard=(1, 2)).waiting == 0 and (out / "results.csv").exists()


def test_a_task_that_fails_is_named_and_the_others_are_scored(tmp_path: Path) -> None:
    settings = [*TINY["settings"], TOO_FEW_LINES]  # too few lines for coil maps
    result = run(changed(settings=settings), tmp_path / "out")
    assert len(result.failed) == 6 + 2 and all("calibration lines" in why for why in result.failed.values())
    rows = read_rows(tmp_path / "out" / "results.csv")
    assert {row["setting"] for row in rows} == {"uniform1d 2x"} and "failed" in (tmp_path / "out" / "tables.md").read_text()
    told = json.loads((tmp_path / "out" / "tuned.json").read_text())["CG"]["uniform1d 4x"]
    assert told["chosen"] is None
    said: list[str] = []
    assert run(changed(settings=settings), tmp_path / "out", say=said.append).failed.keys() == result.failed.keys()
    assert not any("calibration lines" in line for line in said)  # known, not tried again: neither tuning nor tests
    told = (tmp_path / "out" / "failed.jsonl").read_text().splitlines()
    assert {json.loads(line)["name"] for line in told} == result.failed.keys()


def test_shards_go_on_when_tuning_has_failed_in_another_and_the_tables_tell_of_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = [*TINY["settings"], TOO_FEW_LINES]  # too few lines: all of them in the second shard
    given = changed(settings=settings)
    parts = [run(given, out, shard=(number, 2)) for number in (1, 2, 1, 2)]
    assert [part.waiting > 0 for part in parts] == [True, True, False, False]
    assert not parts[0].failed and len(parts[2].failed) == 6 + 2 == len(parts[3].failed)
    assert "8 tasks failed and are missing" in (out / "tables.md").read_text()


def test_a_failure_of_another_config_is_none_of_this_one(tmp_path: Path) -> None:
    given = changed(methods={"CG": {"baseline": "CGSense", "options": {"lam": 0.01}}})
    study = opened(given, tmp_path / "out")
    claim(tmp_path / "out", FOLDER)
    rows = [{"name": task.name, "key": "of another config", "why": "x"} for task in scored_tasks(study, {})]
    (tmp_path / "out" / "failed-2-of-2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(given, tmp_path / "out", shard=(1, 2)).waiting == 2 and not (tmp_path / "out" / "tables.md").exists()


def test_without_any_row_there_is_no_table(tmp_path: Path) -> None:
    said: list[str] = []
    given = changed(settings=[TOO_FEW_LINES], validation=None, methods={"CG": {"baseline": "RSS"}})
    assert len(run(given, tmp_path / "out", say=said.append).failed) == 4
    assert not any("tables.md" in line for line in said) and not (tmp_path / "out" / "tables.md").exists()


def test_the_key_of_a_task_holds_what_its_files_hold(tmp_path: Path, tiny_prior: Path) -> None:
    """Weights of LPIPS, the shape of a prior's network and the name that fastMRI's masks follow from."""
    prior, weights, scans = tmp_path / "prior", tmp_path / "lpips.pt", tmp_path / "scans"
    shutil.copytree(tiny_prior, prior)
    weights.write_bytes(b"one")
    scans.mkdir()
    data, images = kspace(1)
    fastmri(scans / "a.h5", data, reference=images)
    given = changed(data={"kind": "kspace", "folder": str(scans)}, validation=None, lpips=[str(weights)],
                    methods={"DDS": {"method": "dds", "prior": str(prior), "steps": 2}, "CG": {"baseline": "RSS"}})

    def keys() -> dict[str, str]:
        return {task.what.label: task.key for task in scored_tasks(opened(given, tmp_path / "out"), {})}

    before = keys()
    weights.write_bytes(b"another")
    after = keys()
    assert keys() == after and all(after[label] != before[label] for label in before)
    config = prior / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "norm_eps": 1e-3}))
    assert {label for label, key in keys().items() if key != after[label]} == {"DDS"}
    after = keys()
    (scans / "a.h5").rename(scans / "a.hdf5")
    assert all(key != after[label] for label, key in keys().items())


def test_labels_become_folders_of_their_own() -> None:
    names = ["DDNM", "DDNM+", "DDS, 25", "DDS 25", "DDS-25-", "é", "..", "uniform1d 4x"]
    assert len({slug(name) for name in names}) == len(names)
    assert slug("uniform1d 4x") == "uniform1d-4x" and slug("DDNM") == "DDNM"
    assert len(slug("a" * 300)) < 100 and slug("a" * 300) != slug("a" * 301)


REFUSED = [
    (changed(validation={**PHANTOMS, "count": 2, "first": 1}), "validation and data share phantom1; tune on patients"),
    (changed(methods={"X": {"method": "dds", "prior": "a/b"}, "Y": {"baseline": "UNet", "weights": "c"}}, lpips=["d.pt"]),
     "not there: d.pt, a/b, c; correct"),
    (changed(methods={"Z F": {"baseline": "RSS"}, "Z-F": {"baseline": "RSS"}}), "'Z F' and 'Z-F' would share the folder Z-F"),
    ({"protocol": "fastmri", "data": {**PHANTOMS, "count": 1}, "settings": [{"kind": "gaussian2d", "accel": 2}],
      "methods": {"X": {"method": "ddnm", "steps": 2}}}, "no method can serve any setting: X need"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_mistakes_are_named_before_any_work(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^my.yaml: .*{message}"):
        opened(given, tmp_path / "out")
    assert not (tmp_path / "out" / "tasks").exists()


OTHERS: dict[str, Any] = {str: "other", int: 7, float: 0.3, bool: False, type(None): "other"}


@pytest.mark.parametrize("method", ["ZF", "DDS"])
def test_all_content_of_a_task_decides_its_key_and_no_resource_does(method: str, tmp_path: Path, tiny_prior: Path) -> None:
    """Every field of the content, of the case, of the condition and of the method's config."""
    from medrestore.study.run import _task

    given = changed(methods={"DDS": {"method": "dds", "prior": str(tiny_prior), "steps": 2, "samples": 2}})
    item = next(task.what for task in scored_tasks(opened(given, tmp_path / "out"), {}) if task.what.label == method)
    key = _task("test", item, "x").key

    def changed_parts(part: Any) -> Any:
        for one in fields(part):
            value = getattr(part, one.name)
            if hasattr(value, "__dataclass_fields__"):
                yield from (replace(part, **{one.name: inner}) for inner in changed_parts(value))
            elif one.name not in ("kind", "uncertainty", "ladder") and not isinstance(value, dict):
                other = not value if isinstance(value, bool) else (9,) if isinstance(value, tuple) else OTHERS[type(value)]
                yield replace_unchecked(part, one.name, other)

    contents = list(changed_parts(item.content))
    keys = [_task("test", replace(item, content=content), "x").key for content in contents]
    assert len({key, *keys}) == 1 + len(contents) > 12
    resources = replace(item.resources, spectral_gb=0.5, cache=None, lpips=("x",))
    assert _task("test", replace(item, resources=resources), "x").key == key


def replace_unchecked(instance: Any, name: str, value: Any) -> Any:
    """A copy with another value that is not checked."""
    import copy

    other = copy.copy(instance)
    object.__setattr__(other, name, value)
    return other
