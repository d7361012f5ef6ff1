"""An undersampled multi-coil MRI scan in, an image out.

Examples:
  medrestore recon scan.h5 -o image.h5
  medrestore recon full.h5 -o image.h5 --undersample equispaced_fraction --accel 4 --acs 26
  medrestore recon raw_data.mat -o image.h5 --dataset raw --axes coil,slice,col,row
  medrestore recon scans/ -o images/ --samples 8 --resume
  medrestore recon --from image.h5 -o again.h5
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from ..errors import InputError
from .names import LADDERS, METHODS, method
from .terminal import Help, progress, say

if TYPE_CHECKING:
    from ..jobs import Job, Plan

DECIDES = (  # what a config holds, and an output is rebuilt from
    "prior", "method", "options", "steps", "ladder", "samples", "seed", "undersample", "accel", "acs", "noise_std", "maps",
    "start_sigma", "dataset", "axes", "slices", "bf16", "spectral_gb", "batch_size",
)


def parser() -> ArgumentParser:
    """The options of `recon`."""
    p = ArgumentParser(description=__doc__, formatter_class=Help, exit_on_error=False)
    add = p.add_argument
    add("scan", type=str | None, nargs="?", default=None,
        help="fastMRI .h5, ISMRMRD .h5/.mrd, BART .cfl, twix .dat, .npy, .mat, any HDF5; or a folder")
    add("-o", "--out", type=str | None, default=None, help="output .h5, or a folder when the input is one")
    add("--config", action=ActionConfigFile, help="YAML with any of these options; flags win")
    add("--from", dest="origin", type=str | None, default=None, help="rerun what made this output")
    add("--prior", type=str, default="brain-mr-starter", help="a prior's folder, or the name of a shipped one")
    add("--method", type=str, choices=METHODS, default=METHODS[0], help="how the data are made to agree")
    add("--options", type=dict[str, float | int | None], default={}, help="the method's hyper-parameters, as --options.gamma 5")
    add("--steps", type=int, default=25, help="network calls a sample")
    add("--ladder", type=str, choices=LADDERS, default="karras", help="spacing of the noise levels")
    add("--samples", type=int, default=4, help="posterior samples; the image is their mean")
    add("--seed", type=int, default=0, help="of the first sample")
    add("--undersample", type=str | None, default=None,
        help="take samples away in software: uniform1d, random1d, gaussian1d, gaussian2d, poisson2d, uniform2d, "
             "or fastMRI's random, equispaced, equispaced_fraction, magic, magic_fraction")
    add("--accel", type=float | None, default=None, help="acceleration of --undersample")
    add("--acs", type=int | None, default=None, help="calibration lines of --undersample; default: the kind's own rule")
    add("--slices", type=str | None, default=None, help="first:last+1, from 0; default all")
    add("--maps", type=str | None, default=None, help="file of coil maps (slice, coil, row, col); default ESPIRiT from the scan")
    add("--noise-std", dest="noise_std", type=float | None, default=None,
        help="std of each real number of the k-space noise; default from the noise scan or the data")
    add("--start-sigma", dest="start_sigma", type=float | None, default=None,
        help="begin part-way, from CG-SENSE, at this noise level (image brightness about 1): fewer steps do")
    add("--dataset", type=str | None, default=None, help="name of the array in an HDF5 or MATLAB file")
    add("--axes", type=str | None, default=None, help="its axes, as coil,slice,row,col; row is the readout")
    add("--device", type=str, default="cpu", help="cpu, cuda, cuda:1, mps")
    add("--bf16", type=bool, default=True, help="bfloat16 inside the network")
    add("--batch-size", dest="batch_size", type=int, default=8, help="samples drawn together")
    add("--spectral-gb", dest="spectral_gb", type=float, default=1.0,
        help="most memory for the exact spectrum of the scan; beyond it conjugate gradients are used")
    add("--keep-samples", dest="keep_samples", action="store_true", help="store every sample")
    add("--nifti", action="store_true", help="write a .nii.gz beside")
    add("--overwrite", action="store_true", help="replace an existing output")
    add("--resume", action="store_true", help="skip what is whole and was made by this very plan")
    add("--maps-cache", dest="maps_cache", type=str, default="~/.cache/medrestore/maps", help="folder of coil maps, or none")
    return p


def run(options: Namespace) -> int:
    """Reconstructs; 0, or 1 when scans of a folder failed."""
    options = _rerun(options) if options.origin else options
    if options.scan is None:
        raise InputError("give a scan, or --from an output to rerun; see medrestore recon --help")
    source = Path(options.scan)
    if not source.exists() and not source.with_name(source.name + ".hdr").exists():
        raise InputError(f"{source} does not exist; give a scan or a folder of scans")
    out = _out(source, options)
    if out.exists() and not out.is_dir() and not (options.overwrite or options.resume):
        raise InputError(f"{out} exists; pass --overwrite to replace it, or another -o")
    plan = _plan(options)  # refused before torch's heavier friends are loaded
    job = _job(options, plan)

    from ..jobs.files import is_done, printed, recon_file, recon_folder

    if source.is_dir():
        failed = recon_folder(source, out, job, resume=options.resume)
        for name, why in failed.items():
            say(f"failed: {name}: {why}")
        return 1 if failed else 0
    if options.resume and is_done(source, out, job):
        say(f"{out} is whole already")
        return 0
    for line in printed(recon_file(source, out, job)):
        say(line)
    say(f"{out}  {out.with_suffix('.png')}")
    return 0


def _out(source: Path, options: Namespace) -> Path:
    out = Path(options.out) if options.out else Path(f"{source.stem}.recon" if source.is_dir() else f"{source.stem}.recon.h5")
    if source.is_dir() and out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, and a folder of scans needs a folder for its images")
    if not source.is_dir() and (out.is_dir() or out.suffix not in (".h5", ".hdf5")):
        raise InputError(f"{out} is no .h5 file name; the image of one scan is written as HDF5")
    return out


def _plan(options: Namespace) -> "Plan":
    _positive("--steps", options.steps, 2)
    _positive("--samples", options.samples, 1)
    _positive("--batch-size", options.batch_size, 1)
    if (options.undersample is None) != (options.accel is None):
        raise InputError("--undersample needs --accel, and --accel needs --undersample")
    if options.noise_std is not None and not 0 <= options.noise_std < float("inf"):
        raise InputError(f"--noise-std must be 0 or more, got {options.noise_std}")
    if options.start_sigma is not None and not 0 < options.start_sigma < float("inf"):
        raise InputError(f"--start-sigma must be positive, got {options.start_sigma}")
    chosen = method(options.method, _plain(options.options))

    from .. import levels
    from ..jobs import Plan, Undersampling

    return Plan(
        method=chosen, steps=options.steps, ladder=getattr(levels, options.ladder), samples=options.samples, seed=options.seed,
        undersample=Undersampling(options.undersample, options.accel, options.acs) if options.undersample else None,
        noise_std=options.noise_std, maps=Path(options.maps) if options.maps else None, start_sigma=options.start_sigma,
        spectral_gb=options.spectral_gb, batch_size=options.batch_size,
    )


def _positive(name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")


def _plain(options: Any) -> dict[str, Any]:
    return dict(options.as_dict() if isinstance(options, Namespace) else options)


def _job(options: Namespace, plan: "Plan") -> "Job":
    from ..jobs import Job
    from ..priors import load
    from ..priors.store import describe

    config = {name: options[name] for name in DECIDES} | {"options": _plain(options.options)}
    return Job(
        plan, load(options.prior, device=_device(options.device), bf16=options.bf16), config, describe(options.prior)["sha256"],
        dataset=options.dataset, axes=tuple(options.axes.split(",")) if options.axes else None, slices=_slices(options.slices),
        device=options.device, cache=None if options.maps_cache == "none" else Path(options.maps_cache).expanduser(),
        keep_samples=options.keep_samples, nifti=options.nifti, overwrite=options.overwrite, say=say, progress=progress,
    )


def _device(name: str) -> str:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name} is not usable here ({str(error).splitlines()[0]}); cpu always is") from error
    return name


def _slices(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, last = text.partition(":")
    if not (first.isdecimal() and (last.isdecimal() or ":" not in text)):
        raise InputError(f"--slices takes first:last+1, as 10:20, or one number, got {text!r}")
    return int(first), int(last) if last else int(first) + 1


def _rerun(options: Namespace) -> Namespace:
    """The options that made `options.origin`; only the scan's place and the output may be given anew."""
    from ..io import read_provenance
    from ..jobs.files import fingerprint

    made = read_provenance(options.origin)
    if "config" not in made:
        raise InputError(f"{options.origin} does not say how it was made, so it cannot be rerun; it is not an output of recon")
    again = options.clone()
    for name, value in made["config"].items():
        if name in DECIDES:
            again[name] = value
    again.scan = options.scan or made["input"]["path"]
    if not Path(again.scan).is_file() or fingerprint(Path(again.scan)) != made["input"]["fingerprint"]:
        raise InputError(f"{again.scan} is not the scan that {options.origin} was made from; give its present place as SCAN")
    return again
