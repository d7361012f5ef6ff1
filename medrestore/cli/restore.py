"""A degraded image or volume in (noisy, coarse, blurred, grey, with hidden pixels), the restored one out.

Examples:
  medrestore restore brain.nii.gz --task sr --factor 2 -o fine.nii.gz
  medrestore restore noisy.png --task denoise -o clean.png
  medrestore restore blurred.tif --task deblur --motion 15,30 -o sharp.tif
  medrestore restore photo.png --task inpaint --mask mask.png --mask-means hole -o whole.png
  medrestore restore degraded.nii.gz -o restored.nii.gz --truth clean.nii.gz
  medrestore restore slices/ --task denoise -o restored/ --method ddnm+ --samples 4 --resume
  medrestore restore --print_config > plan.yaml; medrestore restore scan.dcm --config plan.yaml --task denoise -o out.dcm
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ..errors import InputError
from ..images.plan import Machine, Plan, Reading, Writing
from .command import Command
from .device import usable_device
from .options import POSITIONAL
from .results import close_all, emit_results
from .terminal import lines_aside, progress


@dataclass(frozen=True)
class Options:
    """The options of `restore`.

    Args:
        input: .png, .jpg, .tif (8 or 16 bits, float), .nii or .nii.gz (slice by slice), .dcm, .npy, or a folder of them
        out: a file of the same kind, or .npy; a folder when the input is one
        truth: the clean image, to score against
        json: print the results as JSON, and lines for people where errors go (docs/results.md)
    """

    input: Annotated[str | None, POSITIONAL] = None
    out: str | None = None
    truth: str | None = None
    json: bool = False
    plan: Plan = field(default_factory=Plan)
    machine: Machine = field(default_factory=Machine)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)


def run(options: Options) -> int:
    """Restores; 0, or 1 when images of a folder failed."""
    if options.json:
        lines_aside()
    source, out = places(options.input, options.out, "restore")

    from ..images.files import Job, restore_file, restore_folder, settled_by_file
    from ..images.records import check_output, existing_input, pairs
    from ..images.results import read_result

    truth = None if options.truth is None else existing_input(options.truth)
    if source.is_dir() and truth is not None:
        raise InputError(
            "--truth is of one image, and the input is a folder; restore the images one by one to score them"
        )
    first = pairs(source, out)[0][0] if source.is_dir() else source
    if not source.is_dir() and not options.writing.resume:
        check_output(out, source, options.writing)
    usable_device(options.machine.place)
    job = Job.load(
        settled_by_file(options.plan, first, options.reading),
        options.machine,
        reading=options.reading,
        writing=options.writing,
        say=COMMAND.say,
        progress=progress,
    )
    if source.is_dir():
        outputs = [target for _, target in pairs(source, out)]
        failed = restore_folder(source, out, job)
        return close_all("restore", outputs, read_result, failed, "images", folder=out, source=source, names=options.writing,
                         json=options.json)
    restore_file(source, out, job, truth=truth)
    if options.json:
        emit_results("restore", [read_result(out)], {})
    return 0


def places(given: str | None, out: str | None, command: str) -> tuple[Path, Path]:
    """The input, which must be there, and the output."""
    from ..images.records import existing_input

    if given is None:
        raise InputError(f"give an image, or a folder of images; see medrestore {command} --help")
    if out is None:
        raise InputError("give -o, a file of the same kind as the input, or a folder where the input is one")
    return existing_input(given), Path(out)


def numbers(what: str) -> Callable[[Any], Any]:
    """A reader of numbers with commas between."""

    def read(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return tuple(float(part) for part in text.split(","))
        except ValueError as error:
            raise InputError(f"takes {what}, got {text!r}") from error

    return read


def slices(text: Any) -> Any:
    """first:last+1, or one number."""
    first, colon, last = str(text).partition(":") if isinstance(text, str | int) else ("", "", "")
    if not (first.isdecimal() and (last.isdecimal() or not colon)):
        raise InputError(f"takes first:last+1, as 10:20, or one number, got {text!r}")
    return int(first), int(last) if colon else int(first) + 1


def steps(text: Any) -> Any:
    """A list of steps in YAML."""
    from ..settings import scalar

    try:
        found = scalar(text) if isinstance(text, str) else text
    except ValueError as error:
        raise InputError(
            f"takes a list of steps, as '[{{kind: pool, factor: 2}}, {{kind: grey}}]', got {text!r}"
        ) from error
    return [found] if isinstance(found, Mapping) else found


READERS: Mapping[str, Callable[[Any], Any]] = {
    "blur_std": numbers("one std or two, as 1.5 or 3,1"),
    "motion": numbers("length and angle, as 15,30"),
    "weights": numbers("three numbers, as 0.3,0.6,0.1"),
    "interval": numbers("two numbers, as 0,255"),
    "operators": steps,
    "slices": slices,
}
COMMAND = Command("restore", Options, run, __doc__, config=True, readers=READERS)
