"""Images: degraded, restored and generated. Names are imported when they are first asked for."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from .arrays import RestoredImage as RestoredImage
    from .arrays import degrade as degrade
    from .arrays import restore_image as restore_image
    from .degradation import Degradation as Degradation
    from .generate import generated as generated
    from .plan import DegradePlan as DegradePlan
    from .plan import GeneratePlan as GeneratePlan
    from .plan import Machine as Machine
    from .plan import Plan as Plan
    from .plan import Reading as Reading
    from .plan import Writing as Writing

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "arrays": ["RestoredImage", "degrade", "restore_image"],
        "degradation": ["Degradation"],
        "generate": ["generated"],
        "plan": ["DegradePlan", "GeneratePlan", "Machine", "Plan", "Reading", "Writing"],
    },
)
