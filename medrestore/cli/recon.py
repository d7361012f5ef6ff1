"""An undersampled multi-coil MRI scan in, an image out.

Examples:
  medrestore recon scan.h5 -o image.h5
  medrestore recon full.h5 -o image.h5 --undersample equispaced_fraction --accel 4 --acs 26
  medrestore recon raw_data.mat -o image.h5 --dataset raw --axes coil,slice,col,row
  medrestore recon scans/ -o images/ --method dds --steps 25 --samples 8 --resume
  medrestore recon --from image.h5 -o again.h5
  medrestore recon --print_config > plan.yaml; medrestore recon scan.h5 --config plan.yaml --steps 50
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from .. import shipped
from ..errors import InputError
from ..recon.interval import UNCERTAINTY
from ..recon.plan import Machine, Plan, Reading, Writing, quality
from ..settings import OMITTED, FieldError, build
from .command import Command, Given
from .device import usable_device
from .options import POSITIONAL, matrix, names_in
from .restore import slices
from .results import close_all, emit_results
from .terminal import lines_aside, progress, say

if TYPE_CHECKING:
    from ..recon.files import Job

# fields of the plan that say where a file is, which a rerun may give anew
PLACES = ("prior", "maps", "trajectory", "reference_image", "classifier")
MISSING = {  # of the plan's fields that name files, what is said where one is not there
    "maps": "{} does not exist; give a file of coil maps",
    "trajectory": "{} does not exist; give the file of a trajectory",
    "reference_image": "{} does not exist; give an output of recon, or a .npy, for --reference-image",
}
OTHERS = {  # entries of an output's record: the field of the plan, and what is said where it is another now
    "prior_sha256": ("prior", "{} is not the prior that {} was made with (its sha256 differs); give the place of that one by "
                              "--prior"),
    "maps_fingerprint": ("maps", "{} holds other coil maps than {} was made with; give those by --maps"),
    "trajectory_fingerprint": ("trajectory", "{} holds another trajectory than {} was made with; give that by --trajectory"),
    "reference_fingerprint": ("reference_image", "{} is another image than {} was made with; give that by --reference-image"),
    "classifier_sha256": ("classifier", "{} is not the classifier that {} was made with; give that by --classifier"),
}
QUALITIES = Literal["fast", "balanced", "best"]


@dataclass(frozen=True)
class Options:
    """The options of `recon`.

    Args:
        scan: fastMRI .h5, ISMRMRD .h5/.mrd, BART .cfl, twix .dat, .npy, .mat, any HDF5; or a folder; sample:brain-scan for
            the one that comes with the package
        out: output .h5, or a folder when the input is one; default SCAN.recon.h5 here
        origin: rerun what made this output
        uncertainty: 4 samples of diffpir, 25 steps each, whose spread was calibrated (docs/uncertainty.md); stands for `method`,
            `steps` and `samples` where these are not given
        quality: fast: 20 levels, begun part-way from CG-SENSE; balanced: 50; best: 100, or 4 samples of 50, by a prior that is
            adapted to the scan (docs/speed.md); stands for `steps`, `samples`, `start_sigma` and `adapt` where they are not given
        json: print the results as JSON, and lines for people where errors go (docs/results.md)
    """

    scan: Annotated[str | None, POSITIONAL] = None
    out: str | None = None
    origin: str | None = None
    uncertainty: bool = False
    quality: QUALITIES = "balanced"
    json: bool = False
    plan: Plan = field(default_factory=Plan)
    machine: Machine = field(default_factory=lambda: Machine(maps_cache="~/.cache/medrestore/maps", apart=True, check_fit=True))
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)


def run(options: Options) -> int:
    """Reconstructs; 0, or 1 when scans of a folder failed."""
    if options.json:
        lines_aside()
    made = _origin_record(options.origin) if options.origin else None
    if made is not None:
        options = _rerun(options, made)
    if options.scan is None:
        raise InputError("give a scan, or --from an output to rerun; see medrestore recon --help")
    source = shipped.scan(options.scan)
    if not _is_there(source):
        raise InputError(f"{source} does not exist; give a scan or a folder of scans")
    for name, sentence in MISSING.items():
        place = getattr(options.plan, name)
        if place is not None and not _is_there(Path(place)):
            raise InputError(sentence.format(place))
    out = _out(source, options)

    from ..recon.files import Job, is_done, recon_file
    from ..recon.folder import check_folder, recon_folder, recon_folder_apart
    from ..recon.results import read_result, score_lines

    usable_device(options.machine.place)
    if source.is_dir() and options.machine.apart and made is None:
        places = [target for _, target in check_folder(source, out, options.writing)]
        return _code(recon_folder_apart(source, out, options.plan, options.machine, reading=options.reading,
                                        writing=options.writing, say=COMMAND.say, progress=progress), places, source, options)
    job = Job.load(options.plan, options.machine, reading=options.reading, writing=options.writing,
                   say=COMMAND.say, progress=progress)
    if made is not None:
        _same_inputs(made, source, job, options)
    if source.is_dir():
        places = [target for _, target in check_folder(source, out, options.writing)]
        return _code(recon_folder(source, out, job), places, source, options)
    if options.writing.resume and is_done(source, out, job):
        say(f"{out} is complete already")
    else:
        recon_file(source, out, job)
        for line in score_lines(read_result(out)):
            say(line)
        say(f"{out}  {out.with_suffix('.png')}")
    if options.json:
        emit_results("recon", [read_result(out)], {})
    return 0


def _code(failed: Mapping[str, str], places: Sequence[Path], source: Path, options: Options) -> int:
    """0, or 1 with a line on what failed; after the table of all results in the folder of `places`."""
    from ..recon.results import read_result

    return close_all("recon", places, read_result, failed, "scans", folder=places[0].parent, source=source,
                     names=options.writing, json=options.json)


def _completed(given: Given) -> Given:
    """What was given with what the quality stands for; nothing that would change a rerun."""
    if given.get("origin"):
        _origin_record(given["origin"])
        decide = {name: one for name, one in COMMAND.options.items()
                  if one.path[0] == "plan" or name in ("quality", "uncertainty")}
        changed = [one.flag for name, one in decide.items()
                   if name not in PLACES and given.get(name, one.default) != one.default]
        if changed:
            raise InputError(f"--from reruns {given['origin']} as it was made, and {', '.join(changed)} would change that; "
                             "leave it out, or leave out --from")
        return given
    if given.get("uncertainty"):
        given = given | {name: value for name, value in UNCERTAINTY.items() if given.get(name) is None}
    chosen = quality(given.get("quality", "balanced"), given.get("method", "hqs"))
    if given.get("reference_image") is not None:  # which an adapted prior does not take
        chosen.pop("adapt", None)
    return given | {name: value for name, value in chosen.items() if given.get(name) is None}


def _is_there(path: Path) -> bool:
    """Whether a file, a folder or a BART pair of this name exists."""
    return path.exists() or path.with_name(path.name + ".hdr").exists()


def _out(source: Path, options: Options) -> Path:
    """Where to write, once it is clear that this may be done."""
    out = Path(options.out) if options.out else Path(f"{source.stem}.recon" if source.is_dir() else f"{source.stem}.recon.h5")
    if source.exists() and out.exists() and out.samefile(source):
        raise InputError(f"{out} is the input itself, which is never replaced; give another -o")
    if source.is_dir() and out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, and a folder of scans needs a folder for its images; give another -o")
    if not source.is_dir() and (out.is_dir() or out.suffix.lower() not in (".h5", ".hdf5")):
        raise InputError(f"{out} is no .h5 file name; the image of one scan is written as HDF5")
    if not source.is_dir() and out.exists() and not (options.writing.overwrite or options.writing.resume):
        raise InputError(f"{out} exists; pass --overwrite to replace it, or another -o")
    return out


def _origin_record(origin: str) -> dict[str, Any]:
    """How an output was made, as far as a rerun needs it; that file is input like any other."""
    from ..io import read_provenance

    made = read_provenance(origin)
    config, scan = made.get("config"), made.get("input")
    if not isinstance(config, dict) or not isinstance(scan, dict) or not isinstance(scan.get("name"), str):
        raise InputError(f"{origin} does not say how it was made, so it cannot be rerun; it is no output of recon")
    return made


def _rerun(options: Options, made: dict[str, Any]) -> Options:
    """The options that made `options.origin`; present places of scan, prior and maps, output and device may be given anew."""
    try:
        plan = build(Plan, made["config"], "")
    except FieldError as error:
        raise InputError(f"{options.origin} was altered, or made by another version: {COMMAND.translate(error)}") from error
    origin, found = Path(options.origin or ""), {}
    for name in PLACES:
        given, stored = getattr(options.plan, name), getattr(plan, name)
        found[name] = given if given != getattr(Plan(), name) else _found(stored, origin)
    scan = options.scan or _found(made["input"]["name"], origin)
    if not _is_there(Path(scan)):
        scan = "the scan" if scan == OMITTED else scan
        raise InputError(f"{scan}, which {options.origin} was made from, is not there; give its present place as SCAN")
    if not Path(found["prior"], "prior.json").is_file() and found["prior"] not in shipped.priors():
        raise InputError(f"the prior {found['prior']}, which {options.origin} was made with, is not there; "
                         "give its present place by --prior")
    return replace(options, scan=scan, plan=replace(plan, **found))


def _found(name: Any, origin: Path) -> Any:
    """A file by the name that an output stores: here, or else beside the output, if it is there."""
    beside = origin.with_name(Path(name).name) if name and Path(name).name else None
    return str(beside) if beside is not None and not _is_there(Path(name)) and _is_there(beside) else name


def _same_inputs(made: dict[str, Any], source: Path, job: "Job", options: Options) -> None:
    """Refuses to rerun on another scan, prior or maps; a different version of the program is only reported."""
    from importlib.metadata import version

    from ..recon.files import fingerprint

    if source.is_dir() or fingerprint(source) != made["input"].get("fingerprint"):
        raise InputError(f"{source} is not the scan that {options.origin} was made from; give that scan as SCAN")
    now = {"prior_sha256": job.prior_hash, "maps_fingerprint": job.maps_fingerprint,
           "trajectory_fingerprint": job.trajectory_fingerprint, "reference_fingerprint": job.reference_fingerprint,
           "classifier_sha256": job.classifier_hash}
    for key, (name, sentence) in OTHERS.items():
        if made.get(key) != now[key]:
            raise InputError(sentence.format(getattr(options.plan, name), options.origin))
    if made.get("medrestore") != version("medrestore"):
        say(f"{options.origin} was made by medrestore {made.get('medrestore')}, this is {version('medrestore')}: bits may differ")


COMMAND = Command("recon", Options, run, __doc__, config=True, left_open=frozenset({"steps", "samples"}), complete=_completed,
                  readers={"slices": slices, "axes": names_in, "separate": names_in, "matrix": matrix})
