"""A clean image or volume in, a degraded one out, with a record by which `restore` knows what was done.

Examples:
  medrestore degrade brain.nii.gz --task sr --factor 2 -o coarse.nii.gz
  medrestore degrade photo.png --task denoise --noise-std 20 -o noisy.png
  medrestore degrade photo.png --task deblur --blur-std 3,1 --noise-std 2 -o blurred.tif
  medrestore degrade photo.png --task cs --keep 0.25 --pattern walsh-hadamard -o coefficients.npy
  medrestore degrade photos/ --task old-photo --factor 2 --keep 0.9 -o old/ --crop
  medrestore degrade photo.png --operators "[{kind: gaussian, std: [1]}, {kind: pool, factor: 2}]" -o small.png
"""

from dataclasses import dataclass, field
from typing import Annotated, Any

from ..images.plan import DegradePlan, Reading, Writing
from .command import Command
from .options import POSITIONAL
from .restore import READERS, places
from .results import closed


@dataclass(frozen=True)
class Options:
    """The options of `degrade`.

    Args:
        input: .png, .jpg, .tif (8 or 16 bits, float), .nii or .nii.gz (slice by slice), .dcm, .npy, or a folder of them
        out: a file of the same kind, or .npy; a folder when the input is one
    """

    input: Annotated[str | None, POSITIONAL] = None
    out: str | None = None
    plan: DegradePlan = field(default_factory=DegradePlan)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)


def run(options: Options) -> int:
    """Degrades; 0, or 1 when images of a folder failed."""
    source, out = places(options.input, options.out, "degrade")

    from ..images.degraded_files import degrade_file, degrade_folder

    common: dict[str, Any] = dict(reading=options.reading, writing=options.writing, say=COMMAND.say)
    if source.is_dir():
        return closed("degrade", degrade_folder(source, out, options.plan, **common), "images")
    degrade_file(source, out, options.plan, **common)
    return 0


COMMAND = Command(
    "degrade",
    Options,
    run,
    __doc__,
    config=True,
    readers={name: reader for name, reader in READERS.items() if name not in ("interval", "slices")},
)
