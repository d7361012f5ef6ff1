"""Checkpoints: folders of tensors and plain data, written completely or not at all.

`checkpoints/<images>/` holds `network`, `average-<half-life>` and `optimiser` as safetensors and
`checkpoint.json`, written last, with the sha256 of each. Nothing in them is ever unpickled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import InputError
from ..files import new_folder, recover_all, remove_own
from ..priors.tensors import write_tensors

FORMAT = 1
ABOUT = "checkpoint.json"
ADVICE = "what was there before stays: make room and run the same training again"
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


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """`folder/<images>`, whole.

    Raises:
        InputError: the disk is full or cannot be written to; nothing of this checkpoint is left then, and the
            others stay.
    """
    final = folder / f"{checkpoint.progress.seen:09d}"
    with new_folder(final, replace=True, advice=ADVICE) as temporary:
        hashes = {
            name: write_tensors(temporary / f"{name}.safetensors", tensors)
            for name, tensors in checkpoint.tensors.items()
        }
        about = {"format": FORMAT, "progress": asdict(checkpoint.progress), "config": checkpoint.config,
                 "facts": checkpoint.facts, "sha256": hashes}
        (temporary / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return final


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The last intact checkpoint, None when there is none; and a message for each damaged one after it.

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
        raise InputError(
            f"none of the {len(broken)} checkpoints in {folder} is intact ({broken[0]}); "
            "copy one there again, or remove the folder to begin anew"
        )
    return None, []


def folders(folder: Path) -> list[Path]:
    """The checkpoints of a run, the earliest first."""
    return sorted(
        (path for path in folder.glob("*") if path.name.isdecimal()), key=lambda path: int(path.name)
    )


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
        progress: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in about["progress"].items()
        }
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
    """Leaves the last `keep` checkpoints and the one with the lowest `score`; removes partial ones.

    Folders that were not written by this program, or hold files of others, stay.
    """
    recover_all(folder)
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
            remove_own(path)


def packed(state: Mapping[str, Mapping[str, Any]]) -> Tensors:
    """An optimiser's state by parameter, {parameter: {name: tensor}}, as one level of tensors."""
    return {
        f"{name}/{parameter}": value.detach().cpu().contiguous()
        for parameter, values in state.items()
        for name, value in values.items()
    }


def unpacked(tensors: Tensors) -> dict[str, Tensors]:
    """The inverse of `packed`."""
    state: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        kind, _, key = name.partition("/")
        state.setdefault(key, {})[kind] = tensor
    return state
