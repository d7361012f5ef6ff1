"""What came of a scene, read from its record: for tables, and for other programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import preview_place
from .outputs import read_record, record_place, table_place


@dataclass(frozen=True)
class Result:
    """A filled scene.

    Attributes:
        input: what the record tells of the name of the frames; `scene` of that of the scene.
        output: its file or folder.
        files: what lies beside it.
        frames, height, width: of the scene.
        hidden: share of the pixels that the masks hide.
        seen_elsewhere: share of these that other frames show.
        method, prior: by name.
        scores: psnr and ssim, of the whole frame and of the hole, and more; null without a truth.
        provenance: how it was made, in full.
    """

    input: str
    scene: str
    output: str
    files: tuple[str, ...]
    frames: int
    height: int
    width: int
    hidden: float
    seen_elsewhere: float
    method: str
    prior: str
    scores: Mapping[str, Any] | None
    provenance: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """One line of a table."""
        names = ("psnr", "ssim", "hole_psnr", "hole_ssim", "flicker")
        scores = {} if self.scores is None else {name: self.scores.get(name) for name in names}
        return {"input": self.scene, "output": Path(self.output).name, "error": None, "frames": self.frames,
                "hidden": self.hidden, "seen_elsewhere": self.seen_elsewhere, **scores}


def read_result(out: Path) -> Result:
    """The result in an output of `inpaint_scene`.

    Raises:
        InputError: it has no record of one.
    """
    made = read_record(out)
    if not isinstance(made.get("input"), dict) or "hole_fraction" not in made:
        raise InputError(f"{out} has no record of how it was filled; fill it again")
    given, (height, width) = made["input"], made["input"]["size"]
    hidden = made["frames"]["hidden"]
    seen = sum(a * b for a, b in zip(hidden, made["frames"]["seen_elsewhere"], strict=True)) / (sum(hidden) or 1.0)
    beside = [path for path in (preview_place(out), table_place(out), record_place(out)) if path.exists()]
    return Result(
        input=given["name"], scene=given["scene"], output=str(out), files=tuple(map(str, beside)), frames=given["frames"],
        height=height, width=width, hidden=made["hole_fraction"], seen_elsewhere=seen,
        method=made["method"], prior=made["config"]["prior"], scores=made["scores"], provenance=made)
