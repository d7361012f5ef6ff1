"""What to do with each scene: the prior of the plan, and the key of an output."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.frames import WINDOW, FieldPrior
from helpers.networks import save_rgb_prior

from medrestore.errors import InputError
from medrestore.inpainting.job import Job
from medrestore.inpainting.plan import Machine, Plan

PLAN = Plan(steps=2, window=WINDOW)


def test_a_prior_of_another_kind_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    grey = save_rgb_prior(tmp_path / "grey", channels=1)
    with pytest.raises(InputError, match="grey"):
        Job.load(replace(PLAN, prior=str(grey)), Machine(device="cpu"))
    job = Job.load(replace(PLAN, prior=str(save_rgb_prior(tmp_path / "rgb"))), Machine(device="cpu"))
    assert job.prior.channels == 3 and job.prior_hash


def test_the_key_is_of_all_that_decides_the_pixels(tmp_path: Path) -> None:
    job = Job(PLAN, FieldPrior(), {"sha256": "weights"})
    same = (job, replace(job, plan=replace(PLAN, prior="moved")), replace(job, machine=Machine(device="cpu")))
    other = (replace(job, plan=replace(PLAN, steps=3)), replace(job, about={"sha256": "others"}))
    assert len({one.key("frames") for one in same}) == 1
    assert len({one.key("frames") for one in (job, *other)} | {job.key("other frames")}) == 4
