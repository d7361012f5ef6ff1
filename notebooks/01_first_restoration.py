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
# # A first restoration
#
# An accelerated brain scan becomes an image: the sampling mask, the coil maps, the noise, the problem, the prior, and three
# methods that solve it. It runs on a CPU in well under a minute, with few steps; 25 steps and 4 samples look better.
#
# Research use only. Not for diagnosis. A generative prior can invent anatomy.

# %%
from importlib.resources import files

import matplotlib.pyplot as plt
import torch

import medrestore as mr

STEPS, SAMPLES = 8, 2

# %% [markdown]
# ## The scan
#
# The package ships one simulated slice: eight coils, fully sampled, with noise at 30 dB. A file is opened, and slices are read
# when asked for. k-space is `(1, coil, height, width)`; the readout runs along the height.

# %%
sample = files("medrestore.data") / "samples" / "brain-scan.h5"
with mr.io.read_kspace(str(sample)) as file:
    scan = file[0]
print(tuple(scan.kspace.shape), "reference", tuple(scan.reference.shape))

# %% [markdown]
# ## Four times faster
#
# A quarter of the phase-encode lines is kept, the centre fully: those are the calibration lines. From here on nothing looks at
# the lines that were taken away.

# %%
height, width = scan.kspace.shape[-2:]
sampling = mr.mri.sampling_mask("uniform1d", (height, width), 4, seed=0)
kspace = scan.kspace * sampling.mask
print(f"{sampling.acceleration:.2f}x, {sampling.acs} calibration lines of {width}")

# %% [markdown]
# ## Coil maps and noise, from the scan itself
#
# ESPIRiT finds from the calibration lines how strongly, and with what phase, each coil sees each pixel. Where no coil sees
# anything the maps are zero: the image's *support*. The noise level is the std of every real number of the noise.

# %%
maps = mr.mri.espirit(kspace, mask=sampling.mask)
noise = mr.mri.estimate_noise(kspace, sampling.mask)
print(f"noise {noise.std:.4f}, from {noise.source}")

figure, places = plt.subplots(1, 8, figsize=(14, 2.4), layout="constrained")
for coil, place in enumerate(places):
    place.imshow(maps[0, coil].abs().numpy(), cmap="gray", vmin=0, vmax=1)
    place.set_axis_off()
figure.suptitle("coil maps, magnitude")

# %% [markdown]
# ## The problem
#
# The measurement is y = A x + noise, with A = mask, Fourier transform, maps. The mask undersamples one axis only, so A has an
# exact singular value decomposition, one small matrix for each readout position. With it DDNM+ runs on multi-coil MRI, and every
# proximal step to the data is exact.

# %%
sense = mr.operators.Sense(maps, sampling.mask).spectral()
problem = mr.Problem(sense, kspace, sigma=noise.std)
unknown, seen = int(sense.support.sum()), int((sense.s > 0).sum())
print(f"{unknown} unknown pixels in the support, {seen} combinations of them measured, more or less well")

# %% [markdown]
# Coil maps are estimates too, so even the best image does not explain the data to the thermal noise alone. What is left,
# per degree of freedom, is the noise that a restoration should believe in.

# %%
left = mr.consistency.unexplained(problem)
problem = mr.Problem(sense, kspace, sigma=max(noise.std, left))
print(f"thermal noise {noise.std:.4f}, unexplained {left:.4f}")

# %% [markdown]
# ## The prior
#
# A small network that has learned how to take noise off complex brain images. It says in which coordinates it wants them; the
# scale comes from the calibration lines.

# %%
prior = mr.priors.load("brain-mr-starter", bf16=True)
print(f"{prior.channels} channels, sides that are multiples of {prior.multiple}, noise levels {prior.sigma_range}")

# %% [markdown]
# ## Three methods
#
# All take the same noise levels. At each level the prior guesses the clean image, the guess is made to agree with
# the data, and some noise is put back.
#
# - **DDS** takes a proximal step to the data by conjugate gradients. With `gamma=None` its weight is as large as the noise justifies;
#   the paper's constant, `gamma=5.0`, fits the noise late in the sampling.
# - **DDNM+** corrects each singular value on its own, as far as the noise allows.
# - **DiffPIR** takes the same step, then recomputes the direction of the noise.

# %%
methods = {"DDS": mr.DDS(gamma=None), "DDNM+": mr.DDNMPlus(), "DiffPIR": mr.DiffPIR()}
results = {name: mr.restore(problem, prior, method, steps=STEPS, samples=SAMPLES, seed=0) for name, method in methods.items()}
for name, result in results.items():
    print(f"{name:8s} samples {tuple(result.samples.shape)}, data misfit {result.misfit.mean():.2f}")

# %% [markdown]
# `misfit` is |A x - y| in units of the noise: about 1 when the data are explained to their noise, below 1 when noise was fitted.
# It needs no reference, so look at it for every scan.
#
# ## Scores
#
# Zero-filled and CG-SENSE stand beside. The mean of the samples is the estimate of least squared error, so it scores above a
# single sample.

# %%
images = {
    "zero-filled": mr.baselines.ZeroFilled().reconstruct(kspace, maps, sampling.mask)[0, 0].abs(),
    "CG-SENSE": mr.baselines.CGSense(lam=0.01).reconstruct(kspace, maps, sampling.mask)[0, 0].abs(),
}
for name, result in results.items():
    images[f"{name}, one sample"] = result.samples[0, 0].abs()
    images[f"{name}, mean"] = result.mean[0].abs()
for name, image in images.items():
    scores = mr.metrics.fastmri_scores(image[None], scan.reference[None])
    print(f"{name:20s} PSNR {scores.psnr:5.2f} dB   SSIM {scores.ssim:.3f}")

# %% [markdown]
# ## The picture
#
# The spread of the samples shows where they disagree. It depends on the method, and is no calibrated uncertainty.

# %%
peak = float(scan.reference.max())
best = max(results, key=lambda name: mr.metrics.psnr(images[f"{name}, mean"], scan.reference, data_range=peak))
shown = {
    "zero-filled": (images["zero-filled"], peak),
    "CG-SENSE": (images["CG-SENSE"], peak),
    f"{best}, mean of {SAMPLES}": (images[f"{best}, mean"], peak),
    "truth": (scan.reference, peak),
    "error x 10": ((images[f"{best}, mean"] - scan.reference).abs(), peak / 10),
    "spread x 10": (results[best].std[0], peak / 10),
}
figure, places = plt.subplots(1, len(shown), figsize=(14, 3.2), layout="constrained")
for place, (name, (image, white)) in zip(places, shown.items(), strict=True):
    place.imshow(image.numpy(), cmap="gray", vmin=0, vmax=white)
    place.set_title(name, fontsize=9)
    place.set_axis_off()

# %% [markdown]
# ## The same in two calls
#
# `medrestore recon` does all this, and prewhitening where there is a noise scan. So does Python:

# %%
plan = mr.recon.Plan("dds", steps=STEPS, samples=SAMPLES, undersample=mr.recon.Undersampling("uniform1d", 4))
ready = mr.recon.prepare(scan, plan)
done = mr.recon.restore_slice(ready, prior, plan)
print(f"{ready.sampling.kind} {ready.sampling.acceleration:.2f}x, noise {ready.problem.sigma:.4f} ({ready.noise_source})")
assert torch.equal(ready.sampling.mask, sampling.mask)

# %% [markdown]
# Next: your own scan, with `medrestore inspect FILE`, then `medrestore recon FILE -o image.h5`.
