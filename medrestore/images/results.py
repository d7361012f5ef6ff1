"""What came of an image, read from its record: for tables, and for other programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..evaluation.statistics import mean_of_known
from .records import RESTORED, read_record, record_place


@dataclass(frozen=True)
class Result:
    """A restored image.

    Attributes:
        input: what the record tells of the name of the degraded one.
        output: its file.
        files: all that was written.
        slices: how many images it holds.
        task: what was done to it.
        method, prior: by name.
        noise_std: of the data, in the units of the file; `noise_source` says where it is from.
        misfit: mean over the slices; 1 is explained to the noise, where there is any.
        scores: image to psnr (dB) and ssim; empty without a truth.
        notes: what was assumed.
        provenance: how it was made, in full.
    """

    input: str
    output: str
    files: tuple[str, ...]
    slices: int
    task: str
    method: str
    prior: str
    noise_std: float
    noise_source: str
    misfit: float | None
    scores: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """One line of a table."""
        scores = {f"{image.replace(' ', '_')}_{name}": number
                  for image, value in self.scores.items() for name, number in value.items()}
        return {"input": self.input, "output": Path(self.output).name, "error": None, "slices": self.slices, "task": self.task,
                "noise_std": self.noise_std, "misfit": self.misfit, **scores}


def read_result(out: Path) -> Result:
    """The result in an output of `restore_file`.

    Raises:
        InputError: it has no record of one.
    """
    made = read_record(out)
    if made.get("made") != RESTORED:
        raise InputError(f"{out} has no record of how it was restored beside it; restore it again")
    done = made["config"]["degradation"]
    files = [out, *(out.with_name(name) for name in made["files"] if name != out.name), record_place(out)]
    return Result(
        input=made["input"]["name"], output=str(out), files=tuple(str(path) for path in files if path.exists()),
        slices=len(made["slices"]), task=done["task"] or ", then ".join(step["kind"] for step in done["operators"]),
        method=made["method"], prior=made["config"]["prior"], noise_std=made["noise_std"], noise_source=made["noise_source"],
        misfit=mean_of_known(made["misfit"]), scores=made["scores"], notes=tuple(made["notes"]), provenance=made)
