"""Shapes that tell an architecture, looked up with a sentence for the one that is not there."""

from ...errors import InputError
from .base import Shapes


def shape_of(shapes: Shapes, key: str, axes: int, family: str, *, prefix: str = "") -> tuple[int, ...]:
    """The shape of a tensor that has to be there.

    Args:
        axes: how many it must have.
        family: whose layout asks for it.
        prefix: what stands before the key in the file, for people.

    Raises:
        InputError: it is missing, or has another number of axes.
    """
    if key not in shapes or len(shapes[key]) != axes:
        raise InputError(f"this is nearly {family}, but it lacks {prefix}{key} of {axes} axes; "
                         "take the file that the network was published in")
    return shapes[key]
