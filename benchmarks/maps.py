"""Sets of coil maps, maps refined with the image and a held phase: what each decides, and what it gains.

    python benchmarks/maps.py VOLUMES.npz [--scan FILE.mat] [--parts sets refine phase wrapped partial]

Simulated parts, of the middle slices of VOLUMES.npz at half their resolution, 8 coils, 30 dB: `sets`, how many
sets of maps `auto` takes along trajectories, and of lines given as points whose field of view has all columns or
55 and 70 % of them; `refine`, few spokes with and without maps refined with the image; `phase`, spokes that begin just
before the centre of k-space, with the phase free and held. Of a real, fully sampled scan of one slice (--scan):
`wrapped`, its field of view cropped, with one set of maps and two, as lines and as points; `partial`, 6/8 of its
lines. Maps and noise are estimated from the samples. Rows go to results/maps.csv.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from medrestore.datasets.brain import load_volumes
from medrestore.fft import fft2c, ifft2c
from medrestore.io import Scan, read_kspace
from medrestore.mri import add_smooth_phase, points_of, radial, rosette, sampling_mask, simulated_maps, spiral
from medrestore.operators import NonCartesianSense
from medrestore.priors import Prior, load
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare
from medrestore.recon.records import volume_scores
from medrestore.recon.restoring import restore_slice

RESULTS = Path(__file__).parent / "results" / "maps.csv"
COILS, SNR_DB, NARROW, SPOKES = 8, 30.0, (55, 70), (48, 24, 16, 12)
PLANS = {"CG-SENSE": Plan("cg-sense", weight=0.01), "TV": Plan("tv", weight=0.01),
         "L1-wavelet": Plan("l1-wavelet", weight=0.01), "HQS": Plan("hqs", steps=20)}
Row = tuple[str, str, str, str, float]  # part, subject, samples, method and choice, PSNR or number of sets


def middle_slice(volumes: Path, number: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """The image (1, 1, h, w) complex64 of a subject at half its resolution, coil maps, and a generator."""
    volume = load_volumes(str(volumes))[number]
    slices = volume[volume.mean((1, 2)) > 0.01]
    image = slices[len(slices) // 2][None, None]
    height, width = (n // 2 for n in image.shape[-2:])
    top, left = (n // 2 - k // 2 for n, k in zip(image.shape[-2:], (height, width), strict=True))
    image = ifft2c(fft2c(image.to(torch.complex64))[..., top : top + height, left : left + width]).abs() / 2
    random = torch.Generator().manual_seed(number)
    return add_smooth_phase(image, random), simulated_maps(COILS, (height, width), generator=random), random


def acquired(y: Tensor, coils: Tensor, trajectory: Tensor, random: torch.Generator) -> Scan:
    """A scan along a trajectory whose samples y (1, coil, readout, sample) have noise, of the images that the coils see."""
    std = float(coils.abs().square().sum(1).mean().sqrt()) * 10 ** (-SNR_DB / 20) / 2**0.5
    y = y + std * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    truth, shape = torch.linalg.vector_norm(coils, dim=1)[0], (coils.shape[-2], coils.shape[-1])
    return Scan("simulated", 0, y, torch.ones(trajectory.shape[:2]), None, None, truth, shape, None, None, trajectory, shape)


def along(image: Tensor, maps: Tensor, trajectory: Tensor, random: torch.Generator) -> Scan:
    y = NonCartesianSense(maps, trajectory, torch.ones(trajectory.shape[:2]))(image)
    return acquired(y, maps * image, trajectory, random)


def as_points(coils: Tensor, random: torch.Generator) -> Scan:
    """Every other line, and the 24 at the centre, given as points."""
    shape = (coils.shape[-2], coils.shape[-1])
    mask = sampling_mask("uniform1d", shape, 2.0, acs=24, seed=0).mask
    return acquired(fft2c(coils)[..., mask[0] > 0].mT.contiguous(), coils, points_of(mask, shape), random)


def folded(coils: Tensor, width: int) -> Tensor:
    """Images (..., h, w) as a field of view of fewer columns shows them: what lies outside wraps to the other side."""
    at = (torch.arange(coils.shape[-1]) - coils.shape[-1] // 2 + width // 2) % width
    return coils.new_zeros(*coils.shape[:-1], width).index_add_(-1, at, coils)


def score(scan: Scan, plan: Plan, prior: Prior) -> float:
    done = restore_slice(prepare(scan, plan), prior, plan)
    assert done.reference is not None
    return volume_scores([done.image.abs()], [done.reference]).psnr


def sets(volumes: Path, subjects: list[int], prior: Prior) -> Iterator[Row]:
    for number in subjects:
        image, maps, random = middle_slice(volumes, number)
        shape = (image.shape[-2], image.shape[-1])
        scans = {"radial, 48 spokes": along(image, maps, radial(48, shape), random),
                 "radial, 24 spokes": along(image, maps, radial(24, shape), random),
                 "spiral, 12 interleaves": along(image, maps, spiral(12, shape, turns=4.0, power=1.5), random),
                 "rosette, 48 petals": along(image, maps, rosette(48, shape), random),
                 "lines as points": as_points(maps * image, random)}
        for name, scan in scans.items():
            yield "sets", str(number), name, "sets by auto", prepare(scan, PLANS["CG-SENSE"]).sense.sets
        for share in NARROW:
            scan = as_points(folded(maps * image, share * shape[1] // 200 * 2), random)
            yield from _with_sets("sets", str(number), f"lines as points, {share} % of the columns", scan, prior, ("CG-SENSE",))


def refine(volumes: Path, subjects: list[int], prior: Prior) -> Iterator[Row]:
    for number in subjects:
        image, maps, random = middle_slice(volumes, number)
        for spokes in SPOKES:
            scan = along(image, maps, radial(spokes, (image.shape[-2], image.shape[-1])), random)
            for name in ("CG-SENSE", "L1-wavelet", "HQS"):
                for asked in (False, True):
                    what = f"{name}, {'refined' if asked else 'ESPIRiT'}"
                    value = score(scan, replace(PLANS[name], refine_maps=asked), prior)
                    yield "refine", str(number), f"{spokes} spokes", what, value


def phase(volumes: Path, subjects: list[int], prior: Prior) -> Iterator[Row]:
    for number in subjects:
        image, maps, random = middle_slice(volumes, number)
        height, width = image.shape[-2:]
        angle, reach = torch.linspace(-torch.pi / 2, torch.pi / 2, 96)[:, None], torch.linspace(-0.1, 0.5, 120)
        half = torch.stack([height * reach * angle.sin(), width * reach * angle.cos()], -1)
        yield from _with_phase("phase", str(number), "half spokes", along(image, maps, half, random), prior)


def wrapped(scan: Scan, prior: Prior) -> Iterator[Row]:
    """The real scan, its field of view cropped to two thirds of its columns."""
    coils = folded(ifft2c(scan.kspace), 64)
    shape = (coils.shape[-2], coils.shape[-1])
    truth, y = torch.linalg.vector_norm(coils, dim=1)[0], fft2c(coils)
    for name, mask in (("uniform 2x", sampling_mask("uniform1d", shape, 2.0, acs=24, seed=0).mask),
                       ("Poisson 4x", sampling_mask("poisson2d", shape, 4.0, seed=0).mask)):
        lines = replace(scan, kspace=y * mask, mask=mask, reference=truth, crop=shape)
        yield from _with_sets("wrapped", "real scan", name, lines, prior)
        if mask.shape[0] == 1:
            t, readouts = points_of(mask, shape), y[..., mask[0] > 0].mT.contiguous()
            points = replace(lines, kspace=readouts, mask=torch.ones(t.shape[:2]), trajectory=t, grid=shape)
            yield from _with_sets("wrapped", "real scan", f"{name}, as points", points, prior)


def _with_sets(part: str, subject: str, samples: str, scan: Scan, prior: Prior,
               names: tuple[str, ...] = ("CG-SENSE", "HQS")) -> Iterator[Row]:
    yield part, subject, samples, "sets by auto", prepare(scan, PLANS["CG-SENSE"]).sense.sets
    for name in names:
        for count in (1, 2):
            plan = replace(PLANS[name], map_sets=count)
            yield part, subject, samples, f"{name}, {count} of maps", score(scan, plan, prior)


def partial(scan: Scan, prior: Prior) -> Iterator[Row]:
    """6/8 of the lines of the real scan."""
    mask = torch.zeros(1, scan.kspace.shape[-1])
    mask[:, mask.shape[1] // 4 :] = 1
    truth = torch.linalg.vector_norm(ifft2c(scan.kspace), dim=1)[0]
    yield from _with_phase("partial", "real scan", "6/8 of the lines",
                           replace(scan, kspace=scan.kspace * mask, mask=mask, reference=truth, crop=truth.shape), prior)


def _with_phase(part: str, subject: str, samples: str, scan: Scan, prior: Prior) -> Iterator[Row]:
    yield part, subject, samples, "zero-filled", score(scan, Plan("zero-filled"), prior)
    for name, plan in PLANS.items():
        for choice in ("free", "smooth"):
            yield part, subject, samples, f"{name}, {choice}", score(scan, replace(plan, phase=choice), prior)


SIMULATED: dict[str, Callable[[Path, list[int], Prior], Iterator[Row]]] = {"sets": sets, "refine": refine, "phase": phase}
REAL: dict[str, Callable[[Scan, Prior], Iterator[Row]]] = {"wrapped": wrapped, "partial": partial}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", type=Path)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--axes", type=lambda text: tuple(text.split(",")), default=("coil", "slice", "col", "row"))
    parser.add_argument("--parts", nargs="+", default=[*SIMULATED, *REAL], choices=[*SIMULATED, *REAL])
    parser.add_argument("--subjects", nargs="+", type=int, default=[48, 49, 50, 51])
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    prior = load("brain-mr-starter")
    with given.out.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["part", "subject", "samples", "what", "value"])
        for part in given.parts:
            if part in SIMULATED:
                found = SIMULATED[part](given.volumes, given.subjects, prior)
            elif given.scan is not None:
                with read_kspace(given.scan, axes=given.axes) as scans:
                    found = REAL[part](scans[0], prior)
            else:
                continue
            for row in found:
                rows.writerow([*row[:-1], f"{row[-1]:.2f}"])
                file.flush()
                print(*row, flush=True)


if __name__ == "__main__":
    main()
