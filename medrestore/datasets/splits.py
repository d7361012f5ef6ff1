"""Splits into training, validation and test: lists that ship with the package, or a file of the user."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import expanded
from ..settings.documents import read_yaml

MAX_BYTES = 1 << 22  # of a split; a list of all fastMRI volumes has half a megabyte


def split(dataset: str, name: str) -> dict[str, Any]:
    """One split of a dataset, as settings.

    Args:
        dataset: `fastmri` or `dreaming`.
        name: of a split in the file that ships for this dataset, or FILE.yaml:NAME for one of your own in the
            same form.

    Raises:
        InputError: no such file or split, or a file in another form.
    """
    path_text, _, key = name.rpartition(":")
    if path_text:
        path, text = path_text, _split_text(expanded(path_text))
    else:
        path, text = f"data/splits/{dataset}.yaml", (files("medrestore.data") / "splits" / f"{dataset}.yaml").read_text("utf-8")
    splits = read_yaml(text, path)
    if not isinstance(splits, Mapping) or not all(isinstance(one, Mapping) for one in splits.values()):
        raise InputError(f"{path} must map names of splits to settings; see data/splits/README.md.")
    if key not in splits:
        raise InputError(f"{path} has no split {key!r}; it has {', '.join(map(str, list(splits)[:20]))}.")
    return dict(splits[key])


def _split_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES} bytes, which no split has; give another file.")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); give FILE.yaml:NAME or the name of a split that ships.") from error
