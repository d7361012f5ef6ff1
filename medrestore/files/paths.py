"""Paths as people write them."""

import os
from pathlib import Path

from ..errors import InputError


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with a leading ~ replaced by the home of its user.

    Raises:
        InputError: there is a ~, and the system knows no home: HOME is not set, and the user is in no list.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path} begins with ~, and this system knows no home for it; write the path in full") from error
