"""The gain of multistep solvers at an equal number of network calls.

Without data: relative error of the flow of a Gaussian, whose exact solution is known. With data: PSNR and SSIM of HQS and DDS
with estimates extrapolated (order 2) or not (order 1) on the scan that ships, at 4x. A few minutes on one CPU core.

    python benchmarks/multistep.py            # both
    python benchmarks/multistep.py --flow     # without the network
"""

import argparse
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import torch
from gaussian_posterior import SIDE, power
from torch import Tensor

from medrestore.io import read_kspace
from medrestore.methods import DDIM, DDS, HQS, DPMSolver, Method, ProbabilityFlow
from medrestore.noise import Noise
from medrestore.priors import StationaryGaussian, load
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.records import volume_scores
from medrestore.restoration import restore
from medrestore.sampling import sample

HIGH, LOW = 20.0, 0.05
CALLS = (10, 20, 40, 80)


def flow_error(method: Method, steps: int) -> float:
    """Relative distance to the exact flow of a Gaussian at the last level above 0, levels being even in log sigma."""
    prior = StationaryGaussian(power().double())
    levels = [HIGH * (LOW / HIGH) ** (i / steps) for i in range(steps + 1)] + [0.0]
    seen: list[Tensor] = []
    sample(None, prior, method, levels, noise=Noise(range(8)), size=(SIDE, SIDE), on_step=lambda i, x: seen.append(x),
           start=torch.zeros(8, 1, SIDE, SIDE, dtype=torch.float64))
    first = (levels[0] * Noise(range(8))((8, 1, SIDE, SIDE))).double()
    gain = ((prior.power + LOW**2) / (prior.power + HIGH**2)).sqrt()
    exact = torch.fft.ifft2(gain * torch.fft.fft2(first)).real
    return float((seen[-2] - exact).norm() / exact.norm())


def flows() -> None:
    """A row a solver, a column a number of network calls."""
    print("relative error of the flow", *(f"{calls:>9d}" for calls in CALLS))
    solvers = {"DDIM": (DDIM(0.0), 1), "Heun": (ProbabilityFlow(), 2), "DPM-Solver++ (2M)": (DPMSolver(), 1)}
    for name, (method, calls_a_step) in solvers.items():
        print(f"{name:26s}", *(f"{flow_error(method, calls // calls_a_step):9.2e}" for calls in CALLS))


def restorations(calls: tuple[int, ...]) -> None:
    """A row a method and number of calls; HQS gives one image, DDS the mean of 4 samples."""
    scan = read_kspace(Path(str(files("medrestore.data"))) / "samples" / "brain-scan.h5")[0]
    plan = Plan(undersample=Undersampling("uniform1d", 4.0))
    ready, prior = prepare(scan, plan), load("brain-mr-starter")
    for steps in calls:
        levels = replace(plan, steps=steps).levels(prior)
        for name, make, samples in (("HQS", HQS, 1), ("DDS", DDS, 1), ("DDS, mean of 4", DDS, 4)):
            for order in (1, 2):
                started = time.monotonic()
                result = restore(ready.problem, prior, make(order=order), levels=levels, samples=samples)
                value = volume_scores([ready.shown(result.mean[0]).abs()], [ready.reference])
                print(f"{name:15s} {steps:3d} calls a sample, order {order}: {value.psnr:6.2f} dB {value.ssim:7.4f}  "
                      f"({time.monotonic() - started:.0f} s)", flush=True)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flow", action="store_true", help="only what needs no network")
    parser.add_argument("--calls", type=int, nargs="+", default=[10, 20], help="network calls a sample")
    options = parser.parse_args()
    flows()
    if not options.flow:
        restorations(tuple(options.calls))


if __name__ == "__main__":
    main()
