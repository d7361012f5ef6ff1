"""Makes `brain-scan.h5`: one simulated 8-coil slice of the ICBM 152 template, fully sampled, with noise.

    pip install medrestore[samples]
    python data/samples/make_brain_scan.py

The template is nilearn's copy of ICBM 152 2009a (T1, 1 mm, brain only). The brain starter prior has seen sagittal and coronal
slices of it, but no axial one, and nothing within 6 mm of this slice. The file has the layout of a fastMRI training volume:
`kspace` and the noise-free `reconstruction_rss`.
"""

from pathlib import Path

import h5py
import numpy as np
import torch
from nilearn.datasets import load_mni152_template

from medrestore.mri import add_smooth_phase, simulate_scan, simulated_maps

HEIGHT, WIDTH, COILS, SNR_DB, SLICE = 224, 192, 8, 30.0, 92


def main() -> None:
    volume = np.asarray(load_mni152_template(resolution=1).get_fdata(), dtype=np.float32)
    plane = np.ascontiguousarray(np.rot90(volume[:, :, SLICE]))  # anterior up
    top, left = (plane.shape[0] - HEIGHT) // 2, (plane.shape[1] - WIDTH) // 2
    plane = plane[top : top + HEIGHT, left : left + WIDTH]
    image = torch.from_numpy(plane / plane.max())[None, None].to(torch.complex64)
    generator = torch.Generator().manual_seed(152)
    image = add_smooth_phase(image, generator)
    maps = simulated_maps(COILS, (HEIGHT, WIDTH), generator=generator)
    kspace = simulate_scan(image, maps, torch.ones(1, WIDTH), snr_db=SNR_DB, generator=generator)
    out = Path(__file__).with_name("brain-scan.h5")
    with h5py.File(out, "w") as file:
        file.create_dataset("kspace", data=kspace.numpy())
        file.create_dataset("reconstruction_rss", data=image[0].abs().numpy())
        file.attrs["acquisition"] = "simulated T1"
        file.attrs["max"] = float(image.abs().max())
    print(out, tuple(kspace.shape), f"{out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
