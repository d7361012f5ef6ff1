"""Other programs, made to do the same work. Those that are not installed are left out, and the table says so.

deepinv and mrpro need, for what is timed here, nothing that medrestore does not bring: `pip install --no-deps`. On the way to
their operators they import packages that a Cartesian Ah A never calls; where one of these is missing an empty module takes its
place while they are imported, and no longer.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from medrestore.operators import Sense

NEVER_CALLED = {"torchvision", "torchmetrics", "natsort", "torchnd", "ptwt", "pypulseq", "pytorch_finufft", "ismrmrd",
                "platformdirs", "pydicom", "requests"}


class Peer(NamedTuple):
    """Somebody else's Ah A x: what is timed, and the image (batch, 1, h, w) that its result stands for."""

    run: Callable[[], Any]
    image: Callable[[Any], Tensor]


class Empty(ModuleType):
    """A module in which every name is a class that does nothing."""

    __path__: Sequence[str] = ()

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *args, **options: None})


class EmptyModules:
    """Finds an empty module under the names that are never called, after all others have looked."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name.partition(".")[0] in NEVER_CALLED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to do."""


@contextmanager
def empty_modules() -> Iterator[None]:
    """Imports inside find empty modules in the place of packages that are missing and never called."""
    finder = EmptyModules()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name, module in sys.modules.items() if isinstance(module, Empty)]:
            del sys.modules[name]


def sigpys(sense: Sense, x: Tensor) -> Peer:
    """`sigpy.mri.linop.Sense(...).N`, image by image."""
    from sigpy.mri.linop import Sense as Linop

    weights = np.broadcast_to(sense.mask.numpy(), sense.maps.shape[-2:]).copy()
    N, images = Linop(sense.maps[0].numpy(), weights=weights).N, list(x[:, 0].numpy())
    return Peer(lambda: [N(one) for one in images], lambda done: torch.from_numpy(np.stack(done))[:, None])


def deepinvs(sense: Sense, x: Tensor) -> Peer:
    """`deepinv.physics.MultiCoilMRI(...).A_adjoint_A`, images as two real channels."""
    with empty_modules():
        from deepinv.physics import MultiCoilMRI

    shape = tuple(x.shape[-2:])
    physics = MultiCoilMRI(mask=sense.mask.expand(shape).contiguous(), coil_maps=sense.maps, img_size=shape)
    real = torch.cat([x.real, x.imag], 1)
    return Peer(lambda: physics.A_adjoint_A(real), lambda done: torch.complex(done[:, :1], done[:, 1:]))


def mrpros(sense: Sense, x: Tensor) -> Peer:
    """mrpro's S^H F^H M F S, as its `FourierOp.gram` has it for Cartesian sampling."""
    with empty_modules():
        from mrpro.operators import CartesianMaskingOp, FastFourierOp, SensitivityOp

    S, F = SensitivityOp(sense.maps[:, :, None]), FastFourierOp(dim=(-2, -1))
    M = CartesianMaskingOp(sense.mask[None, None, None].expand(1, 1, 1, *x.shape[-2:]))
    gram = S.H @ F.H @ M @ F @ S
    return Peer(lambda: gram(x[:, :, None]), lambda done: done[0][:, :, 0])


NORMALS: dict[str, Callable[[Sense, Tensor], Peer]] = {"sigpy": sigpys, "deepinv": deepinvs, "mrpro": mrpros}


def normals(sense: Sense, x: Tensor) -> tuple[dict[str, Peer], list[str]]:
    """Ah A x of all peers that are there, and a note on each that is not."""
    found, notes = {}, []
    for name, make in NORMALS.items():
        try:
            found[name] = make(sense, x)
        except ModuleNotFoundError as error:
            asked = error.name == name
            notes.append(f"{name} is not installed." if asked else f"{name} is left out: it needs {error.name}.")
    return found, notes


def write_cfl(path: Path, array: np.ndarray) -> None:
    """BART's pair of files, .hdr and .cfl, of an array in its order of axes."""
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    array.astype(np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))


def read_cfl(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The first values of such a pair, as many as the shape holds."""
    values = np.fromfile(path.with_suffix(".cfl"), np.complex64)[: int(np.prod(shape))]
    return torch.from_numpy(values.reshape(shape, order="F").copy())


class Bart:
    """BART's `pics` on one scan, when the program `bart` can be found.

    Args:
        folder: for its files.
        kspace, maps: (1, coil, h, w), masked entries zero.
    """

    program = shutil.which("bart")

    def __init__(self, folder: Path, kspace: Tensor, maps: Tensor) -> None:
        self.folder = folder
        for name, array in (("kspace", kspace), ("maps", maps)):
            write_cfl(folder / name, array[0].permute(1, 2, 0)[:, :, None].resolve_conj().numpy())  # (h, w, 1, coil)

    @classmethod
    def version(cls) -> str | None:
        """What it calls itself, None without it."""
        if cls.program is None:
            return None
        return subprocess.run([cls.program, "version"], capture_output=True, text=True, check=True).stdout.strip()

    def pics(self, *options: str) -> None:
        """Runs it once, without rescaling the data, on as many threads as torch has."""
        threads = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "OPENBLAS_NUM_THREADS": str(torch.get_num_threads())}
        subprocess.run([str(self.program), "pics", "-w", "1", *options, "kspace", "maps", "image"], cwd=self.folder, check=True,
                       stdout=subprocess.DEVNULL, env=os.environ | threads)

    def image(self, shape: tuple[int, int]) -> Tensor:
        """The (1, 1, h, w) image of the last run."""
        return read_cfl(self.folder / "image", shape)[None, None]
