"""Sources and conditions of a study."""

from typing import Any

import pytest

from medrestore.errors import InputError
from medrestore.study.sources import AsRecorded, Degrade, KSpace, Phantoms, Pictures, Scenes, Simulated, Undersample


@pytest.mark.parametrize(("kind", "values", "message"), [
    (Simulated, {"volumes": "v.npz", "subjects": (3, 3)}, r"Simulated: subjects must be \[first, last\), got \[3, 3\]"),
    (Simulated, {"volumes": "v.npz", "subjects": (0, 1), "coils": 0}, "Simulated: coils must be at least 1, got 0"),
    (Phantoms, {"count": 0}, "Phantoms: count must be at least 1, got 0"),
    (KSpace, {}, "KSpace: folder or files must be given"),
    (KSpace, {"folder": "a", "files": ("b",)}, "KSpace: folder or files must be given, and not both"),
    (KSpace, {"files": ("b",), "split": "val"}, "KSpace: split needs folder"),
    (Pictures, {"crop": 15}, "Pictures: crop must be at least 16, got 15"),
    (Undersample, {"kind": "uniform1d", "accel": 0.9}, "Undersample: accel must be at least 1, got 0.9"),
    (Undersample, {"kind": "unifrm1d", "accel": 2}, "Undersample: kind .*'unifrm1d'"),
    (Degrade, {"kind": "inpainting"}, "Degrade: keep .* or box .* must be given"),
    (Degrade, {"kind": "inpainting", "keep": 1.0}, "Degrade: keep must be above 0 and below 1, got 1.0"),
    (Degrade, {"kind": "super-resolution", "factor": 1}, "Degrade: factor must be at least 2, got 1"),
    (Degrade, {"kind": "deblurring", "std": 0.0}, "Degrade: std must be above 0, got 0.0"),
    (Degrade, {"kind": "colorization", "noise_std": -1.0}, "Degrade: noise_std must be at least 0, got -1.0"),
    (Scenes, {}, "Scenes: .*must be given|folder"),
])
def test_values_out_of_bounds_are_refused_in_python_too(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**values)


def test_names_of_conditions_tell_them_apart() -> None:
    conditions = [Undersample("uniform1d", 4), Undersample("uniform1d", 4, label="x"), Degrade("super-resolution", factor=2),
                  Degrade("inpainting", keep=0.5), Degrade("inpainting", box=8, noise_std=0.05), Degrade("deblurring"),
                  Degrade("colorization"), AsRecorded()]
    assert [condition.name for condition in conditions] == [
        "uniform1d 4x", "x", "super-resolution 2x", "inpainting 50%", "inpainting 8 px noise 0.05", "deblurring 3 px",
        "colorization", "scenes"]


def test_paths_are_those_of_the_user() -> None:
    assert Simulated("v.npz", (0, 1)).paths == ("v.npz",) and Phantoms(1).paths == ()
    assert KSpace(files=("a.h5", "b*.h5")).paths == ("a.h5",) and KSpace(folder="bundled").paths == ()
    assert Scenes(scenes=(0, 1)).paths == () and Scenes(folder="D").paths == ("D",) and Pictures().paths == ()
