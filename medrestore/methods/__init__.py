"""Restoration methods: how a reverse step is made to agree with the data, one module a paper family.

Classes are imported when they are first asked for, so that their names are known without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import plugins
from ..settings import Registry

if TYPE_CHECKING:
    from ..operators import Operator
    from .across_slices import AcrossSlices as AcrossSlices
    from .base import Method as Method
    from .conditional import Conditional as Conditional
    from .daps import DAPS as DAPS
    from .ddim import DDIM as DDIM
    from .ddnm import DDNM as DDNM
    from .ddnm import DDNMPlus as DDNMPlus
    from .ddnm import SimplifiedDDNMPlus as SimplifiedDDNMPlus
    from .ddpm import DDPM as DDPM
    from .ddrm import DDRM as DDRM
    from .ddrm_srldm import DDRMSRLDM as DDRMSRLDM
    from .ddrm_srldm import DecodedDDRMSRLDM as DecodedDDRMSRLDM
    from .dds import DDS as DDS
    from .diffpir import DiffPIR as DiffPIR
    from .dpm_solver import DPMSolver as DPMSolver
    from .dps import DPS as DPS
    from .edm import ProbabilityFlow as ProbabilityFlow
    from .hqs import HQS as HQS
    from .ilvr import ILVR as ILVR
    from .langevin import Langevin as Langevin
    from .mcg import MCG as MCG
    from .pigdm import PiGDM as PiGDM
    from .pnp_admm import PnPADMM as PnPADMM
    from .pnp_dm import PnPDM as PnPDM
    from .red import RED as RED
    from .red_diff import REDDiff as REDDiff
    from .repaint import RePaint as RePaint
    from .resample import ReSample as ReSample
    from .score_mri import ScoreMRI as ScoreMRI
    from .score_sde import ScoreSDE as ScoreSDE
    from .shred import SHRED as SHRED
    from .snips import SNIPS as SNIPS

SCANS, FRAMES, IMAGES = "scans", "frames", "images"  # what methods are offered for, besides restoring in Python
GENERATION = "generation"  # images from the prior alone
METHODS: "Registry[Method]" = Registry(__name__, {  # by the names that configs and the command line have for them
    "hqs": ("hqs:HQS", SCANS, IMAGES),
    "dds": ("dds:DDS", SCANS, IMAGES),
    "diffpir": ("diffpir:DiffPIR", SCANS, FRAMES, IMAGES),
    "ddnm+": ("ddnm:DDNMPlus", SCANS, FRAMES, IMAGES),
    "ddnm": ("ddnm:DDNM", SCANS, FRAMES, IMAGES),
    "ddrm": ("ddrm:DDRM", SCANS, FRAMES, IMAGES),
    "dps": ("dps:DPS", SCANS, FRAMES, IMAGES),
    "repaint": ("repaint:RePaint", SCANS, FRAMES, IMAGES),
    "score-sde": ("score_sde:ScoreSDE", SCANS, FRAMES, IMAGES),
    "pnp-admm": ("pnp_admm:PnPADMM", SCANS, IMAGES),
    "red": ("red:RED", SCANS, IMAGES),
    "langevin": ("langevin:Langevin", SCANS, IMAGES),
    "score-mri": ("score_mri:ScoreMRI", SCANS),
    "shred": ("shred:SHRED", IMAGES),
    "simplified-ddnm+": ("ddnm:SimplifiedDDNMPlus", SCANS, FRAMES, IMAGES),
    "ilvr": ("ilvr:ILVR", SCANS, FRAMES, IMAGES),
    "mcg": ("mcg:MCG", SCANS, FRAMES, IMAGES),
    "pigdm": ("pigdm:PiGDM", SCANS, FRAMES, IMAGES),
    "red-diff": ("red_diff:REDDiff", SCANS, FRAMES, IMAGES),
    "daps": ("daps:DAPS", SCANS, FRAMES, IMAGES),
    "pnp-dm": ("pnp_dm:PnPDM", SCANS, FRAMES, IMAGES),
    "snips": ("snips:SNIPS", SCANS, FRAMES, IMAGES),
    "resample": ("resample:ReSample", IMAGES),  # of priors of codes
    "conditional": ("conditional:Conditional", IMAGES),  # of priors that are given the coarse image, and the next two
    "ddrm-srldm": ("ddrm_srldm:DDRMSRLDM", IMAGES),
    "ddrm-srldm-decoded": ("ddrm_srldm:DecodedDDRMSRLDM", IMAGES),
    "ddim": ("ddim:DDIM", GENERATION),  # from here on of the prior alone
    "ddpm": ("ddpm:DDPM", GENERATION),
    "probability-flow": ("edm:ProbabilityFlow", GENERATION),
    "dpm-solver++": ("dpm_solver:DPMSolver", GENERATION),
}, base="base:Method", group=plugins.METHODS, group_uses=(SCANS, FRAMES, IMAGES))
_MODULES = {"Method": "base", "AcrossSlices": "across_slices"}
_MODULES |= {name: module for module, name in (place.split(":") for place in METHODS.places.values())}

__all__ = ["FRAMES", "GENERATION", "IMAGES", "METHODS", "SCANS", "serving", *sorted(_MODULES)]


def serving(operator: "Operator | None", *, noisy: bool = False, use: str | None = None, given: bool = False) -> str:
    """The names of the methods that an operator serves, as a sentence has them.

    Args:
        operator: None for those that sample the prior alone.
        noisy: only those that take noisy data.
        use: only those that are offered for it; None for all.
        given: those for priors that are given the coarse image, too.
    """
    names = [name for name in METHODS.working() if (use is None or METHODS.suits(name, use))
             and METHODS[name].served_by(operator) and not (noisy and METHODS[name].exact)
             and (given or not METHODS[name].given)]
    return " and ".join(one for one in (", ".join(names[:-1]), *names[-1:]) if one)


def __getattr__(name: str) -> Any:
    """A class by its name, from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
