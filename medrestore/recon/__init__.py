"""MRI: a scan in, an image out. Names are imported when they are first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .files import Job as Job
    from .files import recon_file as recon_file
    from .files import recon_folder as recon_folder
    from .plan import Machine as Machine
    from .plan import Plan as Plan
    from .plan import Reading as Reading
    from .plan import Undersampling as Undersampling
    from .plan import Writing as Writing
    from .preparation import Prepared as Prepared
    from .preparation import Slice as Slice
    from .preparation import prepare as prepare
    from .preparation import reconstruct as reconstruct

_MODULES = {
    "Job": "files", "Machine": "plan", "Plan": "plan", "Prepared": "preparation", "Reading": "plan", "Slice": "preparation",
    "Undersampling": "plan", "Writing": "plan", "prepare": "preparation", "recon_file": "files", "recon_folder": "files",
    "reconstruct": "preparation",
}

__all__ = ["Job", "Machine", "Plan", "Prepared", "Reading", "Slice", "Undersampling", "Writing", "prepare", "recon_file",
           "recon_folder", "reconstruct"]


def __getattr__(name: str) -> Any:
    """A public name, from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
