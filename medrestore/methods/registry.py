"""The methods by the names that configs and the command line have for them."""

from typing import TYPE_CHECKING

from .. import plugins
from ..settings import Registry

if TYPE_CHECKING:
    from ..operators import Operator
    from .base import Method

SCANS, FRAMES, IMAGES = "scans", "frames", "images"  # what methods are offered for, besides restoring in Python
GENERATION = "generation"  # images from the prior alone
METHODS: "Registry[Method]" = Registry("medrestore.methods", {
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
