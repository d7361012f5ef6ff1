"""Classes by name."""

import importlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType
from typing import Any, Generic, TypeVar, cast

from ..errors import InputError
from ..plugins import Plugin, installed
from .bounds import FieldError, dotted, prefix, suggested
from .build import build

T = TypeVar("T")


class Registry(Mapping[str, type[T]], Generic[T]):
    """Classes by the names under which configs and the command line know them; imported when first asked for.

    Args:
        package: that the places are relative to, such as `medrestore.methods`.
        rows: name to `module:Class`, or to that and the uses that the class is offered for.
        base: the place of the class that all of them are subclasses of; None for any class.
        group: of entry points by which other packages add classes (`medrestore.plugins`); None: they add none.
        group_uses: the uses that those are offered for.
    """

    def __init__(self, package: str, rows: Mapping[str, str | tuple[str, ...]], base: str | None = None,
                 group: str | None = None, group_uses: tuple[str, ...] = ()) -> None:
        listed = {name: (row,) if isinstance(row, str) else row for name, row in rows.items()}
        self.package, self.base, self.group, self.group_uses = package, base, group, group_uses
        self.places = {name: row[0] for name, row in listed.items()}
        self._uses = {name: row[1:] for name, row in listed.items()}
        self._added: dict[str, type[T]] = {}

    def __getitem__(self, name: str) -> type[T]:
        if name in self._added:
            return self._added[name]
        if name not in self.places and name in self.plugins:
            return self._of_plugin(self.plugins[name])
        return self._at(self.places[name])

    @property
    def plugins(self) -> Mapping[str, Plugin]:
        """The classes of other packages by name, without those whose name is taken here."""
        found = {} if self.group is None else installed(self.group)
        return {name: one for name, one in found.items() if name not in self.places}

    def _of_plugin(self, plugin: Plugin) -> type[T]:
        kind = plugin.load()
        base: type = object if self.base is None else self._at(self.base)
        fits = isinstance(kind, type) and issubclass(kind, base) and is_dataclass(kind)
        if not fits:
            raise plugin.broken(f"{plugin.place} is no dataclass that is a {base.__name__}")
        return cast("type[T]", kind)

    def _at(self, place: str) -> type[T]:
        module, _, kind = place.partition(":")
        found: type[T] = getattr(importlib.import_module(f"{self.package}.{module}"), kind)
        return found

    def __contains__(self, name: object) -> bool:
        """Whether there is such a name; imports nothing."""
        return name in self.places or name in self._added or name in self.plugins

    def __iter__(self) -> Iterator[str]:
        """The names that are offered; those that `add` made are known, but belong to one script."""
        return iter((*self.places, *self.plugins))

    def __len__(self) -> int:
        return len(self.places) + len(self.plugins)

    def working(self) -> Iterator[str]:
        """The names whose classes can be imported, as all of the package can."""
        for name in self:
            try:
                self[name]
            except InputError:  # of a plugin, said where that is asked for
                continue
            yield name

    def offered(self, use: str) -> "Offered[T]":
        """The classes for a use, by name; imports nothing."""
        return Offered(self, use)

    def suits(self, name: object, use: str) -> bool:
        """Whether a class is there for a use; those that `add` made are there for all."""
        if name in self.places:
            return use in self._uses[str(name)]
        return name in self._added or (use in self.group_uses and name in self.plugins)

    def name_of(self, kind: type[T]) -> str | None:
        """The name of a class, None where it is not registered."""
        place = f"{kind.__module__.removeprefix(self.package + '.')}:{kind.__qualname__}"
        known = next((name for name, there in self.places.items() if there == place), None)
        whole = f"{kind.__module__}:{kind.__qualname__}"
        known = known or next((name for name, one in self.plugins.items() if one.place == whole), None)
        return known or next((name for name, added in self._added.items() if added is kind), None)

    def add(self, kind: type[T]) -> str:
        """The name of a class, which is registered as `module:Class` for this process where it was not.

        A class that is defined again, as in a cell of a notebook, takes the place of the earlier one.
        """
        name = self.name_of(kind)
        if name is None:
            name = f"{kind.__module__}:{kind.__qualname__}"
            self._added[name] = kind
        return name

    def build(self, name: str, options: Mapping[str, Any], source: str = "", where: str = "") -> T:
        """An object of the class of that name.

        Raises:
            InputError: an unknown name or option, or a value out of bounds.
        """
        if name not in self:
            raise InputError(f"{prefix(source)}there is no {dotted(where, name)}; {suggested('', name, self)}")
        return build(self[name], options, source or name, where)

    def describe(self, instance: T) -> tuple[str, dict[str, Any]]:
        """The name and the options of an object, those with their default left out: what `build` makes it of again.

        Raises:
            InputError: the object has a field that is no plain value, and so cannot be written down.
        """
        kind = type(instance)
        options: dict[str, Any] = {}
        for one in fields(kind) if is_dataclass(kind) else ():
            value = getattr(instance, one.name)
            if not one.init or (one.default is not MISSING and value == one.default):
                continue
            if not isinstance(value, NoneType | bool | int | float | str):
                raise InputError(f"{kind.__name__}.{one.name} is a {type(value).__name__}, which cannot be written down as a "
                                 "setting; a plan takes objects whose fields are numbers and text")
            options[one.name] = value
        return self.add(kind), options

    def settle(self, plan: Any, name: str, options: str) -> None:
        """For `__post_init__` of a plan: one field of it has a name, or in Python an object; another has its options.

        An object is replaced by its name and options. Options that have their defaults are left out, so that equal plans
        are equal. Where no options are given the class is not imported.

        Args:
            name, options: the two fields.

        Raises:
            FieldError: there is no such name or option, or a value is of another type or out of bounds.
        """
        source, given, chosen = type(plan).__name__, getattr(plan, name), getattr(plan, options)
        if isinstance(given, str):
            if given in self and chosen:
                object.__setattr__(plan, options, self.describe(build(self[given], chosen, source, options))[1])
            return
        if self.base is not None and not isinstance(given, self._at(self.base)):
            raise FieldError(source, name, f"must be a name or a {self.base.partition(':')[2]}, got {given!r}")
        if chosen:
            raise FieldError(source, options, f"go with the name of a {name}; give them to the object {given!r}")
        found, settled = self.describe(given)
        object.__setattr__(plan, name, found)
        object.__setattr__(plan, options, settled)


class Offered(Collection[str], Generic[T]):
    """The names of a registry's classes for one use."""

    def __init__(self, registry: Registry[T], use: str) -> None:
        self.registry, self.use = registry, use

    def __contains__(self, name: object) -> bool:
        """Whether it may be asked for: offered, or of one script."""
        return self.registry.suits(name, self.use)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.registry if self.registry.suits(name, self.use))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Joined(Collection[str]):
    """The names of several tables, in turn.

    Args:
        tables: of names.
    """

    def __init__(self, *tables: Collection[str]) -> None:
        self.tables = tables

    def __contains__(self, name: object) -> bool:
        return any(name in table for table in self.tables)

    def __iter__(self) -> Iterator[str]:
        return (name for table in self.tables for name in table)

    def __len__(self) -> int:
        return sum(len(table) for table in self.tables)
