"""How the quality of a prior grows with its size and with the time it is trained.

    python benchmarks/scaling.py train VOLUMES.npz       # three widths, each scored after three lengths of training
    python benchmarks/scaling.py page                    # writes the table of docs/training.md

VOLUMES.npz holds `vol`, uint8 (subject, x, y, slice). Each prior is trained as the starter was, at a constant learning rate and
on crops of one size, and scored twice on validation subjects: how well it denoises crops, and the restoration of one slice each,
4x uniform along one axis, by HQS. Runs go on where they were left.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from fill import fill
from quality import RESULTS, ROOT, scored
from torch import Tensor

from medrestore.cli.config import read as read_yaml
from medrestore.datasets.brain import load_volumes
from medrestore.io import Scan
from medrestore.mri import add_smooth_phase, simulate_scan, simulated_maps
from medrestore.priors import load
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared
from medrestore.restoration import restore
from medrestore.training import Config, read, train

VALIDATION = range(48, 52)  # subjects; the priors learn from those before
COILS, SNR_DB = 8, 30.0
WIDTHS = (16, 24, 32)  # channels of the first level
EPOCHS = (5, 10, 20)
COLUMNS = ("width", "parameters", "images", "psnr_at_0.1", "psnr_at_0.5", "restored")


def run_of(width: int, volumes: Path, out: Path) -> Config:
    """The starter's run with levels of another width, one size of crops, and no end to the learning rate."""
    starter = ROOT / "configs/train/brain-mr-starter.yaml"
    config = read(read_yaml(starter), str(starter))
    source = {"kind": "volumes", "path": str(volumes)}
    data = replace(config.data, train=({**source, "subjects": [0, VALIDATION[0]]},), sides=((64, 1.0),),
                   validation=({**source, "subjects": [VALIDATION[0], VALIDATION[-1] + 1]},), workers=0)
    images = EPOCHS[-1] * VALIDATION[0] * 10  # ten slices of each subject show something
    return replace(
        config, out=str(out), data=data, images=images, snapshots=EPOCHS, checkpoint_images=images, sample_images=0,
        ema_images=(500,), network=config.network | {"block_out_channels": [width * k for k in (1, 2, 3, 4)]},
        optim=replace(config.optim, warmup_images=500, decay_images=0),
    )


def cases(volumes: Tensor) -> Iterator[Prepared]:
    """The middle slice of each validation subject, simulated, undersampled 4x and made ready for reconstruction."""
    for subject in VALIDATION:
        filled = volumes[subject][volumes[subject].mean((1, 2)) > 0.02]
        generator = torch.Generator().manual_seed(subject)
        truth = filled[len(filled) // 2][None, None].to(torch.complex64)
        height, width = truth.shape[-2:]
        image = add_smooth_phase(truth, generator)
        maps = simulated_maps(COILS, (height, width), generator=generator)
        kspace = simulate_scan(image, maps, torch.ones(1, width), snr_db=SNR_DB, generator=generator)
        scan = Scan(name=f"subject{subject}", index=0, kspace=kspace, mask=torch.ones(1, width), acs=None, noise=None,
                    reference=truth[0, 0].abs(), crop=(height, width), pixel_mm=None, affine=None)
        yield prepare(scan, Plan(seed=subject, undersample=Undersampling("uniform1d", 4, 16)))


def restored(prior: Path, volumes: Tensor) -> float:
    """Mean PSNR, dB, of the validation slices at 4x."""
    plan, network = Plan(), load(prior, bf16=True)
    values = [scored(ready, restore(ready.problem, network, plan.sampler, levels=plan.levels(network)).mean[0])[0]
              for ready in cases(volumes)]
    return sum(values) / len(values)


def measure(path: Path, out: Path) -> None:
    """One CSV row a width and length."""
    volumes, rows = load_volumes(path), []
    for width in WIDTHS:
        config = run_of(width, path, out / f"width-{width}")
        train(config)
        for row in csv.DictReader((Path(config.out) / "snapshots.csv").open()):
            prior = Path(config.out) / "snapshots" / f"epoch-{int(float(row['epoch'])):02d}"
            parameters = sum(weight.numel() for weight in load(prior).net.parameters())
            images = int(float(row["images"]))
            rows.append([width, parameters, images, row["psnr_at_0.1"], row["psnr_at_0.5"], restored(prior, volumes)])
            print(*rows[-1], flush=True)
    with (RESULTS / "scaling.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def page() -> None:
    """Writes what was measured into docs/training.md."""
    lines = ["| widths | parameters | images seen | denoising at sigma 0.1 / 0.5, dB | restored at 4x, dB |", "|---" * 5 + "|"]
    for row in csv.DictReader((RESULTS / "scaling.csv").open()):
        width = int(row["width"])
        lines.append(f"| {'-'.join(str(width * k) for k in (1, 2, 3, 4))} | {int(row['parameters']) / 1e6:.2f} M | "
                     f"{int(row['images']):,} | {float(row['psnr_at_0.1']):.2f} / {float(row['psnr_at_0.5']):.2f} | "
                     f"{float(row['restored']):.2f} |")
    fill(ROOT / "docs/training.md", "scaling", "\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "page"))
    parser.add_argument("volumes", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("runs/scaling"))
    args = parser.parse_args()
    if args.what == "train":
        measure(args.volumes, args.out)
    else:
        page()


if __name__ == "__main__":
    main()
