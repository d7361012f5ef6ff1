"""What the engine of `medrestore evaluate` costs: `python benchmarks/engine.py [--tasks 200 --seconds 1 --workers 2]`.

Tasks that only sleep, spread over workers of this machine: the time from the call to its return, the start and the end of the
workers included, over the time of the sleep alone.
"""

import argparse
import json
import math
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from medrestore.tasks.run import Task, run

RESULTS = Path(__file__).parent / "results" / "engine.json"


@dataclass(frozen=True)
class Sleep:
    """Sleeps, and writes a small file."""

    seconds: float

    def __call__(self, task: Task, folder: Path, device: str) -> None:
        time.sleep(self.seconds)
        (folder / "number.txt").write_text(f"{task.what}\n")


def measure(count: int, seconds: float, workers: int) -> dict[str, float]:
    """Seconds of a run of `count` tasks, of the same run when all is whole, and the first over the sleep."""
    tasks = [Task(f"task-{number}", str(number), f"group-{number}", number) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        spent = []
        for _ in range(2):
            began = time.perf_counter()
            found = run(tasks, Sleep(seconds), Path(folder), workers=workers)
            spent.append(time.perf_counter() - began)
        if len(found.skipped) != count:
            raise RuntimeError(f"{count - len(found.skipped)} of {count} tasks were not made")
    ideal = math.ceil(count / max(1, workers)) * seconds
    return {"tasks": count, "seconds_of_a_task": seconds, "workers": workers, "ideal_seconds": ideal,
            "seconds": round(spent[0], 3), "ratio": round(spent[0] / ideal, 4), "resume_seconds": round(spent[1], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    result = measure(args.tasks, args.seconds, args.workers) | {"cores": os.cpu_count(), "load_before": busy}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{args.tasks} tasks of {args.seconds:g} s, {args.workers} workers: {result['seconds']:.1f} s, "
          f"{result['ratio']:.3f} of the {result['ideal_seconds']:g} s that the sleep takes; "
          f"{result['resume_seconds']:.2f} s when all is whole")


if __name__ == "__main__":
    main()
