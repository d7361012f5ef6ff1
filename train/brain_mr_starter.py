"""Trains the starter brain prior: `python train/brain_mr_starter.py VOLUMES.npz --out runs/brain-mr-starter`.

Run again with the same folder it continues; `--images` prolongs or ends the run (the learning rate falls to zero over
the last `decay_images`).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from diffusers import UNet2DModel

from medrestore.datasets.brain import ComplexCrops, load_volumes
from medrestore.priors.network import EDM
from medrestore.training.trainer import Training, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("volumes", type=Path, help=".npz with key vol, uint8 (subject, x, y, slice)")
    parser.add_argument("--config", type=Path, default=Path(__file__).parents[1] / "configs/train/brain-mr-starter.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, help="instead of training.images in the config")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    config = yaml.safe_load(args.config.read_text())
    settings = Training(**config["training"])
    if args.images is not None:
        settings = replace(settings, images=args.images)
    edm = EDM(**config["edm"])
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


if __name__ == "__main__":
    main()
