"""Does `recon` know when a prior does not fit? Writes the table of docs/mri.md.

    python benchmarks/prior_misfit.py VOLUMES.npz

Scans are simulated at 2 mm with 8 coils and noise at 30 dB: brains of validation subjects as they are (known), with inverted
contrast, and phantoms of bars and discs. For each the check of `recon` runs (`recon.fit`); for images of other kinds also
the plan itself and L1-wavelet with its automatic weight on all samples, scored against the truth: a warning is right where
L1-wavelet wins. A prior that believes in nearly empty images stands for one that knows nothing of heads.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fill import fill
from torch import Tensor

from medrestore.datasets.brain import EMPTY, load_volumes
from medrestore.fft import fft2c, ifft2c
from medrestore.io import Scan
from medrestore.mri import add_smooth_phase, simulate_scan, simulated_maps
from medrestore.priors import Prior, load
from medrestore.priors.base import WrappedPrior
from medrestore.recon.fit import measured_fit
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared
from medrestore.recon.records import volume_scores
from medrestore.recon.restoring import restore_slice
from medrestore.recon.settle import settled

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "prior-misfit.csv"
SUBJECTS = range(48, 52)  # of validation
MASKS = (("uniform1d", 4.0, 12), ("poisson2d", 6.0, None))
STEPS = 20
KNOWN, INVERTED, PHANTOM = "known brain", "inverted contrast", "phantom"


@dataclass(frozen=True)
class Case:
    """A scan of one kind of image.

    Attributes:
        kind: of image.
        image: (h, w) magnitude.
        seed: of coils, phase and noise.
    """

    kind: str
    image: Tensor
    seed: int


class Empty(WrappedPrior):
    """Believes that images are nearly empty."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return 0.1 * self.prior(x, sigma)


def cases(volumes: Path) -> Iterator[Case]:
    """Ten known brains, five of inverted contrast, five phantoms."""
    subjects = load_volumes(volumes)
    for subject in SUBJECTS:
        slices = subjects[subject][subjects[subject].mean((1, 2)) > EMPTY]
        middle = len(slices) // 2
        for offset in (-2, 0, 2) if subject < 50 else (-1, 1):
            image = at_2mm(slices[middle + offset])
            yield Case(KNOWN, image, 10 * subject + offset)
            if offset <= 0 and subject < 51:
                yield Case(INVERTED, inverted(image), 10 * subject + offset)
    for number in range(5):
        yield Case(PHANTOM, at_2mm(phantom(number)), number)


def inverted(image: Tensor) -> Tensor:
    """(h, w): bright where the head was dark."""
    return torch.where(image > 0.08 * image.max(), 1.05 - image / image.max(), 0.0)


def phantom(number: int, size: tuple[int, int] = (216, 182)) -> Tensor:
    """(h, w): an ellipse with bars of five widths and discs of three brightnesses."""
    draw = np.random.default_rng(number)
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = 0.8 * (np.hypot((y - height / 2) / (0.42 * height), (x - width / 2) / (0.42 * width)) < 1)
    for row, period in enumerate((6, 8, 10, 12, 14)):
        part = image[40 + 28 * row: 56 + 28 * row, 50:130]
        part *= np.where(np.arange(50, 130) // (period // 2) % 2, 0.3, 1.0)
    for _ in range(25):
        centre, radius = (draw.integers(30, height - 30), draw.integers(35, width - 35)), draw.integers(2, 6)
        image[np.hypot(y - centre[0], x - centre[1]) < radius] = draw.choice([0.0, 0.4, 1.0])
    return torch.from_numpy(image).float()


def at_2mm(image: Tensor) -> Tensor:
    """(h, w) magnitude at half the resolution, by cutting k-space."""
    height, width = image.shape
    rows, columns = height // 4 * 2, width // 4 * 2
    kspace = fft2c(image[None, None].to(torch.complex64))
    top, left = height // 2 - rows // 2, width // 2 - columns // 2
    low = ifft2c(kspace[..., top:top + rows, left:left + columns])[0, 0].abs()
    return low * (rows * columns / (height * width)) ** 0.5


def scan_of(case: Case) -> Scan:
    """A fully sampled scan of an image, which is its reference."""
    generator = torch.Generator().manual_seed(case.seed)
    image = add_smooth_phase(case.image[None, None].to(torch.complex64), generator)
    height, width = case.image.shape
    maps, full = simulated_maps(8, (height, width), generator=generator), torch.ones(1, width)
    kspace = simulate_scan(image, maps, full, snr_db=30, generator=generator)
    return Scan(name="simulated", index=0, kspace=kspace, mask=full, acs=None, noise=None, reference=case.image,
                crop=(height, width), pixel_mm=None, affine=None)


def measured(case: Case, mask: tuple[str, float, int | None], prior: Prior) -> dict[str, Any]:
    """A row: the errors of the check, whether it warns, and except for known brains the true PSNR of HQS and of L1-wavelet."""
    sampled = Undersampling(*mask)  # type: ignore[arg-type]
    plan = Plan(steps=STEPS, undersample=sampled)
    ready = prepare(scan_of(case), plan)
    fit = measured_fit(ready, prior, plan)
    row = {"kind": case.kind, "mask": mask[0], **fit.errors, "warned": int(fit.better is not None), "gain": ""}
    if case.kind != KNOWN:
        classic = settled(lambda: ready, prior, Plan("l1-wavelet", undersample=sampled)).plan
        row["gain"] = f"{psnr(ready, prior, plan) - psnr(ready, prior, classic):.2f}"
    return row


def psnr(ready: Prepared, prior: Prior, plan: Plan) -> float:
    """Of the image that a plan makes of all samples."""
    made = restore_slice(ready, prior, plan)
    assert made.reference is not None
    return volume_scores([made.image.abs()], [made.reference]).psnr


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each kind of image."""
    lines = ["| image | cases | warned | L1-wavelet ahead | held-out error of HQS over that of the better other | "
             "PSNR of HQS over L1-wavelet, dB |", "|---" * 6 + "|"]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        ratio = [float(row["hqs"]) / min(float(row["cg-sense"]), float(row["l1-wavelet"])) for row in own]
        gain = [float(row["gain"]) for row in own if row["gain"]]
        won = [f"{sum(one < 0 for one in gain)}", f"{min(gain):+.1f} to {max(gain):+.1f}"] if gain else ["-", "-"]
        lines.append(f"| {kind} | {len(own)} | {sum(int(row['warned']) for row in own)} | {won[0]} | "
                     f"{min(ratio):.2f} to {max(ratio):.2f} | {won[1]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", type=Path, help="an .npz with `vol`, uint8 (subject, x, y, slice)")
    chosen = parser.parse_args()
    prior = load("brain-mr-starter", bf16=True)
    rows = []
    for number, case in enumerate(cases(chosen.volumes)):
        for mask in MASKS if case.kind == KNOWN else MASKS[number % 2:][:1]:
            rows.append(measured(case, mask, prior))
            print(rows[-1], flush=True)
        if number in (0, 5):
            rows.append(measured(Case("brain, prior of empty images", case.image, case.seed), MASKS[1], Empty(prior)))
        with RESULTS.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    fill(ROOT / "docs/mri.md", "prior-misfit", table(rows))


if __name__ == "__main__":
    main()
