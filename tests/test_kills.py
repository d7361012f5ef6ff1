"""Runs of every kind that are killed at random: outputs have the bytes of unbroken runs, and nothing is lost or left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("kind", ["recon of a folder", "recon of a volume", "inpaint", "restore", "train", "study"])
def test_runs_that_are_killed(kind: str, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "kills.py", "--kills", "4", "--only", kind, "--out",
                           tmp_path / "kills.json"], env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads((tmp_path / "kills.json").read_text())["kinds"].values()
    assert row["kills"] >= 4 and row["resumed"] >= 1
