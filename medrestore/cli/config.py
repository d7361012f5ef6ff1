"""Files of options: YAML, plain data only."""

from pathlib import Path
from typing import Any

from ..errors import InputError

LARGEST = 1 << 20  # bytes; a config is some lines


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; plain data only."""
    from ..settings.documents import read_yaml

    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than 1 MiB, which no config is; give a YAML file of options")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a YAML file of options") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text; give a YAML file of options") from error
    given = read_yaml(text, str(path))
    if not isinstance(given, dict):
        raise InputError(f"{path} holds {'nothing' if given is None else 'a list or a word'}, not options; "
                         "write lines such as steps: 25")
    return given
