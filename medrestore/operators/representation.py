"""`repr` in a line: tensors as their shapes."""

from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

LONGEST = 4  # items of a sequence that are written out
LONGEST_NUMBER = 8  # characters of a float that is written out


def short(value: Any) -> str:
    """A value in a few words: a tensor as its type and shape, a long sequence by its length."""
    if isinstance(value, Tensor):
        if value.ndim == 0 and value.device.type == "cpu":
            return f"{value.item():g}"
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, float) and len(repr(value)) > LONGEST_NUMBER:
        return f"{value:.4g}"
    if isinstance(value, tuple | list) and len(value) > LONGEST:
        return f"<{len(value)} items>"
    if isinstance(value, tuple):
        return f"({', '.join(map(short, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


class ShortRepr:
    """Dataclasses whose `repr` shows tensors as shapes; a subclass that writes its own `__repr__` keeps it."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]  # set on the class itself, so that `dataclass` writes none

    def __repr__(self) -> str:
        if not is_dataclass(self):
            return f"{type(self).__name__}()"
        values = (f"{one.name}={short(getattr(self, one.name))}" for one in fields(self) if one.repr)
        return f"{type(self).__name__}({', '.join(values)})"
