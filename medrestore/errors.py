"""What goes wrong through no fault of the program: bad input, said in one sentence."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """Bad input. The message is one sentence that names the file, what is wrong and the way out."""


def closest(name: object, known: Iterable[str]) -> str | None:
    """The known name that an unknown one is most like; None where it is like none of them."""
    names = {one.lower(): one for one in known}
    close = get_close_matches(str(name).lower(), list(names), 1)
    return names[close[0]] if close else None


def meant(name: object, known: Iterable[str]) -> str:
    """The end of a sentence on an unknown name, where one that is known is like it: "; did you mean ...?"."""
    close = closest(name, known)
    return "" if close is None else f"; did you mean {close}?"


def first_line(error: Exception) -> str:
    """The first line of what a library said of its failure, the kind of the error where it said nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
