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
# # A volume whose slices agree
#
# A prior of slices knows nothing of the next slice: restored one by one, slices flicker. `across_slices` restores them together,
# with second differences across them held small where the data leave room (docs/mri.md). Here a short stack, each slice
# undersampled by a mask of its own.
#
# It takes a minute or two on a CPU. Research use only. Not for diagnosis. What is not in the data is imagined.

# %%
import matplotlib.pyplot as plt
import torch

import medrestore as mr

SLICES, SIZE, COILS, STEPS = 6, (64, 64), 4, 10

# %% [markdown]
# ## The scan
#
# One slice ships; others are made of it by turning and stretching it a little from slice to slice, as anatomy goes on.

# %%
brain = mr.io.read_kspace(mr.shipped.scan("sample:brain-scan"))[0].reference[..., 48:176, 32:160]
brain = torch.nn.functional.avg_pool2d((brain / brain.max()).reshape(1, 1, 128, 128), 2)
turns = torch.linspace(-0.06, 0.06, SLICES)
warps = torch.stack([torch.stack([1 + turn, turn, 0 * turn, -turn, 1 + turn, turn / 2]).reshape(2, 3) for turn in turns])
grid = torch.nn.functional.affine_grid(warps, (SLICES, 1, *SIZE), align_corners=False)
truth = torch.nn.functional.grid_sample(brain.expand(SLICES, 1, *SIZE), grid, align_corners=False)

random = torch.Generator().manual_seed(1)
maps = mr.mri.simulated_maps(COILS, SIZE, generator=random)
masks = [mr.mri.sampling_mask("gaussian1d", SIZE, 3, acs=12, seed=index).mask for index in range(SLICES)]
kspace = torch.cat([mr.mri.simulate_scan(image[None].to(torch.complex64), maps, mask, noise_std=0.01, generator=random)
                    for image, mask in zip(truth, masks, strict=True)])
print(f"{len(kspace)} slices of {kspace.shape[1]} coils; {float(torch.stack(masks).mean()):.0%} of the lines, other ones in each")

# %% [markdown]
# ## Slice by slice, and together
#
# `metrics.flicker` is the rms change of the error from slice to slice. Together, each slice borrows what its neighbours have
# measured.

# %%
alike = {"method": "dds", "steps": STEPS, "noise_std": 0.01, "map_sets": 1}
images = {name: mr.reconstruct(kspace, across_slices=weight, **alike).image.abs()
          for name, weight in {"slice by slice": None, "together": 20.0}.items()}
peak = float(truth.max())
flicker = {name: mr.metrics.flicker(image, truth[:, 0], data_range=peak) for name, image in images.items()}
psnr = {name: mr.metrics.psnr(image, truth[:, 0], data_range=peak) for name, image in images.items()}
for name in images:
    print(f"{name:15s} {psnr[name]:5.2f} dB, flicker {flicker[name]:.2%}")

# %% [markdown]
# ## Across the slices
#
# One column of every slice, beside the same column of its neighbours: what jumps is no anatomy.

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 2.6))
for axis, (name, image) in zip(axes, {"truth": truth[:, 0], **images}.items(), strict=True):
    axis.imshow(image[:, :, SIZE[1] // 2].numpy(), cmap="gray", aspect="auto")
    axis.set_title(name if name == "truth" else f"{name}, flicker {flicker[name]:.1%}")
    axis.set_xlabel("row")
    axis.set_ylabel("slice")
