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
# # What the spread of samples means
#
# A diffusion prior draws samples; their std is a map over the image, and it looks like an uncertainty. Is it one? First where
# the answer is known exactly, then on a scan with a reference, then with a repair that has a guarantee, and what that does
# not cover.
#
# It runs on one CPU core in about half a minute, with few samples and steps. Research use only: not for diagnosis.

# %%

import matplotlib.pyplot as plt
import torch

import medrestore as mr
from medrestore.datasets.phantoms import Phantoms
from medrestore.evaluation import calibration, conformal_factor, needed_factor, uncertainty

STEPS, SAMPLES = 6, 6

# %% [markdown]
# ## Where the posterior is known
#
# Pixels are independent, N(0, 1). Half of them are measured, with noise of std 0.3; of the others there is nothing. Then the
# posterior is known: std 0.287 for a measured pixel (prior and data together), 1 for a missing one. The prior's denoiser is
# exact here, so whatever is off is off because of the *method*.

# %%
side, noise_std, many = 64, 0.3, 16
chance = torch.Generator().manual_seed(0)
truth = torch.randn(1, 1, side, side, generator=chance)
keep = (torch.rand(side, side, generator=chance) < 0.5).float()
toy_prior = mr.priors.StationaryGaussian(torch.ones(side, side))
toy = mr.Problem(mr.operators.Mask(keep), keep * (truth + noise_std * torch.randn(truth.shape, generator=chance)), noise_std)

measured_std = (1 / (1 + 1 / noise_std**2)) ** 0.5
exact_mean, exact_std = keep * toy.y / (1 + noise_std**2), torch.where(keep > 0, measured_std, 1.0)
drawn = {"the posterior": exact_mean + exact_std * torch.randn(many, 1, side, side, generator=chance)}
methods = {"DDS, gamma 5": mr.DDS(gamma=5.0, eta=0.85), "DDS": mr.DDS(), "DDNM+": mr.DDNMPlus(), "DiffPIR": mr.DiffPIR(),
           "HQS": mr.HQS()}
levels = mr.levels.karras(50, 40.0, 0.005)
for name, method in methods.items():
    drawn[name] = mr.sample(toy, toy_prior, method, levels, noise=mr.Noise(range(many)), size=(side, side))

seen = keep.bool()
figure, places = plt.subplots(1, len(drawn) - 1, figsize=(14, 2.6), layout="constrained", sharey=True)
toy_spread, shares = {}, iter(places)
for name, samples in drawn.items():
    std = samples.std(0)[0]
    toy_spread[name] = [float(std[here].norm() / exact_std[here].norm()) for here in (seen, ~seen)]
    print(f"{name:14s} spread over the posterior's: measured {toy_spread[name][0]:.2f}, missing {toy_spread[name][1]:.2f}")
    if methods.get(name, mr.DDS()).draws:
        found = calibration(samples[:, 0], truth[0, 0], inside=seen)
        place = next(shares)
        place.bar(range(many + 1), found.rank_histogram)
        place.axhline(1 / (many + 1), color="black", linewidth=0.8)
        place.set_title(f"{name}: 90 % holds {found.coverage[0.9]:.0%}", fontsize=9)
figure.suptitle("rank of the truth among the samples, measured pixels", fontsize=10)

# %% [markdown]
# The *rank histogram* counts how many samples lie below the truth. Were the truth one more sample, all ranks would be equally
# frequent: flat. U-shaped is too narrow (the truth lies outside of all samples), arched is too wide, sloped is biased.
#
# So the spread means different things:
#
# - **DDS with a constant gamma** reproduces the data, noise included: no uncertainty at all in what was measured.
# - **DDS** as it is here, and **DDNM+**, show part of it.
# - **DiffPIR** with lam near 1 is close to the posterior in both.
# - **HQS** estimates the mean and has no spread. (`recon` refuses to draw several of it.)
# - Of what was *not* measured all but HQS show most: from two thirds (DDS, which renews all of its noise for a better mean,
#   at a price in spread) to nine tenths. More levels bring it closer.
#
# `docs/posteriors.md` has eight operators, 100 levels and all settings.
#
# ## A scan
#
# Now a network instead of an exact prior. Six samples each of DDS and DiffPIR, 4x.

# %%
prior = mr.priors.load("brain-mr-starter", bf16=True)
with mr.io.read_kspace("sample:brain-scan") as file:
    scan = file[0]
asked = mr.recon.Undersampling("uniform1d", 4, acs=12)
plans = {"DDS": mr.recon.Plan(mr.DDS(), steps=STEPS, samples=SAMPLES, undersample=asked),
         "DiffPIR": mr.recon.Plan(mr.DiffPIR(), steps=STEPS, samples=SAMPLES, undersample=asked)}


def drawn_from(scan, plan):
    """Samples and reference, magnitudes as shown, and where the object is, found without the reference."""
    done = mr.recon.restore_slice(mr.recon.prepare(scan, plan), prior, plan)
    samples = done.samples.abs()
    inside = samples.mean(0) > 0.1 * samples.mean(0).max()
    return samples, done.reference, inside


brain = {name: drawn_from(scan, plan) for name, plan in plans.items()}
peak = float(scan.reference.max())
figure, places = plt.subplots(len(brain), 5, figsize=(14, 3.4 * len(brain)), layout="constrained")
for (name, (samples, reference, _)), row in zip(brain.items(), places, strict=True):
    mean, std = samples.mean(0), samples.std(0)
    shown = {f"{name}, one sample": (samples[0], peak), f"mean of {SAMPLES}": (mean, peak), "std x 10": (std, peak / 10),
             "error of the mean x 10": ((mean - reference).abs(), peak / 10), "reference": (reference, peak)}
    for place, (title, (image, white)) in zip(row, shown.items(), strict=True):
        place.imshow(image.numpy(), cmap="gray", vmin=0, vmax=white)
        place.set_title(title, fontsize=9)
        place.set_axis_off()

# %% [markdown]
# The std map is darker than the error map, and points at about the same places. Both can be put in numbers. Only pixels of
# the object count (`inside`): in the air the truth is 0 and a magnitude never below it, so there all samples lie above the
# truth.

# %%
figures = {name: calibration(samples, reference, inside=inside) for name, (samples, reference, inside) in brain.items()}
for name, found in figures.items():
    covered = ", ".join(f"{level:.0%} holds {seen_share:.0%}" for level, seen_share in found.coverage.items())
    print(f"{name}: {covered}")
    print(f"  spread-skill {found.spread_skill:.2f} (1 is right, below too sure), "
          f"correlation of |error| and std {found.correlation:.2f}, CRPS {found.crps / peak:.4f} of the peak")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3), layout="constrained")
for name, found in figures.items():
    left.step(range(SAMPLES + 1), found.rank_histogram, where="mid", label=name)
    nominal = sorted(found.rank_coverage)
    right.plot(nominal, [found.rank_coverage[level] for level in nominal], "o-", label=name)
left.axhline(1 / (SAMPLES + 1), color="black", linewidth=0.8)
left.set(title="rank histogram", xlabel="samples below the truth")
right.plot([0, 1], [0, 1], color="black", linewidth=0.8)
right.set(title="coverage", xlabel="asked", ylabel="observed")
right.legend()

# %% [markdown]
# - **Coverage** uses Student's t, since with six samples the std itself is uncertain; plain mean ± 1.645 std of six *perfect*
#   samples would hold 81 %, not 90.
# - **Spread-skill** is the std over the error of the mean. The samples agree with one another more than they agree with the
#   truth: no spread contains what the network does not know, nor errors of the coil maps, nor (in a real scan) the
#   reference's own noise.
# - **CRPS** scores the whole distribution, error and spread at once. A method with the truer spread can still have the larger
#   CRPS, when its images are worse: with six steps DiffPIR is such a case. Calibration is not quality.
# - **Correlation** says whether the map points at the errors, whatever its scale. It is below 1 even for perfect samples,
#   because an error is one draw, and the std a width.
# - One image is *one* observation. Its pixels err together, so these numbers scatter from image to image far more than the
#   number of pixels suggests.
#
# ## Repairing the scale
#
# If the map points at the right places and only its scale is off, a factor can mend it. Split-conformal prediction finds one
# with a guarantee. It needs calibration images with a truth, of the same kind as those to come, that trained and tuned
# nothing. Twelve generated heads stand in: nine to calibrate, three to check. The brain prior has never seen such heads.

# %%
coils, size = 8, (64, 64)


def head_scan(number):
    chance = torch.Generator().manual_seed(number)
    magnitude = Phantoms(count=1, first=number, size=size)[0]
    image = mr.mri.add_smooth_phase(magnitude[None].to(torch.complex64), chance)
    maps = mr.mri.simulated_maps(coils, size, generator=chance)
    full = torch.ones(1, size[1])
    kspace = mr.mri.simulate_scan(image, maps, full, snr_db=30.0, generator=chance)
    return mr.io.Scan(name=f"head {number}", index=0, kspace=kspace, mask=full, acs=None, noise=None,
                      reference=magnitude[0], crop=size, pixel_mm=None, affine=None)


heads = [drawn_from(head_scan(number), plans["DDS"]) for number in range(12)]
learning, checking = heads[:9], heads[9:]
needed = [needed_factor(samples, reference, share=0.9, inside=inside) for samples, reference, inside in learning]
factor = conformal_factor(needed, confidence=0.9)
print("factor that each head needs to hold 90 % of its pixels:", " ".join(f"{one:.2f}" for one in sorted(needed)))
print(f"conformal factor for a confidence of 90 %: {factor:.2f} (nine images: it is the largest of them)")
print("six perfect Gaussian samples would need 2.18")

# %% [markdown]
# Each image gives *one* number: the factor by which its own std map must grow to hold 90 % of its pixels. Images are
# exchangeable, pixels of one image are not; a quantile over the pixels of all images would have no guarantee. Then:


# %%
def covered(samples, reference, inside, factor):
    return float(((reference - samples.mean(0)).abs() <= factor * samples.std(0))[inside].double().mean())


plain, mended = ([covered(*head, by) for head in checking] for by in (1.645, factor))
pooled = uncertainty.pool([calibration(*head[:2], inside=head[2]) for head in heads])
print(f"spread-skill over all heads: {pooled.spread_skill:.2f}")
print("mean ± 1.645 std holds    ", " ".join(f"{share:.0%}" for share in plain), "of the pixels of three new heads")
print(f"mean ± {factor:.2f} std holds     ", " ".join(f"{share:.0%}" for share in mended))

samples, reference, inside = checking[0]
mean, width = samples.mean(0), factor * samples.std(0)
outside = ((reference - mean).abs() > width) & inside
white = float(reference.max())
figure, places = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
for place, (title, image, top) in zip(places, [("mean", mean, white), ("reference", reference, white),
                                               ("half width of the interval x 3", width, white / 3),
                                               ("where the truth is outside", outside.float(), 1.0)], strict=True):
    place.imshow(image.numpy(), cmap="gray", vmin=0, vmax=top)
    place.set_title(title, fontsize=9)
    place.set_axis_off()

# %% [markdown]
# ## What the guarantee is, and is not
#
# For a new image that is *exchangeable* with the nine, at least 90 % of the pixels are covered, with a probability of at least
# 90 %.
#
# - **Same kind of image.** Another anatomy, sampling, noise, method, number of steps or samples, or prior ends it. The brain
#   scan above is no generated head, so for it the factor promises nothing, whatever the next line says.
# - **A share of pixels, not a pixel.** The tenth that is left out is not spread at random: look at the last picture. It may
#   well be the lesion.
# - **Nine images give 90 % at most**; 19 are needed for 95 %. One image a patient.
# - **A wide interval is honest and useless.** A factor far from 1 says that the std was far from calibrated: then mend the
#   method or the prior, not the scale.
# - **Agreement of samples is no evidence.** A prior that has never seen a lesion is as sure of its absence in every sample.

# %%
elsewhere = covered(*brain["DDS"], factor)
print(f"the brain scan, by the factor of the heads: {elsewhere:.0%} covered, promised: nothing")

# %% [markdown]
# More: `docs/uncertainty.md`. In a study, `uncertainty: true` measures all of this for every method
# (`05_reading_an_evaluation`).
