"""Options that several commands share, checked before any work."""

from typing import Any

from jsonargparse import Namespace

from ..errors import InputError


def at_least(name: str, value: int, least: int) -> None:
    """Refuses a number below `least`."""
    if value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")


def as_mapping(options: Any) -> dict[str, Any]:
    """Nested options as plain data."""
    return dict(options.as_dict() if isinstance(options, Namespace) else options)


def usable_device(name: str) -> str:
    """The name of a device on which something can be allocated."""
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        known = name.split(":")[0] in ("cpu", "cuda", "mps", "xpu")
        why = str(error).splitlines()[0] if known else "there is no such device"
        raise InputError(f"--device {name} is not usable here ({why}); cpu always is") from error
    return name
