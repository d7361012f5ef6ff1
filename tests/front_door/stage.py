"""Small files of every kind under the names that the pages give to them."""

import shutil
import sys
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import torch
from helpers import scans
from helpers.checkpoints import FACES
from helpers.networks import save_complex_prior, save_rgb_prior
from helpers.phantom import head_and_maps
from helpers.reconstructions import write_reconstruction
from PIL import Image
from scipy.io import savemat

from medrestore import shipped
from medrestore.io import write_nifti
from medrestore.io.frames.mha import MhaWriter
from medrestore.io.frames.video import VideoWriter
from medrestore.mri import radial
from medrestore.operators import NonCartesianSense
from medrestore.priors.convert import ddpm
from medrestore.training import read, train

ROOT = Path(__file__).parents[2]
SIDE = 128  # of which 8 % of the lines are enough for coil maps
SRLDM = {
    "latent": {"crops": 4, "train": {"autoencoder": "kl", "images": 8, "checkpoint_images": 8, "ema_images": 4, "scale_crops": 4,
                                     "optim": {"batch": 4}, "network": {"block_out_channels": [8, 16], "norm_num_groups": 4}}},
    "low_resolution": {"recipe": "average", "factor": 4}, "images": 8, "checkpoint_images": 8, "ema_images": 4,
    "optim": {"batch": 4},
    "network": {"block_out_channels": [8, 8], "layers_per_block": 1, "norm_num_groups": 4, "add_attention": False,
                "down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2},
}
STUDY = """name: study
protocol: fastmri-slice
data: {kind: phantoms, count: 2, size: [64, 64]}
settings: [{kind: uniform1d, accel: 4, acs: 16}]
methods:
  CG-SENSE: {baseline: CGSense, options: {lam: 1.0e-2}}
  DDS: {method: dds, steps: 2}
against: CG-SENSE
"""


def make(folder: Path) -> None:
    """Fills a folder with one file or folder of each kind."""
    folder.mkdir(parents=True)
    kspace, images = scans.kspace(2, shape=(SIDE, SIDE))
    _scans(folder, kspace, images)
    _along(folder)
    _pictures(folder)
    write_nifti(folder / "scan.nii.gz", 255 * images, pixel_mm=(1.0, 1.0, 3.0), affine=np.diag([1.0, 1.0, 3.0, 1.0]))
    shutil.copy(folder / "scan.nii.gz", folder / "brain.nii.gz")
    _priors(folder)
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator) for name, shape in ddpm.ddpm_layout(FACES).items()}
    for name in ("checkpoint.pt", "ct.pt"):
        torch.save(state, folder / name)
    (folder / "study.yaml").write_text(STUDY)


def _priors(folder: Path) -> None:
    """One of pictures, and small ones that are told something: random weights, or trained on a handful of crops."""
    shutil.copytree(shipped.priors()["surgical-starter"], folder / "my-prior")
    save_rgb_prior(folder / "organs-prior", names=("gut", "liver"), null=True)
    save_complex_prior(folder / "runs" / "contrasts" / "prior", names=("T1w", "T2w"))
    save_complex_prior(folder / "runs" / "reference" / "prior", reference=True)
    data: dict[str, Any] = {part: [{"kind": "pictures", "files": str(folder / place)}]
                            for part, place in (("train", "train"), ("validation", "held-out"))}
    recipe = SRLDM | {"out": str(folder / "runs" / "srldm"), "data": data | {"sides": [[64, 1.0]], "augment": "frames"}}
    train(read(recipe, "the front door"))


def _scans(folder: Path, kspace: np.ndarray, images: np.ndarray) -> None:
    scans.fastmri(folder / "scan.h5", kspace, reference=images, header=scans.header((SIDE, SIDE), (SIDE, SIDE)))
    for name in ("t1", "t2"):
        shutil.copy(folder / "scan.h5", folder / f"{name}.h5")
    for place in ("scans", "truth"):
        (folder / place).mkdir()
        shutil.copy(folder / "scan.h5", folder / place / "one.h5")
    (folder / "images").mkdir()
    write_reconstruction(folder / "images" / "one.h5", reconstruction=images, complex_image=images.astype(np.complex64),
                         mask=np.ones((1, SIDE), np.float32), provenance={"seed": 0})
    np.save(folder / "scan.npy", kspace)
    savemat(folder / "raw.mat", {"raw": kspace.transpose(1, 0, 3, 2)})
    (folder / "scan.hdr").write_text(f"# Dimensions\n{SIDE} {SIDE} 1 4 \n")
    (folder / "scan.cfl").write_bytes(kspace[0].tobytes())

    sys.path.insert(0, str(ROOT / "examples"))
    from clinical_researcher import example

    example(folder / "mrd")
    (folder / "mrd" / "scan0.mrd").rename(folder / "scan.mrd")


def _along(folder: Path) -> None:
    """One slice along radial spokes: ISMRMRD, arrays, BART."""
    image, maps, _ = head_and_maps((SIDE, SIDE), 4, 0)
    points = radial(96, (SIDE, SIDE))
    samples = NonCartesianSense(maps, points, torch.ones(points.shape[:2]))(image.to(torch.complex64))[0].numpy()
    np.save(folder / "kspace.npy", samples[None])
    np.save(folder / "traj.npy", points.numpy())
    spatial = np.concatenate([points.numpy(), np.zeros((*points.shape[:2], 1))], -1)
    for name, values in (("ksp", samples.transpose(2, 1, 0)[None]), ("traj", spatial.transpose(2, 1, 0))):
        (folder / f"{name}.hdr").write_text(f"# Dimensions\n{' '.join(map(str, values.shape))} \n")
        (folder / f"{name}.cfl").write_bytes(values.astype(np.complex64).tobytes(order="F"))
    with ismrmrd.Dataset(str(folder / "radial.h5"), create_if_needed=True) as file:
        file.write_xml_header(scans.header((SIDE, SIDE), (SIDE, SIDE)).replace("cartesian", "radial").encode())
        for number in range(samples.shape[1]):
            one = ismrmrd.Acquisition.from_array(samples[:, number], points[number].numpy().astype(np.float32) / SIDE)
            one.idx.kspace_encode_step_1 = number
            file.append_acquisition(one)


def _pictures(folder: Path) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    picture = np.stack([2 * rows, 255 - 3 * columns, rows + columns], -1).clip(0, 255).astype(np.uint8)
    hidden = np.zeros((SIDE, SIDE), np.uint8)
    hidden[20:32, 24:40] = 255
    noisy = (picture + np.random.default_rng(0).normal(0, 12, picture.shape)).clip(0, 255).astype(np.uint8)
    for place, what in (("frames", picture), ("masks", hidden), ("slices", noisy[..., 0])):
        (folder / place).mkdir()
        for number in range(2):
            Image.fromarray(what).save(folder / place / f"{number:04d}.png")
    for place in ("train", "held-out"):
        for organ, what in (("gut", picture), ("liver", noisy)):
            (folder / place / organ).mkdir(parents=True)
            Image.fromarray(what if place == "train" else what[::-1]).save(folder / place / organ / "0.png")
    for name, what in (
            ("frame", picture), ("photo", noisy), ("noisy", noisy), ("mask", hidden), ("parts", hidden // 3), ("soft", hidden),
            ("blurred", picture), ("small", picture[::4, ::4])):
        Image.fromarray(what).save(folder / f"{name}.png")
    for name, what in (("scene", picture), ("masks", 255 - hidden)):
        channels = 3 if what.ndim == 3 else 1
        with MhaWriter(folder / f"{name}.mha", size=(SIDE, SIDE), count=2, channels=channels) as writer:
            writer.put(what)
            writer.put(what)
    with VideoWriter(folder / "film.mp4", size=(SIDE, SIDE), fps=None, codec="h264") as film:
        for _ in range(2):
            film.put(picture)
