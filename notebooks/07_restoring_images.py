# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Restoring images
#
# A NIfTI made twice as fine and denoised by the brain prior, and a picture deblurred by the prior of operating-room views. The
# commands are those of the shell (`medrestore restore ...`), called from Python here; `mr.restore_image` does the same to arrays.
#
# It takes a minute or two on a CPU. Research use only. Not for diagnosis. What is not in the data is imagined.

# %%
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import torch

import medrestore as mr
from medrestore.cli.main import main
from medrestore.datasets.scenes import render_frame

STEPS = 10
folder = Path(tempfile.mkdtemp())


def run(line):
    """A line as one would write it in the shell."""
    assert main(line.format(folder=folder).split()) == 0


def record(name):
    """How an output was made: the JSON beside it."""
    return json.loads((folder / f"{name}.json").read_text())


# %% [markdown]
# ## A volume
#
# The slice that ships, as a NIfTI with an orientation, its middle 128 x 128 pixels.

# %%
scan = mr.io.read_kspace("../data/samples/brain-scan.h5" if Path("../data").is_dir() else "data/samples/brain-scan.h5")[0]
clean = scan.reference.abs().reshape(1, 224, 192)[:, 48:176, 32:160]
clean = 1000 * clean / clean.max()
affine = np.array([[0, -1.0, 0, 64], [-1.0, 0, 0, 64], [0, 0, 1.0, 20], [0, 0, 0, 1]])  # (row, column, slice) to millimetres
mr.io.write_nifti(folder / "clean.nii.gz", clean, pixel_mm=(1.0, 1.0, 1.0), affine=affine)

# %% [markdown]
# ## Twice as fine
#
# `degrade` makes the coarse volume and writes down what it did, so `restore` needs no further word. `--truth` is for the scores.

# %%
run("degrade {folder}/clean.nii.gz --task sr --factor 2 -o {folder}/coarse.nii.gz")
run(f"restore {{folder}}/coarse.nii.gz -o {{folder}}/fine.nii.gz --truth {{folder}}/clean.nii.gz --steps {STEPS}")
scores = record("fine.nii.gz")["scores"]

# %% [markdown]
# The grid of the coarse volume covers the same field: its first voxel lies half a fine voxel further in. The fine one lies where
# the clean one lay.

# %%
names = ("clean", "coarse", "fine")
clean_affine, coarse_affine, fine_affine = (nibabel.load(folder / f"{name}.nii.gz").affine for name in names)
print(coarse_affine - clean_affine)
print(np.abs(fine_affine - clean_affine).max())

# %%
plt.figure(figsize=(12, 4))
plt.imshow(plt.imread(folder / "fine.nii.gz.preview.png"))
plt.axis("off")

# %% [markdown]
# ## Less noise
#
# Noise of std 100 where white is 1000. This time nothing is said of it: the record is left aside, and the noise is estimated.

# %%
run("degrade {folder}/clean.nii.gz --task denoise --noise-std 100 -o {folder}/noisy.nii.gz")
(folder / "noisy.nii.gz.json").unlink()
run(f"restore {{folder}}/noisy.nii.gz --task denoise -o {{folder}}/quiet.nii.gz --truth {{folder}}/clean.nii.gz --steps {STEPS}")
quiet, noise = record("quiet.nii.gz")["scores"], record("quiet.nii.gz")["noise_std"]
print(f"noise: 100 in truth, {noise:.0f} estimated")

# %%
plt.figure(figsize=(12, 4))
plt.imshow(plt.imread(folder / "quiet.nii.gz.preview.png"))
plt.axis("off")

# %% [markdown]
# ## A picture, sharp again
#
# On arrays: a rendered view of an operating room, moved over 9 pixels while the shutter was open. With so little noise behind a
# blur the default (HQS) follows the data further than their noise allows; DDS does not.

# %%
truth = (255 * render_frame(0, 1000, 300, size=(64, 96)).truth).permute(1, 2, 0).numpy()
motion = dict(task="deblur", motion=(9.0, 30.0))
blurred = mr.degrade(truth, noise_std=1.0, **motion)
made = mr.restore_image(blurred, noise_std=1.0, interval=(0.0, 255.0), method="dds", steps=STEPS, **motion)


def psnr(image):
    return mr.metrics.psnr(torch.from_numpy(image), torch.from_numpy(truth), data_range=255.0)


blurred_psnr, sharp_psnr = psnr(blurred), psnr(made.image)
print(f"blurred {blurred_psnr:.1f} dB, restored {sharp_psnr:.1f} dB; misfit {made.misfit:.2f}")

# %%
_, places = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
for place, (title, image) in zip(places, {"blurred": blurred, "restored": made.image, "truth": truth}.items(), strict=True):
    place.imshow((image / 255).clip(0, 1))
    place.set_title(title, fontsize=9)
    place.set_axis_off()
