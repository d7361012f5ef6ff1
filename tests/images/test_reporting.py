"""What is said of a restoration."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.frames import picture
from helpers.pictured import FieldOf, grey
from PIL import Image

from medrestore.images.degradation import Degradation
from medrestore.images.files import Job
from medrestore.images.plan import Plan
from medrestore.images.reporting import report, scored, summary, write_preview
from medrestore.images.restore import Measured, Setting, prepare, restore_slice
from medrestore.io.images import FileImages

DONE = Degradation(task="sr", factor=2)
TRUTH = grey(size=(20, 24)).float()[None, None]
Y = torch.nn.functional.avg_pool2d(TRUTH, 2)


def settled(channels: int = 1) -> tuple[Setting, Plan]:
    plan = Plan(DONE, noise_std=1.0, steps=2)
    return prepare(Measured(Y.expand(-1, channels, -1, -1)), plan, FieldOf(channels)), plan


def test_the_line_before_the_work() -> None:
    setting, plan = settled()
    images = FileImages("in.png", "picture", Y.numpy(), np.dtype(np.uint8))
    (line,) = summary(images, setting, [0], Job(plan, FieldOf(1)), "cpu")
    assert line.startswith(
        "in.png: 1 image, 12 x 10 to 24 x 20, sr; noise 1 (given); prior FieldOf, HQS, 2 steps"
    )
    setting = prepare(Measured(Y), plan, FieldOf(2))
    lines = list(summary(images, setting, [0], Job(plan, FieldOf(2)), "cpu"))
    assert lines[1] == "note: magnitudes are taken as complex images of phase zero"


@pytest.mark.parametrize(("keep", "noted"), [(0.05, True), (0.25, False)])
@pytest.mark.parametrize("kind", ["pixels", "walsh-hadamard"])
def test_a_result_of_few_measured_values_is_warned_of(kind: str, keep: float, noted: bool) -> None:
    operators = ({"kind": kind, "keep": keep},)
    setting = prepare(Measured(TRUTH), Plan(Degradation(operators=operators), steps=2), FieldOf(1))
    found = [note for note in setting.notes if note.startswith(f"only {100 * keep:.3g} % of the values were measured")]
    assert len(found) == noted


def test_scores_are_against_the_truth() -> None:
    setting, plan = settled()
    made = restore_slice(setting, Y, 0, FieldOf(1), plan)
    scores = scored([made], TRUTH.clone(), TRUTH, setting, Y)
    assert set(scores) == {"bicubic", "without a prior", "restored"} and scores["restored"]["psnr"] == 999
    error = float((torch.nn.functional.interpolate(Y, scale_factor=2) - TRUTH).square().mean())
    expected = 10 * np.log10(float(TRUTH.max()) ** 2 / error)
    assert scores["without a prior"]["psnr"] == pytest.approx(expected, abs=1e-3)
    lines = list(report([made], setting, scores))
    assert lines[0].startswith("data misfit") and len(lines) == 5


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture(tmp_path: Path, channels: int) -> None:
    setting, plan = settled(channels)
    y = torch.nn.functional.avg_pool2d(picture(0, (20, 24))[None, :channels].float(), 2)
    made = restore_slice(setting, y, 0, FieldOf(channels), plan)
    write_preview(tmp_path / "p.png", y[0], made, setting, TRUTH[0].expand(channels, -1, -1), title="in.png")
    assert np.asarray(Image.open(tmp_path / "p.png")).std() > 20


@pytest.mark.parametrize(("channels", "says"), [(3, "plausible, not true"), (1, "no colour is made")])
def test_colours_are_told_to_be_made_up(channels: int, says: str) -> None:
    plan = Plan(Degradation(task="colorize"), noise_std=1.0, steps=2)
    setting = prepare(Measured(TRUTH), plan, FieldOf(channels))
    images = FileImages("in.png", "picture", TRUTH.numpy(), np.dtype(np.uint8))
    assert says in list(summary(images, setting, [0], Job(plan, FieldOf(channels)), "cpu"))[-1]
