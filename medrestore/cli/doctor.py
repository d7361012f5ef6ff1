"""Versions, devices, and a self-check of a few seconds."""

import platform
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from .. import plugins
from ..errors import InputError
from ..extras import install_line
from ..methods import METHODS
from .command import Command
from .results import emit
from .terminal import lines_aside, say_answer

if TYPE_CHECKING:
    from torch import Tensor

    from ..operators import Sense
    from ..restoration import Restoration

OPTIONAL = {  # packages of extras
    "accelerate": "train", "monai": "monai", "diffusers": "diffusers", "twixtools": "twix", "pydicom": "dicom", "av": "video",
    "tensorboardX": "tensorboard", "distributed": "cluster", "pyarrow": "parquet", "finufft": "nufft", "fastapi": "serve",
}


@dataclass(frozen=True)
class Options:
    """The options of `doctor`.

    Args:
        json: print what is there, and the checks, as JSON (docs/results.md)
    """

    json: bool = False


@dataclass(frozen=True)
class CheckedPart:
    """A check that was made: whether all was well, and if not why."""

    name: str
    ok: bool
    why: str = ""


def run(options: Options) -> int:
    """Prints what is there; 1 when a check fails."""
    if options.json:
        lines_aside()
    python, system = sys.version.split()[0], f"{platform.system()} {platform.machine()}"
    say_answer(f"python {python} on {system}")
    packages = {name: _version(name) for name in ("medrestore", *_required(), *OPTIONAL)}
    for name, found in packages.items():
        say_answer(f"{name:14s} {found or _absent(name)}")
    extensions = list(_plugin_states())
    for line in extensions:
        say_answer(line)
    import torch

    from ..devices import accelerator, default_device

    best = accelerator()
    devices = {"cpu": f"{torch.get_num_threads()} threads"}
    devices |= {f"cuda:{i}": torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    devices |= {best: ""} if best not in (None, "cuda") else {}
    shown = [f"cpu ({devices['cpu']})", *(f"{name} {about}".strip() for name, about in devices.items() if name != "cpu")]
    say_answer(f"devices        {', '.join(shown)}; used where none is given: {default_device()}")
    checks = [_make_check(name, check) for name, check in _checks(("cpu", *([best] if best else [])))]
    if options.json:
        emit("doctor", python=python, system=system, packages=packages, plugins=extensions, devices=devices,
             default_device=default_device(), checks=[asdict(one) for one in checks])
    return 0 if all(one.ok for one in checks) else 1


def _required() -> list[str]:
    """The packages that every job needs, by the metadata of this one."""
    named = [re.match(r"[\w.-]+", line) for line in requires("medrestore") or () if "extra ==" not in line]
    return [found.group() for found in named if found is not None]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _absent(name: str) -> str:
    """What stands in the place of the version of a package that is not there."""
    return f"not installed (optional: {install_line(OPTIONAL[name])})" if name in OPTIONAL else "MISSING"


def _plugin_states() -> Iterator[str]:
    """The objects of other packages, and whether they work."""
    for group in plugins.GROUPS:
        for one in plugins.installed(group).values():
            state = "ok"
            if group == plugins.METHODS and one.name not in METHODS.plugins:
                state = "not used, the name is one of medrestore's"
            try:
                one.load()
            except InputError as error:
                state = str(error)
            yield f"plugin         {one.name} ({one.kind.removesuffix('s')} of {one.package}): {state}"
        for name, why in plugins.passed_over(group).items():
            yield f"plugin         {name} is not used: {why}"


def _make_check(name: str, check: Callable[[], bool]) -> CheckedPart:
    """Makes a check, and says how it went."""
    try:
        done = CheckedPart(name, check())
    except Exception as error:  # a package that is missing or broken raises anything
        done = CheckedPart(name, False, " ".join(str(error).split()) or type(error).__name__)
    say_answer(f"{'ok  ' if done.ok else 'FAIL'} {name}{f' ({done.why})' if done.why else ''}")
    return done


def _checks(devices: Sequence[str]) -> Iterator[tuple[str, Callable[[], bool]]]:
    """What is tried on each device."""
    from .. import shipped

    for device in devices:
        on = "" if device == "cpu" else f" on {device}"
        yield f"the exact data step equals conjugate gradients{on}", partial(_exact_step, device)
        yield f"a multi-coil restoration explains its data to their noise{on}", partial(_explains, device)
        if device != "cpu":
            yield f"a multi-coil restoration{on} equals that on the CPU", partial(_equals_the_cpu, device)
        for name in shipped.priors():
            yield f"the prior {name} loads and runs{on}", partial(_prior_runs, name, device)


def _small_scan(device: str) -> tuple["Sense", "Tensor"]:
    """A small scan on a device: its acquisition and its samples."""
    import torch

    from ..mri import sampling_mask, simulate_scan, simulated_maps
    from ..operators import Sense

    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, 32, 32, dtype=torch.complex64, generator=generator)
    maps = simulated_maps(4, (32, 32), generator=generator)
    mask = sampling_mask("uniform1d", (32, 32), 2, acs=8, seed=0).mask
    y = simulate_scan(image, maps, mask, noise_std=0.01, generator=generator)
    return Sense(maps.to(device), mask.to(device)), y.to(device)


def _exact_step(device: str) -> bool:
    import torch

    from ..consistency import prox
    from ..problem import Problem

    sense, y = _small_scan(device)
    start = torch.zeros(1, 1, 32, 32, dtype=torch.complex64, device=device)
    exact, iterated = (prox(Problem(operator, y, 0.01), start, 5.0, rtol=1e-4) for operator in (sense.spectral(), sense))
    return torch.allclose(exact, iterated, atol=1e-3)


def _explains(device: str) -> bool:
    return bool((_restored_scan(device).misfit < 1.5).all())


def _equals_the_cpu(device: str) -> bool:
    import torch

    here, there = _restored_scan("cpu").samples, _restored_scan(device).samples.cpu()
    return torch.allclose(here, there, atol=1e-2 * float(here.abs().max()))


def _restored_scan(device: str) -> "Restoration":
    import torch

    from ..codecs import ComplexChannels
    from ..methods import DDNMPlus
    from ..priors import StationaryGaussian
    from ..problem import Problem
    from ..restoration import restore

    sense, y = _small_scan(device)
    prior = StationaryGaussian(torch.ones(32, 32, device=device), channels=2)
    return restore(Problem(sense.spectral(), y, 0.01), prior, DDNMPlus(), codec=ComplexChannels(1.0), steps=10)


def _prior_runs(name: str, device: str) -> bool:
    import torch

    from ..priors import load

    net = load(name, device=device)
    height, width = net.size or (8 * net.multiple,) * 2
    return bool(torch.isfinite(net(torch.zeros(1, net.channels, height, width, device=device), 0.1)).all())


COMMAND = Command("doctor", Options, run, __doc__)
