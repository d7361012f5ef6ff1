"""Images of any size out of nothing but a prior.

Examples:
  medrestore generate -o scene.png --height 300 --width 417
  medrestore generate -o brains.npy --prior brain-mr-starter --height 224 --width 192 --samples 8 --seed 1
  medrestore generate -o class7.png --prior my-prior --class-label 7 --method ddim
"""

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..images.plan import GeneratePlan, Machine, Writing
from .command import Command
from .device import usable_device
from .terminal import progress


@dataclass(frozen=True)
class Options:
    """The options of `generate`.

    Args:
        out: .png, .tif or .npy; .tif and .npy take several images, .npy the phase of complex ones
    """

    out: str | None = None
    plan: GeneratePlan = field(default_factory=GeneratePlan)
    machine: Machine = field(default_factory=Machine)
    writing: Writing = field(default_factory=Writing)


def run(options: Options) -> int:
    """Generates; 0."""
    if options.out is None:
        raise InputError("give -o, a name ending in .png, .tif or .npy")

    from ..images.generated_files import GenerateJob, check_generated, generate_file

    check_generated(Path(options.out), options.plan)
    usable_device(options.machine.place)
    job = GenerateJob.load(
        options.plan, options.machine, writing=options.writing, say=COMMAND.say, progress=progress
    )
    generate_file(Path(options.out), job)
    return 0


COMMAND = Command("generate", Options, run, __doc__, config=True)
