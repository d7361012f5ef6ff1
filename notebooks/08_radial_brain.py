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
# # A radial scan of the brain
#
# Spokes through the centre of k-space, an eighth of what a full scan would take: where they lie, what a classical
# reconstruction makes of them, and what the prior adds. The same call reads spirals, rosettes and any other trajectory; files go
# through `medrestore recon SCAN --trajectory TRAJ` (docs/trajectories.md).
#
# It takes a minute or two on a CPU. Research use only. Not for diagnosis. What is not in the data is imagined.

# %%
import matplotlib.pyplot as plt
import torch

import medrestore as mr
from medrestore.operators import NonCartesianSense

SIZE, SPOKES, COILS, STEPS = (96, 96), 24, 4, 15

# %% [markdown]
# ## The scan
#
# The slice that ships, at half its resolution, seen by four coils. Every golden-angle spoke has two samples a pixel, so that the
# ends of its image lie outside the object: that is where the noise is estimated.

# %%
brain = mr.io.read_kspace(mr.shipped.scan("sample:brain-scan"))[0].reference[..., 16:208, :]
brain = torch.nn.functional.avg_pool2d((brain / brain.max()).reshape(1, 1, 192, 192), 2).to(torch.complex64)
random = torch.Generator().manual_seed(0)
maps = mr.mri.simulated_maps(COILS, SIZE, generator=random)
trajectory = mr.mri.radial(SPOKES, SIZE)  # (spoke, sample, 2), row and column in cycles per field of view
A = NonCartesianSense(maps, trajectory, torch.ones(trajectory.shape[:-1]))
kspace = A(brain)[0]
kspace = kspace + 0.005 * torch.view_as_complex(torch.randn(*kspace.shape, 2, generator=random))
print(f"{kspace.shape[0]} coils, {kspace.shape[1]} spokes of {kspace.shape[2]} samples")

plt.figure(figsize=(4, 4))
plt.plot(trajectory[..., 1].T.numpy(), trajectory[..., 0].T.numpy(), linewidth=0.5)
plt.axis("equal")
plt.title("cycles per field of view")

# %% [markdown]
# ## Without a prior
#
# Gridding takes the adjoint of samples weighted by their density: what was not measured is zero, as streaks. CG-SENSE solves the
# least-squares problem instead. Both come with every reconstruction.

# %%
result = mr.reconstruct(kspace, trajectory=trajectory, matrix=SIZE, steps=STEPS, map_sets=1)
images = {"gridding": result.zero_filled, "CG-SENSE": result.cg_sense, "with the prior": result.image}


def psnr(image):
    """Against the truth, the scale of the coils taken out."""
    image, truth = image.abs(), brain[0, 0].abs()
    scale = (image * truth).sum() / image.square().sum()
    return mr.metrics.psnr((scale * image)[None], truth[None], data_range=1.0)


scores = {name: psnr(image) for name, image in images.items()}
for name, score in scores.items():
    print(f"{name:15s} {score:5.2f} dB")

# %% [markdown]
# ## With the prior
#
# Each of the steps denoises the image and solves for one that agrees with the samples as well. The normal operator is a
# Toeplitz matrix, computed once: two transforms of twice the side, whatever the trajectory. A misfit of about 1 says that the
# samples are explained to their noise.

# %%
print(f"data misfit {float(result.misfit):.2f}, noise {float(result.slices[0].prepared.problem.sigma):.4f} "
      f"({result.slices[0].prepared.noise_source})")
for note in result.slices[0].prepared.notes:
    print(note)

figure, axes = plt.subplots(1, 4, figsize=(12, 3.4))
for axis, (name, image) in zip(axes, {"truth": brain[0, 0], **images}.items(), strict=True):
    axis.imshow(image.abs().numpy(), cmap="gray")
    axis.set_title(name if name == "truth" else f"{name}, {scores[name]:.1f} dB")
    axis.axis("off")
