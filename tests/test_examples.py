"""The walks in `examples/` run to their ends, small; the plugin is in `test_plugins.py`."""

import os
import subprocess
import sys
from pathlib import Path

import nibabel
import pytest

ROOT = Path(__file__).parents[1]


def walked(script: str, folder: Path, *words: str) -> str:
    """What a walk prints, run in a folder."""
    environment = os.environ | {"PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}
    done = subprocess.run([sys.executable, str(ROOT / "examples" / script), *words], cwd=folder, capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_clinical_researcher(tmp_path: Path) -> None:
    said = walked("clinical_researcher.py", tmp_path, "-o", "images", "--steps", "2")
    assert "$ medrestore recon images-scans -o images --nifti --resume --steps 2" in said
    for name in ("scan0", "scan1"):
        image = nibabel.load(tmp_path / "images" / f"{name}.nii.gz")
        assert image.shape == (96, 80, 1) and image.header.get_zooms()[:2] == (2, 2)


@pytest.mark.slow
def test_the_trainer(tmp_path: Path) -> None:
    said = walked("trainer.py", tmp_path, "-o", "work", "--images", "64", "--steps", "2")
    assert (tmp_path / "work/run/prior/prior.json").is_file() and (tmp_path / "work/image.h5").is_file()
    assert "PSNR" in said


@pytest.mark.slow
def test_the_evaluator(tmp_path: Path) -> None:
    walked("evaluator.py", tmp_path, "-o", "study", "--steps", "2")
    assert "DDS v HQS" in (tmp_path / "study/table.tex").read_text() and (tmp_path / "study/report.html").is_file()


def test_every_example_is_on_the_list() -> None:
    listed = (ROOT / "examples/README.md").read_text()
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")} - {"walk.py"}
    assert scripts and all(f"({name})" in listed for name in scripts)
    assert len((ROOT / "examples/plugin/medrestore_example.py").read_text().splitlines()) < 50


def test_a_walk_ends_where_a_command_fails(tmp_path: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from walk import run; " \
           "run(f'{sys.executable} -c \"raise SystemExit(3)\"'); print('on')"
    done = subprocess.run([sys.executable, "-c", code, str(ROOT / "examples")], capture_output=True, text=True)
    assert done.returncode == 3 and "Traceback" not in done.stderr and "on\n" not in done.stdout
