"""What came of a scan, read from its output: for tables, and for other programs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..evaluation.statistics import mean_of_known
from ..io import read_provenance, read_reconstruction


@dataclass(frozen=True)
class Result:
    """A reconstruction.

    Attributes:
        input: what the output tells of the name of the scan.
        output: its file.
        files: all that was written, the picture and NIfTI among it.
        slices, height, width: of the images.
        method, prior: by name; no prior of a classical method.
        acceleration: of the sampling.
        noise_std: of each real number of the k-space, mean over the slices.
        misfit: mean over the slices; 1 is explained to the noise.
        scores: image to psnr (dB), ssim and nmse by the fastMRI protocol; empty without a reference.
        notes: what was assumed or left out.
        provenance: how it was made, in full.
    """

    input: str
    output: str
    files: tuple[str, ...]
    slices: int
    height: int
    width: int
    method: str
    prior: str | None
    acceleration: float
    noise_std: float | None
    misfit: float | None
    scores: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """One line of a table."""
        scores = {f"{image}_{name}": value[name] for image, value in self.scores.items() for name in ("psnr", "ssim", "nmse")}
        return {"input": self.input, "output": Path(self.output).name, "error": None, "slices": self.slices,
                "acceleration": self.acceleration, "noise_std": self.noise_std, "misfit": self.misfit, **scores}


def read_result(out: Path) -> Result:
    """The result in an output of `recon_file`.

    Raises:
        InputError: it is none, or cannot be read.
    """
    made = read_provenance(out)
    if not isinstance(made.get("sampling"), dict):
        raise InputError(f"{out} does not say how it was made; it is no output of recon")
    with read_reconstruction(out) as images:
        slices, height, width = images.shape
    files = [path for path in (out, out.with_suffix(".png"), out.with_suffix(".nii.gz")) if path.exists()]
    return Result(
        input=made["input"]["name"], output=str(out), files=tuple(map(str, files)), slices=slices, height=height, width=width,
        method=made["config"]["method"], prior=made["config"]["prior"] if made["levels"] else None,
        acceleration=made["sampling"]["acceleration"], noise_std=mean_of_known(made["noise_std"]),
        misfit=mean_of_known(made["misfit"]), scores=made["scores"], notes=tuple(made["notes"]), provenance=made)


def score_lines(result: Result) -> Iterator[str]:
    """The scores as lines of a table."""
    if result.scores:
        yield f"{'':12s} {'PSNR dB':>8s} {'SSIM':>7s} {'NMSE':>8s}   (fastMRI protocol)"
        for name, value in result.scores.items():
            yield f"{name.replace('_', ' '):12s} {value['psnr']:8.2f} {value['ssim']:7.4f} {value['nmse']:8.5f}"
