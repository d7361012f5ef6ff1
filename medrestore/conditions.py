"""What a prior is told of an image beside the noisy one, as plain data; importing it loads no torch."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Self

from .errors import InputError
from .settings import Bounds, Privacy


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is known of the image beside its data.

    Args:
        label: the class of the image, for a prior of classes: its name, or its number where classes have no names. A prior that
            was trained with labels left out does without.
        guidance: how strongly the image is pulled to the class: 1 is what Bayes' rule asks for, more is more typical and less
            varied. Without `classifier` by a prior that was trained with labels left out; default 1.
        classifier: folder of a classifier of noisy images, which pulls a prior of any images to the class.
    """

    label: str | int | None = None
    guidance: Annotated[float, Bounds(at_least=0)] | None = None
    classifier: str | None = None

    @classmethod
    def of(cls, plan: object) -> Self:
        """The conditions alone of a plan that has them among its fields."""
        return cls(**{one.name: vars(plan)[one.name] for one in fields(cls)})

    def check_told(self) -> None:
        """Refuses to pull an image to no class.

        Raises:
            InputError: guidance or a classifier, and no label.
        """
        if self.label is None and (self.guidance is not None or self.classifier is not None):
            raise InputError("`guidance` and `classifier` pull to a class, and none is given; give a `label`, or leave them out")

    def named(self, names: Privacy) -> dict[str, Any]:
        """The fields that name files, as they are stored beside an output."""
        return {"classifier": None if self.classifier is None else names.name_of(self.classifier)}


UNTOLD = Conditions()
UNPLACED: dict[str, Any] = {"classifier": None}  # fields that name files, whose content decides and not where they lie
