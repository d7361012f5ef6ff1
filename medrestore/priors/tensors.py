"""Tensors as safetensors files with the permissions of any other file."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..files import digest


def write_tensors(path: Path, tensors: Mapping[str, Tensor], *, dtype: torch.dtype | None = None) -> str:
    """Writes tensors, and returns the sha256 of the file.

    The library makes files that only their owner may read; here the umask decides, as for everything else.

    Args:
        path: the file, replaced if it is there.
        dtype: of the floating-point tensors in the file; None keeps theirs.

    Raises:
        OSError, SafetensorError: it cannot be written.
    """
    path.touch()
    mode = path.stat().st_mode
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    if dtype is not None:
        plain = {key: value.to(dtype) if value.is_floating_point() else value for key, value in plain.items()}
    save_file(plain, path, metadata={"format": "pt"})
    path.chmod(mode)
    return digest(path)
