"""Instruments and hands in front of the operative site, with their masks, in; the unobstructed view out.

Examples:
  medrestore inpaint frame.png --mask mask.png --mask-means hole -o restored.png
  medrestore inpaint frames/ --mask masks/ --mask-means hole -o restored/
  medrestore inpaint scene.mha --mask mask.mha --mask-means keep -o restored.mha
  medrestore inpaint DREAMING_part1.zip --dataset dreaming -o restored/ --resume
  medrestore inpaint film.mp4 --mask mask.png --mask-means hole -o film.mkv --warm-start 1
  medrestore inpaint --print_config > plan.yaml; medrestore inpaint frames/ --config plan.yaml
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..errors import InputError
from ..inpainting.plan import Machine, Plan, Reading, Writing
from .command import Command
from .device import usable_device
from .options import POSITIONAL
from .results import close_all, emit_results
from .terminal import lines_aside, progress

if TYPE_CHECKING:
    from ..io.scenes.base import SceneSet


@dataclass(frozen=True)
class Options:
    """The options of `inpaint`.

    Args:
        input: one png or jpg, a folder of them, a .mha stack, a video, DREAMING (zip or folder), or a
            container's input folder
        out: a folder, or a name ending in .png (one frame), .mha, .mkv (lossless) or .mp4 (changes known
            pixels)
        mask: the masks, of any of these kinds: one for every frame, or one for all
        truth: the unobstructed frames, to score against
        json: print the results as JSON, and lines for people where errors go (docs/results.md)
    """

    input: Annotated[str | None, POSITIONAL] = None
    out: str | None = None
    mask: str | None = None
    truth: str | None = None
    json: bool = False
    plan: Plan = field(default_factory=Plan)
    machine: Machine = field(default_factory=lambda: Machine(apart=True))
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)


def run(options: Options) -> int:
    """Restores; 0, or 1 when scenes of a set failed."""
    if options.json:
        lines_aside()
    if options.input is None:
        raise InputError("give frames, a stack, a video or a data set; see medrestore inpaint --help")
    if options.out is None:
        raise InputError("give -o, a folder or a name ending in .png, .mha, .mkv or .mp4")

    from ..inpainting.results import read_result
    from ..inpainting.scenes import SceneSource, inpaint_scenes, inpaint_scenes_apart

    mask, truth = (None if place is None else Path(place) for place in (options.mask, options.truth))
    source, plan = SceneSource(Path(options.input), mask, truth), options.plan
    with source.opened(plan, options.reading) as scenes:
        places = _places(scenes, source.frames, Path(options.out))
        apart = len(scenes) > 1 and options.machine.apart

        from ..inpainting.files import check_output, inpaint_scene
        from ..inpainting.job import Job

        for place in places.values():
            check_output(place, source.frames, mask, truth)
        usable_device(options.machine.place)
        if not apart:
            job = Job.load(plan, options.machine, reading=options.reading, writing=options.writing, say=COMMAND.say,
                           progress=progress)
            if len(scenes) == 1:
                (name,) = scenes
                inpaint_scene(lambda: scenes[name], places[name], job, source=source.frames, mask=mask)
                if options.json:
                    emit_results("inpaint", [read_result(places[name])], {})
                return 0
            failed = inpaint_scenes(scenes, places, job, source=source)
    if apart:
        failed = inpaint_scenes_apart(source, places, plan, options.machine, reading=options.reading, writing=options.writing,
                                      say=COMMAND.say, progress=progress)
    return close_all("inpaint", places.values(), read_result, failed, f"of {len(places)} scenes", folder=Path(options.out),
                     source=source.frames, names=options.writing, json=options.json)


def _places(scenes: "SceneSet", source: Path, out: Path) -> Mapping[str, Path]:
    """Where each scene goes: `out` itself for one, else a folder of scenes; by the rule of a container."""
    from ..io.scenes.grand_challenge import is_container, output_place

    if is_container(source) and not out.suffix:
        return {name: output_place(out, name) for name in scenes}
    if len(scenes) > 1 and out.suffix:
        raise InputError(f"{out} is one file, and {source} holds {len(scenes)} scenes; give a folder")
    return {name: out / name if len(scenes) > 1 else out for name in scenes}


def _mask_levels(text: str) -> tuple[int, ...]:
    """85,170,255 or 1-255: numbers and ranges with commas between."""
    levels: list[int] = []
    for part in str(text).split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash) and len(first) < 4 and len(last) < 4):
            raise InputError(f"takes grey levels and ranges of them, as 85,170,255 or 1-255, got {text!r}")
        levels += range(int(first), int(last or first) + 1)
    return tuple(levels)


COMMAND = Command("inpaint", Options, run, __doc__, config=True, readers={"hole_values": _mask_levels})
