"""What `inpaint` writes: the output, and beside it a picture of the mask, a table of the frames and a JSON record."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import InputError
from ..files import altered, check_own, digest, new_output, preview_place, read_mapping, unfinished
from ..io.scenes.writer import KINDS, encode_png, output_kind, provenance_place
from .plan import Writing

LARGEST_JSON = 1 << 28  # bytes of a provenance


def table_place(out: Path) -> Path:
    """Where the table of the frames goes."""
    return out.with_name(out.name + ".frames.csv")


def record_place(out: Path) -> Path:
    """Where the JSON of how an output was made lies."""
    return (
        out.with_name(out.name + ".json") if out.suffix == ".png" else provenance_place(out, output_kind(out))
    )


def check_output(out: Path, *inputs: Path | None) -> None:
    """Refuses names that stand for nothing that is written, and places among the inputs."""
    if out.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"{out}: jpg would change the known pixels; give a name ending in .png")
    if out.name in ("", "..") or out.suffix.lower() not in ("", ".png", *KINDS):
        raise InputError(
            f"{out} is no name to write to; name a new folder, or a file ending in .png, .mha, .mkv or .mp4"
        )
    for given in inputs:
        if given is None or not given.exists():
            continue
        if out.exists() and out.samefile(given):
            raise InputError(f"{out} is the input itself, which is never replaced; give another `out`")
        if out.resolve() in given.resolve().parents:
            raise InputError(
                f"{out} holds the input {given}, and an output takes the place of the whole folder; "
                "give another `out`"
            )
        if given.is_dir() and out.parent.exists() and out.parent.samefile(given):
            raise InputError(
                f"{out} lies among the pictures of {given}, and would be read as one of them; give another `out`"
            )


def is_done(out: Path, key: str) -> bool:
    """Whether an output, with all that belongs to it, has this key, and is complete and as it was written."""
    try:
        return all(place.exists() for place in _outputs(out)) and read_record(out).get("key") == key and not damaged(out)
    except InputError:
        return False


def damaged(out: Path) -> list[str]:
    """The files of an output, by name, that are missing or not as they were written; empty when it is whole.

    Raises:
        InputError: there is no record of its files.
    """
    record = read_record(out)
    parts = [(out if out.is_dir() else out.parent, record.get("files")), (out.parent, record.get("beside"))]
    wrong: list[str] = []
    for folder, digests in parts:
        if not isinstance(digests, dict) or any(Path(name).name != name for name in digests):
            raise InputError(f"{out} has no record of its files that can be read; make it again")
        wrong += altered(folder, digests)
    return wrong


def _outputs(out: Path) -> tuple[Path, ...]:
    return out, record_place(out), preview_place(out), table_place(out)


def read_record(out: Path) -> dict[str, Any]:
    """How an output was made; empty for any other file, and for none."""
    record = read_mapping(record_place(out), largest=LARGEST_JSON)
    return record if "key" in record else {}


def told_name(out: Path) -> object:
    """What an output stores of the name of its input."""
    given = read_record(out).get("input")
    return given.get("name") if isinstance(given, dict) else None


def check_replaced(out: Path, writing: Writing) -> None:
    """Refuses to replace outputs without leave, and a folder of other files in any case."""
    if out.is_dir() and any(out.iterdir()) and not read_record(out):
        raise InputError(
            f"{out} is a folder and no output of inpaint, so it is never replaced; give another `out`"
        )
    if out.is_dir():
        check_own(out)
    if writing.overwrite:
        return
    if not (writing.resume or out.exists()) and unfinished(out):
        raise InputError(f"{out} was begun by another run; pass `resume` to go on where that stopped, "
                         "`overwrite` to begin again, or another `out`")
    stopped = writing.resume and not out.exists()  # the files beside it are of a run that was killed
    for place in _outputs(out):
        if place.exists() and not stopped and not (writing.resume and read_record(out)):
            raise InputError(f"{place} exists{' and is no output of inpaint' if writing.resume else ''}; "
                             "pass `overwrite` to replace it, or another `out`")


class PictureWriter:
    """Takes the frame of a scene of one picture, as `SceneWriter` takes those of longer scenes.

    Args:
        beside: a folder; its files are published beside the picture.
    """

    done: frozenset[int] = frozenset()

    def __init__(self, beside: Path) -> None:
        self.beside = beside
        self.provenance: dict[str, Any] = {}
        self._frame: Tensor | None = None

    def put(self, index: int, frame: Tensor) -> None:
        """The frame, (3, height, width) uint8."""
        self._frame = frame

    def read(self, index: int) -> Tensor:
        """The frame again."""
        if self._frame is None:
            raise RuntimeError("no frame was put")
        return self._frame


@contextmanager
def one_picture(out: Path, *, replace: bool) -> Iterator[PictureWriter]:
    """Publishes the picture and its JSON when all went well."""
    with new_output(out, replace=replace) as folder:
        writer = PictureWriter(folder)
        yield writer
        (folder / out.name).write_bytes(encode_png(writer.read(0).permute(1, 2, 0).contiguous().numpy()))
        writer.provenance["files"] = {out.name: digest(folder / out.name)}
        text = json.dumps(writer.provenance, allow_nan=False, sort_keys=True, indent=1) + "\n"
        (folder / record_place(out).name).write_text(text, "utf-8")
