"""Trains the starter brain prior: `python train/brain_mr_starter.py VOLUMES.npz --out runs/brain-mr-starter`.

Run again with the same folder it continues; `--images` prolongs or ends the run (the learning rate falls to zero over
the last `decay_images`). At the end, or at once with `--export-only`, the averaged weights become a prior in
`OUT/prior`, with the log beside it.
"""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from diffusers import UNet2DModel

from medrestore.codecs import CalibratedComplex
from medrestore.datasets.brain import ComplexCrops, load_volumes
from medrestore.priors.network import EDM
from medrestore.priors.store import save
from medrestore.training.trainer import Training, averaged_weights, train

CARD = {
    "name": "brain-mr-starter",
    "about": "axial brain MR, complex, any contrast-like augmentation of T1w; a starter, not a reference",
    "training_data": "PTBP cohort: 48 paediatric subjects, 10 axial T1w slices each, as distributed with the ANTs tutorial data",
    "licence": "Apache-2.0 (weights); the cohort is openly published, its tutorial repository is GPL-2",
    "use": "Research use only. Not a medical device. Not for diagnosis. Can invent anatomy.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("volumes", type=Path, help=".npz with key vol, uint8 (subject, x, y, slice)")
    parser.add_argument("--config", type=Path, default=Path(__file__).parents[1] / "configs/train/brain-mr-starter.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, help="instead of training.images in the config")
    parser.add_argument("--export-only", action="store_true", help="write the prior from the last checkpoint")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    config = yaml.safe_load(args.config.read_text())
    settings = Training(**config["training"])
    if args.images is not None:
        settings = replace(settings, images=args.images)
    edm = EDM(**{key: tuple(value) if isinstance(value, list) else value for key, value in config["edm"].items()})
    if not args.export_only:
        run(args, config, settings, edm)
    export(args.out, config, edm)


def run(args: argparse.Namespace, config: dict[str, Any], settings: Training, edm: EDM) -> None:
    """Trains, and prints a line a checkpoint."""
    volumes = load_volumes(args.volumes)
    generator = torch.Generator().manual_seed(settings.seed)
    first, last = config["subjects"]["train"]
    crops = ComplexCrops(volumes[first:last], generator)
    first, last = config["subjects"]["validation"]
    validation = ComplexCrops(volumes[first:last], torch.Generator().manual_seed(1))(12, 160)
    torch.manual_seed(settings.seed)  # the initial weights
    net = UNet2DModel(**config["network"])
    for row in train(net, edm, crops, validation, settings, args.out, sigma_data=edm.sigma_data, generator=generator):
        print("  ".join(f"{key} {value:.5g}" for key, value in row.items()), flush=True)


def export(out: Path, config: dict[str, Any], edm: EDM) -> None:
    """The averaged weights of the last checkpoint as a prior."""
    weights, seen = averaged_weights(out / "state.pt")
    net = UNet2DModel(**config["network"])
    net.load_state_dict(weights)
    card = CARD | {"images": seen, "config": config}
    save(out / "prior", net, parametrisation=edm, recipe=CalibratedComplex(), channels=2, multiple=8, card=card)
    shutil.copy(out / "log.csv", out / "prior" / "log.csv")
    print(json.dumps({"prior": str(out / "prior"), "images": seen}))


if __name__ == "__main__":
    main()
