"""Versions, devices, and a self-check of a few seconds."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from jsonargparse import ArgumentParser, Namespace

from .terminal import Help, say

PACKAGES = ("medrestore", "torch", "numpy", "scipy", "sigpy", "h5py", "nibabel", "scikit-image", "diffusers", "safetensors",
            "jsonargparse", "PyYAML", "matplotlib", "twixtools")


def parser() -> ArgumentParser:
    """`doctor` has no options."""
    return ArgumentParser(description=__doc__, formatter_class=Help, exit_on_error=False)


def run(options: Namespace) -> int:
    """Prints what is there; 1 when a check fails."""
    say(f"python {sys.version.split()[0]} on {platform.system()} {platform.machine()}")
    for name in PACKAGES:
        say(f"{name:14s} {_version(name)}")
    import torch

    devices = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    say(f"devices        cpu ({torch.get_num_threads()} threads){''.join(', ' + name for name in devices)}")
    failed = [name for name, ok in _checks() if not _told(name, ok)]
    return 1 if failed else 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed (optional)" if name == "twixtools" else "MISSING"


def _told(name: str, ok: bool) -> bool:
    say(f"{'ok  ' if ok else 'FAIL'} {name}")
    return ok


def _checks():
    import torch

    from ..consistency import pull
    from ..methods import DDNMPlus
    from ..mri import sampling_mask, simulate_scan, simulated_maps
    from ..operators import Sense
    from ..priors import StationaryGaussian, load
    from ..priors.store import shipped
    from ..problem import Problem
    from ..restoration import restore

    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, 32, 32, dtype=torch.complex64, generator=generator)
    maps = simulated_maps(4, (32, 32), generator=generator)
    mask = sampling_mask("uniform1d", (32, 32), 2, acs=8, seed=0).mask
    y = simulate_scan(image, maps, mask, noise_std=0.01, generator=generator)
    sense = Sense(maps, mask)
    exact, iterated = (pull(Problem(operator, y, 0.01), torch.zeros_like(image), 5.0) for operator in (sense.spectral(), sense))
    yield "the exact data step equals conjugate gradients", torch.allclose(exact, iterated, atol=1e-3)
    from ..codecs import ComplexChannels

    prior = StationaryGaussian(torch.ones(32, 32), channels=2)
    result = restore(Problem(sense.spectral(), y, 0.01), prior, DDNMPlus(), codec=ComplexChannels(1.0), steps=10)
    yield "a multi-coil restoration explains its data to their noise", bool((result.misfit < 1.5).all())
    for name in shipped():
        net = load(name)
        estimate = net(torch.zeros(1, net.channels, 8 * net.multiple, 8 * net.multiple), 0.1)
        yield f"the prior {name} loads and runs", bool(torch.isfinite(estimate).all())
