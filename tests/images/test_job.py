"""The prior of a job on images."""

from pathlib import Path

import pytest
from helpers.scans import save_prior

from medrestore.errors import InputError
from medrestore.images.files import Job
from medrestore.images.generated_files import GenerateJob
from medrestore.images.plan import GeneratePlan, Machine, Plan


@pytest.mark.parametrize(("job", "plan"), [(Job, Plan), (GenerateJob, GeneratePlan)])
def test_the_prior_is_loaded_with_the_class_of_the_plan(job, plan, tmp_path: Path) -> None:
    save_prior(tmp_path / "prior", 2)
    loaded = job.load(plan(prior=str(tmp_path / "prior")), Machine(device="cpu"))
    assert loaded.prior.channels == 2 and loaded.prior_hash and loaded.machine.place == "cpu"
    with pytest.raises(InputError, match="class"):  # it knows none
        job.load(plan(prior=str(tmp_path / "prior"), label=1), Machine(device="cpu"))
