"""The networks inside of a checkpoint: wrappers come off by rule, averaged weights go first, what is left aside is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import InputError
from ..check import not_finite
from .load import DEEPEST, load_tree, printable

AVERAGED = re.compile(r"(?<![a-z])(?:ema|avg|averaged?|shadow|polyak|swa)(?![a-z])", re.IGNORECASE)  # in a name
LAST = re.compile(r"(?<![a-z])(?:non|no|not|without)[_-]?(?:ema|avg|averaged?)(?![a-z])", re.IGNORECASE)
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "unet", "params", "module", "generator", "diffusion")
PREFIXES = ("module.", "_orig_mod.", "_forward_module.", "ema_model.", "online_model.", "model.", "net.", "network.", "unet.",
            "denoise_fn.", "diffusion.", "ema.")
NOT_NETWORKS = ("optim", "sched", "scaler", "callbacks", "loops")  # beginnings of other entries of a training state

State = dict[str, Tensor]


@dataclass(frozen=True)
class CheckpointView:
    """One way to read a file as the state dict of one network.

    Attributes:
        state: tensors by name, on the CPU, read from the file when they are used.
        notes: what was taken off to come here, for people.
        place: the keys and prefixes that led here; empty for a bare state dict.
    """

    state: State
    notes: tuple[str, ...] = field(default=())
    place: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor."""
        return {key: tuple(value.shape) for key, value in self.state.items()}


def is_averaged(name: str) -> bool:
    """Whether a name says that the weights under it are averaged ones (EMA), as in `model_ema` and not in `non_ema`."""
    return AVERAGED.search(name) is not None and LAST.search(name) is None


def read_views(path: Path) -> list[CheckpointView]:
    """The networks that a file may hold, best first: averaged weights (EMA) before the last ones, then fewer prefixes taken off.

    Args:
        path: .pt, .pth, .ckpt, .bin, ... of `torch.save`, zip or older, or .safetensors.

    Raises:
        InputError: not such a file, not whole, or one that only unpickling of code could read.
    """
    tree = load_tree(path)
    found = list(_networks(tree, path, set()))
    if not found:
        raise InputError(f"{path} holds no network: {_holds(tree)}; give the file of its weights")
    return [view for checkpoint in found for view in _views(checkpoint)]


def _is_state(tree: Any) -> bool:
    """Whether this is the state dict of a module: text to tensors, with perhaps a number between them."""
    if not isinstance(tree, Mapping) or not tree or not all(isinstance(key, str) for key in tree):
        return False
    values = tree.values()
    tensors = sum(isinstance(value, Tensor) for value in values)
    return 2 * tensors > len(values) and not any(isinstance(value, Mapping | list | tuple) for value in values)


def choose_view(views: Sequence[CheckpointView], recognised: Callable[[CheckpointView], bool]) -> CheckpointView | None:
    """The first view that is recognised, its notes naming other weights of the same shapes; None where there is none."""
    chosen = next((view for view in views if recognised(view)), None)
    if chosen is None:
        return None
    others = {".".join(other.place) or "the file itself": other for other in views if _another(other, chosen)}
    if not others:
        return chosen
    said = (f"left aside, {len(others)} other set{'s' if len(others) > 1 else ''} of weights of the same shapes: "
            + ", ".join(map(printable, others)))
    return CheckpointView(chosen.state, (*chosen.notes, said), chosen.place)


def noted(checkpoint: CheckpointView, taken: Path, candidates: Sequence[Path]) -> CheckpointView:
    """The checkpoint with a note of which file it was read from, where others lie beside it.

    Args:
        taken: the file.
        candidates: all files of weights there, it among them.
    """
    others = [path.name for path in candidates if path != taken]
    if not others:
        return checkpoint
    said = f"{printable(taken.name)} taken" + (", the averaged weights (EMA)" if is_averaged(taken.stem) else "")
    notes = (said, f"left aside: {', '.join(map(printable, others))}", *checkpoint.notes)
    return CheckpointView(checkpoint.state, notes, checkpoint.place)


def _another(one: CheckpointView, other: CheckpointView) -> bool:
    """Whether these are weights of the same names and shapes that lie somewhere else."""
    if one.state.keys() != other.state.keys() or one.shapes != other.shapes:
        return False
    return any(value.data_ptr() != other.state[key].data_ptr() for key, value in one.state.items())


def _networks(tree: Any, path: Path, seen: set[int], notes: tuple[str, ...] = (), place: tuple[str, ...] = ()) -> Iterator[
    CheckpointView
]:
    """State dicts inside of wrappers, averaged ones first; each once, wherever it lies again.

    Args:
        seen: the containers that were visited, by `id`.
    """
    if len(place) > DEEPEST or not isinstance(tree, Mapping) or id(tree) in seen:
        return
    seen.add(id(tree))
    if _is_state(tree):
        yield CheckpointView({key: value.detach() for key, value in tree.items() if isinstance(value, Tensor)}, notes, place)
        return
    for name in sorted(tree, key=_entry_rank):
        inner = tree[name]
        if _entry_rank(name) == UNRELATED or not isinstance(inner, Mapping | list | tuple):
            continue
        said = (*notes, f"{printable(name)!r} taken out of its wrapper"
                + (", the averaged weights (EMA)" if is_averaged(str(name)) else ""))
        shadow = inner.get("shadow_params") if isinstance(inner, Mapping) else inner
        if is_averaged(str(name)) and isinstance(shadow, list | tuple) and any(isinstance(one, Tensor) for one in shadow):
            yield _listed(shadow, tree, path, said, (*place, printable(name)))
        else:
            yield from _networks(inner, path, seen, said, (*place, printable(name)))


UNRELATED = len(WRAPPERS) + 2


def _entry_rank(name: Any) -> int:
    """The order in which entries of a training state are looked into: averaged weights, known wrappers, others."""
    text = str(name)
    if text.startswith(NOT_NETWORKS):
        return UNRELATED
    if is_averaged(text):
        return 0
    return 1 + WRAPPERS.index(text) if text in WRAPPERS else UNRELATED - 1


def _listed(shadow: Sequence[Any], tree: Mapping[Any, Any], path: Path, notes: tuple[str, ...],
            place: tuple[str, ...]) -> CheckpointView:
    """Averaged weights that are a list in the order of the parameters: each takes the next entry of the model of its shape.

    What is passed over was not averaged (buffers, fixed frequencies) and is taken from the model.
    """
    for name in [name for name in WRAPPERS if name in tree and _is_state(tree[name])]:
        state = {key: value.detach() for key, value in tree[name].items() if isinstance(value, Tensor)}
        left = [value for value in shadow if isinstance(value, Tensor)]
        averaged = dict(state)
        for key, value in state.items():
            if left and left[0].shape == value.shape:
                averaged[key] = left.pop(0).detach()
        if not left:
            return CheckpointView(averaged, (*notes, f"the list put in the order of {name!r}"), place)
    raise InputError(f"{path} keeps its averaged weights as a list of {len(shadow)} tensors that fit no network in it; "
                     "save the state dict of the averaged network alone")


def _views(checkpoint: CheckpointView) -> Iterator[CheckpointView]:
    """The state dict as it is, and with one prefix after the other taken off all its keys."""
    state, notes, place = checkpoint.state, checkpoint.notes, checkpoint.place
    yield checkpoint
    while (prefix := next((p for p in PREFIXES if state and all(key.startswith(p) for key in state)), None)) is not None:
        state = {key.removeprefix(prefix): value for key, value in state.items()}
        notes = (*notes, f"prefix {prefix!r} taken off")
        place = (*place, prefix.rstrip("."))
        yield CheckpointView(state, notes, place)
    parts = {prefix for prefix in PREFIXES if any(key.startswith(prefix) for key in state)}
    for prefix in sorted(parts, key=lambda p: (not p.startswith("ema"), PREFIXES.index(p))):
        inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if len(inside) < len(state):
            said = f"the {len(inside)} of {len(state)} tensors that begin with {prefix!r} taken"
            yield from _views(CheckpointView(inside, (*notes, said), (*place, prefix.rstrip("."))))


def floats(state: Mapping[str, Tensor], name: Path | str) -> State:
    """The weights as float32.

    Args:
        name: of the file or the family, for complaints.

    Raises:
        InputError: one holds whole numbers, or numbers that are not finite.
    """
    for key, value in state.items():
        if not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise InputError(f"{name}: {printable(key)} holds {kind} instead of floating-point weights; "
                             "save the checkpoint again without quantisation")
    weights = {key: value.float() for key, value in state.items()}
    broken = not_finite(weights)
    if broken is not None:
        raise InputError(f"{name}: {printable(broken)} holds NaN or infinity, or more than float32 can hold; take another "
                         "snapshot of that run")
    return weights


def _holds(tree: Any) -> str:
    if isinstance(tree, Mapping):
        return f"its entries are {', '.join(printable(key) for key in list(tree)[:8]) or 'none'}"
    return f"it is one {type(tree).__name__}"
