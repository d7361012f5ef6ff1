"""Files of options: YAML, plain data only."""

from pathlib import Path
from typing import Any

from ..errors import InputError

LARGEST = 1 << 20  # bytes; a config is some lines


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; plain data only."""
    import yaml

    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than 1 MiB, which no config is; give a YAML file of options")
        text = path.read_text(encoding="utf-8-sig")
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
