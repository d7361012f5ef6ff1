"""What a reference image adds at 8x: PSNR of one prior with it and without it, and of a prior that never knew of one.

    python benchmarks/reference_guidance.py VOLUMES.npz -o OUT --train reference --init brain-mr-starter
    python benchmarks/reference_guidance.py VOLUMES.npz -o OUT --train plain --init brain-mr-starter
    python benchmarks/reference_guidance.py VOLUMES.npz -o OUT

The first two train priors of the same data and length (configs/train/reference-quick.yaml on T2w slices of the volumes) from the
weights of a prior or, without --init, from none; the plain one may be left out. The last restores the middle slices of held-out
subjects in T2w, at 2 mm, 8 coils, 30 dB, with the T1w slice beside. Both contrasts are made of tissues that the T1w magnitude
tells (`datasets.contrasts`), so the reference holds nearly all that the image does: what is measured is whether the prior uses
it, and whether it does without, not what a second contrast adds in patients.
"""

import argparse
import csv
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from prior_misfit import Case, at_2mm, scan_of
from torch import Tensor

from medrestore.datasets.brain import load_volumes
from medrestore.datasets.contrasts import rendered
from medrestore.metrics import psnr
from medrestore.priors import Prior, load
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.reference import with_reference
from medrestore.recon.restoring import restore_slice
from medrestore.training import read, train

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "reference_guidance.csv"
TRAIN, VALIDATION, TEST = [0, 48], [48, 52], range(54, 60)
MASK = Undersampling("gaussian1d", 8.0, 8)


def trained(volumes: Path, out: Path, kind: str, images: int, init: str | None) -> None:
    """Trains the prior with reference images, or the plain one."""
    given: dict[str, Any] = yaml.safe_load((ROOT / "configs/train/reference-quick.yaml").read_text())
    source = {"kind": "volumes", "path": str(volumes), "contrasts": ["T2w"], "reference": "T1w"}
    given["data"] |= {"train": [source | {"subjects": TRAIN}], "validation": [source | {"subjects": VALIDATION}]}
    given |= {"out": str(out / kind), "images": images, "checkpoint_images": max(images // 4, 8)}
    given["optim"] |= {"decay_images": images // 2}
    if init is not None:
        given |= {"init": init, "network": {}, "objective": {}, "ema_images": [min(1000, images // 8)]}
        given["data"] |= {"sides": [[64, 1.0]]}
        given["optim"] |= {"lr": 3e-4}
    if kind == "plain":
        del given["conditions"]
        given["network"] |= {"in_channels": 2, "out_channels": 2} if init is None else {}
    train(read(given, "the benchmark"))


def measured(t1: Tensor, subject: int, known: Prior, plain: Prior | None) -> dict[str, Any]:
    """A row: PSNR of CG-SENSE, of the plain prior, and of the other without its reference image, with it, and with one turned."""
    case = Case("T2w", rendered(t1[None], "T2w")[0], subject)
    plan = Plan(steps=20, undersample=MASK, batch_size=1)
    ready = prepare(scan_of(case), plan)
    top = float(case.image.max())

    def score(image: Tensor) -> float:
        return psnr(image.abs().numpy(), case.image.numpy(), data_range=top)

    def restored(prior: Prior, beside: Tensor | None = None) -> float:
        one = ready if beside is None else with_reference(ready, beside, "the T1w slice")
        return score(restore_slice(one, prior, plan).image)

    return {"subject": subject, "cg_sense": score(ready.shown(ready.cg_sense[0]).cpu()),
            "plain": "" if plain is None else restored(plain),
            "without": restored(known), "with": restored(known, t1), "with_a_turned_one": restored(known, t1.flip(0, 1))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--train", choices=("reference", "plain"))
    parser.add_argument("--init", help="a prior to begin at, as brain-mr-starter")
    parser.add_argument("--images", type=int, default=8000)
    options = parser.parse_args()
    if options.train:
        trained(options.volumes, options.out, options.train, options.images, options.init)
        return
    known = load(options.out / "reference" / "prior")
    plain = load(options.out / "plain" / "prior") if (options.out / "plain" / "prior").is_dir() else None
    volumes, rows = load_volumes(options.volumes), list[dict[str, Any]]()
    for subject in TEST:
        slices = volumes[subject]
        t1 = at_2mm(slices[len(slices) // 2])
        rows.append(measured(t1, subject, known, plain))
        print(rows[-1], flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    known_columns = [name for name, value in rows[0].items() if name != "subject" and value != ""]
    means = {name: fmean(float(row[name]) for row in rows) for name in known_columns}
    print({name: round(value, 2) for name, value in means.items()})


if __name__ == "__main__":
    main()
