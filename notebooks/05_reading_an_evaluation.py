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
# # Reading an evaluation
#
# A comparison of methods ends in a table, and a table is easily misread. Here a small study is run from Python, its outputs
# are opened one by one, and each number is asked what it means and what it does not.
#
# It runs on one CPU core in about half a minute: eight generated heads, few steps. The heads are drawn by a program, and the
# brain prior has never seen anything like them: **nothing here ranks methods for patients**. Research use only.

# %%
import json
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import torch
import yaml

import medrestore as mr
from medrestore.datasets.phantoms import Phantoms
from medrestore.evaluation import METRICS, score, statistics, tables
from medrestore.study.config import read
from medrestore.study.run import Running, open_study, run_study

# %% [markdown]
# ## A study is plain data
#
# `configs/evaluate/quick.yaml` ships with the package: one scan, three baselines, two methods. One patient gives no intervals
# and no tests, so the data are exchanged for eight heads, each a patient of its own. CG-SENSE is *tuned*, on another head: a
# baseline with a badly chosen weight is the commonest way to win a comparison.

# %%
given = yaml.safe_load((files("medrestore.configs") / "evaluate" / "quick.yaml").read_text())
given |= {
    "name": "eight heads",
    "data": {"kind": "phantoms", "count": 8, "size": [96, 96]},
    "validation": {"kind": "phantoms", "count": 1, "first": 100, "size": [96, 96]},
    "settings": [{"kind": "uniform1d", "accel": 4, "acs": 12}],
    "methods": {
        "zero-filled": {"baseline": "ZeroFilled"},
        "CG-SENSE": {"baseline": "CGSense", "tune": {"lam": [1e-3, 1e-2, 1e-1]}},
        "TV": {"baseline": "TotalVariation", "options": {"lam": 5e-3}},
        "DDS 8": {"method": "dds", "steps": 8, "samples": 2},
        "HQS 8": {"method": "hqs", "steps": 8},
    },
    "against": "DDS 8",
    "pictures": 2,
}
print(yaml.safe_dump(given, sort_keys=False, default_flow_style=None, width=120))

# %% [markdown]
# `medrestore evaluate my.yaml -o out` does what the next cell does. Everything that is wrong with a study (a file that is
# missing, a method that the data cannot serve, a patient both tuned and tested on) is said before any work.

# %%
folder = TemporaryDirectory()
out = Path(folder.name) / "study"


def run(given):
    return run_study(open_study(read(given, "this notebook"), "this notebook", out), Running(say=print))


result = run(given)
print(*sorted(path.name for path in out.iterdir() if not path.name.startswith(".")))

# %% [markdown]
# ## The choice that was tuned
#
# `tuned.json` lists every value that was tried. A best value at an end of its range is warned of: the true best may lie
# outside, and the baseline is then weaker than it could be.

# %%
for label, settings in json.loads((out / "tuned.json").read_text()).items():
    for setting, tuned in settings.items():
        print(f"{label}, {setting}: {tuned['chosen']}   warning: {tuned['warning']}")
        for tried in tuned["tried"]:
            print("  ", {key: round(value, 4) for key, value in tried.items()})

# %% [markdown]
# ## Rows
#
# One row is one scored slice. All tables are made of these, so read them when a table surprises you.

# %%
rows = tables.read_rows(out / "results.csv")
print(len(rows), "rows; one of them:")
print({key: round(value, 4) if isinstance(value, float) else value for key, value in rows[-1].items()})

# %% [markdown]
# `calls` is the number of network calls for the image: a method that calls the network ten times more should be compared at
# equal calls too. `protocol` and `data_range` say by which rules the score was made; scores of two protocols are never mixed.
#
# ## Tables
#
# The ± is the **standard deviation over patients**: how different patients are. The interval is that of the **mean**: how
# well eight patients tell it. They answer different questions, and papers confuse them.

# %%
cells = statistics.cells(rows, "psnr")
for show in ("mean ± sd", "mean [low, high]", "median [q1, q3]"):
    print(tables.markdown(*tables.table_grid(cells, show=show)))

# %% [markdown]
# `DDS 8` is the mean of two samples, and one sample stands beside it in a row of its own. The mean scores higher, because
# PSNR rewards smoothness: a mean of samples is no image that anybody drew from the posterior. Say which of the two you
# report.
#
# ## Patients, not methods, make the spread
#
# Here is why a test should be *paired*. Easy heads are easy for most methods: the lines go up and down together.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 3.6), layout="constrained")
patients = sorted({row["patient"] for row in rows})
for label in given["methods"]:
    own = {row["patient"]: row["psnr"] for row in rows if row["method"] == label}
    left.plot([own[patient] for patient in patients], "o-", label=label)
    against = {row["patient"]: row["psnr"] for row in rows if row["method"] == given["against"]}
    right.plot([own[patient] - against[patient] for patient in patients], "o-", label=label)
left.set(xlabel="patient", ylabel="PSNR, dB", title="scores")
right.set(xlabel="patient", title=f"difference to {given['against']}, dB")
right.legend(fontsize=8)

# %% [markdown]
# ## Paired differences
#
# The difference within each patient, its 95 % interval by the bootstrap over patients, and Wilcoxon's signed-rank test,
# corrected by Holm for the number of comparisons.

# %%
labels = list(given["methods"])
pairs = statistics.paired([row for row in rows if row["method"] in labels], "psnr", given["against"])
for pair in pairs:
    print(f"{pair.method:12s} - {pair.against}: {pair.difference:+6.2f} dB [{pair.low:+.2f}, {pair.high:+.2f}]   "
          f"p {pair.p:.4f}, Holm {pair.p_holm:.4f}   better for {pair.wins} of {pair.patients}")

# %% [markdown]
# - The **difference** is what matters: is it large enough to see? No p says that.
# - An **interval** that contains 0 does not show that two methods are equal. It shows that eight patients cannot tell.
# - **Interval and p may disagree**, as they do for TV: the test ranks differences, the interval averages them, and with eight
#   patients a bootstrap interval is somewhat too narrow (`docs/metrics.md`). Then report both, and conclude nothing.
# - **p is bounded by the number of patients**: n of them cannot give less than 2^(1-n). With five nothing can be
#   "significant":

# %%
few = [row for row in rows if row["patient"] in patients[:5] and row["method"] in labels]
for pair in statistics.paired(few, "psnr", given["against"]):
    print(f"5 patients, {pair.method:12s}: {pair.difference:+6.2f} dB, p {pair.p:.4f}; "
          f"the smallest possible is {pair.smallest_p:.4f}")

# %% [markdown]
# - **Slices of one patient are not independent.** They are averaged within the patient before anything else; counting them as
#   patients makes any difference significant.
# - **Seeds are not patients** either. Several seeds show how much chance there is in one method.
#
# ## One metric is not enough
#
# The same outputs by every metric of the protocol. Where they disagree, as on TV and DDS, neither order is wrong: SSIM
# forgives a smooth image and punishes grain in flat parts, PSNR counts large errors wherever they are. Look at the pictures
# before choosing a winner.

# %%
for metric in METRICS["fastmri-slice"]:
    header, lines = tables.table_grid(statistics.cells(rows, metric.name), show="mean")
    print(f"{metric.heading}, {'higher' if metric.higher_is_better else 'lower'} is better")
    print(tables.markdown(header, lines))

# %% [markdown]
# The **misfit** needs no reference: |A x - y| over the noise. About 1 is right. Far below 1 the noise of the data is in the
# image; far above, the image contradicts the data, and then it is made up, however sharp it looks.

# %%
print(tables.markdown(*tables.table_grid(statistics.cells([row for row in rows if row["misfit"] is not None], "misfit"), show="mean")))

# %% [markdown]
# ## A method comes later
#
# Tasks are known by a hash of all that decides their numbers. Add a method and run again: it alone is run, and the tables are
# made of all. The same holds after a crash.

# %%
given["methods"]["HQS 16"] = {"method": "hqs", "steps": 16}
again = run(given)
print(f"{again.done} tasks made, {again.skipped} were there already")

# %% [markdown]
# ## The report
#
# `report.html` is one file that needs nothing else: tables, curves over acceleration or network calls, pictures with their
# error maps, and where every number came from. Open it in a browser. To keep this one, copy it before the folder is removed
# below.

# %%
page = (out / "report.html").read_text(encoding="utf-8")
tuned = json.loads((out / "provenance.json").read_text())
print(f"report.html, {len(page) >> 10} KiB, {page.count('<table')} tables, {page.count('<img')} pictures")
print("provenance:", ", ".join(tuned))

# %% [markdown]
# ## The min-max trap
#
# A common habit stretches both images to [0, 1] by their own minimum and maximum before they are scored. It forgives any
# factor of any size and phase. Here is a good reconstruction, the same one times 0.97 + 0.87i (what a slip between complex
# and real numbers makes of it), and the same one with its phase turned by 90 degrees. Neither of the latter explains its
# data.

# %%
real, imaginary = Phantoms(size=96, seed=1, form="complex")[0]
truth = torch.complex(real, imaginary)[None]
noise = torch.randn(truth.shape, dtype=truth.dtype, generator=torch.Generator().manual_seed(0))
right_one = truth + 0.01 * noise


def stretched(image):
    magnitude = image.abs().double()
    return (magnitude - magnitude.min()) / (magnitude.max() - magnitude.min())


trap = {}
figure, places = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
print(f"{'':20s} {'min-max PSNR':>13s} {'fastmri PSNR':>13s} {'complex NRMSE':>14s} {'phase error':>12s}")
wrongs = {"right": right_one, "times 0.97 + 0.87i": (0.97 + 0.87j) * right_one, "times i": 1j * right_one}
for place, (name, image) in zip(places, wrongs.items(), strict=True):
    (magnitude,), (parts,) = score("fastmri", image, truth), score("complex", image, truth)
    trap[name] = (mr.metrics.psnr(stretched(image), stretched(truth), data_range=1), magnitude["psnr"], parts["nrmse"])
    print(f"{name:20s} {trap[name][0]:13.2f} {trap[name][1]:13.2f} {trap[name][2]:14.3f} {parts['phase_error']:11.1f}°")
    place.imshow(image[0].abs().numpy(), cmap="gray", vmin=0, vmax=1.3 * float(truth.abs().max()))
    place.set_title(f"{name}\nmin-max {trap[name][0]:.1f} dB, fastmri {trap[name][1]:.1f} dB", fontsize=9)
    place.set_axis_off()

# %% [markdown]
# The min-max column cannot tell the three apart. A range fixed by the reference sees the wrong scale; a magnitude protocol
# does not see the wrong phase, only a complex score does. When you compare with published numbers, find out which habit made
# them first.
#
# ## What this evaluation does not tell
#
# - How the methods do on *your* scanner, anatomy and sampling. Run it there; the config is the same but for `data`.
# - Whether a lesion survives. PSNR and SSIM are means over pixels, and a lesion is few of them.
# - Whether the baselines were at their best: TV's weight was not tuned here. Look for that in every table you read.
#
# More: `docs/evaluation.md` for configs, workers and clusters, `docs/metrics.md` for every definition.

# %%
folder.cleanup()
