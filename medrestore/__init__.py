"""Zero-shot diffusion restoration in medical imaging: incomplete measurements in, images out.

Research use only. Not a medical device. Not for diagnosis.
"""

import lazy_loader

__version__ = "0.1.0"

# The public names stand in `__init__.pyi`, for type checkers and editors; each is imported when first asked for.
__getattr__, _names, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __dir__() -> list[str]:
    return sorted({*_names(), "__version__"})
