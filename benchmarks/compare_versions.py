"""Whether two installations give the same outputs: the demo, one scan, two slices in a batch, one frame, one study.

    python benchmarks/compare_versions.py OLD/.venv/bin/medrestore NEW/.venv/bin/medrestore

Runs the same commands with both and prints, for each output, "same bytes", or the largest difference relative to the
largest value. Takes about ten minutes on one core.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

CASES = {
    "demo": ["demo", "--steps", "4", "--samples", "2", "-o", "{out}/demo.png"],
    "recon": ["recon", "{scan}", "-o", "{out}/recon.h5", "--undersample", "uniform1d", "--accel", "4", "--steps", "4",
              "--maps-cache", "none", "--nifti"],
    "recon by DDS": ["recon", "{scan}", "-o", "{out}/dds.h5", "--undersample", "gaussian2d", "--accel", "4", "--method", "dds",
                     "--steps", "4", "--samples", "2", "--keep-samples", "--maps-cache", "none"],
    "recon of two slices": ["recon", "{volume}", "-o", "{out}/volume.h5", "--undersample", "uniform1d", "--accel", "4",
                            "--steps", "3", "--together", "2", "--maps-cache", "none"],
    "inpaint": ["inpaint", "{frame}", "--mask", "{mask}", "--mask-means", "hole", "-o", "{out}/frame.png", "--steps", "3",
                "--window", "128"],
    "study": ["evaluate", "{study}", "-o", "{out}/study"],
}
STUDY = """
name: small
protocol: fastmri
data: {kind: phantoms, count: 1}
settings: [{kind: uniform1d, accel: 4, acs: 12}]
methods:
  CG-SENSE: {baseline: CGSense, options: {lam: 0.01}}
  HQS: {method: hqs, steps: 6}
  DDS: {method: dds, steps: 5, samples: 2}
"""
SCENES = """
name: scenes
protocol: dreaming-corrected
data: {kind: scenes, scenes: [1010, 1011], size: [96, 160], frames: [0, 5]}
methods:
  smooth: {fill: smooth}
  DDNM+: {method: ddnm+, steps: 4, window: 96}
"""


def inputs(folder: Path) -> dict[str, str]:
    """The files that the commands are given."""
    from importlib.resources import files

    scan = Path(str(files("medrestore.data"))) / "samples" / "brain-scan.h5"
    with h5py.File(scan) as source, h5py.File(folder / "volume.h5", "w") as target:
        kspace = source["kspace"][()]
        target["kspace"] = np.concatenate([kspace, kspace[:, :, ::-1].copy()])
        for name, value in source.attrs.items():
            target.attrs[name] = value
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:150, 0:200]
    waves = np.sin(x / 19)[..., None] * np.cos(y / 23)[..., None] * np.array([1, 0.7, 0.4])
    frame = 128 + 60 * waves + rng.normal(0, 3, (150, 200, 3))
    Image.fromarray(frame.clip(0, 255).astype(np.uint8)).save(folder / "frame.png")
    mask = ((x - 90) ** 2 + (y - 70) ** 2 < 30**2).astype(np.uint8) * 255
    Image.fromarray(mask).save(folder / "mask.png")
    (folder / "study.yaml").write_text(STUDY)
    (folder / "scenes.yaml").write_text(SCENES)
    return {"scan": str(scan), "volume": str(folder / "volume.h5"), "frame": str(folder / "frame.png"),
            "mask": str(folder / "mask.png"), "study": str(folder / "study.yaml")}


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The numbers in an output, by name."""
    if path.suffix == ".h5":
        found: dict[str, np.ndarray] = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return found
    if path.suffix == ".png":
        return {"pixels": np.asarray(Image.open(path)).astype(float)}
    if path.suffix == ".npy":
        return {"values": np.load(path)}
    if path.name == "rows.json":
        rows = json.loads(path.read_text())
        return {f"{i} {name}": np.float64(value) for i, row in enumerate(rows) for name, value in row.items()
                if isinstance(value, int | float)}
    return {}


def compared(old: Path, new: Path) -> str:
    """One line about two files of one name."""
    if not new.exists():
        return "MISSING"
    if old.read_bytes() == new.read_bytes():
        return "same bytes"
    before, after = arrays(old), arrays(new)
    if not before or before.keys() != after.keys():
        return "differs" if not before else f"DIFFERS in what it holds: {sorted(before.keys() ^ after.keys())[:5]}"
    if any(before[k].shape != after[k].shape for k in before):
        return "another shape"
    off = max(float(np.abs(before[k] - after[k]).max() / max(np.abs(before[k]).max(), 1e-30)) for k in before)
    return "same numbers" if off == 0 else f"largest relative difference {off:.1e}"


def main() -> int:
    old, new = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = inputs(folder)
        cases = CASES | {"study of scenes": ["evaluate", str(folder / "scenes.yaml"), "-o", "{out}/scenes"]}
        for label, command in cases.items():
            for which, program in (("old", old), ("new", new)):
                out = folder / which
                out.mkdir(exist_ok=True)
                words = [word.format(out=out, **given) for word in command]
                done = subprocess.run([program, *words], capture_output=True, text=True, cwd=folder,
                                      env={**os.environ, "OMP_NUM_THREADS": "1"})
                if done.returncode != 0:
                    print(f"{label}: {which} failed: {done.stderr.strip()[-300:]}")
        worst = 0
        for path in sorted((folder / "old").rglob("*")):
            inside = path.relative_to(folder / "old")
            if path.is_file() and path.suffix in {".h5", ".png", ".npy", ".gz", ".csv", ".json"} and inside.name != "task.json":
                line = compared(path, folder / "new" / inside)
                worst |= line.isupper() or "MISSING" in line
                print(f"{inside!s:60s} {line}")
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
