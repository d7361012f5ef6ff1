"""Operators of other packages, by the entry points of `medrestore.operators`."""

from collections.abc import Mapping

from ..errors import InputError
from ..plugins import OPERATORS, installed
from .base import Operator


def plugged(name: str, size: tuple[int, int], channels: int, options: Mapping[str, object]) -> Operator:
    """The operator of a plugin for images of a size.

    Its entry point is called as `make((height, width), channels, **options)`.

    Raises:
        InputError: no such plugin, one that does not work, or options that it does not take.
    """
    known = installed(OPERATORS)
    if name not in known:
        raise InputError(f"there is no plugin {name!r} among the operators; "
                         f"{'those there are: ' + ', '.join(known) if known else 'no package with operators is installed'}")
    make = known[name].load()
    try:
        operator = make(size, channels, **options)
    except InputError:
        raise
    except Exception as error:  # of code that is not ours
        raise known[name].broken(f"{type(error).__name__}: {error}") from error
    if not isinstance(operator, Operator):
        raise known[name].broken(f"{known[name].place} makes a {type(operator).__name__} and no Operator")
    return operator
