"""The trainer: a folder of NIfTI volumes becomes a prior, and the prior an image from an undersampled scan.

    python trainer.py VOLUMES -o WORK      your volumes, magnitude images (.nii, .nii.gz)
    python trainer.py -o WORK              eight small ones, made for the occasion

Needs the extra `train`. The network and the numbers are those of `medrestore train quick`, minutes on a laptop; for serious work
begin with docs/training.md.
"""

import argparse
from pathlib import Path

from walk import run


def example(folder: Path) -> None:
    """Eight NIfTI volumes of eight slices of phantoms."""
    import nibabel
    import numpy as np

    from medrestore.datasets import Phantoms

    folder.mkdir(parents=True)
    images = Phantoms(count=64, size=64)
    for subject in range(8):
        slices = [images[8 * subject + index].abs()[0].numpy() for index in range(8)]
        volume = nibabel.Nifti1Image(np.stack(slices, -1), np.diag([2.0, 2.0, 5.0, 1.0]))
        nibabel.save(volume, folder / f"sub-{subject:02d}.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volumes", nargs="?", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=8000, help="how many images training sees")
    parser.add_argument("--steps", type=int, default=25)
    options = parser.parse_args()
    if options.volumes is None:
        options.volumes = options.out / "volumes"
        example(options.volumes)
    # one volume in four validates; real images get a random smooth phase, as scans have
    volumes = sorted(options.volumes.glob("*.nii*"))
    kept = len(volumes) - max(1, len(volumes) // 4)
    data = [f"[{{kind: nifti, files: [{', '.join(str(path) for path in part)}]}}]" for part in (volumes[:kept], volumes[kept:])]
    run(f"medrestore train quick out={options.out / 'run'} 'data.train={data[0]}' 'data.validation={data[1]}' "
        f"data.augment=complex_mr images={options.images} optim.decay_images={options.images // 2} "
        f"optim.warmup_images={options.images // 20} checkpoint_images={options.images} sample_images={options.images}")
    prior = options.out / "run" / "prior"
    run(f"medrestore inspect {prior}")
    run(f"medrestore recon sample:brain-scan -o {options.out / 'image.h5'} --undersample uniform1d --accel 4 --prior {prior} "
        f"--steps {options.steps}")


if __name__ == "__main__":
    main()
