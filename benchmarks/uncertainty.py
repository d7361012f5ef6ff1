"""The factor of `recon --uncertainty`: coverage of the spread, before and after, on brains never used.

    python benchmarks/uncertainty.py VOLUMES.npz

Scans are simulated at 2 mm with 8 coils and noise at 30 dB. Validation subjects, two slices each, calibrate; the middle slices of
held-out subjects test. Writes benchmarks/results/uncertainty.csv and the table of docs/uncertainty.md.
"""

import argparse
import csv
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from fill import fill
from prior_misfit import Case, at_2mm, scan_of
from torch import Tensor

from medrestore.datasets.brain import EMPTY, load_volumes
from medrestore.evaluation import needed_factor
from medrestore.priors import Prior, load
from medrestore.recon.interval import UNCERTAINTY
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.restoring import restore_slice

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "uncertainty.csv"
MASKS = (("uniform1d", 3.0, 14), ("poisson2d", 6.0, None))
CALIBRATION, TEST = range(48, 52), range(52, 60)
FACTORS = tuple(round(1 + 0.05 * step, 2) for step in range(161))


def measured(split: str, case: Case, mask: tuple[str, float, int | None], prior: Prior) -> dict[str, Any]:
    """A row: the factor that 90 % of the pixels need, and the shares of pixels within so many std."""
    plan = Plan(**UNCERTAINTY, undersample=Undersampling(*mask))  # type: ignore[arg-type]
    ready = prepare(scan_of(case), plan)
    made = restore_slice(ready, prior, plan)
    assert made.reference is not None
    inside = ready.shown(torch.ones_like(ready.gain[0, 0])).abs() > 0
    samples = made.samples.abs()
    needed = needed_factor(samples, made.reference, share=0.9, inside=inside)
    error = ((samples.mean(0) - made.reference).abs() / samples.std(0))[inside]
    return {"split": split, "mask": mask[0], "case": case.seed, "needed": float(needed)} | {
        f"{factor:g}": share(error, factor) for factor in FACTORS}


def share(error: Tensor, factor: float) -> float:
    """Of the pixels whose error is at most so many std."""
    return round(float((error <= factor).float().mean()), 4)


def cases(volumes: Path) -> list[tuple[str, Case]]:
    """Calibration and test images, in turn."""
    subjects = load_volumes(volumes)

    def case(subject: int, offset: int) -> Case:
        slices = subjects[subject][subjects[subject].mean((1, 2)) > EMPTY]
        return Case("brain", at_2mm(slices[len(slices) // 2 + offset]), 10 * subject + offset)

    known = [("calibration", case(subject, offset)) for offset in (-2, 2) for subject in CALIBRATION]
    return [one for pair in zip(known, [("test", case(subject, 0)) for subject in TEST], strict=True) for one in pair]


def table(rows: list[dict[str, Any]]) -> tuple[float, str]:
    """The factor that half of the calibration images need at most, and what it covers on the others."""
    factor = median(float(row["needed"]) for row in rows if row["split"] == "calibration")
    nearest = min(FACTORS, key=lambda one: abs(one - factor))
    lines = ["| mask | images | mean ± 1.645 std | mean ± factor · std | least and most of an image |", "|---" * 5 + "|"]
    for mask in dict.fromkeys(row["mask"] for row in rows):
        own = [row for row in rows if row["split"] == "test" and row["mask"] == mask]
        if own:
            after = [float(row[f"{nearest:g}"]) for row in own]
            before = fmean(float(row["1.65"]) for row in own)
            lines.append(f"| {mask} | {len(own)} | {before:.2f} | {fmean(after):.2f} | {min(after):.2f} to {max(after):.2f} |")
    return factor, "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", type=Path, help="an .npz with `vol`, uint8 (subject, x, y, slice)")
    chosen = parser.parse_args()
    prior, rows = load("brain-mr-starter", bf16=True), []
    for split, case in cases(chosen.volumes):
        rows += [measured(split, case, mask, prior) for mask in MASKS]
        print(*({name: row[name] for name in ("split", "mask", "case", "needed", "1.65", "3")} for row in rows[-2:]), flush=True)
        with RESULTS.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    factor, lines = table(rows)
    print(f"factor {factor:.3g}")
    fill(ROOT / "docs/uncertainty.md", "intervals", f"Factor {factor:.2f}.\n\n{lines}")


if __name__ == "__main__":
    main()
