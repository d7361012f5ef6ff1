"""Restoration methods: how a reverse step is made to agree with the data, one module a paper family.

Classes are imported when they are first asked for, so that their names are known without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..settings import Registry

if TYPE_CHECKING:
    from ..operators import Operator
    from .base import Method as Method
    from .daps import DAPS as DAPS
    from .ddim import DDIM as DDIM
    from .ddnm import DDNM as DDNM
    from .ddnm import DDNMPlus as DDNMPlus
    from .ddnm import SimplifiedDDNMPlus as SimplifiedDDNMPlus
    from .ddpm import DDPM as DDPM
    from .ddrm import DDRM as DDRM
    from .dds import DDS as DDS
    from .diffpir import DiffPIR as DiffPIR
    from .dpm_solver import DPMSolver as DPMSolver
    from .dps import DPS as DPS
    from .edm import ProbabilityFlow as ProbabilityFlow
    from .hqs import HQS as HQS
    from .ilvr import ILVR as ILVR
    from .mcg import MCG as MCG
    from .pigdm import PiGDM as PiGDM
    from .pnp_dm import PnPDM as PnPDM
    from .red_diff import REDDiff as REDDiff
    from .repaint import RePaint as RePaint
    from .snips import SNIPS as SNIPS

SCANS, FRAMES = "scans", "frames"  # what methods are offered for, besides sampling and restoring in Python
METHODS: "Registry[Method]" = Registry(__name__, {  # by the names that configs and the command line have for them
    "hqs": ("hqs:HQS", SCANS),
    "dds": ("dds:DDS", SCANS),
    "diffpir": ("diffpir:DiffPIR", SCANS, FRAMES),
    "ddnm+": ("ddnm:DDNMPlus", SCANS, FRAMES),
    "ddnm": ("ddnm:DDNM", SCANS, FRAMES),
    "ddrm": ("ddrm:DDRM", SCANS, FRAMES),
    "dps": ("dps:DPS", SCANS, FRAMES),
    "repaint": ("repaint:RePaint", SCANS, FRAMES),
    "simplified-ddnm+": ("ddnm:SimplifiedDDNMPlus", SCANS, FRAMES),
    "ilvr": ("ilvr:ILVR", SCANS, FRAMES),
    "mcg": ("mcg:MCG", SCANS, FRAMES),
    "pigdm": ("pigdm:PiGDM", SCANS, FRAMES),
    "red-diff": ("red_diff:REDDiff", SCANS, FRAMES),
    "daps": ("daps:DAPS", SCANS, FRAMES),
    "pnp-dm": ("pnp_dm:PnPDM", SCANS, FRAMES),
    "snips": ("snips:SNIPS", SCANS, FRAMES),
    "ddim": "ddim:DDIM",  # from here on of the prior alone
    "ddpm": "ddpm:DDPM",
    "probability-flow": "edm:ProbabilityFlow",
    "dpm-solver++": "dpm_solver:DPMSolver",
}, base="base:Method")
_MODULES = {"Method": "base"} | {name: module for module, name in (place.split(":") for place in METHODS.places.values())}

__all__ = ["FRAMES", "METHODS", "SCANS", "serving", *sorted(_MODULES)]


def serving(operator: "Operator | None", *, noisy: bool = False, use: str | None = None) -> str:
    """The names of the methods that an operator serves, as a sentence has them.

    Args:
        operator: None for those that sample the prior alone.
        noisy: only those that take noisy data.
        use: only those that are offered for it; None for all.
    """
    names = [name for name in (METHODS if use is None else METHODS.offered(use))
             if METHODS[name].served_by(operator) and not (noisy and METHODS[name].exact)]
    return " and ".join(one for one in (", ".join(names[:-1]), *names[-1:]) if one)


def __getattr__(name: str) -> Any:
    """A class by its name, from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
