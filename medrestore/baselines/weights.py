"""Trained baselines on disk: safetensors and `baseline.json`, tensors and plain data only."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ..errors import InputError, first_line
from ..priors.network_files import checked_weights
from ..priors.tensors import write_tensors
from ..settings import build
from .supervised import Reconstructor, Supervised
from .unet import UNet
from .varnet import VarNet

FORMAT = 1
ABOUT = "baseline.json"
WEIGHTS = "weights.safetensors"
KINDS: dict[str, type[Reconstructor]] = {kind.kind: kind for kind in (UNet, VarNet)}
LARGEST_ABOUT = 2**20  # bytes


def new_network(kind: str, arguments: dict[str, Any], where: str) -> Reconstructor:
    """A new network; `where` begins error messages.

    Raises:
        InputError: an unknown kind, or arguments that it does not take.
    """
    if kind not in KINDS:
        raise InputError(f"{where}: there is no trained baseline {str(kind)[:40]!r}; there are {', '.join(KINDS)}.")
    return build(KINDS[kind], arguments, f"{where}: {kind}")


def save(folder: Path, baseline: Supervised) -> None:
    """Writes `weights.safetensors` and `baseline.json` with the kind, its arguments, their sha256 and the card.

    Args:
        folder: made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    net = baseline.net
    sha256 = write_tensors(folder / WEIGHTS, net.state_dict())
    about = {"format": FORMAT, "kind": net.kind, "arguments": net.arguments, "sha256": sha256, "card": baseline.card}
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def describe(folder: Path | str) -> dict[str, Any]:
    """`baseline.json` of a trained baseline, checked for its fields.

    Raises:
        InputError: no such baseline, or a description that cannot be read.
    """
    path = Path(folder) / ABOUT
    try:
        if path.stat().st_size > LARGEST_ABOUT:
            raise ValueError(f"it is larger than {LARGEST_ABOUT >> 20} MiB")
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else first_line(error)
        raise InputError(f"{path} cannot be read ({why}); give the folder of a trained baseline") from error
    kinds = {"kind": str, "arguments": dict, "sha256": str, "card": dict}
    if not isinstance(about, dict) or about.get("format") != FORMAT or any(
        not isinstance(about.get(key), kind) for key, kind in kinds.items()
    ):
        raise InputError(f"{path} lacks format {FORMAT}, {', '.join(kinds)} or has them of another type; "
                         "it is not a baseline of this version")
    return about


def load(folder: Path | str, *, device: torch.device | str = "cpu") -> Supervised:
    """A trained baseline, whose weights must have their stored hash; nothing larger than the file is allocated.

    Args:
        device: where the network runs.

    Raises:
        InputError: missing, truncated, altered or mismatching files, each in one sentence.
    """
    about = describe(folder)
    path = checked_weights(Path(folder), WEIGHTS, about["sha256"], "baseline", ABOUT)
    with torch.device("meta"):
        net = new_network(about["kind"], about["arguments"], str(Path(folder) / ABOUT))
    try:
        tensors = load_file(path)
        shapes = {key: (value.shape, value.dtype) for key, value in net.state_dict().items()}
        if {key: (value.shape, value.dtype) for key, value in tensors.items()} != shapes:
            raise ValueError("names, shapes or types of its tensors are others")
        if not all(torch.isfinite(value).all() for value in tensors.values()):
            raise ValueError("it holds values that are not finite")
        net.load_state_dict(tensors, strict=True, assign=True)
    except Exception as error:  # whatever the library says of a broken file
        why = first_line(error)
        raise InputError(f"{path} does not hold the weights of a {about['kind']} ({why}); copy the baseline again") from error
    return Supervised(net.requires_grad_(False).eval().to(device), about["card"])
