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
# # Inside DDS: one step by hand, then all of them
#
# Decomposed diffusion sampling (Chung, Lee & Ye, ICLR 2024) repeats three moves: *denoise* with the prior, a *proximal step* to the data
# by a few conjugate-gradient steps, *renoise* to the next level. Here each is made by hand on a multi-coil scan and looked
# at; then the sampling is written out as a loop, and it gives the same numbers as `restore`.
#
# It runs on one CPU core in about half a minute, with few steps and one sample. Research use only: not for diagnosis.

# %%
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

import medrestore as mr
from medrestore.consistency import misfit, prox, unexplained
from medrestore.methods.budget import ddim_split, justified_gamma
from medrestore.restoration import codec_for

STEPS = 8


def show(pictures, white=1.0):
    _, places = plt.subplots(1, len(pictures), figsize=(14, 14 / len(pictures) * 1.25), layout="constrained")
    for place, (title, picture) in zip(places, pictures.items(), strict=True):
        place.imshow(picture.abs().squeeze().numpy(), cmap="gray", vmin=0, vmax=white)
        place.set_title(title, fontsize=9)
        place.set_axis_off()


# %% [markdown]
# ## The data
#
# Eight coils, simulated from a real anatomy, fully sampled: we keep every fourth phase-encode line and a block in the middle.
# What the other lines said is from here on known to the reference alone.

# %%
with mr.io.read_kspace("sample:brain-scan") as file:
    scan = file[0]
height, width = scan.kspace.shape[-2:]
sampling = mr.mri.sampling_mask("uniform1d", (height, width), 4, seed=0)
kspace = scan.kspace * sampling.mask
print(f"{tuple(kspace.shape)} (1, coil, readout, phase encode), {sampling.acceleration:.2f}x, {sampling.acs} calibration lines")

coils = mr.baselines.ZeroFilled().reconstruct(kspace, torch.ones_like(kspace), sampling.mask)  # maps of 1: a bare sum of coils
maps = mr.mri.espirit(kspace, mask=sampling.mask)
zero_filled = mr.baselines.ZeroFilled().reconstruct(kspace, maps, sampling.mask)
peak = float(scan.reference.max())
show({"sampling mask": sampling.mask.expand(height, width) * peak, "coils added up": coils / 3,
      "combined by the maps": zero_filled, "reference": scan.reference}, peak)

# %% [markdown]
# Coils have phases of their own, so adding them up cancels signal. The maps put the phases right; what is left are the copies
# that the missing lines fold over one another.
#
# ## The operator
#
# `Sense` is y = M F (c x): maps c, Fourier transform F, mask M. Everything below needs only it and its adjoint, so the
# adjoint had better be one: <A x, y> = <x, A* y> for any x and y.

# %%
sense = mr.operators.Sense(maps, sampling.mask)
chance = torch.Generator().manual_seed(0)
x = torch.randn(1, 1, height, width, dtype=torch.complex64, generator=chance)
y = torch.randn(kspace.shape, dtype=torch.complex64, generator=chance)
left, right = torch.vdot(sense(x).flatten(), y.flatten()), torch.vdot(x.flatten(), sense.adjoint(y).flatten())
print(f"<Ax, y> {left:.3f}   <x, A*y> {right:.3f}")

# %% [markdown]
# The noise level comes from the data, and so does what the estimated maps leave unexplained; the larger is what a restoration
# should believe in. The prior works on two real channels with magnitudes around 1, so the *problem* is moved into its
# coordinates, once. No step rescales anything after that, and noise levels sigma are in these units.

# %%
thermal = mr.mri.estimate_noise(kspace, sampling.mask).std
problem = mr.Problem(sense, kspace, sigma=thermal)
problem = mr.Problem(sense, kspace, sigma=max(thermal, unexplained(problem)))
prior = mr.priors.load("brain-mr-starter", bf16=True)
codec = codec_for(prior, problem)
seen = problem.encoded(codec)
truth = scan.reference  # magnitude only
print(f"noise {problem.sigma:.4g} in k-space, {seen.sigma:.3g} in the prior's units, where the brain is about 1")


def psnr(z):
    return mr.metrics.psnr(codec.decode(z)[0, 0].abs(), truth, data_range=peak)


def off(z):
    """|A x - y| in units of the noise: about 1 when the data are explained to their noise."""
    return float(misfit(seen, z)[0] / (seen.sigma * seen.count[0] ** 0.5))


# %% [markdown]
# ## Move 1: denoise
#
# In the middle of the sampling x is an image under noise of std sigma. Here we make one from the zero-filled image, so that there
# is something to look at. The prior answers with its best guess of the clean image. It knows brains, and has not looked at
# the data.

# %%
sigma, sigma_next = 0.3, 0.15
start = codec.encode(zero_filled)
noise = mr.Noise([0])
x = start + sigma * noise(start.shape)
with torch.no_grad():
    guess = prior(x, sigma)
show({f"x, sigma {sigma}": codec.decode(x), f"denoised, {psnr(guess):.1f} dB": codec.decode(guess), "reference": truth}, peak)
print(f"misfit of the guess: {off(guess):.1f}")

# %% [markdown]
# ## Move 2: the proximal step
#
# The guess is moved towards the data: `prox` minimises |z - guess|^2 + gamma |A z - y|^2. Conjugate gradients begin *at the
# guess*, and each step adds one dimension (of the Krylov space) in which it may move. A few steps mend what the data see
# well. Since the mask undersamples one axis only, `Sense.spectral()` knows every singular value, and the exact answer is
# there to compare with.
#
# gamma weighs the data. What their noise justifies is (sigma / sigma_y)^2: the guess is off by about sigma, the data by
# sigma_y.

# %%
exact_seen = mr.Problem(sense.spectral(), kspace, sigma=problem.sigma).encoded(codec)
weights = {"paper's constant": 5.0, "justified": justified_gamma(sigma, seen.sigma, 1.0)}
figure, places = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
for name, gamma in weights.items():
    solved = prox(exact_seen, guess, gamma)
    steps = (1, 2, 3, 5, 8, 12, 20)
    few = [prox(seen, guess, gamma, cg_steps=number) for number in steps]
    far = [float((z - solved).norm() / (solved - guess).norm()) for z in few]
    places[0].semilogy(steps, far, "o-", label=f"{name}, gamma {gamma:.3g}")
    places[1].semilogy((0, *steps), [off(z) for z in (guess, *few)], "o-", label=name)
    print(f"{name:17s} gamma {gamma:7.3g}: after 5 steps {far[3]:.1%} of the way is left; "
          f"misfit {off(few[3]):.2f}, solved {off(solved):.2f}; {psnr(few[3]):.2f} dB, solved {psnr(solved):.2f} dB")
for place, what in zip(places, ("distance to the exact step, share of the way", "misfit, in units of the noise"), strict=True):
    place.set(xlabel="conjugate-gradient steps", title=what)
    place.legend()

# %% [markdown]
# The larger gamma is, the worse conditioned the system, and the more steps it takes (the floor at 1e-4 is the tolerance of
# `prox`). Stopping early is a regulariser of its own: directions that the coils hardly see are left to the prior. Look at
# where the two differ, ten times brighter:

# %%
gamma = weights["justified"]
stepped, solved = prox(seen, guess, gamma, cg_steps=5), prox(exact_seen, guess, gamma)
show({"the guess": codec.decode(guess), f"5 steps, {psnr(stepped):.1f} dB": codec.decode(stepped),
      f"exact, {psnr(solved):.1f} dB": codec.decode(solved), "difference x 10": 10 * codec.decode(stepped - solved)}, peak)

# %% [markdown]
# The exact step explains the data better and is the *worse* image: what the coils hardly see they see through amplified
# noise. A weight that the noise justifies presumes that the guess is off by sigma everywhere, and a guess made of a folded
# image is off in folds. In the sampling this corrects itself: the next denoising sees the amplified noise, and takes it away.
#
# ## Move 3: renoise
#
# The next step wants an image at noise level sigma_next. Part of its noise is the old one (the direction from the guess to
# x), part is fresh. `eta` sets the share. 0.85 is the paper's; 2, the default here, renews as much as the level has room for.

# %%
direction = (x - guess) / sigma
after = {}
for eta in (0.0, 0.85, 2.0):
    kept, fresh = ddim_split(sigma, sigma_next, eta)
    after[eta] = solved + kept * direction + fresh * mr.Noise([1])(x.shape)
    print(f"eta {eta}: {kept:.3f} of the old direction, {fresh:.3f} fresh; squares add up to {(kept**2 + fresh**2) ** 0.5:.3f}")
show({"x before, sigma 0.3": codec.decode(x), **{f"x after, sigma 0.15, eta {eta}": codec.decode(z) for eta, z in after.items()}},
     peak)

# %% [markdown]
# ## The whole sampling
#
# The same three moves, level after level, from noise alone. Outside the head no coil sees anything: there the guess is set to
# zero (`fix` in the library, `inside` here), as part of the operator. That is all of DDS.

# %%
levels = mr.levels.karras(STEPS, 5.0, 0.005)
inside, noise, path = seen.operator.support, mr.Noise([0]), []
with torch.no_grad():
    x = levels[0] * noise(start.shape)
    for sigma, sigma_next in pairwise(levels):
        x0 = prior(x, sigma)
        e = (x - x0) / sigma
        z = inside * prox(exact_seen, x0, justified_gamma(sigma, seen.sigma, 1.0))
        kept, fresh = ddim_split(sigma, sigma_next, 2.0)
        x = z + kept * e + fresh * noise(x.shape)
        path.append((sigma, x0, z))

figure, places = plt.subplots(2, STEPS, figsize=(14, 4.6), layout="constrained")
for (sigma, x0, z), (above, below) in zip(path, places.T, strict=True):
    for place, picture, title in ((above, x0, f"sigma {sigma:.3g}"), (below, z, f"{psnr(z):.1f} dB, misfit {off(z):.1f}")):
        place.imshow(codec.decode(picture)[0, 0].abs().numpy(), cmap="gray", vmin=0, vmax=peak)
        place.set_title(title, fontsize=8)
        place.set_axis_off()
figure.suptitle("what the prior guesses (above), and the same after the proximal step (below)", fontsize=10)

# %% [markdown]
# At high noise the prior sees nothing and the data decide all that they can; then it adds what they leave open, coarse before
# fine. `restore` does the same:

# %%
exact = mr.Problem(sense.spectral(), kspace, sigma=problem.sigma)
result = mr.restore(exact, prior, mr.DDS(), levels=levels, samples=1, seed=0)
by_hand = codec.decode(x)[0]
print(f"largest difference: {float((result.samples[0] - by_hand).abs().max()) / peak:.1e} of the peak")

# %% [markdown]
# ## What gamma and the number of steps do
#
# The sampling again, with one thing changed at a time. Each is one sample with one seed: differences of a few tenths of a dB mean
# nothing here.

# %%
least = off(prox(exact_seen, start, math.inf))
print(f"no image explains the data to a misfit below {least:.2f}: eight coils measure more numbers than there are unknown pixels")
variants = {
    "justified weight, solved": (exact, mr.DDS()),
    "justified weight, 5 CG steps": (problem, mr.DDS(cg_steps=5)),
    "justified weight, 1 CG step": (problem, mr.DDS(cg_steps=1)),
    "gamma 5, 5 CG steps": (problem, mr.DDS(gamma=5.0, cg_steps=5)),
    "gamma 5, 5 CG steps, eta 0.85": (problem, mr.DDS(gamma=5.0, cg_steps=5, eta=0.85)),
    "gamma 500, solved": (exact, mr.DDS(gamma=500.0)),
}
images, scores = {}, {}
for name, (which, method) in variants.items():
    restored = mr.restore(which, prior, method, levels=levels, samples=1, seed=0)
    images[name] = restored.samples[0]
    scores[name] = mr.metrics.psnr(restored.samples[0, 0].abs(), truth, data_range=peak)
    print(f"{name:30s} {scores[name]:5.2f} dB   misfit {float(restored.misfit[0]):.2f}")
show({name.replace(", ", "\n"): picture for name, picture in images.items()}, peak)

# %% [markdown]
# Read the misfit beside the PSNR:
#
# - The truth has a misfit of about 1. An image at the least possible one explains every bit of noise that an image can: that
#   is where a large gamma ends, on purpose, and it shows.
# - One CG step a level is not enough for the data: a worse image at a *better-looking* misfit. The misfit finds out images
#   that contradict the data or fit their noise; it knows nothing of the directions in which nothing was measured.
# - gamma = 5 is neither right nor wrong by itself: it is the weight that fits one noise level. Early in the sampling it is small
#   against what the noise justifies, late in the sampling large.
# - Here five CG steps may come out ahead of the exact solve. With so few levels few steps are left to take away what
#   an exact step amplifies. Do not conclude a default from it.
#
# What this does *not* show is which is best. That takes many subjects, several seeds and samples, and weights chosen on other
# subjects: `05_reading_an_evaluation` shows how, `docs/quality.md` has such a comparison, and
# `configs/evaluate/cg-ablation.yaml` is the study of CG steps.
