"""An undersampled multi-coil MRI scan in, an image out.

Examples:
  medrestore recon scan.h5 -o image.h5
  medrestore recon full.h5 -o image.h5 --undersample equispaced_fraction --accel 4 --acs 26
  medrestore recon raw_data.mat -o image.h5 --dataset raw --axes coil,slice,col,row
  medrestore recon scans/ -o images/ --method dds --steps 25 --samples 8 --resume
  medrestore recon --from image.h5 -o again.h5
  medrestore recon --print_config > plan.yaml; medrestore recon scan.h5 --config plan.yaml --steps 50
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from ..errors import InputError
from .config import ConfigFile, checked
from .names import LADDERS, METHODS, method
from .options import as_mapping, at_least, usable_device
from .terminal import Help, progress, say

if TYPE_CHECKING:
    from ..recon.files import Job
    from ..recon.plan import Plan

DECIDES = (  # what an output is rebuilt from
    "prior", "method", "options", "steps", "ladder", "sigma_max", "samples", "seed", "undersample", "accel", "acs",
    "noise_std", "maps", "start_sigma", "dataset", "axes", "slices", "bf16", "spectral_gb", "batch_size", "together",
    "keep_samples",
)

QUALITY = {  # network calls a sample, samples, and the level to begin at from CG-SENSE: points on the curve of docs/speed.md
    "fast": (20, 1, 0.5), "balanced": (50, 1, None), "best": (100, 1, None),
}
QUALITY_OF_SAMPLES = QUALITY | {"best": (50, 4, None)}  # for methods that draw samples, to which more steps do no good


def parser() -> ArgumentParser:
    """The options of `recon`."""
    p = ArgumentParser(description=__doc__, formatter_class=Help, exit_on_error=False)
    add = p.add_argument
    add("scan", type=str | None, nargs="?", default=None,
        help="fastMRI .h5, ISMRMRD .h5/.mrd, BART .cfl, twix .dat, .npy, .mat, any HDF5; or a folder")
    add("-o", "--out", type=str | None, default=None,
        help="output .h5, or a folder when the input is one; default SCAN.recon.h5 here")
    add("--config", action=ConfigFile, help="YAML with any of these options, _ for -; flags win")
    add("--from", dest="origin", type=str | None, default=None, help="rerun what made this output")
    add("--prior", type=str, default="brain-mr-starter", help="a prior's folder, or the name of a shipped one")
    add("--method", choices=METHODS, default=METHODS[0],
        help="how the data are made to agree; the default was best on validation subjects, the others but it draw samples")
    add("--options", type=dict[str, int | float | None], default={}, help="the method's hyper-parameters, as --options.lam 5")
    add("--quality", choices=tuple(QUALITY), default="balanced",
        help="fast: 20 levels, begun part-way from CG-SENSE; balanced: 50; best: 100, or 4 samples of 50 (docs/speed.md)")
    add("--steps", type=int | None, default=None, help="noise levels, in place of --quality's; a network call each")
    add("--ladder", choices=LADDERS, default=LADDERS[0], help="spacing of the noise levels")
    add("--sigma-max", dest="sigma_max", type=float, default=5.0,
        help="noise level to begin at (image brightness about 1); above it the calibration data decide")
    add("--samples", type=int | None, default=None,
        help="posterior samples, in place of --quality's; the image is their mean (hqs draws none: take dds)")
    add("--seed", type=int, default=0, help="of the first sample, and of the masks that are not fastMRI's")
    add("--undersample", type=str | None, default=None,
        help="take samples away in software: uniform1d, random1d, gaussian1d, gaussian2d, poisson2d, uniform2d, "
             "or fastMRI's random, equispaced, equispaced_fraction, magic, magic_fraction")
    add("--accel", type=float | None, default=None, help="acceleration of --undersample")
    add("--acs", type=int | None, default=None, help="calibration lines of --undersample; default: the kind's own rule")
    add("--slices", type=str | None, default=None, help="first:last+1, from 0, or one number; default all")
    add("--maps", type=str | None, default=None,
        help="file of coil maps, shaped like the scan (slice, coil, row, col); default ESPIRiT from the scan")
    add("--noise-std", dest="noise_std", type=float | None, default=None,
        help="std of each real number of the k-space noise; default from the noise scan or the data")
    add("--start-sigma", dest="start_sigma", type=float | None, default=None,
        help="begin part-way, from CG-SENSE, at this noise level (image brightness about 1): fewer steps do")
    add("--dataset", type=str | None, default=None, help="name of the array in an HDF5 or MATLAB file")
    add("--axes", type=str | None, default=None, help="its axes, as coil,slice,row,col; row is the readout")
    add("--max-gb", dest="max_gb", type=float, default=16.0, help="refuse files that declare a larger array")
    add("--device", type=str, default="cpu", help="cpu, cuda, cuda:1, mps")
    add("--bf16", type=bool, default=True, help="bfloat16 inside the network")
    add("--compile", action="store_true",
        help="torch.compile the network (CUDA graphs on a GPU): pays for many images of one size, not on most CPUs")
    add("--batch-size", dest="batch_size", type=int, default=8, help="samples drawn together")
    add("--together", type=int | None, default=None,
        help="slices whose network calls are made together, as far as --spectral-gb holds the data steps of all; default on a "
             "GPU as many as fill --batch-size with their samples, on a CPU 1: little is gained there for the memory")
    add("--spectral-gb", dest="spectral_gb", type=float, default=1.0,
        help="most memory for the exact spectrum of the scan; beyond it conjugate gradients are used")
    add("--keep-samples", dest="keep_samples", action="store_true", help="store every sample")
    add("--nifti", action="store_true", help="write a .nii.gz beside")
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--resume", action="store_true", help="skip what is whole and was made by this very plan; redo what another plan made")
    add("--maps-cache", dest="maps_cache", type=str, default="~/.cache/medrestore/maps", help="folder of coil maps, or none")
    return p


def run(options: Namespace) -> int:
    """Reconstructs; 0, or 1 when scans of a folder failed."""
    made = _provenance(options) if options.origin else None
    options = _rerun(options, made) if made else options
    _set_quality(options)
    if options.scan is None:
        raise InputError("give a scan, or --from an output to rerun; see medrestore recon --help")
    source = Path(options.scan)
    if not _is_there(source):
        raise InputError(f"{source} does not exist; give a scan or a folder of scans")
    out = _out(source, options)
    job = _job(options, _plan(options))

    from ..recon.files import is_done, printed, recon_file, recon_folder

    if made:
        _same_inputs(made, source, job, options)
    if source.is_dir():
        failed = recon_folder(source, out, job)
        if failed:
            print(f"medrestore recon: error: {len(failed)} scans failed: {', '.join(sorted(failed))}", file=sys.stderr)
        return 1 if failed else 0
    if options.resume and is_done(source, out, job):
        say(f"{out} is whole already")
        return 0
    for line in printed(recon_file(source, out, job)):
        say(line)
    say(f"{out}  {out.with_suffix('.png')}")
    return 0


def _set_quality(options: Namespace) -> None:
    """What --quality stands for, where nothing else was asked for."""
    points = QUALITY_OF_SAMPLES if method(options.method, {}).draws else QUALITY
    steps, samples, start_sigma = points[options.quality]
    options.steps = steps if options.steps is None else options.steps
    options.samples = samples if options.samples is None else options.samples
    options.start_sigma = start_sigma if options.start_sigma is None else options.start_sigma


def _is_there(path: Path) -> bool:
    """Whether a file, a folder or a BART pair of this name exists."""
    return path.exists() or path.with_name(path.name + ".hdr").exists()


def _out(source: Path, options: Namespace) -> Path:
    """Where to write, once it is clear that this may be done."""
    out = Path(options.out) if options.out else Path(f"{source.stem}.recon" if source.is_dir() else f"{source.stem}.recon.h5")
    if source.exists() and out.exists() and out.samefile(source):
        raise InputError(f"{out} is the input itself, which is never replaced; give another -o")
    if source.is_dir() and out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, and a folder of scans needs a folder for its images; give another -o")
    if not source.is_dir() and (out.is_dir() or out.suffix not in (".h5", ".hdf5")):
        raise InputError(f"{out} is no .h5 file name; the image of one scan is written as HDF5")
    if not source.is_dir() and out.exists() and not (options.overwrite or options.resume):
        raise InputError(f"{out} exists; pass --overwrite to replace it, or another -o")
    return out


def _plan(options: Namespace) -> "Plan":
    at_least("--steps", options.steps, 2)
    at_least("--samples", options.samples, 1)
    at_least("--batch-size", options.batch_size, 1)
    if options.together is not None:
        at_least("--together", options.together, 1)
    at_least("--seed", options.seed, 0)
    if (options.undersample is None) != (options.accel is None):
        raise InputError("--undersample needs --accel, and --accel needs --undersample")
    if options.acs is not None and options.undersample is None:
        raise InputError("--acs needs --undersample; the calibration lines of a scan are found in it")
    if options.noise_std is not None and not 0 <= options.noise_std < float("inf"):
        raise InputError(f"--noise-std must be 0 or more, got {options.noise_std}")
    if options.start_sigma is not None and not 0 < options.start_sigma < float("inf"):
        raise InputError(f"--start-sigma must be positive, got {options.start_sigma}")
    if not 0 < options.sigma_max < float("inf"):
        raise InputError(f"--sigma-max must be positive, got {options.sigma_max}")
    if options.accel is not None and not 1 <= options.accel < float("inf"):
        raise InputError(f"--accel must be at least 1, got {options.accel}")
    chosen = method(options.method, as_mapping(options.options))

    from .. import levels
    from ..mri.sampling import KINDS
    from ..recon.plan import Plan, Undersampling

    if options.undersample is not None and options.undersample not in KINDS:
        raise InputError(f"there is no sampling kind {options.undersample!r}; --undersample takes {', '.join(KINDS)}")
    if options.maps is not None and not _is_there(Path(options.maps)):
        raise InputError(f"{options.maps} does not exist; give a file of coil maps")
    return Plan(
        method=chosen, steps=options.steps, ladder=getattr(levels, options.ladder), sigma_max=options.sigma_max,
        samples=options.samples, seed=options.seed,
        undersample=Undersampling(options.undersample, options.accel, options.acs) if options.undersample else None,
        noise_std=options.noise_std, maps=Path(options.maps) if options.maps else None, start_sigma=options.start_sigma,
        spectral_gb=options.spectral_gb, batch_size=options.batch_size, together=options.together,
    )


def _job(options: Namespace, plan: "Plan") -> "Job":
    from ..priors import load
    from ..priors.store import describe
    from ..recon.files import Job
    from ..recon.prepare import check_prior

    slices, device = _slices(options.slices), usable_device(options.device)
    check_prior(describe(options.prior)["channels"], options.prior)
    config = {name: options[name] for name in DECIDES} | {"options": as_mapping(options.options)}
    prior = load(options.prior, device=device, bf16=options.bf16, compiled=options.compile)
    return Job(
        plan, prior, config, describe(options.prior)["sha256"],
        dataset=options.dataset, axes=tuple(options.axes.split(",")) if options.axes else None, slices=slices,
        max_gb=options.max_gb, device=device,
        cache=None if options.maps_cache == "none" else Path(options.maps_cache).expanduser(),
        keep_samples=options.keep_samples, nifti=options.nifti, overwrite=options.overwrite, resume=options.resume,
        say=say, progress=progress,
    )


def _slices(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not (first.isdecimal() and (last.isdecimal() or not colon)):
        raise InputError(f"--slices takes first:last+1, as 10:20, or one number, got {text!r}")
    return int(first), int(last) if colon else int(first) + 1


def _provenance(options: Namespace) -> dict[str, Any]:
    """How `options.origin` was made, as far as a rerun needs it; that file is input like any other."""
    from ..io import read_provenance

    made = read_provenance(options.origin)
    config, scan = made.get("config"), made.get("input")
    if not isinstance(config, dict) or not isinstance(scan, dict) or not isinstance(scan.get("path"), str):
        raise InputError(f"{options.origin} does not say how it was made, so it cannot be rerun; it is no output of recon")
    defaults = parser().get_defaults()
    given = [f"--{name.replace('_', '-')}" for name in (*DECIDES, "quality") if options[name] != defaults[name]]
    if given:
        raise InputError(f"--from reruns {options.origin} as it was made, and {', '.join(given)} would change that; "
                         "leave it out, or leave out --from")
    return made


def _rerun(options: Namespace, made: dict[str, Any]) -> Namespace:
    """The options that made `options.origin`; the scan's present place, the output and the device may be given anew."""
    stored = {name: value for name, value in made["config"].items() if name in DECIDES}
    config = checked(parser(), stored, f"{options.origin} was altered")
    again = options.clone()
    for name in DECIDES:
        again[name] = config[name]
    again.scan = options.scan or made["input"]["path"]
    if not _is_there(Path(again.scan)):
        raise InputError(f"{again.scan}, which {options.origin} was made from, is not there; give its present place as SCAN")
    return again


def _same_inputs(made: dict[str, Any], source: Path, job: "Job", options: Namespace) -> None:
    """Refuses to rerun on another scan, prior or maps; a different version of the program is only told."""
    from importlib.metadata import version

    from ..recon.files import fingerprint

    if source.is_dir() or fingerprint(source) != made["input"].get("fingerprint"):
        raise InputError(f"{source} is not the scan that {options.origin} was made from; give that scan as SCAN")
    if made.get("prior_sha256") != job.prior_hash:
        raise InputError(f"{options.prior} is not the prior that {options.origin} was made with (its sha256 differs); "
                         "bring that back")
    if made.get("maps_fingerprint") != job.maps_fingerprint:
        raise InputError(f"{options.maps} holds other coil maps than {options.origin} was made with; bring those back")
    if made.get("medrestore") != version("medrestore"):
        say(f"{options.origin} was made by medrestore {made.get('medrestore')}, this is {version('medrestore')}: bits may differ")
