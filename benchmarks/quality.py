"""Quality on held-out subjects: every method against classical baselines at their best weights.

    python benchmarks/quality.py tune VOLUMES.npz        # chooses the baselines' weights on validation subjects
    python benchmarks/quality.py run VOLUMES.npz         # scores everything on test subjects
    python benchmarks/quality.py scan SCAN.mat --dataset raw --axes coil,slice,col,row    # the same on a real, fully sampled scan
    python benchmarks/quality.py page                    # writes docs/quality.md, the README's table and the prior's card

VOLUMES.npz holds `vol`, uint8 (subject, x, y, slice). Each case is one slice with smooth random phase, 8 simulated coils and
noise at 30 dB, undersampled; coil maps, noise level and scale are estimated from the undersampled data, as for a real scan.
`--part i/n` does every n-th subject, so that several processes share the work; `page` merges what is there.

On the real scan a baseline comes twice: at the weight that the validation subjects gave for that mask (at 4x), and at the best of
many by the scan's own reference, which nobody has in practice: the most that it could do. The diffusion methods run as they come.
"""

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from fill import fill
from torch import Tensor

from medrestore import methods
from medrestore.baselines import CGSense, L1Wavelet, TotalVariation, ZeroFilled
from medrestore.datasets.brain import load_volumes
from medrestore.io import Scan, read_kspace
from medrestore.jobs.recon import Plan, Prepared, Undersampling, plan_levels, prepare, score
from medrestore.mri import add_smooth_phase, simulate_scan, simulated_maps
from medrestore.priors import Prior, load
from medrestore.restoration import restore

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results"
WEIGHTS_FILE = RESULTS / "baseline_weights.json"
VALIDATION, TEST = range(48, 52), range(52, 60)  # subjects; the prior learned from those before
COILS, SNR_DB = 8, 30.0
KINDS, ACCELERATIONS = ("uniform1d", "gaussian1d", "gaussian2d", "poisson2d"), (4, 8)
CALIBRATION_LINES = {4: 16, 8: 10}  # of masks along one axis; the others have 24 x 24
WEIGHTS = (1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)
SCAN_CASES = (("uniform1d", 3, 16), ("uniform1d", 4, 16), ("uniform1d", 4, 12), ("gaussian2d", 4, None), ("poisson2d", 6, None))
SCAN_WEIGHTS = (1e-5, 3e-5, 1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2, 3e-2)
BASELINES: dict[str, Callable] = {"CG-SENSE": CGSense, "TV": TotalVariation, "L1-wavelet": L1Wavelet}
PLANS = {
    "HQS": Plan(methods.HQS(), steps=50),
    "DDS": Plan(methods.DDS(), steps=25, samples=4),
    "DDS, paper's constants": Plan(methods.DDS(gamma=5.0, cg_steps=5, eta=0.85), steps=25, samples=2),
    "DDNM+": Plan(methods.DDNMPlus(), steps=25, samples=2),
}


def cases(volumes: Tensor, subjects: list[int], kind: str, accel: int) -> Iterator[tuple[int, Prepared]]:
    """The middle slice of each subject, simulated, undersampled and made ready for reconstruction."""
    for subject in subjects:
        filled = volumes[subject][volumes[subject].mean((1, 2)) > 0.02]
        generator = torch.Generator().manual_seed(subject)
        truth = filled[len(filled) // 2][None, None].to(torch.complex64)
        height, width = truth.shape[-2:]
        image = add_smooth_phase(truth, generator)
        maps = simulated_maps(COILS, (height, width), generator=generator)
        kspace = simulate_scan(image, maps, torch.ones(1, width), snr_db=SNR_DB, generator=generator)
        scan = Scan(name=f"subject{subject}", index=0, kspace=kspace, mask=torch.ones(1, width), acs=None, noise=None,
                    reference=truth[0, 0].abs(), crop=(height, width), pixel_mm=None, affine=None)
        acs = CALIBRATION_LINES[accel] if kind.endswith("1d") else None
        yield subject, prepare(scan, Plan(seed=subject, undersample=Undersampling(kind, accel, acs)))


def scored(ready: Prepared, image: Tensor) -> tuple[float, float]:
    """PSNR and SSIM of an image (h, w) of the reconstruction grid."""
    value = score([ready.shown(image).abs()], [ready.reference])
    return value.psnr, value.ssim


def tune(volumes: Tensor, subjects: list[int]) -> None:
    """The weight with the best mean PSNR on the validation subjects, for each baseline, mask kind and acceleration."""
    best = {}
    for kind in KINDS:
        for accel in ACCELERATIONS:
            prepared = [ready for _, ready in cases(volumes, subjects, kind, accel)]
            for name, baseline in BASELINES.items():
                means = {}
                for lam in WEIGHTS:
                    images = [baseline(lam=lam).reconstruct(r.problem.y, r.sense.maps, r.sense.mask)[0, 0] for r in prepared]
                    means[lam] = sum(scored(r, image)[0] for r, image in zip(prepared, images, strict=True)) / len(prepared)
                best[f"{name} {kind} {accel}"] = {"lam": max(means, key=means.__getitem__), "psnr": means}
                print(f"{name} {kind} {accel}x: {best[f'{name} {kind} {accel}']}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    WEIGHTS_FILE.write_text(json.dumps(best, indent=1) + "\n")


def run(volumes: Tensor, subjects: list[int], part: str) -> None:
    """One CSV row for each test subject, mask, acceleration and method."""
    weights = json.loads(WEIGHTS_FILE.read_text())
    prior = load("brain-mr-starter", bf16=True)
    index, count = (int(number) for number in part.split("/"))
    with (RESULTS / f"quality-{index}of{count}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["mask", "accel", "subject", "method", "psnr", "ssim", "misfit", "seconds"])
        for kind in KINDS:
            for accel in ACCELERATIONS:
                for subject, ready in cases(volumes, subjects[index - 1 :: count], kind, accel):
                    for row in _compare(ready, weights, kind, accel, prior):
                        rows.writerow([kind, accel, subject, *row])
                        file.flush()
                    print(kind, accel, subject, flush=True)


def _compare(ready: Prepared, weights: dict[str, dict], kind: str, accel: int, prior: Prior) -> Iterator[tuple]:
    problem, sense = ready.problem, ready.sense
    arguments = (problem.y, sense.maps, sense.mask)
    baselines = {"zero-filled": ZeroFilled()}
    baselines |= {name: make(lam=weights[f"{name} {kind} {accel}"]["lam"]) for name, make in BASELINES.items()}
    for name, baseline in baselines.items():
        started = time.monotonic()
        image = baseline.reconstruct(*arguments)[0, 0]
        yield name, *scored(ready, image), "", time.monotonic() - started
    for name, plan in PLANS.items():
        if not isinstance(problem.operator, plan.method.needs):
            continue
        started = time.monotonic()
        samples = plan.samples
        result = restore(problem, prior, plan.method, levels=plan_levels(plan, prior), samples=samples)
        seconds = time.monotonic() - started
        misfit = float(result.misfit.mean())
        yield name if samples == 1 else f"{name}, mean of {samples}", *scored(ready, result.mean[0]), misfit, seconds
        if samples > 1:
            yield f"{name}, one sample", *scored(ready, result.samples[0, 0]), misfit, seconds / samples


def scan(path: Path, dataset: str, axes: list[str]) -> None:
    """One CSV row for each mask and method on one real, fully sampled slice."""
    prior, weights = load("brain-mr-starter", bf16=True), json.loads(WEIGHTS_FILE.read_text())
    with read_kspace(path, dataset=dataset, axes=axes) as file, (RESULTS / "quality-scan.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["mask", "accel", "lines", "method", "psnr", "ssim"])
        for kind, accel, lines in SCAN_CASES:
            ready = prepare(file[0], Plan(undersample=Undersampling(kind, accel, lines)))
            for row in _compare_scan(ready, {name: weights[f"{name} {kind} 4"]["lam"] for name in BASELINES}, prior):
                rows.writerow([kind, accel, lines or "24 x 24", *row])
                out.flush()
                print(kind, accel, lines, *row, flush=True)


def _compare_scan(ready: Prepared, weights: dict[str, float], prior: Prior) -> Iterator[tuple]:
    arguments = (ready.problem.y, ready.sense.maps, ready.sense.mask)
    yield "zero-filled", *scored(ready, ZeroFilled().reconstruct(*arguments)[0, 0])
    for name, make in BASELINES.items():
        yield name, *scored(ready, make(lam=weights[name]).reconstruct(*arguments)[0, 0])
        yield f"{name}, best weight", *max(scored(ready, make(lam=lam).reconstruct(*arguments)[0, 0]) for lam in SCAN_WEIGHTS)
    for name in ("HQS", "DDS"):
        plan = PLANS[name]
        result = restore(ready.problem, prior, plan.method, levels=plan_levels(plan, prior), samples=plan.samples)
        yield name if plan.samples == 1 else f"{name}, mean of {plan.samples}", *scored(ready, result.mean[0])


def table() -> tuple[str, str]:
    """What was measured, in a sentence, and the table, from the CSV files that are there."""
    rows = [row for path in sorted(RESULTS.glob("quality-*of*.csv")) for row in csv.DictReader(path.open())]
    columns = [(kind, accel) for kind in KINDS for accel in ACCELERATIONS]
    names = list(dict.fromkeys(row["method"] for row in rows))
    subjects = sorted({int(row["subject"]) for row in rows})
    sentence = (
        f"Mean PSNR (dB) / SSIM over {len(subjects)} subjects that neither the prior nor any weight has seen; one slice of "
        f"217 x 182 pixels each, {COILS} simulated coils, noise at {SNR_DB:.0f} dB; coil maps, noise level and scale estimated "
        "from the undersampled data. Baselines at the weight that is best on validation subjects, for each column. Diffusion "
        "methods with 25 network calls a sample and the mean of the samples named; HQS, deterministic, with 50 once. Written by "
        "`python benchmarks/quality.py run`."
    )
    lines = [
        "| method | " + " | ".join(f"{kind} {accel}x" for kind, accel in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in names:
        cells = []
        for kind, accel in columns:
            own = [row for row in rows if (row["method"], row["mask"], row["accel"]) == (name, kind, str(accel))]
            mean = [sum(float(row[key]) for row in own) / max(len(own), 1) for key in ("psnr", "ssim")]
            cells.append(f"{mean[0]:.2f} / {mean[1]:.3f}" if own else "-")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return sentence, "\n".join(lines)


def scan_table() -> str:
    """What the real scan gave, a line a method."""
    rows = list(csv.DictReader((RESULTS / "quality-scan.csv").open()))
    columns = list(dict.fromkeys((row["mask"], row["accel"], row["lines"]) for row in rows))
    lines = [
        "| method | " + " | ".join(f"{kind} {accel}x, {lines} lines" for kind, accel, lines in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in dict.fromkeys(row["method"] for row in rows):
        own = {(row["mask"], row["accel"], row["lines"]): row for row in rows if row["method"] == name}
        cells = [f"{float(own[column]['psnr']):.2f} / {float(own[column]['ssim']):.3f}" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page() -> None:
    """Writes what was measured into docs/quality.md, the README and the prior's card."""
    sentence, rows = table()
    real = (
        "One fully sampled slice of a real brain, 16 coils, 96 x 96, undersampled afterwards; everything is estimated from what "
        "is left. Each baseline comes at the weight of the validation subjects (4x), and at the best of many by the scan's own "
        "reference, which nobody has in practice.\n\n" + scan_table()
    )
    (ROOT / "docs/quality.md").write_text(
        f"# Quality on held-out subjects\n\n{sentence}\n\n{rows}\n\n## A real scan\n\n{real}\n"
    )
    fill(ROOT / "README.md", "quality", f"{sentence}\n\n{rows}")
    fill(ROOT / "data/priors/brain-mr-starter/CARD.md", "numbers", f"{sentence}\n\n{rows}\n\n{real}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tune", "run", "scan", "page"))
    parser.add_argument("file", type=Path, nargs="?", help="VOLUMES.npz, or the scan")
    parser.add_argument("--part", default="1/1", help="i/n: every n-th subject, beginning with the i-th")
    parser.add_argument("--dataset", help="name of the array in the scan's file")
    parser.add_argument("--axes", type=lambda text: text.split(","), help="its axes")
    args = parser.parse_args()
    if args.what == "page":
        page()
    elif args.what == "scan":
        scan(args.file, args.dataset, args.axes)
    elif args.what == "tune":
        tune(load_volumes(args.file), list(VALIDATION))
    else:
        run(load_volumes(args.file), list(TEST), args.part)


if __name__ == "__main__":
    main()
