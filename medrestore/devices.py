"""Devices: which one work is done on, and what it can do."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

ACCELERATORS = ("cuda", "mps", "xpu")  # in the order in which they are taken
WITHOUT_DOUBLES = {"mps", "xpu"}  # no double precision, on all or on some of them, and no decomposition of complex matrices

PINNING = {"cuda", "xpu"}  # they copy from pinned memory while the host goes on


def accelerator() -> str | None:
    """The accelerator of this machine: cuda, mps or xpu; None where there is none."""
    available: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available, "xpu": torch.xpu.is_available,
    }
    return next((name for name in ACCELERATORS if available[name]() and computes(name)), None)


def computes(name: str) -> bool:
    """Whether a device does what restorations are made of: complex numbers, their Fourier transforms, convolutions.

    A driver that is too old, a GPU that this torch has no kernels for, and complex numbers that Apple's GPUs lack are found here.
    """
    try:
        x = torch.ones(1, 1, 4, 4, dtype=torch.complex64, device=name)
        back = torch.fft.ifftn(torch.fft.fftn(x, dim=(-2, -1)), dim=(-2, -1))
        total = torch.zeros_like(x).addcmul_(x.conj().resolve_conj(), back)
        channels = functional.pad(torch.cat([total.real, total.imag], 1), (1, 1, 1, 1))
        seen = functional.conv2d(channels, torch.ones(1, 2, 3, 3, device=name))
        return abs(float(seen.sum()) - 100) < 1e-2  # each of 16 pixels counts in up to 9 places
    except (RuntimeError, AssertionError):  # some builds of torch assert that a device is there
        return False


def default_device() -> str:
    """The accelerator of this machine, else the CPU."""
    return accelerator() or "cpu"


def has_doubles(device: torch.device) -> bool:
    """Whether a device has double precision, and decompositions of complex matrices."""
    return device.type not in WITHOUT_DOUBLES


def decomposing(device: torch.device) -> torch.device:
    """Where matrices of tensors on a device are decomposed, in double precision where that is asked for."""
    return device if has_doubles(device) else torch.device("cpu")


def staging(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """An empty float32 tensor on the CPU, from which a device can copy while both go on."""
    return torch.empty(shape, device="cpu", pin_memory=device.type in PINNING)


def send(host: Tensor, device: torch.device) -> Tensor:
    """A copy on a device, which is not waited for; `host` is not to be written to any more.

    Apple's GPUs copy from memory that may be freed meanwhile, so there it is waited for.
    """
    return host.to(device, non_blocking=device.type != "mps")
