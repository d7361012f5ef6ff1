"""Checkpoint files as tensors by name: nothing is unpickled but tensors and plain data, nothing declared is believed."""

from __future__ import annotations

import argparse
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError

LARGEST = 24 * 2**30  # bytes of a file; training states with optimiser and EMA are three times their network
DEEPEST = 8  # levels of nested wrappers; real ones have three
MAX_KEYS = 20_000  # tensors of one network; the largest known has some hundreds
EMA = ("ema", "ema_state_dict", "model_ema", "ema_model", "state_dict_ema", "params_ema", "net_ema", "shadow_params")
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "unet", "params", "module", "generator", "diffusion")
PREFIXES = ("module.", "_orig_mod.", "_forward_module.", "ema_model.", "model.", "net.", "network.", "unet.", "denoise_fn.",
            "diffusion.", "ema.")
NOT_NETWORKS = ("optim", "sched", "scaler", "callbacks", "loops")  # beginnings of other entries of a training state

State = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """One way to read a file as the state dict of one network.

    Attributes:
        state: tensors by name, on the CPU, read from the file when they are used.
        notes: what was taken off to come here, for people.
    """

    state: State
    notes: tuple[str, ...] = field(default=())

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor."""
        return {key: tuple(value.shape) for key, value in self.state.items()}


def read(path: Path) -> list[Checkpoint]:
    """The networks that a file may hold, best first: averaged weights (EMA) before the last ones, then fewer prefixes taken off.

    Args:
        path: .pt, .pth, .ckpt, .bin, ... of `torch.save`, zip or older, or .safetensors.

    Raises:
        InputError: not such a file, not whole, or one that only unpickling of code could read.
    """
    tree = load(path)
    found = list(_networks(tree, path))
    if not found:
        raise InputError(f"{path} holds no network: {_holds(tree)}; give the file of its weights")
    return [view for checkpoint in found for view in _views(checkpoint)]


def load(path: Path) -> Any:
    """What a file holds, tensors checked against the bytes there are."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} {'is a folder, not a file' if path.is_dir() else 'does not exist'}; give a checkpoint")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); ask for read permission on it") from error
    if size > LARGEST:
        raise InputError(f"{path} has {size / 2**30:.0f} GiB, more than any known checkpoint (at most {LARGEST >> 30} GiB)")
    if head.startswith(b"PK\x03\x04"):
        _check_zip(path, size)
        tree = _unpickled(path, mmap=True)
    elif head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size:
        tree = _safetensors(path)
    elif head[:1] == b"\x80":
        tree = _unpickled(path, mmap=False)
    else:
        raise InputError(f"{path} is no checkpoint of PyTorch or safetensors (it is empty, truncated, text or another format); "
                         "give a .pt, .pth, .ckpt, .bin or .safetensors file")
    try:
        _check_tensors(tree, path, size)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:  # tensors of kinds that answer no question
        raise InputError(f"{path} holds tensors that are not plain ({_line(error)}); save them again as dense floats") from error
    return tree


def _safetensors(path: Path) -> State:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # whatever the library says of a broken file
        raise InputError(f"{path} is not a whole safetensors file ({_line(error)}); copy it again") from error


def _check_zip(path: Path, size: int) -> None:
    """Refuses archives that would grow when read, or that are programs."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # zipfile, struct and codecs raise half a dozen kinds
        raise InputError(f"{path} is not a whole file of torch.save ({_line(error)}); copy it again") from error
    names = [entry.filename for entry in entries]
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(entry.file_size for entry in entries) > size:
        raise InputError(f"{path} is a zip archive that declares more than its {size} bytes, which torch.save never writes; "
                         "unpack it and give the checkpoint inside")
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise InputError(f"{path} is a TorchScript program; where you trust it, run {resave(path, 'torch.jit.load')}")
    if not any(name.endswith("data.pkl") for name in names):
        raise InputError(f"{path} is a zip archive, but not one of torch.save; unpack it and give the checkpoint inside")


def resave(path: Path, loader: str = "torch.load") -> str:
    """The line that makes a file of tensors of one that holds code: state dicts of modules, alone or in a dictionary."""
    script = loader == "torch.jit.load"
    take = "m.state_dict()" if script else (
        "{k: t for k, v in (m.items() if isinstance(m, dict) else [('model', m)]) "
        "for t in [v.state_dict() if hasattr(v, 'state_dict') else v] "
        "if torch.is_tensor(t) or isinstance(t, dict) and any(map(torch.is_tensor, t.values()))}"
    )
    how = "map_location='cpu'" + ("" if script else ", weights_only=False")
    return (f"`python -c \"import torch; m = {loader}({str(path)!r}, {how}); "
            f"torch.save({take}, 'weights.pt')\"` and convert weights.pt")


def _unpickled(path: Path, *, mmap: bool) -> Any:
    """Tensors, plain data and `argparse.Namespace` (options of a training run, plain data too); nothing else is made."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged files, and of storage types that are older than torch's present ones
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # unpicklers raise nearly every kind there is
        text = str(error)
        if any(said in text for said in ("Unsupported global", "Unsupported class", "GLOBAL", "not an allowed global")):
            raise InputError(f"{path} holds Python objects, which only running its code could read, and that is refused; "
                             f"where you trust it, run {resave(path)}") from error
        raise InputError(f"{path} is not a whole checkpoint of torch.save ({_line(error)}); copy it again") from error


def _check_tensors(tree: Any, path: Path, size: int) -> None:
    """Refuses tensors that are larger than the bytes behind them, and those that are not plain numbers on the CPU."""
    total = 0
    for name, value in _leaves(tree, path):
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or type(value) not in (
            Tensor, torch.nn.Parameter
        ):
            raise InputError(f"{path}: {shown(name)} is a {value.layout} tensor on {value.device}, and plain ones are needed; "
                             "save it again as a dense float tensor")
        total += value.numel() * value.element_size()
        if total > 4 * size or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise InputError(f"{path}: {shown(name)} declares the shape {tuple(value.shape)}, more than is stored; "
                             "copy it again")


def _leaves(tree: Any, path: Path, name: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Every tensor with the keys that lead to it."""
    if depth > DEEPEST:
        raise InputError(f"{path} nests its entries deeper than {DEEPEST} levels, which no known checkpoint does; "
                         "save the state dict alone")
    if isinstance(tree, Tensor):
        yield name, tree
    elif isinstance(tree, Mapping | list | tuple):
        items = list(tree.items() if isinstance(tree, Mapping) else enumerate(tree))
        if len(items) > MAX_KEYS and any(isinstance(value, Tensor | Mapping | list | tuple) for _, value in items):
            raise InputError(f"{path} has {len(items)} entries in one place, more than any known network; "
                             "save the state dict alone")
        for key, value in items:
            yield from _leaves(value, path, f"{name}.{key}" if name else str(key), depth + 1)


def _is_state(tree: Any) -> bool:
    """Whether this is the state dict of a module: text to tensors, with perhaps a number between them."""
    if not isinstance(tree, Mapping) or not tree or not all(isinstance(key, str) for key in tree):
        return False
    values = tree.values()
    tensors = sum(isinstance(value, Tensor) for value in values)
    return 2 * tensors > len(values) and not any(isinstance(value, Mapping | list | tuple) for value in values)


def _networks(tree: Any, path: Path, notes: tuple[str, ...] = (), depth: int = 0) -> Iterator[Checkpoint]:
    """State dicts inside of wrappers, averaged ones first."""
    if depth > DEEPEST or not isinstance(tree, Mapping):
        return
    if _is_state(tree):
        yield Checkpoint({key: value.detach() for key, value in tree.items() if isinstance(value, Tensor)}, notes)
        return
    for name in [name for name in (*EMA, *WRAPPERS) if name in tree]:
        inner = tree[name]
        said = f"{name!r} taken out of its wrapper" + (", the averaged weights (EMA)" if name in EMA else "")
        if isinstance(inner, Mapping) and isinstance(shadow := inner.get("shadow_params"), list | tuple):
            yield _listed(shadow, tree, path, (*notes, said))
        else:
            yield from _networks(inner, path, (*notes, said), depth + 1)
    for name, inner in tree.items():
        known = name in EMA or name in WRAPPERS or str(name).startswith(NOT_NETWORKS)
        if not known and isinstance(inner, Mapping):
            yield from _networks(inner, path, (*notes, f"{shown(name)!r} taken out of its wrapper"), depth + 1)


def _listed(shadow: Sequence[Any], tree: Mapping[Any, Any], path: Path, notes: tuple[str, ...]) -> Checkpoint:
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
            return Checkpoint(averaged, (*notes, f"the list put in the order of {name!r}"))
    raise InputError(f"{path} keeps its averaged weights as a list of {len(shadow)} tensors that fit no network in it; "
                     "save the state dict of the averaged network alone")


def _views(checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """The state dict as it is, and with one prefix after the other taken off all its keys."""
    state, notes = checkpoint.state, checkpoint.notes
    yield checkpoint
    while (prefix := next((p for p in PREFIXES if state and all(key.startswith(p) for key in state)), None)) is not None:
        state = {key.removeprefix(prefix): value for key, value in state.items()}
        notes = (*notes, f"prefix {prefix!r} taken off")
        yield Checkpoint(state, notes)
    parts = {prefix for prefix in PREFIXES if any(key.startswith(prefix) for key in state)}
    for prefix in sorted(parts, key=lambda p: (not p.startswith("ema"), PREFIXES.index(p))):
        inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if len(inside) < len(state):
            said = f"the {len(inside)} of {len(state)} tensors that begin with {prefix!r} taken"
            yield from _views(Checkpoint(inside, (*notes, said)))


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
            raise InputError(f"{name}: {shown(key)} holds {kind} instead of floating-point weights; "
                             "save the checkpoint again without quantisation")
        if not value.isfinite().all():
            raise InputError(f"{name}: {shown(key)} holds NaN or infinity; take another snapshot of that run")
    return {key: value.float() for key, value in state.items()}


def shown(key: object) -> str:
    """A name out of a file as people may see it: printable, on one line, not long."""
    text = str(key)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 80 else f"{text[:77]}..."


def _holds(tree: Any) -> str:
    if isinstance(tree, Mapping):
        return f"its entries are {', '.join(shown(key) for key in list(tree)[:8]) or 'none'}"
    return f"it is one {type(tree).__name__}"


def _line(error: Exception) -> str:
    """The first line of what a library said, short."""
    return shown(next(iter(str(error).splitlines()), "") or type(error).__name__)
