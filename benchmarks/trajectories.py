"""Scans along trajectories of the held-out subjects: baselines at the weight that validation subjects chose, and diffusion.

    python benchmarks/trajectories.py VOLUMES.npz [--validation 4] [--first 52] [--subjects 8] [--methods HQS DDS]

Subjects, phase, coils and noise are those of configs/evaluate/brain-mr-starter.yaml; coil maps, noise level and scale are
estimated from the samples, as `medrestore recon` does. Rows go to results/trajectories.csv as they are measured.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from medrestore import methods
from medrestore.baselines import Baseline, CGSense, L1Wavelet, TotalVariation, ZeroFilled
from medrestore.datasets.brain import load_volumes
from medrestore.io import Scan
from medrestore.mri import add_smooth_phase, radial, simulated_maps, spiral
from medrestore.operators import NonCartesianSense
from medrestore.priors import load
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared, reconstructed
from medrestore.recon.records import volume_scores
from medrestore.restoration import restore

RESULTS = Path(__file__).parent / "results" / "trajectories.csv"
VALIDATION, TEST, SNR_DB, COILS = 48, 52, 30.0, 8  # first subjects of each, as the configuration has them
WEIGHTS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
TRAJECTORIES: dict[str, Callable[[tuple[int, int]], Tensor]] = {
    "radial, 48 spokes": lambda shape: radial(48, shape),
    "spiral, 12 interleaves": lambda shape: spiral(12, shape, turns=4.0, power=1.5),
}
BASELINES: dict[str, Callable[[float], Baseline]] = {"CG-SENSE": CGSense, "TV": TotalVariation, "L1-wavelet": L1Wavelet}
PLANS = {"HQS": Plan(methods.HQS(), steps=50), "DDS": Plan(methods.DDS(), steps=50),
         "DDS, mean of 4": Plan(methods.DDS(), steps=25, samples=4)}


def scan_of(volumes: Path, number: int, make: Callable[[tuple[int, int]], Tensor]) -> Scan:
    """What an array of coils would have acquired of the middle slice of a subject."""
    volume = load_volumes(str(volumes))[number]
    slices = volume[volume.mean((1, 2)) > 0.01]
    truth = slices[len(slices) // 2][None, None].to(torch.complex64)
    shape, random = (truth.shape[-2], truth.shape[-1]), torch.Generator().manual_seed(number)
    image, maps = add_smooth_phase(truth, random), simulated_maps(COILS, shape, generator=random)
    trajectory = make(shape)
    mask = torch.ones(trajectory.shape[:2])
    std = float(image.abs().square().mean().sqrt()) * 10 ** (-SNR_DB / 20) / 2**0.5
    y = NonCartesianSense(maps, trajectory, mask)(image)
    y = y + std * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    return Scan(f"subject{number}", 0, y, mask, None, None, truth[0, 0].abs(), shape, None, None, trajectory, shape)


def scored(ready: Prepared, image: Tensor) -> tuple[float, float]:
    """PSNR and SSIM of an image (1, h, w) of the reconstruction grid."""
    found = volume_scores([ready.shown(image).abs()], [ready.reference])
    return found.psnr, found.ssim


def tuned(scans: list[Prepared], make: Callable[[float], Baseline]) -> float:
    """The weight of the highest mean PSNR; neighbours of the best are tried as long as they are better."""
    found: dict[float, float] = {}
    best = 1e-2
    while (around := [w for w in WEIGHTS if abs(WEIGHTS.index(w) - WEIGHTS.index(best)) <= 1 and w not in found]):
        found |= {w: fmean(scored(one, reconstructed(make(w), one)[0])[0] for one in scans) for w in around}
        best = max(found, key=found.__getitem__)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", type=Path)
    parser.add_argument("--validation", type=int, default=4)
    parser.add_argument("--first", type=int, default=TEST, help="number of the first subject that is measured")
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--methods", nargs="+", default=[*BASELINES, *PLANS], choices=[*BASELINES, *PLANS])
    parser.add_argument("--trajectories", nargs="+", default=[*TRAJECTORIES], choices=[*TRAJECTORIES])
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    prior = load("brain-mr-starter")
    with given.out.open("w", newline="") as file:
        rows = csv.writer(file)

        def put(*values: object) -> None:
            rows.writerow(values)
            file.flush()
            print(*values, flush=True)

        put("trajectory", "subject", "method", "weight", "psnr", "ssim")
        for name in given.trajectories:
            make = TRAJECTORIES[name]
            known = [prepare(scan_of(given.volumes, VALIDATION + k, make), Plan()) for k in range(given.validation)]
            weights = {key: tuned(known, BASELINES[key]) for key in BASELINES if key in given.methods}
            for number in range(given.first, given.first + given.subjects):
                ready = prepare(scan_of(given.volumes, number, make), Plan())
                put(name, number, "gridding", "", *scored(ready, reconstructed(ZeroFilled(), ready)[0]))
                for key, lam in weights.items():
                    put(name, number, key, lam, *scored(ready, reconstructed(BASELINES[key](lam), ready)[0]))
                for key, plan in PLANS.items():
                    if key in given.methods:
                        result = restore(ready.problem, prior, plan.sampler, levels=plan.levels(prior), samples=plan.samples)
                        put(name, number, key, "", *scored(ready, result.mean))


if __name__ == "__main__":
    main()
