"""Methods compared on a data set, from a config to tables; or the scores of outputs that exist.

Examples:
  medrestore evaluate configs/evaluate/quick.yaml -o quick/
  medrestore evaluate configs/evaluate/dds-study.yaml data.volumes=volumes.npz validation.volumes=volumes.npz -o study/ --dry-run
  medrestore evaluate my.yaml methods.DDS.steps=50 -o study/ --workers 8
  medrestore evaluate my.yaml -o study/ --shard 3/16
  medrestore evaluate images/ --reference multicoil_val/ --protocol fastmri -o scores/
  medrestore evaluate restored/ --reference DREAMING_part1.zip --protocol dreaming-official -o scores/

A study that was stopped goes on with the same command. A method that is added later does not run the others again.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from ..errors import InputError
from ..settings import override, suggested
from ..study.config import PROTOCOLS
from .config import read
from .options import usable_device
from .terminal import Help, Intermixed, progress, say

YAML = (".yaml", ".yml")
VALUED = ("-o", "--out", "--workers", "--scheduler-file", "--shard", "--device", "--reference", "--protocol", "--lpips-weights",
          "--features", "--reference-features")


def parser() -> ArgumentParser:
    """The options of `evaluate`."""
    p = Intermixed(description=__doc__, formatter_class=Help, exit_on_error=False, valued=VALUED)
    add = p.add_argument
    add("what", type=str, help="YAML of a study, as in configs/evaluate/; or outputs to score: a file or a folder of them")
    add("settings", type=str, nargs="*", default=[], help="key=value to set in the study, dots leading inwards")
    add("-o", "--out", type=str | None, default=None, help="folder of the outputs; a study needs one")
    add("--workers", type=int, default=0, help="processes on this machine; 0 works in this one")
    add("--scheduler-file", dest="scheduler_file", type=str | None, default=None, help="of a running dask cluster")
    add("--shard", type=str, default="1/1", help="i/n: the i-th of n parts, for job arrays; the last one writes the tables")
    add("--retry-failed", dest="retry_failed", action="store_true", help="try again what has failed before")
    add("--dry-run", dest="dry_run", action="store_true", help="how many tasks, about how long and how large; writes nothing")
    add("--device", type=str, default="cpu", help="cpu, cuda, mps; several for workers in turn, as cuda:0,cuda:1")
    add("--reference", type=str | None, default=None, help="what outputs are scored against: fastMRI files, pictures or DREAMING")
    add("--protocol", type=str | None, default=None, help=f"how outputs are scored: {', '.join(PROTOCOLS)}")
    add("--lpips-weights", dest="lpips_weights", type=str | None, default=None,
        help="AlexNet's weights and LPIPS's heads: a file with both, or two, as alexnet.pth,heads.pth")
    add("--features", type=str | None, default=None, help=".npz of Inception features of the outputs, an array a scene, for FID")
    add("--reference-features", dest="reference_features", type=str | None, default=None, help="the same of the true frames")
    return p


def run(options: Namespace) -> int:
    """Runs a study or scores outputs; 0, or 1 when something failed."""
    if Path(options.what).suffix in YAML:
        return _study(options)
    return _scores(options)


def _study(options: Namespace) -> int:
    for name in ("reference", "protocol", "features", "reference_features", "lpips_weights"):
        if options[name] is not None:
            raise InputError(f"--{name.replace('_', '-')} is for outputs that exist; a study says it in {options.what}")
    if options.out is None:
        raise InputError("give -o, the folder of the study")
    given = read(Path(options.what))
    override(given, options.settings)
    devices = tuple(usable_device(name) for name in options.device.split(","))
    shard = _shard(options.shard)

    from ..study.config import read as build
    from ..study.estimate import estimate
    from ..study.run import Running, open_study, run_study

    study = open_study(build(given, options.what), options.what, Path(options.out), remember=not options.dry_run)
    if options.dry_run:
        for line in estimate(study, devices[0], workers=max(options.workers, 1)):
            say(line)
        return 0
    command = shlex.join(["medrestore", "evaluate", options.what, *options.settings])
    result = run_study(study, Running(
        workers=options.workers, scheduler_file=Path(options.scheduler_file) if options.scheduler_file else None, shard=shard,
        retry_failed=options.retry_failed, devices=devices, command=command, say=say, progress=progress,
    ))
    return _exit(result.failed, f"see {study.out / ('failed.jsonl' if shard == (1, 1) else 'failed-*.jsonl')}; "
                                "--retry-failed tries again")


def _scores(options: Namespace) -> int:
    if options.settings:
        raise InputError(f"{options.settings[0]!r} is for a study, and {options.what} is no .yaml; leave it out")
    missing = [f"--{name}" for name in ("reference", "protocol") if options[name] is None]
    if missing:
        raise InputError(f"{options.what} is no .yaml of a study, and to score outputs {' and '.join(missing)} is needed")
    if options.protocol not in PROTOCOLS:
        raise InputError(f"there is no protocol {options.protocol!r}; {suggested('', options.protocol, PROTOCOLS)}")

    from ..study.score_files import Scored, score_outputs

    scored: Scored = score_outputs(
        Path(options.what), Path(options.reference), options.protocol, out=None if options.out is None else Path(options.out),
        lpips=tuple(options.lpips_weights.split(",")) if options.lpips_weights else (),
        features=(options.features, options.reference_features), progress=progress,
    )
    for line in scored.lines:
        say(line)
    return _exit(scored.failed, "the others are scored")


def _exit(failed: Mapping[str, str], then: str) -> int:
    """0, or 1 with a sentence on what failed."""
    if failed:
        name, why = next(iter(failed.items()))
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        print(f"medrestore evaluate: error: {name}{more} failed ({why}); {then}", file=sys.stderr)
    return 1 if failed else 0


def _shard(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    if not (slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise InputError(f"--shard takes i/n, as 3/16, got {text!r}")
    return int(first), int(last)
