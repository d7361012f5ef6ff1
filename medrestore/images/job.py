"""What to do with images, and the prior for it, loaded once."""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..jobs import PriorJob
from ..machine import PriorMachine
from ..priors import Prior
from .codes import open_fields, opened_for_images
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
    def settled(cls, plan: P, prior: Prior) -> P:
        """The plan with the method that suits the prior, where it leaves it open."""
        return replace(plan, **open_fields(plan, prior)) if isinstance(plan, Plan) else plan

    @classmethod
    def loaded(cls, plan: P, machine: PriorMachine) -> Prior:
        """The prior that the plan names, with its class; of codes, or given the coarse image, where it is so."""
        return opened_for_images(plan, machine.place, compiled=machine.compiled)
