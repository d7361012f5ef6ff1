"""What the starter priors reach, from the studies that measure it to the pages that say it.

    make bench-priors VOLUMES=volumes.npz [SCAN=raw_data.mat]       # all of it

    python benchmarks/quality.py scan SCAN.mat --study OUT --dataset raw --axes coil,slice,col,row    # a real, fully sampled scan
    python benchmarks/quality.py page --brain OUT --surgical OUT    # the tables, into docs and the priors' cards

OUT are folders of `medrestore evaluate` with configs/evaluate/brain-mr-starter.yaml and surgical-starter.yaml. Their rows are
copied to benchmarks/results.

On the real scan a baseline comes twice: at the weight that the validation subjects gave for that mask (at 4x), and at the best of
many by the scan's own reference, which nobody has in practice: the most that it could do. The diffusion methods run as they come.
"""

import argparse
import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

from fill import fill, grid
from torch import Tensor

from medrestore import methods
from medrestore.baselines import CGSense, L1Wavelet, TotalVariation, ZeroFilled
from medrestore.evaluation.tables import read_rows
from medrestore.io import read_kspace
from medrestore.priors import Prior, load
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared
from medrestore.recon.records import volume_scores
from medrestore.restoration import restore

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
SCAN_CASES = (("uniform1d", 3, 16), ("uniform1d", 4, 16), ("uniform1d", 4, 12), ("gaussian2d", 4, None), ("poisson2d", 6, None))
SCAN_WEIGHTS = (1e-5, 3e-5, 1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2, 3e-2)
BASELINES: dict[str, Callable] = {"CG-SENSE": CGSense, "TV": TotalVariation, "L1-wavelet": L1Wavelet}
PLANS = {"HQS": Plan(methods.HQS(), steps=50), "DDS, mean of 4": Plan(methods.DDS(), steps=25, samples=4)}


def scored(ready: Prepared, image: Tensor) -> tuple[float, float]:
    """PSNR and SSIM of an image (h, w) of the reconstruction grid."""
    value = volume_scores([ready.shown(image).abs()], [ready.reference])
    return value.psnr, value.ssim


def scan(path: Path, study: Path, dataset: str, axes: list[str]) -> None:
    """One CSV row for each mask and method on one real, fully sampled slice."""
    prior, tuned = load("brain-mr-starter", bf16=True), json.loads((study / "tuned.json").read_text())
    with read_kspace(path, dataset=dataset, axes=axes) as file, (RESULTS / "quality-scan.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["mask", "accel", "lines", "method", "psnr", "ssim"])
        for kind, accel, lines in SCAN_CASES:
            ready = prepare(file[0], Plan(undersample=Undersampling(kind, accel, lines)))
            weights = {name: tuned[name][f"{kind} 4x"]["chosen"]["lam"] for name in BASELINES}
            for row in _compare_scan(ready, weights, prior):
                rows.writerow([kind, accel, lines or "24 x 24", *row])
                out.flush()
                print(kind, accel, lines, *row, flush=True)


def _compare_scan(ready: Prepared, weights: dict[str, float], prior: Prior) -> Iterator[tuple]:
    arguments = (ready.kspace, ready.sense.maps, ready.sense.mask)
    yield "zero-filled", *scored(ready, ZeroFilled().reconstruct(*arguments)[0, 0])
    for name, make in BASELINES.items():
        yield name, *scored(ready, make(lam=weights[name]).reconstruct(*arguments)[0, 0])
        yield f"{name}, best weight", *max(scored(ready, make(lam=lam).reconstruct(*arguments)[0, 0]) for lam in SCAN_WEIGHTS)
    for name, plan in PLANS.items():
        result = restore(ready.problem, prior, plan.sampler, levels=plan.levels(prior), samples=plan.samples)
        yield name, *scored(ready, result.mean[0])


def brain_table(rows: Sequence[dict]) -> str:
    """A sentence on what was measured, and the mean PSNR and SSIM of each method, settings as columns."""
    patients, calls = {row["patient"] for row in rows}, {row["method"]: row["calls"] for row in rows}

    def title(name: str) -> str:
        single = calls.get(f"{name}, one sample")
        return name if single is None else f"{name}, mean of {calls[name] / single:.0f}"

    return (
        f"Mean PSNR (dB) / SSIM over {len(patients)} subjects that neither the prior nor any weight has seen; one slice of "
        "217 x 182 pixels each, 8 simulated coils, noise at 30 dB; coil maps, noise level and scale estimated from the "
        "undersampled data. Baselines at the weight that is best on validation subjects, for each column. Diffusion methods with "
        "25 network calls a sample and the mean of the samples named; HQS, deterministic, with 50 once. Written by "
        f"`make bench-priors`.\n\n{grid(rows, {'psnr': 2, 'ssim': 3}, title=title)}"
    )


def scan_table() -> str:
    """What the real scan gave, a line a method."""
    rows = list(csv.DictReader((RESULTS / "quality-scan.csv").open()))
    columns = list(dict.fromkeys((row["mask"], row["accel"], row["lines"]) for row in rows))
    lines = [
        "One fully sampled slice of a real brain, 16 coils, 96 x 96, undersampled afterwards; everything is estimated from what "
        "is left. Each baseline comes at the weight of the validation subjects (4x), and at the best of many by the scan's own "
        "reference, which nobody has in practice.",
        "", "| method | " + " | ".join(f"{kind} {accel}x, {lines} lines" for kind, accel, lines in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in dict.fromkeys(row["method"] for row in rows):
        own = {(row["mask"], row["accel"], row["lines"]): row for row in rows if row["method"] == name}
        cells = [f"{float(own[column]['psnr']):.2f} / {float(own[column]['ssim']):.3f}" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def surgical_table(rows: Sequence[dict]) -> str:
    """Mean scores in the hole over the scenes, a line a method."""
    holes = [100 * row["hole_fraction"] for row in rows]
    lines = [
        f"{len({row['case'] for row in rows})} rendered scenes that the prior has not seen, 256 x 256 pixels of each, "
        f"{min(holes):.0f} to {max(holes):.0f} % hidden; means over the hole alone, 8 bit. DDNM+ is the mean of 2 samples, "
        "that from the smooth fill of 8 shorter ones (configs/evaluate/surgical-starter.yaml). Written by `make bench-priors`.",
        "", "| method | network calls | PSNR in the hole, dB | SSIM in the hole | known pixels changed |", "|---" * 5 + "|",
    ]
    for name in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == name]
        lines.append(f"| {name} | {own[0]['calls']:.0f} | {fmean(row['hole_psnr'] for row in own):.2f} | "
                     f"{fmean(row['hole_ssim'] for row in own):.3f} | {sum(int(row['known_changed']) for row in own)} |")
    return "\n".join(lines)


def page(brain: Path | None, surgical: Path | None) -> None:
    """Writes what was measured into the docs and the priors' cards."""
    if brain is not None:
        shutil.copyfile(brain / "results.csv", RESULTS / "brain-mr-starter.csv")
        shutil.copyfile(brain / "tuned.json", RESULTS / "brain-mr-starter-tuned.json")
    if surgical is not None:
        shutil.copyfile(surgical / "results.csv", RESULTS / "surgical-starter.csv")
    rows, real = brain_table(read_rows(RESULTS / "brain-mr-starter.csv")), scan_table()
    (ROOT / "docs/quality.md").write_text(f"# Quality on held-out subjects\n\n{rows}\n\n## A real scan\n\n{real}\n")
    fill(ROOT / "docs/choosing.md", "quality", rows)
    fill(ROOT / "data/priors/brain-mr-starter/CARD.md", "numbers", f"{rows}\n\n{real}")
    for place in ("data/priors/surgical-starter/CARD.md", "docs/inpainting.md"):
        fill(ROOT / place, "inpainting", surgical_table(read_rows(RESULTS / "surgical-starter.csv")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("scan", "page"))
    parser.add_argument("file", type=Path, nargs="?", help="the scan")
    parser.add_argument("--study", type=Path, help="folder of the study whose weights the baselines take")
    parser.add_argument("--dataset", help="name of the array in the scan's file")
    parser.add_argument("--axes", type=lambda text: text.split(","), help="its axes")
    parser.add_argument("--brain", type=Path, help="folder of the study on brains")
    parser.add_argument("--surgical", type=Path, help="folder of the study on scenes")
    args = parser.parse_args()
    if args.what == "page":
        page(args.brain, args.surgical)
    else:
        scan(args.file, args.study, args.dataset, args.axes)


if __name__ == "__main__":
    main()
