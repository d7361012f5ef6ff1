"""Checkpoints: folders of tensors and plain data, written completely or not at all.

`checkpoints/<images>/` holds `network`, `average-<half-life>` and `optimiser` as safetensors and `checkpoint.json`, written
last, with the sha256 of each. Nothing in them is ever unpickled.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import InputError

FORMAT = 1
ABOUT = "checkpoint.json"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    Attributes:
        step: of the optimiser.
        seen: images, counted at the smallest side.
        position: crops handed out, by all processes.
        seconds: of training.
        log: a row for each checkpoint.
        snapshots: a row for each snapshot.
    """

    step: int = 0
    seen: int = 0
    position: int = 0
    seconds: float = 0.0
    log: tuple[dict[str, float], ...] = ()
    snapshots: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run.

    Attributes:
        progress: of the run.
        config: of the run, and what else must not change, as plain data.
        tensors: by the name of their file: `network`, `average-<half-life>`, `optimiser`.
        facts: plain data that goes with the tensors.
    """

    progress: Progress
    config: dict[str, Any]
    tensors: dict[str, Tensors]
    facts: dict[str, Any] = field(default_factory=dict)


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """`folder/<images>`, whole.

    Raises:
        InputError: the disk is full or cannot be written to; nothing of this checkpoint is left then, and the others stay.
    """
    from safetensors.torch import save

    final = folder / f"{checkpoint.progress.seen:09d}"
    with written_aside(final) as part:
        hashes = {}
        for name, tensors in checkpoint.tensors.items():
            data = save(tensors, metadata={"format": "pt"})
            hashes[name] = hashlib.sha256(data).hexdigest()
            write_bytes(part / f"{name}.safetensors", data)
        about = {"format": FORMAT, "progress": asdict(checkpoint.progress), "config": checkpoint.config,
                 "facts": checkpoint.facts, "sha256": hashes}
        write_bytes(part / ABOUT, json.dumps(about).encode())
    return final


@contextmanager
def written_aside(final: Path) -> Iterator[Path]:
    """A new folder `<final>.part` that takes the place of `final` once its files are written.

    Raises:
        InputError: the disk is full or cannot be written to; `final` is as it was then.
    """
    part = final.with_name(final.name + ".part")
    with explained(final):
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            yield part
            if final.exists():
                shutil.rmtree(final)
            os.replace(part, final)
            _sync(final.parent)
        except Exception:
            shutil.rmtree(part, ignore_errors=True)
            raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Says in a sentence why `path` could not be written."""
    try:
        yield
    except Exception as error:
        why = _no_room(error) or (error.strerror or str(error) if isinstance(error, OSError) else None)
        if why is None:
            raise
        raise InputError(f"{path} cannot be written ({why.lower()}); what was there before is whole: make room and run the same "
                         "command again") from error


def write_bytes(path: Path, data: bytes) -> None:
    """A file that is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The last intact checkpoint, or None when there is none at all; and a message for each damaged one after it.

    Raises:
        InputError: there are checkpoints, and none is intact.
    """
    broken: list[str] = []
    for path in reversed(folders(folder)):
        try:
            return load(path), broken
        except InputError as error:
            broken.append(str(error))
    if broken:
        raise InputError(f"none of the {len(broken)} checkpoints in {folder} is intact ({broken[0]}); "
                         "copy one there again, or remove the folder to begin anew")
    return None, []


def folders(folder: Path) -> list[Path]:
    """The checkpoints of a run, the earliest first."""
    return sorted((path for path in folder.glob("*") if path.name.isdecimal()), key=lambda path: int(path.name))


def load(path: Path) -> Checkpoint:
    """A checkpoint, its files checked against their hashes.

    Raises:
        InputError: a file that is missing, truncated or altered.
    """
    from safetensors.torch import load as tensors_of

    try:
        about = describe(path)
        tensors = {}
        for name, expected in about["sha256"].items():
            data = (path / f"{name}.safetensors").read_bytes()
            if hashlib.sha256(data).hexdigest() != expected:
                raise ValueError(f"{name}.safetensors is not the file that was written")
            tensors[name] = tensors_of(data)
        progress = {key: tuple(value) if isinstance(value, list) else value for key, value in about["progress"].items()}
        return Checkpoint(Progress(**progress), about["config"], tensors, about["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path} is damaged: {why}") from error


def describe(path: Path) -> dict[str, Any]:
    """The contents of `checkpoint.json`."""
    about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    if about["format"] != FORMAT:
        raise ValueError(f"{ABOUT} has format {about['format']}, and this version reads {FORMAT}")
    return about


def prune(folder: Path, keep: int, score: str) -> None:
    """Leaves the last `keep` checkpoints and the one with the lowest `score` in its log; removes partial ones."""
    for part in folder.glob("*.part"):
        shutil.rmtree(part, ignore_errors=True)
    paths = folders(folder)
    scores: dict[Path, float] = {}
    for path in paths:
        try:
            scores[path] = describe(path)["progress"]["log"][-1][score]
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            continue  # damaged: never the best
    best = min(scores, key=scores.__getitem__, default=None)
    for path in paths[:-keep]:
        if path != best:
            shutil.rmtree(path, ignore_errors=True)


def packed(state: Mapping[str, Mapping[str, Any]]) -> Tensors:
    """An optimiser's state by parameter, {parameter: {name: tensor}}, as one level of tensors."""
    return {f"{name}/{parameter}": value.detach().cpu().contiguous()
            for parameter, values in state.items() for name, value in values.items()}


def unpacked(tensors: Tensors) -> dict[str, Tensors]:
    """The inverse of `packed`."""
    state: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        kind, _, key = name.partition("/")
        state.setdefault(key, {})[kind] = tensor
    return state


def _sync(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _no_room(error: BaseException | None) -> str | None:
    """What the system said where the disk or a quota is full: libraries wrap it in many ways."""
    while error is not None:
        for code in FULL:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return os.strerror(code)
        error = error.__cause__ or error.__context__
    return None
