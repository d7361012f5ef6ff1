"""Pictures of any size: mask-shift restoration, and hierarchical restoration for holes larger than a window."""

from .hierarchical import coarsen, hierarchical
from .mask_shift import generate, mask_shift, nothing
from .windows import plan, raster, seam_ratio, settled_by, waves

__all__ = ["coarsen", "generate", "hierarchical", "mask_shift", "nothing", "plan", "raster", "seam_ratio", "settled_by", "waves"]
