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
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..errors import InputError
from ..settings import Bounds, OneOf
from .command import Command
from .device import usable_device
from .options import POSITIONAL
from .terminal import progress, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..inpainting.files import InpaintJob
    from ..inpainting.plan import Plan as InpaintPlan
    from ..io.scenes.base import SceneSet

METHODS = ("ddnm+", "ddnm", "ddrm", "repaint", "diffpir", "dps")
DECIDES = (  # what an output is rebuilt from
    "mask_means", "dataset", "prior", "method", "options", "steps", "sigma_max", "travel_length", "travel_repeat", "noise_std",
    "window", "shift", "factor", "samples", "seed", "start_sigma", "grow", "warm_start", "temporal_fill",
    "feather", "bf16", "batch_size",
)


@dataclass(frozen=True)
class Options:
    """The options of `inpaint`.

    Args:
        input: one png or jpg, a folder of them, a .mha stack, a video, DREAMING (zip or folder), or a container's input folder
        out: a folder, or a name ending in .png (one frame), .mha, .mkv (lossless) or .mp4 (changes known pixels)
        mask: the masks, of any of these kinds: one for every frame, or one for all
        mask_means: what white means in the masks, hole or keep; never guessed
        grow: pixels by which masks are grown first: against halo, shadow and blur beside what hides
        truth: the unobstructed frames, to score against
        dataset: dreaming, whose masks are white where the pixel is kept
        prior: a prior's folder, or the name of a shipped one
        method: how the known pixels decide the fill
        options: the method's hyper-parameters, as --options.eta 1
        steps: network calls a window
        sigma_max: noise level to begin at (pixels are in -1 to 1)
        travel_length: steps of a stretch of time travel
        travel_repeat: how often to sample each; 1 is no time travel
        noise_std: noise of the frames, grey levels of 255; the fill follows them less closely, known pixels stay as they are
        window: side of the windows, pixels; default the prior's own size, or 256
        shift: from window to window, pixels; default half a window
        factor: how much coarser a picture guides large holes: auto, 1 (none), 2, 4, ...
        samples: samples a frame; the fill is their mean, nearer to the truth and softer
        seed: of the first sample; all frames share it
        start_sigma: begin part-way, from a smooth fill, at this noise level (fewer steps; more like the surroundings), or off
        warm_start: noise level at which a frame begins from the one before (fewer steps, steadier), or off
        temporal_fill: where the camera stands still, take what other frames have shown from there
        feather: pixels inside the hole over which the fill goes over into what is around it
        max_gb: refuse stacks that declare more
        device: cpu, cuda, cuda:1, mps
        bf16: bfloat16 inside the network
        compile: torch.compile the network (CUDA graphs on a GPU): pays for many images of one size, not on most CPUs
        batch_size: windows times samples drawn together
        allow_large_hole: go on where more than half is hidden
        overwrite: replace existing outputs, but never a folder of other things
        resume: go on where a killed run stopped; skip what is whole; redo what another plan made
    """

    input: Annotated[str | None, POSITIONAL] = None
    out: str | None = None
    mask: str | None = None
    mask_means: str | None = None
    grow: Annotated[int, Bounds(at_least=0)] = 0
    truth: str | None = None
    dataset: str | None = None
    prior: str = "surgical-starter"
    method: Annotated[str, OneOf(METHODS)] = "ddnm+"
    options: dict[str, int | float | None] = field(default_factory=dict)
    steps: Annotated[int, Bounds(at_least=2)] = 25
    sigma_max: Annotated[float, Bounds(above=0)] = 40.0
    travel_length: Annotated[int, Bounds(at_least=1)] = 1
    travel_repeat: Annotated[int, Bounds(at_least=1)] = 1
    noise_std: Annotated[float, Bounds(at_least=0, below=255)] = 0.0
    window: Annotated[int, Bounds(at_least=1)] | None = None
    shift: Annotated[int, Bounds(at_least=1)] | None = None
    factor: Annotated[int | Literal["auto"], Bounds(at_least=1)] = "auto"
    samples: Annotated[int, Bounds(at_least=1)] = 1
    seed: Annotated[int, Bounds(at_least=0)] = 0
    start_sigma: Annotated[float, Bounds(above=0)] | None = None
    warm_start: Annotated[float, Bounds(above=0)] | None = None
    temporal_fill: bool = True
    feather: Annotated[int, Bounds(at_least=0)] = 2
    max_gb: Annotated[float, Bounds(above=0)] = 16.0
    device: str = "cpu"
    bf16: bool = True
    compile: bool = False
    batch_size: Annotated[int, Bounds(at_least=1)] = 8
    allow_large_hole: bool = False
    overwrite: bool = False
    resume: bool = False


def run(options: Options) -> int:
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


def _plan(options: Options) -> "InpaintPlan":
    from ..inpainting.plan import Plan as InpaintPlan
    from ..methods import METHODS as REGISTRY

    same = ("steps", "sigma_max", "noise_std", "window", "shift", "factor", "samples", "seed", "start_sigma", "grow",
            "warm_start", "temporal_fill", "feather", "batch_size")
    return InpaintPlan(method=REGISTRY.build(options.method, options.options, where="options"),
                       travel=(options.travel_length, options.travel_repeat), **{name: getattr(options, name) for name in same})


def _job(options: Options, plan: "InpaintPlan") -> "InpaintJob":
    from ..inpainting.files import InpaintJob
    from ..inpainting.frame import check_inpaint_plan, check_rgb
    from ..priors import load
    from ..priors.store import describe

    device, about = usable_device(options.device), describe(options.prior)
    check_rgb(about["channels"], (about["recipe"] or {}).get("kind") == "interval", options.prior)
    prior = load(options.prior, device=device, bf16=options.bf16, compiled=options.compile)
    check_inpaint_plan(plan, prior)
    config: dict[str, Any] = {name: getattr(options, name) for name in DECIDES}
    return InpaintJob(plan, prior, config, about["sha256"], device=device, allow_large_hole=options.allow_large_hole,
                      overwrite=options.overwrite, resume=options.resume, say=say, progress=progress)


COMMAND = Command("inpaint", Options, run, __doc__, config=True)
