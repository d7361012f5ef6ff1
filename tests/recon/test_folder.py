"""Folders of scans in a process of their own: one that ends it costs no other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.deadly import Deadly
from helpers.scans import fastmri, kspace

from medrestore.errors import InputError
from medrestore.recon import folder as module
from medrestore.recon.folder import check_folder, recon_folder_apart, scans
from medrestore.recon.plan import Machine, Plan, Reading, Writing

PLAN = Plan("diffpir", steps=2)


def three(folder: Path) -> Path:
    folder.mkdir()
    for seed, name in enumerate("abc"):
        fastmri(folder / f"{name}.h5", kspace(seed=seed)[0])
    return folder


def apart(folder: Path, out: Path, plan: Plan, said: list[str], *, writing: Writing | None = None) -> dict[str, str]:
    return recon_folder_apart(folder, out, plan, Machine(), reading=Reading(), writing=writing or Writing(), say=said.append,
                              progress=lambda label, total: lambda: said.append("step"))


@pytest.mark.slow
def test_a_scan_that_ends_its_process_is_a_failure(tmp_path: Path, tiny_prior: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Apart", Deadly)
    said: list[str] = []
    folder, out, plan = three(tmp_path / "scans"), tmp_path / "images", Plan("diffpir", steps=2, prior=str(tiny_prior))
    why = f"{folder / 'b.h5'}: its process died by SIGSEGV on this scan; do it alone to see more"
    assert apart(folder, out, plan, said) == {"b.h5": why}
    assert sorted(path.name for path in out.iterdir()) == ["a.h5", "a.png", "c.h5", "c.png"]
    assert said[0] == "3 of 3 scans to do" and f"failed: {why}" in said
    assert said.count("step") == 2 * 2 + 2  # of two scans, and of the folder
    before, said[:] = (out / "a.h5").stat().st_mtime_ns, []
    assert list(apart(folder, out, plan, said, writing=Writing(resume=True))) == ["b.h5"]
    assert said == ["1 of 3 scans to do", f"failed: {why}", "step"]  # of the scan behind it, which is done already
    assert (out / "a.h5").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_job_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    folder = three(tmp_path / "scans")
    with pytest.raises(InputError, match="no prior at"):
        apart(folder, tmp_path / "images", Plan(prior=str(tmp_path / "none")), [])
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(("writing", "sentence"), [(Writing(), "a.h5 exists; pass `resume`"), (Writing(resume=True), None)])
def test_outputs_that_exist(tmp_path: Path, writing: Writing, sentence: str | None) -> None:
    folder, out = three(tmp_path / "scans"), tmp_path / "images"
    out.mkdir()
    (out / "a.h5").touch()
    if sentence is None:
        assert [target.name for _, target in check_folder(folder, out, writing)] == ["a.h5", "b.h5", "c.h5"]
    else:
        with pytest.raises(InputError, match=sentence):
            check_folder(folder, out, writing)


def test_folders_without_scans_and_equal_stems(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no scan"):
        scans(tmp_path)
    for name in ("a.h5", "a.npy"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"would both become a\.h5; rename one"):
        scans(tmp_path)



def test_scans_in_capitals_are_done_and_hidden_ones_are_not(bench: Any) -> None:
    folder = bench / "scans"
    folder.mkdir()
    for name in ("one.npy", "TWO.NPY", "._one.npy"):
        np.save(folder / "x.npy", kspace()[0][0])
        (folder / "x.npy").rename(folder / name)
    (folder / "three.nrrd").write_bytes(b"")
    assert [path.name for path in scans(folder)] == ["TWO.NPY", "one.npy"]
    outcome = bench.recon(folder, "-o", bench / "images")
    assert outcome.code == 0 and "2 of 2 scans to do" in outcome.out and "no scans: three.nrrd" in outcome.out
