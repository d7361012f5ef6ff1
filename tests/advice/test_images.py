"""Advice on images, masks, frames and the mathematics behind, followed in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.advice import advised, follows
from helpers.frames import FieldPrior
from helpers.pictured import FieldOf
from torch import Tensor

import medrestore as mr
from medrestore import priors
from medrestore.codecs import Interval
from medrestore.io.frames.masks import check_hole_values, check_meaning, to_known
from medrestore.levels import check_levels, karras
from medrestore.operators import AveragePool, Crop, Grayscale, Identity, Mask, WalshHadamard, stack

FLAT = priors.StationaryGaussian(torch.ones(8, 8))
COLOUR = np.random.default_rng(0).integers(60, 200, (16, 24, 3)).astype(np.uint8)
HOLE = np.zeros((16, 24), bool)
HOLE[4:8, 6:12] = True


def image(*shape: int) -> Tensor:
    return torch.rand(*(shape or (1, 1, 8, 8)), generator=torch.Generator().manual_seed(0))


def restored(problem: mr.Problem[Any] | None = None, prior: priors.Prior = FLAT, codec: Any = Interval(), **how: Any) -> Tensor:  # noqa: B008
    return mr.restore(
        problem or mr.Problem(Identity(), image(), 0.1), prior, how.pop("method", mr.DDS()), codec=codec, steps=2, **how
    ).samples


# what is refused, its sentence, and the call that the sentence proposes
Case = tuple[Callable[[], object], str, Callable[[], object]]
FRAMED: dict[str, Any] = {"prior": FieldPrior(), "mask_means": "hole", "steps": 2}
CASES: dict[str, Case] = {
    "a factor that does not divide": (
        lambda: mr.degrade(COLOUR, task="sr", factor=5),
        "pass `crop`",
        lambda: mr.degrade(COLOUR, task="sr", factor=5, crop=True),
    ),
    "blocks of no power of two": (
        lambda: mr.degrade(COLOUR, task="cs", keep=0.5, pattern="walsh-hadamard", block=6),
        "give a power of two as `block`",
        lambda: mr.degrade(COLOUR, task="cs", keep=0.5, pattern="walsh-hadamard", block=8),
    ),
    "no task": (
        lambda: mr.degrade(COLOUR),
        "give a `task`, or a `noise_std`",
        lambda: mr.degrade(COLOUR, task="jpeg", quality=50),
    ),
    "no noise": (
        lambda: mr.degrade(COLOUR, task="denoise"),
        "give its `noise_std`",
        lambda: mr.degrade(COLOUR, task="denoise", noise_std=3),
    ),
    "grey already": (
        lambda: mr.degrade(COLOUR[..., 0], task="colorize"),
        "give one in colour",
        lambda: mr.degrade(COLOUR, task="colorize"),
    ),
    "nothing left": (
        lambda: mr.degrade(COLOUR, task="cs", keep=1e-6),
        "keep more",
        lambda: mr.degrade(COLOUR, task="cs", keep=0.1),
    ),
    "too wide a blur": (
        lambda: mr.degrade(COLOUR, task="deblur", blur_std=(90.0,)),
        "give a smaller std",
        lambda: mr.degrade(COLOUR, task="deblur", blur_std=(1.0,)),
    ),
    "not finite": (
        lambda: mr.degrade(np.full((8, 8), np.nan), task="jpeg", quality=50),
        "replace or mask them first",
        lambda: mr.degrade(np.nan_to_num(np.full((8, 8), np.nan)), task="denoise", noise_std=1),
    ),
    "complex of three channels": (
        lambda: mr.degrade(np.ones((8, 8, 3), complex), task="denoise", noise_std=1),
        r"one complex image \(height, width\) at a time",
        lambda: mr.degrade(np.ones((8, 8), complex), task="denoise", noise_std=1),
    ),
    "reading of files": (
        lambda: mr.degrade(np.ones((8, 8)), axis="axial"),
        "select from the array",
        lambda: mr.degrade(np.ones((2, 8, 8))[0], task="denoise", noise_std=1),
    ),
    "a method free of noise": (
        lambda: mr.restore_image(COLOUR, prior=FieldOf(3), task="denoise", noise_std=5, method="ddnm", steps=2),
        "take another `method`",
        lambda: mr.restore_image(COLOUR, prior=FieldOf(3), task="denoise", noise_std=5, method="dds", steps=2),
    ),
    "frames of floats": (
        lambda: mr.inpaint(COLOUR / 255, HOLE, **FRAMED),
        r"by rounding 255 \* frame",
        lambda: mr.inpaint(np.rint(255 * (COLOUR / 255)).astype(np.uint8), HOLE, **FRAMED),
    ),
    "what white means": (
        lambda: check_meaning(None, "m.png"),
        "state what white means in this mask, 'hole' or 'keep'",
        lambda: [check_meaning(means, "m.png") for means in ("hole", "keep")],
    ),
    "a large hole": (
        lambda: mr.inpaint(COLOUR, ~HOLE, **FRAMED),
        "check `mask_means`, or pass `allow_large_hole`",
        lambda: mr.inpaint(COLOUR, ~HOLE, **FRAMED, allow_large_hole=True),
    ),
    "a large hole of the other meaning": (
        lambda: mr.inpaint(COLOUR, ~HOLE, **FRAMED),
        "check `mask_means`",
        lambda: mr.inpaint(COLOUR, ~HOLE, **FRAMED | {"mask_means": "keep"}),
    ),
    "nothing hidden": (
        lambda: mr.inpaint(COLOUR, HOLE & False, **FRAMED),
        "check what white means",
        lambda: mr.inpaint(COLOUR, HOLE, **FRAMED),
    ),
    "levels of labels": (
        lambda: to_known(85 * np.eye(8, dtype=np.uint8) + 170 * np.eye(8, k=1, dtype=np.uint8), "hole", "m.png"),
        "as `hole_values` 85,170",
        lambda: to_known(85 * np.eye(8, dtype=np.uint8), "hole", "m.png", hole_values=[85, 170]),
    ),
    "levels and a meaning": (
        lambda: check_hole_values([85], "keep", "m.png"),
        "leave one of them out",
        lambda: check_hole_values([85], None, "m.png"),
    ),
    "a mask of 16 bits": (
        lambda: to_known(HOLE.astype(np.uint16), "hole", "m.png"),
        "save the mask with 8 bits, 0 and 255",
        lambda: to_known(255 * HOLE.astype(np.uint8), "hole", "m.png"),
    ),
    "no batch": (
        lambda: restored(mr.Problem(Identity(), image(1, 8, 8), 0.1)),
        r"add the batch axis as y\[None\]",
        lambda: restored(mr.Problem(Identity(), image(1, 8, 8)[None], 0.1)),
    ),
    "no batch and no channel": (
        lambda: restored(mr.Problem(Identity(), image(8, 8), 0.1)),
        r"add them as y\[None, None\]",
        lambda: restored(mr.Problem(Identity(), image(8, 8)[None, None], 0.1)),
    ),
    "a batch of measurements": (
        lambda: restored(mr.Problem(Identity(), image(2, 1, 8, 8), 0.1)),
        "give a list of problems to restore_all",
        lambda: mr.restore_all(
            [mr.Problem(Identity(), y[None], 0.1) for y in image(2, 1, 8, 8)], FLAT, mr.DDS(), codec=Interval(), steps=2
        ),
    ),
    "no codec": (lambda: restored(codec=None), "pass one with codec=", lambda: restored(codec=Interval())),
    "out of the interval": (
        lambda: restored(mr.Problem(Identity(), 200 * image(), 0.1)),
        r"such as Interval\(0, 255\)",
        lambda: restored(mr.Problem(Identity(), 200 * image(), 0.1), codec=Interval(0, 255)),
    ),
    "a negative std": (
        lambda: mr.Problem(Identity(), image(), -0.1),
        "give 0 for data without noise",
        lambda: mr.Problem(Identity(), image(), 0),
    ),
    "a method by name": (lambda: restored(method="dds"), r"must be an object such as DDS\(\)", lambda: restored(method=mr.DDS())),
    "a prior by name": (
        lambda: restored(prior="brain-mr-starter"),
        r"loaded first, by medrestore.priors.load\('brain-mr-starter'\)",
        lambda: priors.load("brain-mr-starter"),
    ),
    "grey values of a mask": (
        lambda: Mask(2 * image(8, 8)),
        r"give \(mask > 0\).float\(\)",
        lambda: Mask((2 * image(8, 8) > 0).float()),
    ),
    "patches": (lambda: AveragePool(3, (8, 8)), "crop or pad it to a multiple", lambda: AveragePool(3, (9, 9))),
    "no weights": (lambda: Grayscale((0.0, 0.0, 0.0)), "give one channel a weight", lambda: Grayscale((1.0, 0.0, 0.0))),
    "no power of two": (
        lambda: WalshHadamard.random((12, 12), 0.5, generator=torch.Generator()),
        "compose it with Crop",
        lambda: WalshHadamard.random((8, 8), 0.5, generator=torch.Generator()) @ Crop((8, 8), (12, 12)),
    ),
    "nothing to stack": (lambda: stack([]), "give one for each image", lambda: stack([Identity()])),
    "an uneven power": (
        lambda: priors.StationaryGaussian(torch.arange(64.0).reshape(8, 8)),
        r"average it with power.flip\(0, 1\).roll\(\(1, 1\), \(0, 1\)\)",
        lambda: priors.StationaryGaussian(
            (lambda p: (p + p.flip(0, 1).roll((1, 1), (0, 1))) / 2)(torch.arange(64.0).reshape(8, 8))
        ),
    ),
    "rising levels": (
        lambda: check_levels([0.1, 1.0, 0.0]),
        "sort them, or take a ladder of medrestore.levels",
        lambda: (check_levels([1.0, 0.1, 0.0]), check_levels(karras(3, 1.0, 0.1))),
    ),
    "levels without an end": (lambda: check_levels([1.0, 0.1]), "add a 0 at the end", lambda: check_levels([1.0, 0.1, 0])),
}


@follows(
    "`crop`",
    "`block`",
    "`task`",
    "`noise_std`",
    "`method`",
    "`mask_means`",
    "`allow_large_hole`",
    "`hole_values`",
    "codec=",
    "keep more",
    "give a smaller std",
    "replace or mask them first",
    "select from the array",
    "state what white means",
    "check what white means",
    "leave one of them out",
    "save the mask with 8 bits",
    "add the batch axis",
    "y[None",
    "restore_all",
    "such as Interval(0, 255)",
    "give 0 for data without noise",
    "such as DDS()",
    "loaded first, by",
    "(mask > 0).float()",
    "crop or pad it",
    "give one channel a weight",
    "compose it with Crop",
    "give one for each",
    "average it with power.flip",
    "sort them",
    "add a 0 at the end",
    "give one in colour",
    "at a time",
    "by rounding 255 * frame",
)
@pytest.mark.parametrize("name", CASES)
def test_calls_that_the_sentence_proposes(name: str) -> None:
    wrong, sentence, right = CASES[name]
    with advised(sentence):
        wrong()
    right()
