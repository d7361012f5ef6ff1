"""What everything costs beside its peers, side by side in one run: `python benchmarks/speed.py`.

Every contender is checked against the others before it is timed. Times depend on the machine; the ratios are the result.
With one thread (`--threads 1`) time of the processor is counted, which other work on the machine hardly changes; with
more, time on the wall. Every run is added to benchmarks/results/speed.json. With `--write` the newest of each part goes into
docs/speed.md and docs/speed.png; `--page` does the same and measures nothing.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import speed_timing
import torch
from fill import fill
from speed_cases import QUICK, Size
from speed_classical import classical_rows
from speed_encoding import calibration_rows, normal_rows
from speed_nufft import nufft_rows
from speed_peers import Bart
from speed_plot import plot
from speed_runs import memory_rows, run_rows
from speed_steps import step_rows
from speed_timing import Row, notes

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "speed.json"
PARTS: dict[str, Callable[[Size], list[Row]]] = {
    "maps": calibration_rows, "normal": normal_rows, "trajectories": nufft_rows, "steps": step_rows, "classical": classical_rows,
    "runs": run_rows, "memory": memory_rows,  # these keep freed memory, so they come last
}
PACKAGES = ("medrestore", "torch", "numpy", "scipy", "sigpy", "diffusers", "deepinv", "mrpro", "finufft", "mri-nufft")


def versions() -> dict[str, str | None]:
    """Of everything that takes part; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found | {"bart": Bart.version()}


def measure(parts: list[str], size: Size, path: Path) -> list[dict[str, Any]]:
    """One run, added to those of a file after each part; returns them all."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    run = {"when": datetime.now(UTC).strftime("%Y-%m-%d"), "threads": torch.get_num_threads(), "cores": os.cpu_count(),
           "architecture": platform.machine(), "rounds": speed_timing.ROUNDS, "versions": versions(), "parts": {}}
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in [part for part in PARTS if part in parts]:
        rows = PARTS[part](size)
        print("\n".join(row.line() for row in rows), flush=True)
        run["parts"][part] = [row.stored() for row in rows]
        aside = path.with_name(f"{path.name}.part")
        aside.write_text(json.dumps([*earlier, run], indent=1) + "\n", encoding="utf-8")
        aside.replace(path)
    return [*earlier, run]


def newest(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The last run, its parts completed by those of earlier ones on as many threads."""
    last, parts, used = runs[-1], {}, {}
    for run in runs:
        if run["threads"] == last["threads"]:
            parts |= run["parts"]
            used |= {name: version for name, version in run["versions"].items() if version is not None}
    return {**last, "versions": used, "parts": {part: parts[part] for part in PARTS if part in parts}}


def rows_of(run: dict[str, Any]) -> list[Row]:
    """All rows of a run."""
    return [Row(**row) for rows in run["parts"].values() for row in rows]


def heading(run: dict[str, Any]) -> str:
    """Under which conditions, and how many aims are reached."""
    ratios = [ratio for row in rows_of(run) for ratio in row.ratios if ratio.aim is not None]
    reached = sum(ratio.reached for ratio in ratios)
    counted = "Processor time on 1 CPU thread" if run["threads"] == 1 else f"{run['threads']} CPU threads"
    return (f"Data steps: 15 coils, 320 x 320, 4x along one axis. {counted}; medians of up to {run['rounds']} rounds, contenders "
            f"taking turns (`python benchmarks/speed.py`). {reached} of {len(ratios)} aims are reached.")


def table(run: dict[str, Any]) -> str:
    """The rows as Markdown, with ratios to the first contender, and what has to be said below."""
    rows = rows_of(run)
    used = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return "\n".join([heading(run), "", "| work | time | ratio to the first |", "|---|---|---|", *(row.line() for row in rows),
                      "", " ".join([f"{used}.", *notes(rows)])])


def write_pages(run: dict[str, Any]) -> None:
    """The plot and the table of docs/speed.md."""
    plot(rows_of(run), ROOT / "docs" / "speed.png")
    picture = "![Each ratio as a bar, and what was aimed at as a mark](speed.png)"
    fill(ROOT / "docs" / "speed.md", "speed", f"{picture}\n\n{table(run)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/speed.md and docs/speed.png")
    parser.add_argument("--page", action="store_true", help="the same from what was measured before")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="everything small, to see that it runs; kept in build/")
    parser.add_argument("--out", type=Path, help="the file of all runs; with --quick a folder for everything")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.quick:
        speed_timing.ROUNDS = 1
        folder = chosen.out or ROOT / "build" / "speed-quick"
        run = newest(measure(chosen.only, QUICK, folder / "speed.json"))
        (folder / "speed.md").write_text(f"{table(run)}\n", encoding="utf-8")
        plot(rows_of(run), folder / "speed.png")
        return
    path = chosen.out or RESULTS
    run = newest(json.loads(path.read_text(encoding="utf-8")) if chosen.page else measure(chosen.only, Size(), path))
    print(table(run))
    if chosen.write or chosen.page:
        write_pages(run)


if __name__ == "__main__":
    main()
