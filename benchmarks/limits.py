"""Commands on a machine that has little of something: `PYTHONPATH=tests python benchmarks/limits.py` (as root; Linux).

Each command of `kills.py`, and the short ones, runs in a process of its own: on a small disk (a tmpfs), on one that may not be
written, without a home, with 64 file descriptors, with 2 GiB of address space beside the loaded libraries,
and twice at once on one output. Printed for each: the exit code, whether anything but one sentence was said, what was lost of the
user's files beside, and what was left.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from helpers.checkpoints import CASES
from kills import BYSTANDERS, fresh, kinds, start, warm
from PIL import Image

from medrestore.evaluation.tables import write_rows

RESULTS = Path(__file__).parent / "results" / "limits.json"
DISKS = (4, 100, 300)  # kB


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    Attributes:
        code: of its exit.
        sentences: lines on stderr.
        traceback: whether it said one.
        lost: files of the user that are gone or changed.
        left: what is there beside them, when the command failed.
    """

    code: int
    sentences: list[str]
    traceback: bool
    lost: list[str]
    left: list[str]

    def __str__(self) -> str:
        kept = [name for name in self.left if not name.endswith("/")]
        parts = [str(self.code)]
        if self.code != 0:
            parts += [f"{len(self.sentences)} sentences" if len(self.sentences) != 1 else "one sentence",
                      f"left: {', '.join(kept[:3])}" if kept else "nothing left"]
        return ", ".join([*parts, *(["TRACEBACK"] if self.traceback else []), *([f"LOST {self.lost}"] if self.lost else [])])


def commands(inputs: Path) -> dict[str, list[str]]:
    """The command lines by name; OUT stands for a folder."""
    found = {kind.name: list(kind.words) for kind in kinds(inputs)}
    shapes, options, _ = CASES["knee"]
    generator = torch.Generator().manual_seed(0)
    torch.save({key: 0.05 * torch.randn(shape, generator=generator) for key, shape in shapes.items()}, inputs / "knee.pt")
    found["degrade"] = ["degrade", f"{inputs}/noisy.tif", "--task", "deblur", "--blur-std", "2", "-o", "OUT/blurred.tif"]
    found["generate"] = ["generate", "--prior", f"{inputs}/pictures-prior", "--height", "48", "--width", "64", "--steps", "4",
                         "-o", "OUT/made.tif"]
    found["convert"] = ["convert", f"{inputs}/knee.pt", "-o", "OUT/prior", *(word for key, value in options.items()
                                                                          for word in ("--set", f"{key}={value}"))]
    rows = [{"case": f"c{n}", "patient": f"p{n}", "slice": n, "setting": "4x", "method": "DDS", "seed": 0, "psnr": 30.0 + n,
             "protocol": "fastmri-slice", "data_range": 1.0} for n in range(200)]
    write_rows(inputs / "rows.csv", rows)
    found["compare"] = ["compare", f"{inputs}/rows.csv", f"{inputs}/rows.csv", "-o", "OUT/table.csv"]
    for folder in ("made", "truth"):
        (inputs / folder).mkdir()
        for name in "abc":
            Image.fromarray(np.arange(24 * 40, dtype=np.uint8).reshape(24, 40)).save(inputs / folder / f"{name}.png")
    found["evaluate outputs"] = ["evaluate", f"{inputs}/made", "--reference", f"{inputs}/truth", "--protocol", "natural",
                                 "-o", "OUT/scores"]
    return found


def outcome(words: Sequence[str], out: Path, log: Path, before: Callable[[], None] = lambda: None) -> Outcome:
    """Runs a command; `before` is called in its process."""
    pid = start([word.replace("OUT", str(out)) for word in words], log, before)
    _, status = os.waitpid(pid, 0)
    return judged(out, log, os.waitstatus_to_exitcode(status))


def judged(out: Path, log: Path, code: int) -> Outcome:
    """What a command that has ended has left."""
    said = log.read_text(errors="replace").splitlines()
    lost = [name for name in BYSTANDERS if not (out / name).is_file() or (out / name).read_text() != "mine"]
    left = [str(path.relative_to(out)) + ("/" if path.is_dir() else "") for path in sorted(out.rglob("*"))
            if path.name not in BYSTANDERS] if code != 0 else []
    return Outcome(code, [line for line in said if line.startswith("medrestore ") and ": error: " in line],
                   any("Traceback" in line for line in said), lost, left)


def on_a_disk(words: Sequence[str], folder: Path, log: Path, size: int, *, writable: bool = True) -> Outcome:
    """On a disk with room for so many kB."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size + 4 * len(BYSTANDERS)}k", "tmpfs", folder], check=True)
    try:
        out = fresh(folder / "out")
        if not writable:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        return outcome(words, out, log)
    finally:
        subprocess.run(["umount", folder], check=True)


def without_home(words: Sequence[str], folder: Path, log: Path) -> Outcome:
    """Without HOME, and with one that cannot be written."""
    def before() -> None:
        for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
            os.environ.pop(name, None)
        os.environ["HOME"] = "/proc/none"

    return outcome(words, fresh(folder), log, before)


def with_few_files(words: Sequence[str], folder: Path, log: Path) -> Outcome:
    """With 64 file descriptors."""
    return outcome(words, fresh(folder), log, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))


def with_2_gib(words: Sequence[str], folder: Path, log: Path) -> Outcome:
    """With 2 GiB of address space beside what the loaded libraries have."""
    def before() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (2 << 30)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    return outcome(words, fresh(folder), log, before)


def twice(words: Sequence[str], folder: Path, log: Path) -> tuple[Outcome, Outcome]:
    """Two at once on one output."""
    out = fresh(folder)
    logs = [log, log.with_suffix(".second")]
    pids = [start([word.replace("OUT", str(out)) for word in words], one) for one in logs]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    first, second = (judged(out, one, code) for one, code in zip(logs, codes, strict=True))
    return first, second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="commands whose name begins so")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)  # a process with threads cannot be forked safely
    warm()
    rows: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        inputs, log = root / "inputs", root / "log"
        inputs.mkdir()
        limits: dict[str, Callable[[Sequence[str], Path], object]] = {
            "none": lambda words, folder: outcome(words, fresh(folder), log),
            **{f"a disk of {size} kB": lambda words, folder, size=size: on_a_disk(words, folder, log, size) for size in DISKS},
            "a disk that may not be written": lambda words, folder: on_a_disk(words, folder, log, 1000, writable=False),
            "no HOME": lambda words, folder: without_home(words, folder, log),
            "64 file descriptors": lambda words, folder: with_few_files(words, folder, log),
            "2 GiB of address space": lambda words, folder: with_2_gib(words, folder, log),
            "two runs at once": lambda words, folder: twice(words, folder, log),
        }
        for number, (command, words) in enumerate(commands(inputs).items()):
            if not command.startswith(given.only):
                continue
            rows[command] = {}
            for limit, run in limits.items():
                folder = root / f"{number}-{len(rows[command])}"
                with suppress(FileNotFoundError):
                    log.unlink()
                found = run(words, folder)
                rows[command][limit] = "; ".join(map(str, found)) if isinstance(found, tuple) else str(found)
                print(f"{command} | {limit} | {rows[command][limit]}", flush=True)
                first = found[0] if isinstance(found, tuple) else found
                for line in first.sentences[:1]:
                    print(f"    {line.replace(str(root), '')}", flush=True)
    given.out.parent.mkdir(exist_ok=True, parents=True)
    given.out.write_text(json.dumps(rows, indent=1) + "\n")
    if any("TRACEBACK" in text or "LOST" in text for row in rows.values() for text in row.values()):
        sys.exit(f"see {given.out}")


if __name__ == "__main__":
    main()
