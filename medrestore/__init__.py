"""Zero-shot diffusion restoration in medical imaging: incomplete measurements in, images out.

Research use only. Not a medical device. Not for diagnosis.
"""

from importlib import import_module
from typing import Any

_PLACES = {
    "Problem": "problem", "Restoration": "restoration", "restore": "restoration", "sample": "restoration", "Noise": "noise",
    "InputError": "errors", "keep_freed_memory": "allocator",
    **dict.fromkeys(
        ("DDIM", "DDNM", "DDPM", "DDRM", "DDS", "DPS", "HQS", "DDNMPlus", "DiffPIR", "ProbabilityFlow", "RePaint"), "methods"
    ),
}
_ROOMS = (
    "baselines", "codecs", "consistency", "inpainting", "io", "levels", "methods", "metrics", "mri", "operators", "priors", "recon", "report", "study", "tasks",
)

__all__ = [*_PLACES, *_ROOMS]


def __getattr__(name: str) -> Any:
    """Names are looked up where they live when first asked for: `import medrestore` costs nothing."""
    if name in _PLACES:
        return getattr(import_module(f".{_PLACES[name]}", __name__), name)
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
