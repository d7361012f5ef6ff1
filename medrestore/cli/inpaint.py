"""Instruments and hands in front of the operative site, with their masks, in; the unobstructed view out.

Examples:
  medrestore inpaint frame.png --mask mask.png --mask-means hole -o restored.png
  medrestore inpaint frames/ --mask masks/ --mask-means hole -o restored/
  medrestore inpaint scene.mha --mask mask.mha --mask-means keep -o restored.mha
  medrestore inpaint DREAMING_part1.zip --dataset dreaming -o restored/ --resume
  medrestore inpaint film.mp4 --mask mask.png --mask-means hole -o film.mkv --warm-start 1
  medrestore inpaint --print_config > plan.yaml; medrestore inpaint frames/ --config plan.yaml
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..errors import InputError
from ..inpainting.plan import Plan
from ..settings import Bounds
from .command import Command
from .device import usable_device
from .options import POSITIONAL
from .terminal import progress, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..inpainting.files import Job
    from ..io.scenes.base import SceneSet


@dataclass(frozen=True)
class Options:
    """The options of `inpaint`.

    Args:
        input: one png or jpg, a folder of them, a .mha stack, a video, DREAMING (zip or folder), or a container's input folder
        out: a folder, or a name ending in .png (one frame), .mha, .mkv (lossless) or .mp4 (changes known pixels)
        mask: the masks, of any of these kinds: one for every frame, or one for all
        truth: the unobstructed frames, to score against
        max_gb: refuse stacks that declare more
        device: cpu, cuda, cuda:1, mps
        compile: torch.compile the network (CUDA graphs on a GPU): pays for many images of one size, not on most CPUs
        allow_large_hole: go on where more than half is hidden
        overwrite: replace existing outputs, but never a folder of other things
        resume: go on where a killed run stopped; skip what is complete; redo what another plan made
    """

    input: Annotated[str | None, POSITIONAL] = None
    out: str | None = None
    mask: str | None = None
    truth: str | None = None
    plan: Plan = field(default_factory=Plan)
    max_gb: Annotated[float, Bounds(above=0)] = 16.0
    device: str = "cpu"
    compile: bool = False
    allow_large_hole: bool = False
    overwrite: bool = False
    resume: bool = False


def run(options: Options) -> int:
    """Restores; 0, or 1 when scenes of a set failed."""
    if options.input is None:
        raise InputError("give frames, a stack, a video or a data set; see medrestore inpaint --help")
    if options.out is None:
        raise InputError("give -o, a folder or a name ending in .png, .mha, .mkv or .mp4")

    from ..io.scenes.open import open_scenes

    source, mask = Path(options.input), Path(options.mask) if options.mask else None
    with open_scenes(source, mask=mask, means=options.plan.mask_means, truth=options.truth, dataset=options.plan.dataset,
                     max_gb=options.max_gb) as scenes:
        places = _places(scenes, source, Path(options.out))

        from ..inpainting.files import check_output, inpaint_scene, inpaint_scenes

        for place in places.values():
            check_output(place, source, mask, Path(options.truth) if options.truth else None)
        job = _job(options)
        if len(scenes) == 1:
            name = next(iter(scenes))
            inpaint_scene(lambda: scenes[name], places[name], job, source=source, mask=mask)
            return 0
        failed = inpaint_scenes(scenes, places, job, source=source, mask=mask)
    if failed:
        print(f"medrestore inpaint: error: {len(failed)} of {len(places)} scenes failed: {', '.join(sorted(failed))}",
              file=sys.stderr)
    return 1 if failed else 0


def _places(scenes: "SceneSet", source: Path, out: Path) -> "Mapping[str, Path]":
    """Where each scene goes: `out` itself for one, else a folder of scenes; a container's results by its own rule."""
    from ..io.scenes.grand_challenge import is_container, output_place

    if is_container(source) and not out.suffix:
        return {name: output_place(out, name) for name in scenes}
    if len(scenes) > 1 and out.suffix:
        raise InputError(f"{out} is one file, and {source} holds {len(scenes)} scenes; give a folder")
    return {name: out / name if len(scenes) > 1 else out for name in scenes}


def _job(options: Options) -> "Job":
    from ..inpainting.files import Job
    from ..inpainting.plan import Machine, Reading, Writing

    machine = Machine(usable_device(options.device), options.compile)
    return Job.load(options.plan, machine, reading=Reading(options.max_gb, options.allow_large_hole),
                    writing=Writing(options.overwrite, options.resume), say=say, progress=progress)


COMMAND = Command("inpaint", Options, run, __doc__, config=True)
