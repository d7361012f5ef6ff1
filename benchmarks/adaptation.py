"""What `recon --adapt` gains on images of kinds that the prior has not seen, and on those it knows: the table of docs/mri.md.

    python benchmarks/adaptation.py VOLUMES.npz                  # subjects 55 to 57 and phantoms 5 to 7, held out
    python benchmarks/adaptation.py VOLUMES.npz --validation     # subjects 48 to 50 and phantoms 0 to 2: prints only
    python benchmarks/adaptation.py VOLUMES.npz --scan raw_data.mat   # a real scan beside

Scans are those of prior_misfit.py. The updates and the share of the held-out error that decides were chosen on the subjects of
validation.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fill import fill
from prior_misfit import INVERTED, KNOWN, MASKS, PHANTOM, STEPS, Case, at_2mm, inverted, phantom, psnr, scan_of
from quality import SCAN_CASES

from medrestore.datasets.brain import EMPTY, load_volumes
from medrestore.io import read_kspace
from medrestore.priors import Prior, load
from medrestore.recon.adaptation import BETTER, adaptation
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared
from medrestore.recon.settle import settled

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "adaptation.csv"
HELD_OUT, VALIDATION = (range(55, 58), range(5, 8)), (range(48, 51), range(3))
REAL = "real 16-coil brain"


def cases(volumes: Path, subjects: range, phantoms: range) -> Iterator[Case]:
    """A slice of each subject, known and inverted, and the phantoms."""
    known = load_volumes(volumes)
    for subject in subjects:
        slices = known[subject][known[subject].mean((1, 2)) > EMPTY]
        image = at_2mm(slices[len(slices) // 2])
        yield Case(KNOWN, image, 10 * subject)
        yield Case(INVERTED, inverted(image), 10 * subject)
    for number in phantoms:
        yield Case(PHANTOM, at_2mm(phantom(number)), number)


def measured(kind: str, ready: Prepared, prior: Prior, plan: Plan) -> dict[str, Any]:
    """A row: PSNR with the prior as it is, by `--adapt`, with the adapted prior whether it is used or not, and of L1-wavelet."""
    found = adaptation(ready, prior, plan, better=float("inf"))
    assert found.prior is not None
    as_it_is, fitted = psnr(ready, prior, plan), psnr(ready, found.prior, plan)
    ratio = found.errors["adapted"] / found.errors["as it is"]
    used = ratio <= BETTER
    classic = settled(lambda: ready, prior, Plan("l1-wavelet", undersample=plan.undersample)).plan
    return {"kind": kind, "mask": plan.undersample.kind if plan.undersample else "", "as it is": round(as_it_is, 2),
            "adapted": round(fitted, 2), "ratio": round(ratio, 3), "used": int(used),
            "by --adapt": round(fitted if used else as_it_is, 2), "L1-wavelet": round(psnr(ready, prior, classic), 2)}


def rows(chosen: argparse.Namespace, prior: Prior) -> Iterator[dict[str, Any]]:
    subjects, phantoms = VALIDATION if chosen.validation else HELD_OUT
    plans = [Plan(steps=STEPS, undersample=Undersampling(*mask), adapt=True) for mask in MASKS]  # type: ignore[arg-type]
    for number, case in enumerate(cases(chosen.volumes, subjects, phantoms)):
        plan = plans[(number // 2 if case.kind != PHANTOM else number) % 2]
        yield measured(case.kind, prepare(scan_of(case), plan), prior, plan)
    if chosen.scan is not None:
        with read_kspace(chosen.scan, dataset="raw", axes=("coil", "slice", "col", "row")) as file:
            scan = file[len(file) // 2]
        for mask in SCAN_CASES:
            plan = Plan(undersample=Undersampling(*mask), adapt=True)  # type: ignore[arg-type]
            yield measured(REAL, prepare(scan, plan), prior, plan)


def table(found: list[dict[str, Any]]) -> str:
    """A line for each kind of image."""
    lines = ["| image | scans | adapted | HQS with the prior as it is, dB | gain by `--adapt`, dB | "
             "gain if it were always used, dB | L1-wavelet, dB |", "|---" * 7 + "|"]
    for kind in dict.fromkeys(row["kind"] for row in found):
        own = [row for row in found if row["kind"] == kind]
        gains = [[row[name] - row["as it is"] for row in own] for name in ("by --adapt", "adapted")]
        spans = [", ".join(f"{gain:+.2f}" for gain in gain_of) for gain_of in gains]
        plain, classic = (", ".join(f"{row[name]:.1f}" for row in own) for name in ("as it is", "L1-wavelet"))
        used = sum(row["used"] for row in own)
        lines.append(f"| {kind} | {len(own)} | {used} | {plain} | {spans[0]} | {spans[1]} | {classic} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", type=Path, help="an .npz with `vol`, uint8 (subject, x, y, slice)")
    parser.add_argument("--validation", action="store_true", help="on the subjects that the constants were chosen on")
    parser.add_argument("--scan", type=Path, help="a fully sampled scan (coil, slice, col, row) of the HDF5 data set raw")
    chosen = parser.parse_args()
    found = []
    for row in rows(chosen, load("brain-mr-starter", bf16=True)):
        found.append(row)
        print(row, flush=True)
    if chosen.validation:
        print(table(found))
        return
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    fill(ROOT / "docs/mri.md", "adaptation", table(found))


if __name__ == "__main__":
    main()
