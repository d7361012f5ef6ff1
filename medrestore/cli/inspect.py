"""What a scan, a reconstruction, a prior, a trained baseline or a checkpoint is, and whether it is sane.

Examples:
  medrestore inspect scan.h5
  medrestore inspect raw_data.mat --dataset raw --axes coil,slice,col,row
  medrestore inspect image.h5
  medrestore inspect brain-mr-starter
  medrestore inspect runs/varnet/baseline
  medrestore inspect checkpoint.pt
"""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from .. import shipped
from ..errors import InputError
from ..recon.plan import Side
from ..settings import Bounds
from .command import Command
from .options import POSITIONAL, matrix, names_in
from .results import emit
from .terminal import lines_aside, say_answer

if TYPE_CHECKING:
    from ..io import Scan

CHECKPOINTS = (".pt", ".pth", ".ckpt", ".safetensors", ".bin")
FOLDERS = ("model_index.json", "config.json", "unet/config.json", "configs/metadata.json", "configs/inference.json")


@dataclass(frozen=True)
class Options:
    """The options of `inspect`.

    Args:
        file: a scan, an output of recon or inpaint, a prior (folder or name), a baseline, or a checkpoint
        dataset: name of the array in an HDF5 or MATLAB file
        axes: its axes, as coil,slice,row,col
        select: the value to read of a counter: contrast, phase, set, repetition, average, segment; as contrast=1
        separate: counters that recon is to read as frames, as repetition,contrast
        uncentred: the origin of k-space is at [0, 0] of the array, as an FFT without fftshift leaves it
        max_gb: refuse files that declare a larger array
        trajectory: file of the trajectory of a scan that is a plain array, a .npy or a BART .cfl; its picture is drawn by --draw
        trajectory_units: of the trajectory; default what the format or its reach says
        matrix: height,width of the image of a scan along a trajectory
        draw: a .png to draw the trajectory in
        json: print the facts as JSON (docs/results.md)
    """

    file: Annotated[str, POSITIONAL]
    dataset: str | None = None
    axes: str | None = None
    select: Mapping[str, Annotated[int, Bounds(at_least=0)]] = field(default_factory=dict)
    separate: tuple[str, ...] = ()
    uncentred: bool = False
    max_gb: Annotated[float, Bounds(above=0)] = 16.0
    trajectory: str | None = None
    trajectory_units: Literal["cycles-per-fov", "cycles-per-pixel", "radians-per-pixel"] | None = None
    matrix: tuple[Side, Side] | None = None
    draw: str | None = None
    json: bool = False


def run(options: Options) -> int:
    """Prints one line a fact."""
    facts = _facts(options)
    if options.json:
        lines_aside()
        emit("inspect", file=options.file, facts=facts)
        return 0
    for name, value in facts.items():
        say_answer(f"{_printable_line(name) + ':':16s} {_printable_line(str(value))}")
    return 0


def _printable_line(text: str) -> str:
    """Text out of a file on one line, without what a terminal would obey."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())


def _facts(options: Options) -> dict[str, Any]:
    from ..io import read_provenance

    path = Path(options.file)
    if (path / "prior.json").is_file() or (not path.exists() and options.file in shipped.prior_names()):
        return _prior_facts(options.file)
    if (path / "baseline.json").is_file():
        return _baseline_facts(path)
    if (path / "classifier.json").is_file():
        return _classifier(path)
    for kind in ("prior", "baseline", "classifier"):
        if (path / kind / f"{kind}.json").is_file():
            raise InputError(f"{path} is the folder of a training run; its result is in {path / kind}")
    if path.suffix.lower() in CHECKPOINTS or any((path / name).is_file() for name in FOLDERS):
        return _checkpoint(path)
    if path.suffix.lower() in (".h5", ".hdf5") and path.is_file() and options.axes is None and (made := read_provenance(path)):
        return _reconstruction(path, made, options.max_gb)
    if _is_inpainted(path):
        from ..inpainting.outputs import damaged, read_record

        return {"kind": "frames restored by medrestore", "data": _digests_in_words(lambda: damaged(path))} | _flat(
            {key: value for key, value in read_record(path).items() if key != "files"})
    return _scan_facts(options)


def _is_inpainted(path: Path) -> bool:
    from ..inpainting.outputs import read_record
    from ..io.scenes.writer import KINDS

    return path.exists() and path.suffix in (*KINDS, ".png") and bool(read_record(path))


def _prior_facts(name: str) -> dict[str, Any]:
    from ..priors.network_files import CONFIG, WEIGHTS
    from ..priors.store import describe, find
    from .convert import rule

    about, folder = describe(name), find(name)
    facts: dict[str, Any] = {"kind": "prior", "weights": _weights(folder / WEIGHTS, about["sha256"], "prior"),
             "sizes": rule(about["multiple"], about.get("size"))}
    if isinstance(parts := about.get("parts"), dict):
        name = Path(WEIGHTS).name
        facts |= {f"weights of {part}": _weights(folder / part / name, sha256, "prior") for part, sha256 in parts.items()}
    return facts | _network_facts(folder / CONFIG) | _flat(about) | facts  # what was found wins over what is said


def _classifier(folder: Path) -> dict[str, Any]:
    """A classifier of noisy images: what it is, and all that its description says."""
    from ..priors.classifier_store import describe
    from ..priors.network_files import CONFIG, WEIGHTS
    from .convert import rule

    about = describe(folder)
    facts: dict[str, Any] = {"kind": "classifier of noisy images; use it as --classifier with --label",
                             "weights": _weights(folder / WEIGHTS, about["sha256"], "classifier"),
                             "sizes": rule(about["multiple"], about.get("size"))}
    return facts | _network_facts(folder / CONFIG) | _flat(about) | facts  # what was found wins over what is said


def _baseline_facts(folder: Path) -> dict[str, Any]:
    """A trained baseline: what it is, and all that its description says."""
    from ..baselines.weights import WEIGHTS, describe

    about = describe(folder)
    weights = _weights(folder / WEIGHTS, about["sha256"], "baseline")
    facts: dict[str, Any] = {"kind": "trained baseline", "network": about["kind"], "weights": weights,
             "licence": str(about["card"].get("licence", "not stated"))}
    return facts | _flat({"arguments": about["arguments"]}) | _flat(about) | facts  # what was found wins over what is said


def _weights(path: Path, sha256: str, kind: str) -> str:
    """Whether a file of weights is the one that was described."""
    from ..files import digest

    whole = path.is_file() and digest(path) == sha256
    return f"{path.stat().st_size / 1e6:.1f} MB, as described" if whole else f"MISSING or altered; copy the {kind} again"


def _network_facts(config: Path) -> dict[str, str]:
    """What a network is made of, or nothing where its configuration is not there."""
    try:
        said = json.loads(config.read_text(encoding="utf-8"))
        classes = said.get("num_class_embeds", said.get("classes"))
        facts = {"network": str(said.get("_class_name", "UNet2DModel"))}
    except (OSError, ValueError, RecursionError, AttributeError):
        return {}
    if isinstance(said.get("block_out_channels"), list):
        facts["architecture"] = (f"widths {', '.join(map(str, said['block_out_channels']))}; "
                                f"{said.get('layers_per_block')} blocks a level; "
                                f"{said.get('in_channels')} channels in"
                                + (f", {said['out_channels']} out" if "out_channels" in said else ""))
    return facts | ({} if classes is None else {"classes": f"{classes}; give one with --label"})


def _checkpoint(path: Path) -> dict[str, str]:
    """A checkpoint that is no prior yet: its family, and the line that makes one of it."""
    from ..priors.convert import identify
    from .convert import facts

    found = identify(path)
    line = shlex.join(["medrestore", "convert", _as_word(path), "-o", _as_word(Path(path.stem or "prior"))])
    try:
        return {"kind": "checkpoint"} | facts(found, found.convert({})) | {"to use it": line}
    except InputError as error:
        return {"kind": "checkpoint", "family": found.family.name, "before use": str(error), "to use it": f"{line} --set ..."}


def _as_word(path: Path) -> str:
    """A path that no command takes for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _reconstruction(path: Path, made: dict[str, Any], max_gb: float) -> dict[str, Any]:
    from ..io import read_reconstruction
    from ..io.reconstruction import damaged

    with read_reconstruction(path) as images:
        slices, height, width = images.shape
        dark = sum(not images[index].isfinite().all() or not images[index].any() for index in range(slices))
    sane = "yes" if dark == 0 else f"NO: {dark} slices are empty or not finite"
    return {"kind": "reconstruction by medrestore", "images": f"{slices} of {height} x {width}", "sane": sane,
            "data": _digests_in_words(lambda: damaged(path, max_gb=max_gb))} | _flat(made)


def _digests_in_words(damaged: Callable[[], list[str]]) -> str:
    """Whether data have the digests that were stored of them."""
    try:
        wrong = damaged()
    except InputError as error:
        return f"NOT KNOWN: {error}"
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return f"DAMAGED: {', '.join(wrong[:5])}{more}; make it again" if wrong else "as written, by the sha256 of each part"


def _scan_facts(options: Options) -> dict[str, str]:
    from ..io import inspect_file, read_kspace

    axes = options.axes.split(",") if options.axes else None
    how: dict[str, Any] = dict(dataset=options.dataset, axes=axes, select=options.select, uncentred=options.uncentred,
                               max_gb=options.max_gb, trajectory=options.trajectory, trajectory_units=options.trajectory_units,
                               matrix=options.matrix, separate=options.separate)
    facts = {name: COMMAND.mentions(value) for name, value in inspect_file(options.file, **how).items()}
    with read_kspace(options.file, implausible=True, **how) as scans:
        scan = scans[len(scans) // 2]
    if options.draw is not None:
        _draw_picture(scan, Path(options.draw))
        facts["drawn in"] = options.draw
    return facts | {"calibration": _calibration_facts(scan)}


def _draw_picture(scan: "Scan", place: Path) -> None:
    """The trajectory of a slice as a picture."""
    from ..report.trajectory import draw_trajectory

    if scan.trajectory is None:
        raise InputError("--draw draws the trajectory of a scan, and this one is Cartesian; leave it out")
    if place.suffix.lower() != ".png":
        raise InputError(f"{place} must end in .png; give such a name")
    if place.exists():
        raise InputError(f"{place} exists; give another place")
    draw_trajectory(scan.trajectory, scan.mask, scan.shape, place)


def _calibration_facts(scan: "Scan") -> str:
    """The calibration lines of a slice, and whether they suffice for coil maps."""
    from ..io.kspace.base import sampled
    from ..mri import calibration_width, centre_of

    found = calibration_width(scan.mask)
    if scan.trajectory is not None:
        rows, columns = centre_of(scan.trajectory, scan.shape, scan.mask)
        found = rows.stop - rows.start, columns.stop - columns.start
    width = min(found) if isinstance(found, tuple) else found
    lines = "{} x {} points".format(*found) if isinstance(found, tuple) else f"{found} lines"
    if scan.calibration is not None:
        lines += f", and {int(sampled(scan.calibration).amax(0).sum())} separate lines"
    elif width < 8 and scan.kspace.shape[1] > 1:
        lines += ": TOO FEW for coil maps, which then must be given by --maps"
    return lines


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as one level, names joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


COMMAND = Command("inspect", Options, run, __doc__, readers={"matrix": matrix, "separate": names_in})
