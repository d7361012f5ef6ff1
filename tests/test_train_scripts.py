"""The job scripts: what SLURM sends becomes a saved checkpoint and a queued job, and what fails is started again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LAUNCHERS = Path(__file__).parents[1] / "train"

pytestmark = pytest.mark.skipif(sys.platform == "win32" or shutil.which("bash") is None, reason="the job scripts are for bash")


def job(tmp_path: Path, python: str) -> subprocess.Popen[str]:
    """The SLURM script, with stand-ins for SLURM's commands and for python."""
    stand_ins = {
        "scontrol": 'case $1 in show) echo localhost;; requeue) touch requeued;; esac',
        "srun": 'shift; export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NTASKS=1; exec "$@"',
        "scancel": 'kill -USR1 "$(cat pid)"',
        "python": f'echo "$RANK of $WORLD_SIZE at $MASTER_ADDR: $*" >> starts; echo $$ > pid; {python}',
    }
    for name, script in stand_ins.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node"}
    return subprocess.Popen(["bash", str(LAUNCHERS / "slurm.sbatch"), "my.yaml", "optim.lr=1e-4"], cwd=tmp_path, env=environment,
                            stderr=subprocess.PIPE, text=True)


def test_when_the_time_is_up_the_job_saves_and_queues_again(tmp_path: Path) -> None:
    run = job(tmp_path, "trap 'touch saved; exit 0' USR1; while true; do sleep 0.05; done")
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    time.sleep(0.2)  # for the trap
    run.send_signal(signal.SIGUSR1)
    run.communicate(timeout=20)
    assert run.returncode == 0 and (tmp_path / "saved").exists() and (tmp_path / "requeued").exists()
    assert (tmp_path / "starts").read_text() == "0 of 1 at localhost: -m medrestore train my.yaml optim.lr=1e-4\n"


@pytest.mark.parametrize(("python", "starts", "code"), [
    ("exit 0", 1, 0),
    ("exit 2", 1, 2),  # bad input
    ("exit 137", 4, 137),  # killed each time
    ('[ "$(wc -l < starts)" -ge 2 ]', 2, 0),
])
def test_a_job_that_dies_is_started_again(tmp_path: Path, python: str, starts: int, code: int) -> None:
    run = job(tmp_path, python)
    run.communicate(timeout=20)
    assert run.returncode == code and len((tmp_path / "starts").read_text().splitlines()) == starts
    assert not (tmp_path / "requeued").exists()


def test_the_scripts_are_well_formed() -> None:
    for path in LAUNCHERS.iterdir():
        if path.suffix in (".sh", ".sbatch"):
            subprocess.run(["bash", "-n", str(path)], check=True)
            assert os.access(path, os.X_OK)
