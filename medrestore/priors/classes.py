"""The classes of a network: their number, their names, and the one that stands for any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, meant

SHOWN = 20  # names in a message
Label = str | int | None


@dataclass(frozen=True)
class Classes:
    """What a network can be told of an image.

    Args:
        number: of the classes, 1 or more.
        names: of the classes in the order of their numbers; empty where only numbers are known.
        has_null: whether there is one more class, of the number `number`, that stands for any: the network was trained with
            labels left out at random.

    Raises:
        InputError: no class, another number of names, a name that is empty, or one that stands twice.
    """

    number: int
    names: tuple[str, ...] = ()
    has_null: bool = False

    def __post_init__(self) -> None:
        if type(self.number) is not int or self.number < 1:
            raise InputError(f"a network has a whole number of classes, at least 1, got {self.number!r}")
        if self.names and len(self.names) != self.number:
            raise InputError(f"there are {self.number} classes and {len(self.names)} names; give one for each")
        if not all(isinstance(name, str) and name for name in self.names) or len(set(self.names)) < len(self.names):
            raise InputError("names of classes must be different texts that are not empty")

    @property
    def null(self) -> int | None:
        """The number of the class that stands for any, None where there is none."""
        return self.number if self.has_null else None

    @property
    def embedded(self) -> int:
        """How many classes the network embeds, that for any among them."""
        return self.number + self.has_null

    def index(self, label: Label) -> int:
        """The number of a class; that for any, where no label is given and the network has it.

        Args:
            label: a name, or a number where classes have no names.

        Raises:
            InputError: an unknown class, or none where one is needed; the sentence names them.
        """
        if label is None:
            if self.null is None:
                raise InputError(f"it needs a `label`, the class of the image; {self.described}")
            return self.null
        if self.names:
            if label not in self.names:
                raise InputError(f"it has no class {label!r}; {self.described}{meant(str(label), self.names)}")
            return self.names.index(str(label))
        text = str(label)
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) < self.number):
            raise InputError(f"it has no class {label!r}; {self.described}")
        return int(text)

    @property
    def described(self) -> str:
        """The classes, for messages."""
        if not self.names:
            return f"its classes are the numbers from 0 to {self.number - 1}"
        more = "" if self.number <= SHOWN else f" and {self.number - SHOWN} more"
        return f"its classes are {', '.join(self.names[:SHOWN])}{more}"


def embeds(config: Mapping[str, Any]) -> int | None:
    """How many classes a network embeds by its configuration, None for networks without classes."""
    number = config.get("num_class_embeds")
    return number if type(number) is int and number >= 1 else None


def described_classes(about: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> Classes | None:
    """The classes of a prior, by its description and the configuration of its network; None where it has none.

    Raises:
        InputError: names that do not go with the network.
    """
    number, named = embeds(config), about.get("classes")
    if number is None:
        if named is not None:
            raise InputError(f"{folder}/prior.json names classes and its network knows none; copy the prior again")
        return None
    if named is None:
        return Classes(number)
    return read_classes(named, number, f"{folder}/prior.json")


def read_classes(named: Any, number: int, where: str) -> Classes:
    """Classes from plain data, `{"names": [...], "null": true}`, for a network that embeds so many.

    Raises:
        InputError: other data, or another number.
    """
    names = named.get("names") if isinstance(named, Mapping) else None
    if not isinstance(names, Sequence) or isinstance(names, str) or type(named.get("null")) is not bool:
        raise InputError(f"{where} describes its classes as {str(named)[:200]}, which is no list of names and whether there is "
                         "a class for any; restore it from where it came from")
    try:
        found = Classes(len(names), tuple(names), named["null"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if found.embedded != number:
        raise InputError(f"{where} names {found.embedded} classes and the network embeds {number}; copy it again")
    return found


def plain_classes(classes: Classes) -> dict[str, Any]:
    """The classes as plain data, which `read_classes` takes again."""
    return {"names": list(classes.names), "null": classes.has_null}
