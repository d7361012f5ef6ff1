"""What to do with each scene."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ..conditions import UNPLACED
from ..files import digest_of
from ..jobs import PriorJob
from ..machine import PriorMachine
from ..settings import plain
from .frame import check_inpaint_plan, check_rgb
from .plan import Machine, Plan, Reading, Writing


@dataclass(frozen=True)
class Job(PriorJob[Plan]):
    """What to do with each scene; see `PriorJob`.

    Args:
        machine, reading, writing: what does not decide the fill.
    """

    machine: Machine = field(default_factory=Machine)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)

    @classmethod
    def load(cls, plan: Plan, machine: PriorMachine, **rest: Any) -> Self:
        """The job with the prior that the plan names; `rest` are its other fields.

        Raises:
            InputError: there is no such prior, its files are damaged, or it does not suit frames or the plan.
        """
        job = super().load(plan, machine, **rest)
        check_inpaint_plan(plan, job.prior)
        return job

    @classmethod
    def check_described(cls, about: Mapping[str, Any], plan: Plan) -> None:
        """Refuses a prior that is not one of pictures."""
        check_rgb(about["channels"], (about["recipe"] or {}).get("kind") == "interval", plan.prior)

    def key(self, fingerprint: str) -> str:
        """sha256 of all that decides an output: plan, prior, version, and the frames by their `fingerprint`."""
        return digest_of([plain(replace(self.plan, prior="", **UNPLACED)), self.prior_key(), fingerprint])
