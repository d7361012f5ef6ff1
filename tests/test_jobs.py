"""A plan with its prior: loaded once, told from others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from medrestore.errors import InputError
from medrestore.jobs import PriorJob
from medrestore.priors import Prior
from medrestore.recon.plan import Machine, Plan


@dataclass(frozen=True)
class Job(PriorJob[Plan]):
    machine: Machine = field(default_factory=Machine)

    @classmethod
    def check_described(cls, about: object, plan: Plan) -> None:
        if plan.seed == 9:
            raise InputError("not with this seed")


class Blank(Prior):
    channels, sigma_range = 2, (0.01, 40.0)

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x


def test_the_prior_that_a_plan_names_is_loaded(tiny_prior: Path) -> None:
    job = Job.load(Plan(prior=str(tiny_prior)), Machine(), say=print)
    assert job.prior.channels == 2 and len(job.prior_hash) == 64 and job.prior_name == str(tiny_prior)
    assert job.say is print and job.machine == Machine()
    assert job.prior_key() == Job.load(job.plan, Machine()).prior_key() != Job(job.plan, job.prior, {"sha256": "x"}).prior_key()
    with pytest.raises(InputError, match="not with this seed"):
        Job.load(Plan(prior=str(tiny_prior), seed=9), Machine())
    with pytest.raises(InputError, match="no prior at"):
        Job.load(Plan(prior="nowhere"), Machine())


def test_a_prior_of_no_file_is_like_no_other() -> None:
    job = Job(Plan(), Blank())
    assert job.prior_name == "Blank" and job.prior_hash == "" and job.prior_key() != job.prior_key()


def test_the_bar_of_a_watched_job_never_goes_beyond_its_end() -> None:
    bars: list[tuple[str, int]] = []
    steps: list[int] = []

    def progress(label: str, total: int) -> Callable[[], None]:
        bars.append((label, total))
        return lambda: steps.append(1)

    job = Job(Plan(), Blank(), progress=progress).watched("slice", 3)
    job.prior(torch.zeros(2, 2, 4, 4), 1.0)
    assert bars == [("slice", 3)] and len(steps) == 2
    job.prior(torch.zeros(5, 2, 4, 4), 1.0)
    assert len(steps) == 3
