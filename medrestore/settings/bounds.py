"""What fields may hold, and the error that names a field."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, closest


class FieldError(InputError):
    """A field holds what it may not.

    Args:
        source: the class, or the file, that has the field; may be empty.
        field: its dotted name.
        what: what is wrong, as the rest of a sentence that begins with the name.
    """

    def __init__(self, source: str, field: str, what: str) -> None:
        self.source, self.field, self.what = source, field, what
        super().__init__(f"{prefix(source)}{field} {what}")

    def __reduce__(self) -> tuple[type["FieldError"], tuple[str, str, str]]:  # so that it passes between processes
        return type(self), (self.source, self.field, self.what)


def refused(instance: object, why: str) -> InputError:
    """The error for fields that do not go together; `build` puts the source and the key in place of the class."""
    return InputError(f"{type(instance).__name__}: {why}")


@dataclass(frozen=True)
class Bounds:
    """The numbers that a field may hold; infinities and NaN are refused.

    Args:
        at_least: the least value.
        above: what the value must exceed.
        at_most: the largest value.
        below: what the value must stay under.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def admits(self, value: Any) -> bool:
        """Whether `value` lies within; every number of a tuple does; anything but numbers is admitted."""
        if isinstance(value, tuple):
            return all(self.admits(item) for item in value)
        return not isinstance(value, int | float) or (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least) and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most) and (self.below is None or value < self.below))

    def __str__(self) -> str:
        low = f"at least {self.at_least:g}" if self.at_least is not None else None
        low = f"above {self.above:g}" if self.above is not None else low
        high = f"at most {self.at_most:g}" if self.at_most is not None else None
        high = f"below {self.below:g}" if self.below is not None else high
        return " and ".join(side for side in (low, high) if side is not None) or "finite"


@dataclass(frozen=True, eq=False)
class OneOf:
    """The names that a field may hold, where they are those of a table, such as a `Registry`.

    Args:
        table: the names.
    """

    table: Collection[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are offered; a registry knows further ones, of one script."""
        return tuple(self.table)

    def admits(self, value: Any) -> bool:
        """Whether `value` is one of the names."""
        return isinstance(value, str) and value in self.table

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}" if self.names else "the name of a plugin (none is installed)"


def prefix(source: str) -> str:
    """How a complaint about a source begins."""
    return f"{source}: " if source else ""


def dotted(where: str, key: object) -> str:
    """The dotted name of `key` at `where`."""
    return f"{where}.{key}" if where else str(key)


def suggested(where: str, key: object, known: Iterable[str]) -> str:
    """What an unknown name may have meant, or which names there are."""
    names = list(known)
    close = closest(key, names)
    return f"did you mean {dotted(where, close)}?" if close else f"there are: {', '.join(names)}"
