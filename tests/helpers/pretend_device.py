"""A pretend accelerator: what a test of device placement needs on a machine that has none.

`torch.device("pretend")` is a device. Its tensors say that they are on it and are computed on the CPU. Like CUDA tensors they
refuse to meet CPU tensors of one dimension or more, generators of another device, and NumPy. Reads back to the host (`item`,
`tolist`, `bool`, `cpu`) and copies to the device are counted: on a real accelerator a read, and a copy that is not asked to go
ahead (`non_blocking`), waits for all that was asked of the device before.

    with pretending():
        main(["recon", "scan.h5", "-o", "out.h5", "--device", "pretend"])
    with counting() as counts:
        ...
    assert counts.reads == 0

What it cannot show: speed, memory, kernels, precision, pinned memory, torch.compile, CUDA graphs.
"""

import contextlib
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import diffusers  # noqa: F401  # they look into torch when they are imported, which is to be before `pretending`
import monai  # noqa: F401
import torch
import torch._dynamo
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
aten = torch.ops.aten
DOUBLES = {torch.float64, torch.complex128}

_setup_privateuseone_for_python_backend(NAME, backend_module=types.SimpleNamespace(
    is_available=lambda: False,  # to `torch.accelerator`, so that other tests do not find it
    is_initialized=lambda: True, device_count=lambda: 1, current_device=lambda: 0, set_device=lambda device: None,
    synchronize=lambda device=None: None, manual_seed_all=lambda seed: None, _is_in_bad_fork=lambda: False,
    get_amp_supported_dtype=lambda: [torch.bfloat16, torch.float16], _lazy_init=lambda: None,
    set_rng_state=lambda state, device=None: None,
))
DEVICE = torch.device(NAME, 0)
COPIES = {aten.copy_.default, aten._to_copy.default}
# indices may lie on the CPU
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
# the wrapper carries no conjugate and no negative bit
PLAIN = {aten._conj.default: aten.conj_physical.default, aten._neg_view.default: aten.neg.default}


@dataclass
class Counts:
    """What went between host and device.

    Attributes:
        reads: values that the host waited for.
        waits: copies to the device that the host waited for; single numbers, which go with the call, are left out.
        copies: copies to the device that it did not wait for.
        log: the operation of each read and wait.
    """

    reads: int = 0
    waits: int = 0
    copies: int = 0
    log: list[str] = field(default_factory=list)


@dataclass
class _State:
    counting: list[Counts] = field(default_factory=list)
    doubles: bool = True

    def count(self, kind: str, what: str) -> None:
        for counts in self.counting:
            setattr(counts, kind, getattr(counts, kind) + 1)
            if kind != "copies":
                counts.log.append(what)


_STATE = _State()


@contextlib.contextmanager
def counting() -> Iterator[Counts]:
    """Counts within the block."""
    counts = Counts()
    _STATE.counting.append(counts)
    try:
        yield counts
    finally:
        _STATE.counting.remove(counts)


class Pretend(torch.Tensor):
    """A tensor that says it lies on the device; `inner` is where it is."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "Pretend":
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=DEVICE,
            requires_grad=inner.requires_grad,
        )
        tensor.inner = inner
        return tensor

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __repr__(self) -> str:
        return f"Pretend({self.inner})"

    def __len__(self) -> int:
        return self.inner.shape[0]

    def tolist(self) -> Any:
        _STATE.count("reads", "tolist")
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation, kinds, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


HostGenerator = torch.Generator
_PLACED: set[int] = set()  # addresses of the generators of the device


class Generator(HostGenerator):
    """A generator of any device."""

    def __new__(cls, device: torch.device | str = "cpu") -> "Generator":
        made = super().__new__(cls, "cpu" if torch.device(device).type == NAME else device)
        (_PLACED.add if torch.device(device).type == NAME else _PLACED.discard)(made._cdata)
        return made

    @property
    def device(self) -> torch.device:
        return DEVICE if self._cdata in _PLACED else super().device


def _run(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    leaves = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor | HostGenerator)]
    there = any(isinstance(leaf, Pretend) for leaf in leaves)
    if there and operation not in COPIES | INDEXING:
        _refuse_strangers(operation, leaves)
    if kwargs.get("device") is not None:
        there = torch.device(kwargs["device"]).type == NAME
    if there:
        _refuse_generators(leaves)
    _count(operation, args, kwargs, there)
    plain = PLAIN.get(operation, operation)
    args_in, kwargs_in = tree_map(_unwrapped, (args, kwargs))
    out = plain(*args_in, **kwargs_in)
    if args and isinstance(args[0], torch.Tensor) and operation._schema.is_mutable and operation._schema.name.endswith("_"):
        return args[0]
    if not there or operation is aten._local_scalar_dense.default:
        return out
    return tree_map(_wrapped, out)


def _refuse_strangers(operation: Any, leaves: list[Any]) -> None:
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, Pretend) and leaf.dim() > 0:
            raise RuntimeError(f"Expected all tensors to be on the same device, but {operation} got {DEVICE} and cpu "
                               f"{tuple(leaf.shape)}")


def _refuse_generators(leaves: list[Any]) -> None:
    for leaf in leaves:
        if isinstance(leaf, HostGenerator) and leaf._cdata not in _PLACED:
            raise RuntimeError(f"Expected a '{NAME}' device type for generator but found 'cpu'")


def _count(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], there: bool) -> None:
    """Counts reads and copies, and refuses a read that does not wait: what it reads may not be there yet."""
    if operation is aten._local_scalar_dense.default:
        _STATE.count("reads", "item")
    if operation not in COPIES:
        return
    source, target = (args[0], there) if operation is aten._to_copy.default else (args[1], isinstance(args[0], Pretend))
    ahead = bool(kwargs.get("non_blocking") or (operation is aten.copy_.default and len(args) > 2 and args[2]))
    if isinstance(source, Pretend) and not target:
        if ahead:
            raise RuntimeError("a copy to the host that is not waited for may be read before it is there")
        _STATE.count("reads", f"cpu {tuple(source.shape)}")
    elif target and not isinstance(source, Pretend) and source.dim() > 0:
        _STATE.count("copies" if ahead else "waits", f"to the device {tuple(source.shape)}")


def _unwrapped(leaf: Any) -> Any:
    if isinstance(leaf, Pretend):
        return leaf.inner
    return torch.device("cpu") if isinstance(leaf, torch.device) else leaf


def _wrapped(leaf: Any) -> Any:
    if not isinstance(leaf, torch.Tensor) or isinstance(leaf, Pretend):
        return leaf
    if not _STATE.doubles and leaf.dtype in DOUBLES:
        raise TypeError(f"Cannot convert a tensor to {leaf.dtype} on a device without double precision")
    return Pretend(leaf)


_LIBRARY = torch.library.Library("_", "IMPL")
_LIBRARY.fallback(lambda operation, *args, **kwargs: _run(operation, args, kwargs), "PrivateUse1")
_LIBRARY.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")


@contextlib.contextmanager
def pretending(*, doubles: bool = True) -> Iterator[torch.device]:
    """Within: `torch.Generator`, `torch.tensor` and `torch.as_tensor` know the device.

    Args:
        doubles: whether the device has double precision; Apple's have not.
    """
    real = torch.Generator, torch.tensor, torch.as_tensor

    def made_by(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def made(data: Any, *, dtype: torch.dtype | None = None, device: Any = None) -> torch.Tensor:
            if isinstance(data, torch.Tensor) and device is None:
                return data if dtype is None else data.to(dtype)
            target = torch.device(torch.get_default_device() if device is None else device)
            host = data.to(dtype=dtype) if isinstance(data, torch.Tensor) else make(data, dtype=dtype, device="cpu")
            return host.to(target)
        return made

    torch.Generator, torch.tensor, torch.as_tensor = Generator, made_by(torch.tensor), made_by(torch.as_tensor)
    _STATE.doubles = doubles
    try:
        yield DEVICE
    finally:
        torch.Generator, torch.tensor, torch.as_tensor = real
        _STATE.doubles = True
