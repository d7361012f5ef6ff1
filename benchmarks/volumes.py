"""Consistency across slices: PSNR and flicker of a simulated volume, slice by slice and restored together.

    python benchmarks/volumes.py VOLUME.nii.gz [--first 60] [--slices 32] [--levels 20]

Axial slices of a NIfTI volume of 1 mm, at 2 mm in plane: 8 coils with a smooth phase, 25 dB. `stack`: slices of a 2-D scan at
4x, each with a mask of its own; `3-D`: one Poisson mask of 6x for all, as positions along the readout have. Maps, noise and
scale are known, so that what is compared is the data step alone. Flicker is `metrics.flicker`; second differences of the error
are what alternates from slice to slice. Rows go to results/volumes.csv as they are measured.
"""

import argparse
import csv
import math
import resource
import time
from pathlib import Path

import torch
from torch import Tensor

from medrestore.fft import fft2c, ifft2c
from medrestore.io.volumes.nifti import open_volume
from medrestore.levels import LADDERS
from medrestore.methods import DDS, HQS, AcrossSlices
from medrestore.metrics import flicker
from medrestore.mri import add_smooth_phase, sampling_mask, simulated_maps
from medrestore.operators import encoding
from medrestore.priors import InBatches, ThreePlanes, load
from medrestore.problem import Problem
from medrestore.restoration import codec_for, restore_all
from medrestore.volumes import restore_volume

RESULTS = Path(__file__).parent / "results" / "volumes.csv"
MATRIX, COILS, SNR_DB = (96, 104), 8, 25.0
METHODS = {"HQS": HQS(), "HQS of order 2": HQS(order=2), "DDS": DDS()}
TOGETHER = {"total variation 20": 1, "second differences 20": 2, "second differences 20, three planes": 2}
ACROSS = ("slice by slice", *TOGETHER)


def truths(path: Path, first: int, slices: int) -> Tensor:
    """Axial slices (slice, h, w) between 0 and 1, at 2 mm by Fourier truncation."""
    volume = torch.from_numpy(open_volume(path).read())
    stack = (volume / volume.max())[..., first : first + slices].permute(2, 0, 1)
    height, width = (2 * n for n in MATRIX)
    top, left = (stack.shape[1] - height) // 2, (stack.shape[2] - width) // 2
    stack = stack[:, top : top + height, left : left + width]
    k = fft2c(stack.to(torch.complex64)[:, None])[..., height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    return ifft2c(k)[:, 0].abs() / 2


def measured(truth: Tensor, kind: str) -> list[Problem]:
    """What 8 coils measure of each slice."""
    random = torch.Generator().manual_seed(3)
    maps, phase = simulated_maps(COILS, MATRIX, generator=random), add_smooth_phase(torch.ones(1, 1, *MATRIX), random)
    std = float(truth.square().mean().sqrt()) * 10 ** (-SNR_DB / 20) / 2**0.5
    problems = []
    for number, image in enumerate(truth):
        mask = (sampling_mask("gaussian1d", MATRIX, 4.0, acs=12, seed=number) if kind == "stack" else
                sampling_mask("poisson2d", MATRIX, 6.0, seed=0)).mask
        A = encoding(maps, mask)
        y = A(image * phase)
        noise = torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
        problems.append(Problem(A, (y + std * noise) * mask, std))
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume", type=Path)
    parser.add_argument("--first", type=int, default=60)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--levels", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", default=["stack", "3-D"], choices=["stack", "3-D"])
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument("--across", nargs="+", default=ACROSS, choices=ACROSS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    prior, truth = load("brain-mr-starter"), truths(given.volume, given.first, given.slices)
    low, high = prior.sigma_range
    levels, peak = LADDERS["karras"](given.levels, min(high, 5.0), max(low, 1e-3)), float(truth.max())
    with given.out.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["kind", "method", "across", "psnr", "flicker", "second_differences", "seconds", "peak_mb"])
        for kind in given.kinds:
            problems = measured(truth, kind)
            codec = codec_for(prior, problems[len(problems) // 2])
            for name in given.methods:
                for key in given.across:
                    begun = time.process_time()
                    if key not in TOGETHER:
                        results = restore_all(problems, prior, METHODS[name], levels=levels, codec=codec)
                    else:
                        together = AcrossSlices(METHODS[name], weight=20.0, differences=TOGETHER[key])
                        planes, batch = (ThreePlanes(InBatches(prior, 8)), len(problems)) if "planes" in key else (prior, 8)
                        results = restore_volume(problems, planes, together, levels=levels, codec=codec, batch_size=batch)
                    image = torch.cat([one.samples for one in results])[:, 0].abs()
                    error = (image - truth) / peak
                    rows.writerow([kind, name, key, f"{-10 * math.log10(float(error.square().mean())):.2f}",
                                   f"{flicker(image, truth, data_range=peak):.5f}",
                                   f"{float(error.diff(n=2, dim=0).square().mean().sqrt()):.5f}",
                                   f"{time.process_time() - begun:.0f}",
                                   f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"])
                    file.flush()


if __name__ == "__main__":
    main()
