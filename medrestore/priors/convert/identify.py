"""The family of a checkpoint, and its network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..descriptions import DESCRIPTIONS
from . import adm, adm_classifier, ddpm, edm, folder, ldm, monai, ncsnpp
from .base import Converted, Family, FolderFamily, some
from .checkpoint import CheckpointView, State, choose_view, is_averaged, read_views

FAMILIES: tuple[Family, ...] = tuple(module.FAMILY for module in (adm, adm_classifier, ddpm, edm, ncsnpp, ldm, monai, folder))


@dataclass(frozen=True)
class KnownCheckpoint:
    """A checkpoint whose family is known.

    Attributes:
        path: of the checkpoint.
        family: of the checkpoint.
        state: tensors by the family's keys.
        notes: wrappers that were removed, for people.
        facts: what the folder's configuration says, as plain data.
    """

    path: Path
    family: Family
    state: State
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def convert(self, given: Mapping[str, Any]) -> Converted:
        """The network, what a user states going before what the folder says.

        Raises:
            InputError: tensors that do not fit, or a fact that must be given.
        """
        try:
            return self.family.convert(dict(self.state), {**self.facts, **given})
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error


def family(name: str) -> Family:
    """The family of a name, or of its beginning."""
    close = [one for one in FAMILIES if one.name.lower().startswith(name.lower()) or _family_name(one) == name.lower()]
    if len(close) != 1:
        raise InputError(f"there is no family {name!r}; there are {', '.join(_family_name(one) for one in FAMILIES)}")
    return close[0]


def _family_name(one: Family) -> str:
    """The name of its module: what people type."""
    return type(one).__module__.rpartition(".")[2]


def identify(path: Path, name: str | None = None) -> KnownCheckpoint:
    """The family of a file or a folder, and its tensors.

    Args:
        name: the family, where it shall not be recognised.

    Raises:
        InputError: not a checkpoint, or of none of the families, in one sentence.
    """
    wanted = FAMILIES if name is None else (family(name),)
    if any((path / file).is_file() for file in DESCRIPTIONS):
        raise InputError(f"{path} is a prior already, and needs no conversion")
    if path.is_dir():
        return _found_in_folder(path, wanted)
    views = read_views(path)
    chosen = choose_view(views, lambda view: any(one.recognises(view.shapes) for one in wanted))
    if chosen is not None:
        recognised = next(one for one in wanted if one.recognises(chosen.shapes))
        return KnownCheckpoint(path, recognised, chosen.state, (*chosen.notes, *_averaged_beside(path)))
    if name is not None:  # its own complaint says more
        view = max(views, key=lambda view: len(view.state.keys() & set(wanted[0].signature)))
        return KnownCheckpoint(path, wanted[0], view.state, view.notes)
    raise InputError(f"{path} is of no known family ({_closest(views)}); known are "
                     f"{', '.join(map(_family_name, FAMILIES))}, "
                     "and others have to be put into a UNet2DModel and saved by medrestore.priors.save")


def _found_in_folder(path: Path, wanted: tuple[Family, ...]) -> KnownCheckpoint:
    for one in wanted:
        if isinstance(one, FolderFamily) and one.opens(path):
            checkpoint, facts = one.read(path)
            return KnownCheckpoint(path, one, checkpoint.state, checkpoint.notes, facts)
    raise InputError(f"{path} is a folder, but of no known kind; give a checkpoint file, or a folder with model_index.json or "
                     "config.json and its weights")


def _averaged_beside(path: Path) -> tuple[str, ...]:
    """A note of files beside a checkpoint that are named as averaged weights, unless it is one itself."""
    if is_averaged(path.stem):
        return ()
    names = sorted(one.name for one in path.parent.iterdir() if one.suffix == path.suffix and is_averaged(one.stem))
    if not names:
        return ()
    return (f"beside it lie {some(names)}, averaged weights (EMA) by their names: convert those where they are of this run",)


def _closest(views: list[CheckpointView]) -> str:
    """The family that most of whose telling keys are there, and which of them miss."""
    best: tuple[float, Family, list[str]] | None = None
    for one in FAMILIES:
        signature = one.signature
        for view in views:
            missing = [key for key in signature if key not in view.state]
            if signature and (best is None or len(missing) / len(signature) < best[0]):
                best = (len(missing) / len(signature), one, missing)
    shown = f"its first keys are {some(views[0].state)}"
    if best is None or best[0] == 1:
        return shown
    return f"{shown}; the closest is {best[1].name}, and it lacks {some(best[2])}"
