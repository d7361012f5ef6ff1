"""A command of the command line, described by a tree of dataclasses.

A command is described by one dataclass, `Options`, whose fields may be dataclasses themselves:

    @dataclass(frozen=True)
    class Options:
        '''...

        Args:
            scan: fastMRI .h5, ...; or a folder
        '''

        scan: Annotated[str | None, POSITIONAL] = None
        plan: Plan = Plan()
        machine: Machine = Machine(maps_cache="~/.cache/medrestore/maps")

    COMMAND = Command("recon", Options, run, __doc__, config=True)

Each field that is no dataclass becomes an option: its name with - for _, its type and bounds from the annotation, its default
from the field (or from the instance that is the default of the field above it), its help from the `Args:` of the docstring.
Values are checked by `settings` alone. `COMMAND.parse(words)` returns an `Options`; `COMMAND.translate(error)` puts option
names for the fields that an error of the library names.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, NoReturn, TypeVar

from .. import shipped
from ..errors import InputError
from ..settings import FieldError, plain, prefix, scalar, schema, schema_of, suggested
from .config import read
from .options import NULLS, Option, built, get, options_of, put
from .terminal import Help, say, shows_unicode

T = TypeVar("T")
Given = dict[str, Any]  # option to value, of those that were given

SWITCH = ("true", "false", "yes", "no", "on", "off")
DRAFT = "https://json-schema.org/draft/2020-12/schema"
MENTION = re.compile(r"`([\w.]+)`")


class Parser(argparse.ArgumentParser):
    """Splits a command line into options and their words; what is wrong with it is an `InputError`."""

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print."""
        raise InputError(message.removeprefix("argument "))


@dataclass(frozen=True)
class Command(Generic[T]):
    """A command of the command line.

    Args:
        name: what it is called by.
        kind: the dataclass of its options.
        run: does the work and returns the exit code.
        doc: the docstring of its module: what it does, and examples.
        config: whether it takes `--config` and `--print_config`.
        left_open: options that are null unless they are given, whatever their field's default is; `complete` fills them.
        complete: from the options that were given to those that shall be taken.
        readers: options that are written in a form of their own, to what makes a field's value of the text.
        files: names the dataclasses of the YAML files that it reads, where these are no options of it.
    """

    name: str
    kind: type[T]
    run: Callable[[T], int]
    doc: str
    config: bool = False
    left_open: frozenset[str] = frozenset()
    complete: Callable[[Given], Given] = lambda given: given
    readers: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    files: Callable[[], Mapping[str, type]] | None = None

    @cached_property
    def options(self) -> dict[str, Option]:
        """All options by name."""
        found = {}
        for one in options_of(self.kind):
            if one.name in self.left_open:
                one = Option(one.path, one.name, one.hint | None, None, one.help)
            found[one.name] = one
        return found

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return self.doc.strip().splitlines()[0]

    # Command line

    def parser(self) -> Parser:
        """The tokeniser of its command line, which knows help and nothing of types."""
        usage = " ".join([f"medrestore {self.name} [options]", *(
            one.flag if one.required else f"[{one.flag} ...]" if one.is_list else f"[{one.flag}]"
            for one in self.options.values() if one.positional)])
        parser = Parser(prog=f"medrestore {self.name}", usage=usage, description=self.doc, formatter_class=Help,
                        allow_abbrev=False, argument_default=argparse.SUPPRESS)
        if self.config:
            parser.add_argument("--config", action="append", metavar="FILE",
                                help="YAML with any of these options, _ for -; flags win")
            parser.add_argument("--print_config", action="store_true", help="print all options as such YAML, and exit")
        if self.config or self.files is not None:
            parser.add_argument("--print_schema", action="store_true",
                                help="print the JSON schema of its YAML, for editors, and exit")
        for one in self.options.values():
            _add(parser, one, self._help(one), repeated=one.is_list and one.name not in self.readers)
        return parser

    def _help(self, one: Option) -> str:
        silent = one.positional or one.default is None or one.default is False or one.default in ({}, (), [])
        default = "" if silent else f" (default: {_default_text(one.default)})"
        return (self.mentions(one.help).removesuffix(".") + default).replace("%", "%%")

    def parse(self, words: Sequence[str]) -> T:
        """The options that a command line gives.

        Raises:
            InputError: an unknown option, a value of another type or out of bounds, or values that do not go together.
            SystemExit: after `--help`, `--print_config` and `--print_schema`.
        """
        namespace = vars(self._tokens(words))
        configs, printing = namespace.pop("config", []), namespace.pop("print_config", False)
        if namespace.pop("print_schema", False):
            import json

            print(json.dumps(self.schema(), indent=2))
            raise SystemExit(0)
        given: Given = {}
        for path in configs:
            file = shipped.config(path, "restore")
            given |= self._read(read(file), str(file))
        for name, value in namespace.items():
            one = self.options[name]
            try:
                given[name] = self._mapping(one, value, given.get(name, {})) if one.is_mapping else self._parsed(one, value)
            except FieldError as error:
                raise self.translate(error) from error
        if printing:
            self._print_config(given)
        return self._completed(given)

    def of(self, given: Mapping[str, Any]) -> T:
        """The options with these names in a config, the others as where they are not given.

        Raises:
            InputError: as for `parse`.
        """
        return self._completed(self._read(given, ""))

    def _completed(self, given: Given) -> T:
        return self.build(self.complete({name: value for name, value in given.items()
                                         if value is not None or name not in self.left_open}))

    def _tokens(self, words: Sequence[str]) -> argparse.Namespace:
        parser = self.parser()
        found, rest = parser.parse_known_intermixed_args(self._rewritten(words))
        unknown = [word for word in rest if word.startswith("-")]
        if unknown:
            flags = [flag for one in self.options.values() for flag in one.flags if not one.positional]
            flag = unknown[0].partition("=")[0]
            raise InputError(f"there is no option {flag}; {suggested('', flag, flags)}")
        if rest:
            raise InputError(f"{rest[0]!r} is one word too many; see medrestore {self.name} --help")
        return found

    def _rewritten(self, words: Sequence[str]) -> list[str]:
        """--options.lam 5 as --options=lam=5, and --bf16 false as --bf16=false, which argparse can take."""
        mappings = [one.flag for one in self.options.values() if one.is_mapping]
        switches = [one.flag for one in self.options.values() if one.is_switch]
        rewritten, rest = [], list(words)
        while rest:
            word = rest.pop(0)
            flag, dot, key = word.partition(".")
            if dot and flag in mappings:
                name, equals, value = key.partition("=")
                if not equals:
                    if not rest:
                        raise InputError(f"{word} needs a value")
                    value = rest.pop(0)
                word = f"{flag}={name}={value}"
            elif word in switches:
                word = f"{word}={rest.pop(0) if rest and rest[0].lower() in SWITCH else 'true'}"
            elif word.startswith("--no-") and f"--{word[5:]}" in switches:
                word = f"--{word[5:]}=false"
            rewritten.append(word)
        return rewritten

    # Values

    def _parsed(self, one: Option, value: Any, source: str = "") -> Any:
        reader = self.readers.get(one.name)
        if reader is not None and value is not None and value not in NULLS and not isinstance(value, list):
            try:
                value = reader(value)
            except InputError as error:
                raise FieldError(source, one.name, str(error)) from error
        return one.parsed(value, source)

    def _mapping(self, one: Option, words: Sequence[str], before: Mapping[str, Any]) -> dict[str, Any]:
        """Words of an option that is a mapping: key=value puts one key in it, anything else takes its place."""
        value: Any = dict(before)
        for word in words:
            key, equals, text = word.partition("=")
            if equals and key.replace("_", "").isalnum():
                value = value if isinstance(value, dict) else {}
                value[key] = _scalar(text)
            else:
                value = _scalar(word)
        return dict(one.parsed(value))

    def _read(self, given: Mapping[str, Any], source: str) -> Given:
        for key in given:
            if key not in self.options:
                wrong = f"{source} has the key {key!r}, which is no option" if source else f"there is no option {key!r}"
                raise InputError(f"{wrong}; {suggested('', key, self.options)}")
        try:
            return {name: self._parsed(self.options[name], value, source) for name, value in given.items()}
        except FieldError as error:
            raise self.translate(error) from error

    def build(self, given: Given) -> T:
        """`Options` with these values, the others at their defaults."""
        tree: dict[str, Any] = {}
        for name, one in self.options.items():
            if name in given and not (given[name] is None and one.default is None):
                put(tree, one.path, given[name])
            elif one.required:
                raise InputError(f"{one.flag} is missing; see medrestore {self.name} --help")
        try:
            return built(self.kind, None, tree)
        except FieldError as error:
            raise self.translate(error, tree) from error

    # Names

    def translate(self, error: InputError, tree: Mapping[str, Any] | None = None) -> InputError:
        """An error of the library with the names of options for those of fields.

        Args:
            tree: what was given, nested as the dataclasses are; an option of an optional group that is missing is then
                named with one that needs it.
        """
        if not isinstance(error, FieldError):
            return InputError(self.mentions(str(error)))
        one, rest = self._at(error.field)
        if one is None:
            return InputError(self.mentions(str(error)))
        source = prefix("" if error.source.isidentifier() else error.source)
        if error.what == "is missing" and tree is not None:
            there = [other.flag for other in self.options.values()
                     if other.path[:-1] == one.path[:-1] and get(tree, other.path) is not None]
            if there:
                return InputError(f"{source}{there[0]} needs {one.flag}")
        return InputError(f"{source}{one.flag}{rest} {self.mentions(error.what)}")

    def mentions(self, text: str) -> str:
        """`text` with the names of options for those of fields in backticks."""
        def name(found: re.Match[str]) -> str:
            one, rest = self._at(found[1])
            return found[0] if one is None else f"{one.flag}{rest}"

        return MENTION.sub(name, text)

    def say(self, line: str) -> None:
        """Prints a line of the library, with the names of options for those of fields in backticks."""
        say(self.mentions(line))

    def _at(self, key: str) -> tuple[Option | None, str]:
        """The option of a dotted field, and what of its name leads into the value."""
        whole = re.split(r"(?=[.\[])", key)
        for length in range(len(whole), 0, -1):
            path = tuple(part.lstrip(".") for part in whole[:length])
            for one in self.options.values():
                if one.path[-len(path):] == path or path == (one.name,):
                    return one, "".join(whole[length:])
        return None, ""

    # What is printed

    def _print_config(self, given: Given) -> NoReturn:
        import yaml

        values = {name: given.get(name, one.default) for name, one in self.options.items()}
        print(yaml.safe_dump(plain(values), sort_keys=False, allow_unicode=shows_unicode()), end="")
        raise SystemExit(0)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its YAML."""
        if self.files is not None:
            kinds = [{"title": title} | schema(kind) for title, kind in self.files().items()]
            about = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
            return {"$schema": DRAFT} | about
        properties = {
            name: {"description": self.mentions(one.help)} | schema_of(one.hint) | {"default": plain(one.default)}
            for name, one in self.options.items()}
        return {"$schema": DRAFT, "title": f"medrestore {self.name}", "type": "object",
                "properties": properties, "additionalProperties": False}

def _add(parser: Parser, one: Option, text: str, *, repeated: bool) -> None:
    """One option for the tokeniser, to which every value is text."""
    metavar = f"{{{','.join(one.choices)}}}" if one.choices else one.name.upper()
    if one.positional:
        parser.add_argument(one.name, nargs="*" if one.is_list else "?", metavar=one.flag, help=text)
    elif one.is_switch:
        parser.add_argument(*one.flags, dest=one.name, metavar="{true,false}" if one.default else "", help=text)
    elif one.is_mapping:
        parser.add_argument(*one.flags, dest=one.name, action="append", metavar="{...}", help=text)
    else:
        parser.add_argument(*one.flags, dest=one.name, action="append" if repeated else "store", metavar=metavar, help=text)


def _default_text(value: Any) -> str:
    """A default as one would write it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scalar(text: str) -> Any:
    try:
        return scalar(text)
    except ValueError:
        return text
