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
# # Images of any size
#
# A prior sees windows, pictures are larger. Three pictures of Wang et al., "Unlimited-size diffusion restoration" (CVPRW 2023),
# with the surgical starter prior instead of one of ImageNet: 16 times super-resolution from 64 x 32 to 1024 x 512, inpainting
# of 512 x 768, and colorization of 1268 x 1024. Windows that overlap agree where they meet (*mask-shift*), and a coarse picture
# guides those of the fine one (*hierarchical*). No step is written for a task: each is an operator and its data.
#
# Everything is a `SCALE`-th of the paper's sizes here, windows too, and takes well under a minute on a CPU. `SCALE = 1` and
# `STEPS = 100` give the paper's pictures; a GPU helps then.
#
# Research use only. Not for diagnosis. What is not in the data is imagined.

# %%
import matplotlib.pyplot as plt
import torch
from skimage import data

import medrestore as mr
from medrestore.datasets.scenes import render_frame
from medrestore.operators import AveragePool, Grayscale, Mask
from medrestore.tiling import hierarchical, plan, seam_ratio, settled_by

SCALE, STEPS = 4, 5

prior = mr.priors.load("surgical-starter", bf16=True)
window = (256 // SCALE, 256 // SCALE)
levels = mr.levels.karras(STEPS, sigma_max=20.0, sigma_min=0.02)

# %% [markdown]
# One function serves all three. The prior knows pictures in [-1, 1], so the problem is put into its coordinates first
# (`encoded`) and the result is brought back (`decode`). `factor="auto"` makes as coarse a picture as the holes need; a number
# makes one that is as many times coarser.


# %%
def restored(operator, y, size, factor="auto"):
    problem = mr.Problem(operator, y).encoded(prior.recipe)
    z = hierarchical(problem, prior, mr.DDNM(), levels, size=size, window=window, noise=mr.Noise([0]), factor=factor)
    return prior.recipe.decode(z).clamp(0, 1)


def show(**pictures):
    _, places = plt.subplots(1, len(pictures), figsize=(14, 3.4), layout="constrained")
    for place, (title, picture) in zip(places, pictures.items(), strict=True):
        shown = picture[0].expand(3, -1, -1).permute(1, 2, 0).clamp(0, 1)
        place.imshow(shown.numpy())
        place.set_title(f"{title}, {picture.shape[-1]} x {picture.shape[-2]}", fontsize=9)
        place.set_axis_off()


results = {}

# %% [markdown]
# ## 16 times larger
#
# Each pixel of the data is the mean of 16 x 16. Everything is consistent with it that has these means; the prior chooses.

# %%
size = (512 // SCALE, 1024 // SCALE)
truth = render_frame(0, 1000, 300, size=size).truth[None]  # seed, scene, frame
enlarge = AveragePool(16, size)
y = enlarge(truth)
results["super-resolution"] = restored(enlarge, y, size)
show(given=y, restored=results["super-resolution"], truth=truth)
off = (enlarge(results["super-resolution"]) - y).abs().max()
print(f"super-resolution: means are off by at most {float(off):.4f}")

# %% [markdown]
# ## A large hole
#
# Instruments and a glove hide the site; known pixels are the frame's own. Only windows with something hidden are visited.

# %%
size = (512 // SCALE, 768 // SCALE)
frame = render_frame(0, 1008, 600, size=size)
keep = frame.known.float()
fill = Mask(keep)
y = keep * frame.truth[None]
results["inpainting"] = torch.where(frame.known, y, restored(fill, y, size))
show(given=frame.obstructed[None], hidden=1 - keep[None, None], restored=results["inpainting"], truth=frame.truth[None])
print(f"inpainting: {1 - float(keep.mean()):.0%} hidden")

# %% [markdown]
# ## Colour
#
# A photograph of a retina (from scikit-image) has lost its colours: one grey value a pixel is known, three are wanted. That
# leaves the colour of each window to chance; a guide that is four times coarser, hardly larger than a window, makes them agree.

# %%
size = (1024 // SCALE, 1268 // SCALE)
photograph = torch.from_numpy(data.retina()).permute(2, 0, 1)[None, :, 193:1217, 71:1339] / 255
truth = torch.nn.functional.interpolate(photograph, size, mode="area")
colours = Grayscale()
y = colours(truth)
results["colorization"] = restored(colours, y, size, factor=4)
show(given=y, restored=results["colorization"], truth=truth)
off = (colours(results["colorization"]) - y).abs().mean()
print(f"colorization: grey values are off by {float(off):.4f} in the mean, where colours had to be cut to [0, 1]")

# %% [markdown]
# ## Do the windows show?
#
# The gradient where two windows meet over the gradient inside them: 1 where no seam shows. With so few steps and so few borders
# it scatters.

# %%
unknown = torch.ones(size, dtype=torch.bool)
order = plan(unknown, window, (window[0] // 2, window[1] // 2))
seam = seam_ratio(results["colorization"], settled_by(order, unknown))
print(f"{len(order)} windows, seam ratio {seam:.2f}")

# %% [markdown]
# Frames, folders, videos and DREAMING go through `medrestore inpaint`; how windows, guides and seams work is described in
# `docs/tiling.md`.
