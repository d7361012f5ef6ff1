"""`medrestore degrade`: its own options and mistakes; what it makes is tested with `restore`."""

from pathlib import Path

import numpy as np
import pytest
from helpers.scans import Bench
from PIL import Image

from medrestore.cli.main import COMMANDS


def test_numbers_are_written_with_commas() -> None:
    plan = (
        COMMANDS["degrade"].parse(["x.png", "--task", "deblur", "--motion", "15,30", "--noise-std", "2"]).plan
    )
    assert plan.degradation.motion == (15, 30) and plan.noise_std == 2
    plan = COMMANDS["degrade"].parse(["x.png", "--task", "deblur", "--blur-std", "1.5"]).plan
    assert plan.degradation.blur_std == (1.5,)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing is to be done"),
        (("--task", "sr", "--factor", "5"), "pass --crop"),
        (("--task", "denoise"), "give its --noise-std"),
        (("--task", "colorize"), "grey already"),
        (("--task", "deblur", "--motion", "fast"), "--motion takes length and angle"),
        (("--task", "deblur", "--operators", "[{"), "--operators takes a list of steps"),
        (("--task", "cs", "--keep", "2"), "--keep must be"),
    ],
)
def test_mistakes_are_told_in_one_sentence(bench: Bench, words: tuple[str, ...], says: str) -> None:
    Image.fromarray(np.arange(24 * 32, dtype=np.uint8).reshape(24, 32)).save(bench / "x.png")
    before = bench.files()
    outcome = bench.call("degrade", bench / "x.png", *words, "-o", bench / "y.png")
    assert outcome.code == 2 and says in outcome.err and outcome.err.count("\n") == 1, outcome
    assert bench.files() == before


def test_a_folder(bench: Bench) -> None:
    (bench / "in").mkdir()
    for name, size in (("a.png", (8, 8)), ("b.png", (9, 8))):
        Image.fromarray(np.full(size, 7, np.uint8)).save(bench / "in" / name)
    outcome = bench.call("degrade", bench / "in", "--task", "sr", "--factor", 2, "-o", bench / "out")
    assert outcome.code == 1 and "b.png" in outcome.err and Path(bench / "out" / "a.png").is_file()
