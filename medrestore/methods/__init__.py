"""How a reverse step is made to agree with the data."""

from .base import Method
from .dps import DPS
from .proximal import DDS, HQS, DiffPIR
from .spectral import DDNM, DDRM, DDNMPlus, RePaint
from .unconditional import DDIM, DDPM, ProbabilityFlow

__all__ = ["DDIM", "DDNM", "DDPM", "DDRM", "DDS", "DPS", "HQS", "DDNMPlus", "DiffPIR", "Method", "ProbabilityFlow", "RePaint"]
