"""What turning the images of a prior's calls over is worth: the table of docs/priors.md.

    python benchmarks/symmetries.py --volumes VOLUMES.npz --scan raw_data.mat

Validation subjects 48 and 50, degraded as in images.py, and the real 16-coil scan of quality.py; the default methods, PSNR in dB.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from fill import fill
from images import TASKS, scores, slices
from prior_misfit import psnr
from quality import SCAN_CASES

from medrestore.images.plan import Plan as ImagePlan
from medrestore.io import read_kspace
from medrestore.priors import NetworkPrior, load
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.settle import settled

PAGE = Path(__file__).parents[1] / "docs" / "priors.md"
SHOWN = ("denoise", "sr 2", "sr 2, noise", "sr 4", "deblur, Gaussian 1.5", "deblur, motion 9", "inpaint", "cs, pixels 25 %",
         "cs, Walsh-Hadamard 25 %", "jpeg, quality 10", "saturation, gain 2")


def rows(volumes: Path, scan: Path, priors: tuple[NetworkPrior, NetworkPrior]) -> Iterator[list[str]]:
    """A line for each task: without, and with."""
    with read_kspace(scan, dataset="raw", axes=("coil", "slice", "col", "row")) as file:
        middle = file[len(file) // 2]
    for kind, accel, lines in SCAN_CASES:
        plan = Plan(undersample=Undersampling(kind, accel, lines))
        ready = prepare(middle, plan)
        plan = settled(lambda ready=ready: ready, priors[0], plan).plan
        name = f"real scan, {kind} {accel}x" + (f", {lines} lines" if lines else "")
        yield [name, *(f"{psnr(ready, prior, plan):.2f}" for prior in priors)]
    clean = slices(volumes, [48, 50], (128, 128))
    for task in SHOWN:
        noise = f", noise {TASKS[task].noise:g}" if TASKS[task].noise and "noise" not in task else ""
        yield [task + noise, *(f"{scores(clean, TASKS[task], ImagePlan(), prior)[0]['restored']:.2f}" for prior in priors)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=Path, required=True)
    parser.add_argument("--scan", type=Path, required=True)
    options = parser.parse_args()
    plain, turned = (load("brain-mr-starter", bf16=True) for _ in range(2))
    plain.symmetries = ()
    found = []
    for row in rows(options.volumes, options.scan, (plain, turned)):
        print(*row, flush=True)
        found.append(row)
    lines = ["| | as they lie, dB | turned over, dB |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in found)]
    fill(PAGE, "symmetries", "\n".join(lines))


if __name__ == "__main__":
    main()
