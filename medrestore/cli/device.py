"""Devices, checked before any work."""

from ..errors import InputError


def usable_device(name: str) -> str:
    """The name of a device on which something can be allocated.

    Raises:
        InputError: nothing can.
    """
    import torch

    from ..devices import ACCELERATORS

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        known = name.split(":")[0] in ("cpu", *ACCELERATORS)
        why = str(error).splitlines()[0] if known else "there is no such device"
        raise InputError(f"--device {name} is not usable ({why}); cpu always is") from error
    return name
