"""Versions, devices, and a self-check of a few seconds."""

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from .command import Command
from .terminal import say

if TYPE_CHECKING:
    from torch import Tensor

    from ..operators import Sense

PACKAGES = ("medrestore", "torch", "numpy", "scipy", "sigpy", "h5py", "nibabel", "scikit-image", "diffusers", "accelerate",
            "monai", "safetensors", "PyYAML", "matplotlib")
OPTIONAL = ("twixtools", "pydicom", "SimpleITK", "av", "tensorboardX", "distributed")


@dataclass(frozen=True)
class Options:
    """`doctor` has no options."""


def run(options: Options) -> int:
    """Prints what is there; 1 when a check fails."""
    say(f"python {sys.version.split()[0]} on {platform.system()} {platform.machine()}")
    for name in (*PACKAGES, *OPTIONAL):
        say(f"{name:14s} {_version(name)}")
    import torch

    devices = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    say(f"devices        cpu ({torch.get_num_threads()} threads){''.join(', ' + name for name in devices)}")
    return 0 if all([_told(name, check) for name, check in _checks()]) else 1


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed (optional)" if name in OPTIONAL else "MISSING"


def _told(name: str, check: Callable[[], bool]) -> bool:
    try:
        ok, why = check(), ""
    except Exception as error:  # a package that is missing or broken raises anything
        ok, why = False, f" ({' '.join(str(error).split()) or type(error).__name__})"
    say(f"{'ok  ' if ok else 'FAIL'} {name}{why}")
    return ok


def _checks() -> Iterator[tuple[str, Callable[[], bool]]]:
    from ..priors.store import shipped

    yield "the exact data step equals conjugate gradients", _exact_step
    yield "a multi-coil restoration explains its data to their noise", _explains
    for name in shipped():
        yield f"the prior {name} loads and runs", partial(_runs, name)


def _problem() -> tuple["Sense", "Tensor"]:
    """A small scan: its acquisition and its samples."""
    import torch

    from ..mri import sampling_mask, simulate_scan, simulated_maps
    from ..operators import Sense

    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, 32, 32, dtype=torch.complex64, generator=generator)
    maps = simulated_maps(4, (32, 32), generator=generator)
    mask = sampling_mask("uniform1d", (32, 32), 2, acs=8, seed=0).mask
    y = simulate_scan(image, maps, mask, noise_std=0.01, generator=generator)
    return Sense(maps, mask), y


def _exact_step() -> bool:
    import torch

    from ..consistency import prox
    from ..problem import Problem

    sense, y = _problem()
    start = torch.zeros(1, 1, 32, 32, dtype=torch.complex64)
    exact, iterated = (prox(Problem(operator, y, 0.01), start, 5.0, rtol=1e-4) for operator in (sense.spectral(), sense))
    return torch.allclose(exact, iterated, atol=1e-3)


def _explains() -> bool:
    import torch

    from ..codecs import ComplexChannels
    from ..methods import DDNMPlus
    from ..priors import StationaryGaussian
    from ..problem import Problem
    from ..restoration import restore

    sense, y = _problem()
    prior = StationaryGaussian(torch.ones(32, 32), channels=2)
    result = restore(Problem(sense.spectral(), y, 0.01), prior, DDNMPlus(), codec=ComplexChannels(1.0), steps=10)
    return bool((result.misfit < 1.5).all())


def _runs(name: str) -> bool:
    import torch

    from ..priors import load

    net = load(name)
    height, width = net.size or (8 * net.multiple,) * 2
    return bool(torch.isfinite(net(torch.zeros(1, net.channels, height, width), 0.1)).all())


COMMAND = Command("doctor", Options, run, __doc__)
