"""Readers of other packages, by the entry points of `medrestore.readers`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ..errors import InputError
from ..plugins import READERS, Plugin, installed

T = TypeVar("T")


def readers(kind: type[T]) -> tuple[Mapping[Plugin, T], str]:
    """The formats of a kind by plugin, and the rest of a sentence about plugins that do not work, empty where all do."""
    found: dict[Plugin, T] = {}
    broken = ""
    for plugin in installed(READERS).values():
        try:
            one = plugin.load()
        except InputError as error:
            broken += f"; {error}"
            continue
        if isinstance(one, kind):
            found[plugin] = one
    return found, broken


@contextmanager
def plugin_at_work(plugin: Plugin, path: Path) -> Iterator[None]:
    """A block in which a plugin reads a file: whatever it raises becomes a sentence."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of code that is not ours
        raise InputError(f"{path}: {plugin.broken(f'{type(error).__name__}: {error}')}") from error
