"""What to do with images, and the prior for it, loaded once."""

from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

from ..jobs import PriorJob, PriorMachine
from ..priors import Prior
from .codes import opened, settled
from .plan import GeneratePlan, Machine, Plan, Writing

P = TypeVar("P", Plan, GeneratePlan)


@dataclass(frozen=True)
class ImageJob(PriorJob[P]):
    """A plan for images with its prior; see `PriorJob`.

    Args:
        machine, writing: what does not decide the images.
    """

    machine: Machine = field(default_factory=Machine)
    writing: Writing = field(default_factory=Writing)

    @classmethod
    def load(cls, plan: P, machine: PriorMachine, **rest: Any) -> Self:
        """As `PriorJob.load`, with the method that suits the prior where the plan leaves it open."""
        job = super().load(plan, machine, **rest)
        return replace(job, plan=settled(job.plan, job.prior)) if isinstance(job.plan, Plan) else job

    @classmethod
    def loaded(cls, plan: P, machine: PriorMachine) -> Prior:
        """The prior that the plan names, with its class; of codes, or given the coarse image, where it is so."""
        return opened(plan, machine.place, compiled=machine.compiled)
