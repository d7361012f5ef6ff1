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
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ActionYesNo, ArgumentParser, Namespace

from ..errors import InputError
from ..settings import scalar
from .config import ConfigFile
from .options import as_mapping, usable_device
from .terminal import Help, progress, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..inpainting.files import Job
    from ..inpainting.plan import Plan as InpaintPlan
    from ..io.scenes.base import SceneSet

METHODS = ("ddnm+", "ddnm", "ddrm", "repaint", "diffpir", "dps")


def parser() -> ArgumentParser:
    """The options of `inpaint`."""
    p = ArgumentParser(description=__doc__, formatter_class=Help, exit_on_error=False)
    add = p.add_argument
    add("input", type=str | None, nargs="?", default=None,
        help="one png or jpg, a folder of them, a .mha stack, a video, DREAMING (zip or folder), or a container's input folder")
    add("-o", "--out", type=str | None, default=None,
        help="a folder, or a name ending in .png (one frame), .mha, .mkv (lossless) or .mp4 (changes known pixels)")
    add("--config", action=ConfigFile, help="YAML with any of these options, _ for -; flags win")
    add("--mask", type=str | None, default=None, help="the masks, of any of these kinds: one for every frame, or one for all")
    add("--mask-means", dest="mask_means", type=str | None, default=None,
        help="what white means in the masks, hole or keep; never guessed")
    add("--grow", type=int, default=0,
        help="pixels by which masks are grown first: against halo, shadow and blur beside what hides")
    add("--truth", type=str | None, default=None, help="the unobstructed frames, to score against")
    add("--dataset", type=str | None, default=None, help="dreaming, whose masks are white where the pixel is kept")
    add("--prior", type=str, default="surgical-starter", help="a prior's folder, or the name of a shipped one")
    add("--method", choices=METHODS, default=METHODS[0], help="how the known pixels decide the fill")
    add("--options", type=dict[str, int | float | None], default={}, help="the method's hyper-parameters, as --options.eta 1")
    add("--steps", type=int, default=25, help="network calls a window")
    add("--sigma-max", dest="sigma_max", type=float, default=40.0, help="noise level to begin at (pixels are in -1 to 1)")
    add("--travel-length", dest="travel_length", type=int, default=1, help="steps of a stretch of time travel")
    add("--travel-repeat", dest="travel_repeat", type=int, default=1, help="how often to walk each; 1 is no time travel")
    add("--noise-std", dest="noise_std", type=float, default=0.0,
        help="noise of the frames, grey levels of 255; the fill follows them less closely, known pixels stay as they are")
    add("--window", type=int | None, default=None, help="side of the windows, pixels; default the prior's own size, or 256")
    add("--shift", type=int | None, default=None, help="from window to window, pixels; default half a window")
    add("--factor", type=str, default="auto", help="how much coarser a picture guides large holes: auto, 1 (none), 2, 4, ...")
    add("--samples", type=int, default=1, help="samples a frame; the fill is their mean, nearer to the truth and softer")
    add("--seed", type=int, default=0, help="of the first sample; all frames share it")
    add("--start-sigma", dest="start_sigma", type=str, default="off",
        help="begin part-way, from a smooth fill, at this noise level (fewer steps; more like the surroundings), or off")
    add("--warm-start", dest="warm_start", type=str, default="off",
        help="noise level at which a frame begins from the one before (fewer steps, steadier), or off")
    add("--temporal-fill", dest="temporal_fill", action=ActionYesNo(yes_prefix="", no_prefix="no-"), default=True,
        help="where the camera stands still, take what other frames have shown from there")
    add("--feather", type=int, default=2, help="pixels inside the hole over which the fill goes over into what is around it")
    add("--max-gb", dest="max_gb", type=float, default=16.0, help="refuse stacks that declare more")
    add("--device", type=str, default="cpu", help="cpu, cuda, cuda:1, mps")
    add("--bf16", type=bool, default=True, help="bfloat16 inside the network")
    add("--compile", action="store_true",
        help="torch.compile the network (CUDA graphs on a GPU): pays for many images of one size, not on most CPUs")
    add("--batch-size", dest="batch_size", type=int, default=8, help="windows times samples drawn together")
    add("--allow-large-hole", dest="allow_large_hole", action="store_true", help="go on where more than half is hidden")
    add("--overwrite", action="store_true", help="replace existing outputs, but never a folder of other things")
    add("--resume", action="store_true", help="go on where a killed run stopped; skip what is whole; redo what another plan made")
    return p


def run(options: Namespace) -> int:
    """Restores; 0, or 1 when scenes of a set failed."""
    if options.input is None:
        raise InputError("give frames, a stack, a video or a data set; see medrestore inpaint --help")
    if options.out is None:
        raise InputError("give -o, a folder or a name ending in .png, .mha, .mkv or .mp4")
    plan = _plan(options)

    from ..io.scenes.open import open_scenes

    source, mask = Path(options.input), Path(options.mask) if options.mask else None
    with open_scenes(source, mask=mask, means=options.mask_means, truth=options.truth, dataset=options.dataset,
                     max_gb=options.max_gb) as scenes:
        places = _places(scenes, source, Path(options.out))

        from ..inpainting.files import check_output, inpaint_scene, inpaint_scenes

        for place in places.values():
            check_output(place, source, mask, Path(options.truth) if options.truth else None)
        job = _job(options, plan)
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


def _plan(options: Namespace) -> "InpaintPlan":
    from ..inpainting.plan import Plan as InpaintPlan
    from ..settings import build

    given = {one.name: options[one.name] for one in fields(InpaintPlan)} | {"options": as_mapping(options.options)}
    for name in ("start_sigma", "warm_start"):
        given[name] = None if given[name] == "off" else scalar(given[name])
    given["factor"] = scalar(given["factor"])
    return build(InpaintPlan, given, "")


def _job(options: Namespace, plan: "InpaintPlan") -> "Job":
    from ..inpainting.files import Job
    from ..inpainting.plan import Machine, Reading, Writing

    machine = Machine(usable_device(options.device), options.compile)
    return Job.load(plan, machine, reading=Reading(options.max_gb, options.allow_large_hole),
                    writing=Writing(options.overwrite, options.resume), say=say, progress=progress)
