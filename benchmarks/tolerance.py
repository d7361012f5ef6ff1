"""How exactly a data step by conjugate gradients must be solved: `python benchmarks/tolerance.py VOLUMES.npz`.

PSNR and products by Ah A a data step against the residual at which a step counts as solved, on two validation subjects; into
docs/speed.md and benchmarks/results/tolerance.csv. The volumes are those of configs/evaluate/brain-mr-starter.yaml.
"""

import argparse
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from fill import fill

from medrestore import keep_freed_memory
from medrestore.consistency import SOLVED
from medrestore.methods import DDS, HQS
from medrestore.operators import Sense
from medrestore.priors import Prior, load
from medrestore.recon.plan import Plan
from medrestore.recon.records import volume_scores
from medrestore.recon.restoring import restore_slice
from medrestore.study.fingerprints import Fingerprints
from medrestore.study.mri import PreparedSlice, prepared_slice
from medrestore.study.scans import scan_cases
from medrestore.study.sources import Simulated, Undersample

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "tolerance.csv"
SETTINGS = {"uniform1d 4x": Undersample("uniform1d", 4, 16), "uniform1d 8x": Undersample("uniform1d", 8, 10),
            "gaussian2d 4x": Undersample("gaussian2d", 4, None), "poisson2d 8x": Undersample("poisson2d", 8, None)}
PLANS = {"HQS 50": Plan(method=HQS(), steps=50), "HQS 10": Plan(method=HQS(), steps=10), "DDS 25": Plan(method=DDS(), steps=25)}
TOLERANCES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2)


@contextmanager
def counted() -> Iterator[list[int]]:
    """Gathers an entry for every product by Ah A while this lasts."""
    products: list[int] = []
    plain = Sense.normal

    def normal(sense: Sense, x: torch.Tensor) -> torch.Tensor:
        products.append(1)
        return plain(sense, x)

    with mock.patch.object(Sense, "normal", normal):
        yield products


def measured(slices: list[PreparedSlice], plan: Plan, prior: Prior, rtol: float) -> tuple[float, float]:
    """(mean PSNR, products by Ah A a data step), data steps being solved to `rtol`."""
    found = []
    plan = replace(plan, options={**plan.options, "rtol": rtol})
    with counted() as products:
        for one in slices:
            done = restore_slice(one.prepared, prior, plan)
            found.append(volume_scores([done.image.abs()], [one.reference]).psnr)
    return sum(found) / len(found), len(products) / len(slices) / plan.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", help="NPZ file of volumes")
    parser.add_argument("--subjects", type=int, nargs=2, default=[48, 50], metavar=("FIRST", "END"))
    chosen = parser.parse_args()
    keep_freed_memory()
    prior = load("brain-mr-starter", bf16=True)
    cases = scan_cases(Simulated(chosen.volumes, tuple(chosen.subjects)), Fingerprints(None), "--subjects")
    rows = []
    for setting, sampling in SETTINGS.items():
        slices = [prepared_slice(case, case.slices[0], sampling, 0, cache=None, spectral_gb=0.0, device="cpu") for case in cases]
        exact = [prepared_slice(case, case.slices[0], sampling, 0, cache=None, spectral_gb=1.0, device="cpu") for case in cases
                 ] if sampling.kind.endswith("1d") else None
        for method, plan in PLANS.items():
            for rtol in TOLERANCES:
                psnr, products = measured(slices, plan, prior, rtol)
                rows.append([setting, method, f"{rtol:g}", f"{psnr:.3f}", f"{products:.1f}"])
                print(*rows[-1], flush=True)
            if exact is not None:
                rows.append([setting, method, "exact", f"{measured(exact, plan, prior, SOLVED)[0]:.3f}", ""])
                print(*rows[-1], flush=True)
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["setting", "method", "residual", "psnr", "products"], *rows])
    columns = [f"{rtol:g}" for rtol in TOLERANCES] + ["exact"]
    cells = {(setting, method, rtol): f"{float(psnr):.2f}" + (f" / {products}" if products else "")
             for setting, method, rtol, psnr, products in rows}
    first, end = chosen.subjects
    fill(ROOT / "docs" / "speed.md", "tolerance", "\n".join([
        "Mean PSNR (dB) / products by Ah A a data step, against the residual at which a step is done. Validation subjects "
        f"{first} to {end - 1}, one slice each, 8 coils, noise at 30 dB. `recon` solves to {SOLVED:g}.", "",
        f"| setting | method | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|",
        *(f"| {setting} | {method} | {' | '.join(cells.get((setting, method, rtol), '-') for rtol in columns)} |"
          for setting in SETTINGS for method in PLANS)]))


if __name__ == "__main__":
    main()
