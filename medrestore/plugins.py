"""Objects of other packages that this one offers by name, found by their entry points and imported when they are asked for.

The names of the package come first: a plugin cannot take one of them. A plugin that cannot be imported, or is not what its
group asks for, is one sentence where it is asked for, and nothing anywhere else.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .errors import InputError

METHODS, OPERATORS, PRIORS, READERS = (f"medrestore.{kind}" for kind in ("methods", "operators", "priors", "readers"))
GROUPS = (METHODS, OPERATORS, PRIORS, READERS)
NAME = re.compile(r"[a-z][a-z0-9]*([-+_.]+[a-z0-9+]+)*\+*")  # as the names of the package are


@dataclass(frozen=True)
class Plugin:
    """One object of another package.

    Attributes:
        kind: methods, operators, priors or readers.
        name: by which it is asked for.
        package: that it comes with, and its version.
    """

    kind: str
    name: str
    package: str
    entry: EntryPoint

    @property
    def place(self) -> str:
        """`module:attribute`."""
        return self.entry.value

    def load(self) -> Any:
        """The object.

        Raises:
            InputError: importing it fails, whatever it raises.
        """
        try:
            return self.entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module may do anything when it is imported, exit among it
            raise self.broken(f"{type(error).__name__}: {error}") from error

    def broken(self, why: str) -> InputError:
        """The sentence about a plugin that does not work."""
        reason = " ".join(why.split())[:200]
        return InputError(f"the plugin {self.name!r} of {self.package} does not work ({reason}); "
                          "mend it or uninstall that package")


@cache
def installed(group: str) -> Mapping[str, Plugin]:
    """The plugins of a group by name; nothing is imported. Of two with one name neither is there, see `passed_over`."""
    return {one.name: one for one in _entries(group) if not _fault(one, group)}


def passed_over(group: str) -> Mapping[str, str]:
    """The entry points of a group that are no plugins, and why."""
    return {f"{one.name} of {one.package}": why for one in _entries(group) if (why := _fault(one, group))}


def _entries(group: str) -> list[Plugin]:
    found: list[Plugin] = []
    for entry in sorted(entry_points(group=group), key=lambda one: (one.name, one.value)):
        package = "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
        if not any(one.name == entry.name and one.place == entry.value for one in found):  # a folder that is searched twice
            found.append(Plugin(group.removeprefix("medrestore."), entry.name, package, entry))
    return found


def _fault(one: Plugin, group: str) -> str:
    if not NAME.fullmatch(one.name):
        return "its name is not of small letters, digits, - and +"
    if sum(other.name == one.name for other in _entries(group)) > 1:
        return "several packages offer this name"
    return ""


class Names(Collection[str]):
    """The names of the plugins of a group, looked up when they are asked for.

    Args:
        group: of entry points.
    """

    def __init__(self, group: str) -> None:
        self.group = group

    def __contains__(self, name: object) -> bool:
        return name in installed(self.group)

    def __iter__(self) -> Iterator[str]:
        return iter(installed(self.group))

    def __len__(self) -> int:
        return len(installed(self.group))
