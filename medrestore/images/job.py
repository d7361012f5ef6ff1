"""What to do with images, and the prior for it, loaded once."""

from dataclasses import dataclass, field
from typing import TypeVar

from ..jobs import PriorJob
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
