"""`medrestore generate`."""

import numpy as np
from helpers.networks import save_rgb_prior
from helpers.scans import Bench
from PIL import Image


def test_images_of_any_size(bench: Bench) -> None:
    prior = save_rgb_prior(bench / "rgb")
    words = ("generate", "--prior", prior, "--steps", 2, "--height", 20, "--width", 35, "-o", bench / "x.png")
    outcome = bench.call(*words)
    assert (outcome.code, outcome.err) == (0, "") and np.asarray(Image.open(bench / "x.png")).shape == (
        20,
        35,
        3,
    )
    assert bench.call(*words).code == 2 and "complete already" in bench.call(*words, "--resume").out


def test_mistakes_are_told_in_one_sentence(bench: Bench) -> None:
    for words, says in (
        ((), "give -o"),
        (("-o", bench / "x.nii"), "written as .png"),
        (("-o", bench / "x.png", "--samples", 2), "one picture"),
        (("-o", bench / "x.png", "--prior", bench.prior, "--label", 1), "without classes"),
        (("-o", bench / "x.png", "--method", "hqs"), "--method must be one of"),
    ):
        outcome = bench.call("generate", *words)
        assert outcome.code == 2 and says in outcome.err and outcome.err.count("\n") == 1, outcome
