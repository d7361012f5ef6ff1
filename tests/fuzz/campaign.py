"""Many damaged files for each reader, in processes of their own: `python -m fuzz.campaign --mutants 10000 -o folder`.

The result is `campaign.json`, one entry a reader: the seed, how many files were read and refused, and the numbers of those that
went wrong. The same command goes on where the folder stands. `python -m fuzz.campaign --again
"fastMRI" 17` reads the 17th again, in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from medrestore.errors import InputError

from .mutations import mutant
from .readers import READERS, Reader, is_finite

SEED = 20
SECONDS = 60  # of computing that a file of some kilobytes may take here; what the child computes is limited there
WAITING = 900  # seconds in all, on a busy machine
GROWTH = 600 << 20  # bytes of memory that it may take
HANGS = (signal.SIGPROF, signal.SIGALRM)  # that end a process which takes longer
KINDS = ("read", "refused", "foreign", "not finite", "memory", "hang", "death")


def outcome(reader: Reader, path: Path) -> str:
    """`read`, `refused`, `not finite`, or the exception that none of ours is."""
    try:
        finite = [is_finite(value) for value in reader.read(path)]
        return "read" if all(finite) else "not finite"
    except InputError as error:
        text = str(error)
        return "refused" if len(text) < 2000 else f"foreign a message of {len(text)} characters"
    except Exception as error:
        return f"foreign {type(error).__name__}: {error}"


def tried(reader: Reader, whole: list[Path], number: int, seed: int = SEED) -> str:
    """The outcome of one damaged file, which takes the place of a whole one for that time."""
    path = whole[number % len(whole)]
    data = path.read_bytes()
    path.write_bytes(mutant(data, seed, list(READERS).index(reader.name), number))
    try:
        return outcome(reader, path)
    finally:
        path.write_bytes(data)


def work(name: str, first: int, last: int, seconds: float) -> None:
    """Tries mutants, printing each number before and its outcome behind it; ends where memory has grown too far."""
    reader = READERS[name]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        whole = reader.samples(Path(folder))
        assert [outcome(reader, path) for path in whole] == ["read"] * len(whole), f"{name}: whole samples are not read"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for late in HANGS:
            signal.signal(late, signal.SIG_DFL)
        stop = time.time() + seconds
        for number in range(first, last):
            if time.time() > stop:
                return
            print(number, end=" ", flush=True)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(WAITING)
            found = tried(reader, whole, number)
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 > GROWTH:
                print("memory", flush=True)
                return
            print(" ".join(found.split())[:300], flush=True)


def campaign(name: str, mutants: int, seconds: float, first: int = 0) -> dict[str, Any]:
    """The counts of a reader; its worker is forked again where it ended early."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    number, start = first, time.time()
    while number < mutants and (left := start + seconds - time.time()) > 0:
        lines, code = forked(name, number, mutants, left)
        if not lines:
            raise SystemExit(f"{name}: no mutant was tried (exit code {code})")
        for line in lines:
            word, _, found = line.partition(" ")
            kind = found.split(" ")[0] if found.startswith("foreign") else found
            if not kind:
                kind = "hang" if -code in HANGS else "death"
                found = f"{kind} {code}"
            counts[kind] += 1
            if kind not in ("read", "refused"):
                examples.setdefault(kind, []).append(f"{word} {found}")
            number = int(word) + 1
    return {"seed": SEED, "first": first, "tried": sum(counts.values()), "seconds": round(time.time() - start)} | {
        kind: counts[kind] for kind in KINDS} | {"examples": {kind: found[:40] for kind, found in examples.items()}}


def added(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Counts of two runs, the second of which went on where the first had ended."""
    numbers = {key: before.get(key, 0) + now[key] for key in ("tried", "seconds", *KINDS)}
    found: dict[str, list[str]] = {key: list(lines) for key, lines in before.get("examples", {}).items()}
    for kind, lines in now["examples"].items():
        found[kind] = (found.get(kind, []) + lines)[:40]
    return now | {"first": before["first"]} | numbers | {"examples": found}


def forked(name: str, first: int, last: int, seconds: float) -> tuple[list[str], int]:
    """The lines that `work` prints in a process of its own, and how that ended."""
    with tempfile.TemporaryFile("w+") as file:
        process = os.fork()
        if process == 0:
            os.dup2(file.fileno(), 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            work(name, first, last, seconds)
            sys.stdout.flush()
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        file.seek(0)
        return file.read().splitlines(), code


def table(result: dict[str, dict[str, Any]]) -> str:
    """The counts in Markdown."""
    head = ("reader", "mutants", *KINDS)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {name} | {' | '.join(str(found[key]) for key in ('tried', *KINDS))} |" for name, found in result.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3600.0, help="for each reader")
    parser.add_argument("--readers", nargs="*", default=list(READERS))
    parser.add_argument("-o", "--out", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--again", nargs=2)
    given = parser.parse_args()
    if given.again:
        again(given.again[0], int(given.again[1]))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    place = given.out / "campaign.json"
    result = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    for name in given.readers:
        before = result.get(name, {"first": given.first, "tried": 0})
        result[name] = added(before, campaign(name, given.mutants, given.seconds, before["first"] + before["tried"]))
        place.write_text(json.dumps(result, indent=1), encoding="utf-8")
        print(name, {key: value for key, value in result[name].items() if key != "examples"}, flush=True)
    print(table({name: result[name] for name in READERS if name in result}))


def again(name: str, number: int) -> None:
    """Reads one mutant with its traceback."""
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = (whole := reader.samples(Path(folder)))[number % len(whole)]
        path.write_bytes(mutant(path.read_bytes(), SEED, list(READERS).index(name), number))
        Path("mutant" + path.suffix).write_bytes(path.read_bytes())
        for value in reader.read(path):
            print(type(value).__name__, getattr(value, "shape", value), "" if is_finite(value) else "NOT FINITE")


if __name__ == "__main__":
    main()
