"""What outputs tell of the names of their inputs: folders and files are often named after patients."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bounds import FieldError
from .build import check

OMITTED = "omitted"  # in the place of a name that is not stored


@dataclass(frozen=True)
class Privacy:
    """What is stored of the names of inputs.

    Args:
        keep_paths: store the full paths of inputs; else their file names and digests alone.
        anonymous: store not even the file names of inputs, which may be those of patients.
    """

    keep_paths: bool = False
    anonymous: bool = False

    def __post_init__(self) -> None:
        check(self)
        if self.keep_paths and self.anonymous:
            raise FieldError(type(self).__name__, "keep_paths", "and `anonymous` exclude each other; leave one out")

    def name_of(self, path: str | os.PathLike[str]) -> str:
        """What is stored of a path."""
        if self.anonymous:
            return OMITTED
        return str(path) if self.keep_paths else Path(path).name

    def told(self, text: str, *inputs: Path | None) -> str:
        """A text in which the paths of inputs are what `name_of` makes of them."""
        for path in inputs:
            if path is not None:
                text = text.replace(str(path), self.name_of(path))
                text = text.replace(path.name, OMITTED) if self.anonymous and path.name else text
        return text

    def within(self, values: Any) -> Any:
        """Nested plain data with `name_of` each text in it that is a path; where names are omitted, of files too."""
        if isinstance(values, Mapping):
            return {key: self.within(value) for key, value in values.items()}
        if isinstance(values, (list, tuple)):
            return [self.within(value) for value in values]
        if not isinstance(values, str):
            return values
        named = is_path(values) or (self.anonymous and Path(values).suffix != "")
        return self.name_of(values) if named else values


def is_path(text: str) -> bool:
    """Whether a text has folders in it."""
    return any(sign in text for sign in {"/", os.sep}) or text.startswith("~")
