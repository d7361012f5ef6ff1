"""How a reverse step is made to agree with the data."""

from .base import Method
from .ddim import DDIM
from .ddnm import DDNM, DDNMPlus
from .ddpm import DDPM
from .ddrm import DDRM
from .dds import DDS
from .diffpir import DiffPIR
from .dps import DPS
from .edm import ProbabilityFlow
from .hqs import HQS
from .repaint import RePaint

__all__ = ["DDIM", "DDNM", "DDPM", "DDRM", "DDS", "DPS", "HQS", "DDNMPlus", "DiffPIR", "Method", "ProbabilityFlow", "RePaint"]
