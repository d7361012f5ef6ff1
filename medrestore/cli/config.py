"""`--config FILE`: YAML with any options of a command; what is wrong with it is said with its name."""

import re
from argparse import ArgumentError
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from ..errors import InputError

LARGEST = 1 << 20  # bytes; a config is some lines
NOT_IN_FILES = {"help", "config", "print_config"}
TYPES = {
    "int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "dict": "a mapping", "NoneType": "null",
}
WRONG = re.compile(
    r'(?:Parser key|argument) "?(?:--)?(?P<key>[\w.-]+)"?: '
    r"(?:Expected an? (?P<one>.+?)\. Got value: |Does not validate .*?Subtypes: \[(?P<many>.*?)\].*Given value: )(?P<value>.*)"
)
CHOICE = re.compile(
    r"(?:argument (?P<option>[\w-]+): invalid choice: |Parser key \"(?P<key>[\w.]+)\": )(?P<value>.*?) "
    r"(?:\(choose from |not among choices \()(?P<choices>.*)\)"
)


class ConfigFile(ActionConfigFile):
    """Reads a file of options, checked as a whole first."""

    def __call__(self, parser: ArgumentParser, cfg: Namespace, values: Any, option_string: str | None = None) -> None:
        given = read(Path(values))
        known = [action.dest for action in parser._actions if action.dest not in NOT_IN_FILES]
        for key in given:
            if key not in known:
                close = get_close_matches(str(key), known, 1)
                raise InputError(f"{values} has the key {key!r}, which is no option"
                                 + (f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"))
        checked(parser, given, str(values))
        super().__call__(parser, cfg, values, option_string)


def checked(parser: ArgumentParser, given: dict[str, Any], source: str) -> Namespace:
    """The options with these values, each of its type; complaints begin with where the values come from."""
    for key, value in given.items():
        if value is None and parser.get_default(key) is not None:
            raise InputError(f"{source}: --{key.replace('_', '-')} may not be null; leave it out for its default")
    try:
        return parser.parse_object(given)
    except ArgumentError as error:
        raise InputError(f"{source}: {plain(str(error))}") from error


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; plain data only."""
    import yaml

    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than 1 MiB, which no config is; give a YAML file of options")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a YAML file of options") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text; give a YAML file of options") from error
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise InputError(f"{path} uses YAML aliases (*name), which can grow without bound; write the values out")
        given = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        raise InputError(f"{path} is not YAML{where} ({getattr(error, 'problem', None) or 'it cannot be parsed'}); "
                         "write lines such as steps: 25") from error
    if not isinstance(given, dict):
        raise InputError(f"{path} holds {'nothing' if given is None else 'a list or a word'}, not options; "
                         "write lines such as steps: 25")
    return given


def plain(message: str) -> str:
    """A complaint of the parser as one sentence for people."""
    message = " ".join(message.split())
    if found := CHOICE.fullmatch(message):
        name, choices = found["option"] or f"--{found['key']}", found["choices"].replace("'", "")
        return f"{name} must be one of {choices}, got {found['value']}"
    found = WRONG.fullmatch(message)
    if found is None:
        return message
    names = re.findall(r"<class '(\w+)'>", found["one"] or found["many"])
    names = [name for name in names if not (name == "int" and "float" in names)]
    wanted = " or ".join(TYPES.get(name, name) for name in names) or found["one"]
    hint = "; write it in quotes" if "str" in names else ""
    given = "null" if found["value"] == "None" else found["value"]
    return f"--{found['key'].replace('_', '-')} must be {wanted}, got {given}{hint}"
