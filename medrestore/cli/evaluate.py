"""Methods compared on a data set, from a config to tables; or the scores of outputs that exist.

Examples:
  medrestore evaluate quick -o quick/
  medrestore evaluate dds-study data.volumes=volumes.npz validation.volumes=volumes.npz -o study/ --dry-run
  medrestore evaluate my.yaml methods.DDS.steps=50 -o study/ --workers 8
  medrestore evaluate my.yaml -o study/ --shard 3/16
  medrestore evaluate images/ --reference multicoil_val/ --protocol fastmri -o scores/
  medrestore evaluate restored/ --reference DREAMING_part1.zip --protocol dreaming-official -o scores/

A study that was stopped goes on with the same command. A method that is added later does not run the others again.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .. import shipped
from ..errors import InputError, meant
from ..settings import Bounds, OneOf, Privacy, override
from ..study.config import PROTOCOLS
from .command import Command
from .config import read
from .device import usable_device
from .options import POSITIONAL
from .terminal import complain, progress, say, say_answer

YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Options:
    """The options of `evaluate`.

    Args:
        what: YAML of a study, or the name of one in configs/evaluate/, which come with the package; or outputs to score: a file
            or a folder of them
        settings: key=value to set in the study, dots leading inwards
        out: folder of the outputs; a study needs one
        workers: processes on this machine; 0 works in this one
        scheduler_file: of a running dask cluster
        shard: i/n: the i-th of n parts, for job arrays; the last one writes the tables
        retry_failed: try again what has failed before
        dry_run: how many tasks, about how long and how large; writes nothing
        device: cpu, cuda, mps, xpu; several for workers in turn, as cuda:0,cuda:1; default: the accelerator that is there, else
            the CPU, and on a dask cluster the CPU
        reference: what outputs are scored against: fastMRI files, pictures or DREAMING
        protocol: how outputs are scored
        lpips_weights: AlexNet's weights and LPIPS's heads: a file with both, or two, as alexnet.pth,heads.pth
        features: .npz of Inception features of the outputs, an array a scene, for FID
        reference_features: the same of the true frames
        overwrite: replace the scores of outputs that are in the folder already
        anonymous: name no file and no path in the folder of outputs: cases are digests of their contents, or numbers
    """

    what: Annotated[str, POSITIONAL]
    settings: Annotated[tuple[str, ...], POSITIONAL] = ()
    out: str | None = None
    workers: Annotated[int, Bounds(at_least=0)] = 0
    scheduler_file: str | None = None
    shard: str = "1/1"
    retry_failed: bool = False
    dry_run: bool = False
    device: str | None = None
    reference: str | None = None
    protocol: Annotated[str, OneOf(PROTOCOLS)] | None = None
    lpips_weights: str | None = None
    features: str | None = None
    reference_features: str | None = None
    overwrite: bool = False
    anonymous: bool = False


def run(options: Options) -> int:
    """Runs a study or scores outputs; 0, or 1 when something failed."""
    path = Path(options.what)
    if path.suffix.lower() in YAML or (not path.exists() and options.what in shipped.configs("evaluate")):
        return _study(options)
    return _score_outputs(options)


def _study(options: Options) -> int:
    for name in ("reference", "protocol", "features", "reference_features", "lpips_weights"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} is for outputs that exist; a study says it in {options.what}")
    if options.overwrite:
        raise InputError("--overwrite is for scores of outputs; a study does again what its settings change, leave it out")
    if options.out is None:
        raise InputError("give -o, the folder of the study")
    given = read(shipped.config(options.what, "evaluate"))
    override(given, options.settings)
    devices = _devices(options)
    first, slash, last = options.shard.partition("/")
    if not (slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise InputError(f"--shard takes i/n, as 3/16, got {options.shard!r}")
    shard = int(first), int(last)

    from ..study.config import read as build
    from ..study.estimate import estimate
    from ..study.run import Running, open_study, run_study

    study = open_study(build(given, options.what), options.what, Path(options.out), anonymous=options.anonymous)
    if options.dry_run:
        for line in estimate(study, devices[0], workers=max(options.workers, 1)):
            say_answer(line)
        return 0
    names = Privacy(anonymous=options.anonymous)
    command = shlex.join(["medrestore", "evaluate", names.name_of(options.what),
                          *(_without_paths(setting, names) for setting in options.settings)])
    result = run_study(study, Running(
        workers=options.workers, scheduler_file=Path(options.scheduler_file) if options.scheduler_file else None, shard=shard,
        retry_failed=options.retry_failed, devices=devices, command=command, say=COMMAND.say, progress=progress,
    ))
    return _exit(result.failed, f"see {study.out / ('failed.jsonl' if shard == (1, 1) else 'failed-*.jsonl')}; "
                                "--retry-failed tries again")


def _without_paths(setting: str, names: Privacy) -> str:
    """A setting as the record tells it: of a path its last part at most."""
    key, _, value = setting.partition("=")
    return f"{key}={names.within(value)}"


def _score_outputs(options: Options) -> int:
    if options.settings:
        raise InputError(f"{options.settings[0]!r} is for a study, and {options.what} is no .yaml; leave it out")
    if options.reference is None or options.protocol is None:
        missing = [f"--{name}" for name in ("reference", "protocol") if getattr(options, name) is None]
        needed = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} needed"
        raise InputError(f"{options.what} is no .yaml of a study, and to score outputs {needed}"
                         f"{'' if Path(options.what).exists() else meant(options.what, shipped.configs('evaluate'))}")

    from ..study.score_files import Scored, score_outputs

    scored: Scored = score_outputs(
        Path(options.what), Path(options.reference), options.protocol, out=None if options.out is None else Path(options.out),
        overwrite=options.overwrite, anonymous=options.anonymous,
        lpips=tuple(options.lpips_weights.split(",")) if options.lpips_weights else (),
        features=(options.features, options.reference_features), progress=progress,
    )
    for line in scored.lines:
        say_answer(line)
    return _exit(scored.failed, "the others are scored")


def _exit(failed: Mapping[str, str], then: str) -> int:
    """0, or 1 with a sentence on what failed."""
    if failed:
        name, why = next(iter(failed.items()))
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        complain(f"medrestore evaluate: error: {name}{more} failed ({COMMAND.mentions(why)}); {then}")
    return 1 if failed else 0


def _devices(options: Options) -> tuple[str, ...]:
    """Where the tasks run, said where it was not given."""
    from ..devices import default_device

    if options.device is not None:
        return tuple(usable_device(name) for name in options.device.split(","))
    device = "cpu" if options.scheduler_file else default_device()
    say(f"on {device}")
    return (device,)


def _study_files() -> Mapping[str, type]:
    from ..study.config import PictureConfig, ScanConfig, SceneConfig

    return {"study of scans": ScanConfig, "study of pictures": PictureConfig, "study of scenes": SceneConfig}


COMMAND = Command("evaluate", Options, run, __doc__, files=_study_files)
