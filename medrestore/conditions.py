"""What a prior is told of an image beside the noisy one, as plain data; importing it loads no torch."""

from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is known of the image beside its data.

    Args:
        label: the class of the image, for a prior of classes: its name, or its number where classes have no names. A prior that
            was trained with labels left out does without.
    """

    label: str | int | None = None

    @classmethod
    def of(cls, plan: object) -> Self:
        """The conditions alone of a plan that has them among its fields."""
        return cls(**{one.name: vars(plan)[one.name] for one in fields(cls)})


UNTOLD = Conditions()
