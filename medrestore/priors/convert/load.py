"""Checkpoint files as trees of tensors and plain data: no code is run, and nothing declared is believed."""

from __future__ import annotations

import argparse
import io
import shlex
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ...errors import InputError, first_line
from . import pickled

LARGEST = 24 * 2**30  # bytes of a file; training states with optimiser and EMA are three times their network
DEEPEST = 8  # levels of nested wrappers; real ones have three
MAX_KEYS = 20_000  # tensors of one network; the largest known has some hundreds
MAX_ENTRIES = 200_000  # of all containers together
LEGACY_PICKLES = 5  # of a file before torch 1.6: magic number, version, system, the tree, the names of its storages


def load_tree(path: Path) -> Any:
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
    elif head[8:9] == b"{" and (int.from_bytes(head[:8], "little") <= size or path.suffix == ".safetensors"):
        tree = _safetensors(path)
    elif head[:1] == b"\x80":
        _check_legacy(path, size)
        tree = _unpickled(path, mmap=False)
    else:
        raise InputError(f"{path} is no checkpoint of PyTorch or safetensors (it is empty, truncated, text or another format); "
                         "give a .pt, .pth, .ckpt, .bin or .safetensors file")
    try:
        _check_tensors(tree, path, size)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:  # tensors of kinds that answer no question
        raise InputError(f"{path} holds tensors that are not plain ({short_reason(error)}); save them again as dense "
                         "floats") from error
    return tree


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # whatever the library says of a broken file
        raise InputError(f"{path} is not a whole safetensors file ({short_reason(error)}); copy it again") from error


def _check_zip(path: Path, size: int) -> None:
    """Refuses archives that would grow when read, or that are programs."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(path, size, entries)
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    with archive.open(entry) as file:
                        _check_pickle(path, size, file)
            damaged = archive.testzip()
    except InputError:
        raise
    except Exception as error:  # zipfile, struct and codecs raise half a dozen kinds
        raise InputError(f"{path} is not a whole file of torch.save ({short_reason(error)}); copy it again") from error
    if damaged is not None:
        raise InputError(f"{path}: {printable(damaged)} does not have the checksum that was stored with it; the file is damaged, "
                         "copy it again")


def _check_entries(path: Path, size: int, entries: list[zipfile.ZipInfo]) -> None:
    """Refuses what torch.save never writes."""
    names = [entry.filename for entry in entries]
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(entry.file_size for entry in entries) > size:
        raise InputError(f"{path} is a zip archive that declares more than its {size} bytes, which torch.save never writes; "
                         "unpack it and give the checkpoint inside")
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise InputError(f"{path} is a TorchScript program; where you trust it, run {resave(path, 'torch.jit.load')}")
    if not any(name.endswith("data.pkl") for name in names):
        raise InputError(f"{path} is a zip archive, but not one of torch.save; unpack it and give the checkpoint inside")


def _check_legacy(path: Path, size: int) -> None:
    """Refuses files before torch 1.6 whose pickles ask for more than they hold."""
    with path.open("rb") as file:
        head = io.BytesIO(file.read(pickled.LARGEST))
    for _ in range(LEGACY_PICKLES):
        _check_pickle(path, size, head)


def _check_pickle(path: Path, size: int, file: IO[bytes]) -> None:
    try:
        pickled.check_pickle(file, bytes_stored=size)
    except pickled.Code as error:
        raise InputError(f"{path} holds Python objects ({printable(error)}), which only running its code could read, and that is "
                         f"refused; where you trust it, run {resave(path)}") from error
    except pickled.RefusedPickle as error:
        raise InputError(f"{path} is not a whole checkpoint of torch.save: {printable(error)}; copy it again") from error


def resave(path: Path, loader: str = "torch.load") -> str:
    """The line that makes a file of tensors of one that holds code: state dicts of modules, alone or in a dictionary."""
    script = loader == "torch.jit.load"
    take = "m.state_dict()" if script else (
        "{k: t for k, v in (m.items() if isinstance(m, dict) else [('model', m)]) "
        "for t in [v.state_dict() if hasattr(v, 'state_dict') else v] "
        "if torch.is_tensor(t) or isinstance(t, dict) and any(map(torch.is_tensor, t.values()))}"
    )
    how = "map_location='cpu'" + ("" if script else ", weights_only=False")
    code = f"import torch; m = {loader}({str(path)!r}, {how}); torch.save({take}, 'weights.pt')"
    return f"`python -c {shlex.quote(code)}` and convert weights.pt"


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
        raise InputError(f"{path} is not a whole checkpoint of torch.save ({short_reason(error)}); copy it again") from error


def _check_tensors(tree: Any, path: Path, size: int) -> None:
    """Refuses tensors that are larger than the bytes behind them, and those that are not plain numbers on the CPU."""
    total = 0
    for keys, value in _leaves(tree, path, set()):
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or type(value) not in (
            Tensor, torch.nn.Parameter
        ):
            raise InputError(f"{path}: {_dotted(keys)} is a {value.layout} tensor on {value.device}, and plain ones are needed; "
                             "save it again as a dense float tensor")
        total += value.numel() * value.element_size()
        if total > 4 * size or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise InputError(f"{path}: {_dotted(keys)} declares the shape {tuple(value.shape)}, more than is stored; "
                             "copy it again")


def _leaves(tree: Any, path: Path, seen: set[int], keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
    """Every tensor with the keys that lead to it; a container that lies in several places is visited once.

    Args:
        seen: the containers that were visited, by `id`.
    """
    if len(keys) > DEEPEST:
        raise InputError(f"{path} nests its entries deeper than {DEEPEST} levels, which no known checkpoint does; "
                         "save the state dict alone")
    if isinstance(tree, Tensor):
        yield keys, tree
    elif isinstance(tree, Mapping | list | tuple) and id(tree) not in seen:
        seen.add(id(tree))
        items = list(tree.items() if isinstance(tree, Mapping) else enumerate(tree))
        several = any(isinstance(value, Tensor | Mapping | list | tuple) for _, value in items)
        if several and (len(items) > MAX_KEYS or len(seen) > MAX_ENTRIES):
            raise InputError(f"{path} has {max(len(items), len(seen))} entries, more than any known network; "
                             "save the state dict alone")
        for key, value in items:
            yield from _leaves(value, path, seen, (*keys, key))


def _dotted(keys: tuple[Any, ...]) -> str:
    return printable(".".join(map(str, keys)))


def printable(key: object) -> str:
    """A name out of a file as people may see it: printable, on one line, not long."""
    text = str(key)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 80 else f"{text[:77]}..."


def short_reason(error: Exception) -> str:
    """The first line of what a library said, short."""
    return printable(first_line(error))
