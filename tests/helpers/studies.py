"""Tiny studies."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medrestore.study.config import read
from medrestore.study.run import Running, Study, StudyResult, open_study, run_study

PHANTOMS: dict[str, Any] = {"kind": "phantoms", "size": [40, 40], "coils": 3}
TINY: dict[str, Any] = {
    "name": "tiny", "protocol": "fastmri-slice", "data": {**PHANTOMS, "count": 2},
    "validation": {**PHANTOMS, "count": 2, "first": 10}, "settings": [{"kind": "uniform1d", "accel": 2, "acs": 12}],
    "methods": {"ZF": {"baseline": "ZeroFilled"}, "CG": {"baseline": "CGSense", "tune": {"lam": [1e-4, 1e-2, 1.0]}}},
    "pictures": 1,
}
NATURAL: dict[str, Any] = {"protocol": "natural", "data": {"kind": "pictures", "crop": 32},
                           "settings": [{"kind": "colorization"}], "methods": {"pinv": {"baseline": "PseudoInverse"}}}
SCENES: dict[str, Any] = {"protocol": "dreaming-corrected", "methods": {"none": {"fill": "none"}},
                          "data": {"kind": "scenes", "scenes": [3, 4], "size": [40, 64], "frames": [300, 301]}}
TOO_FEW_LINES = {"kind": "uniform1d", "accel": 4, "acs": 4}  # for coil maps: tasks with it fail


def changed(*, methods: Mapping[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    """The tiny study with other values, and further methods."""
    return {**TINY, **values, "methods": {**TINY["methods"], **(methods or {})}}


def opened(given: Mapping[str, Any], out: Path) -> Study:
    return open_study(read(given, "my.yaml"), "my.yaml", out)


def run(given: Mapping[str, Any], out: Path, **how: Any) -> StudyResult:
    return run_study(opened(given, out), Running(**how))


def bytes_of(folder: Path) -> dict[str, str]:
    """sha256 of every file in a folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}
