"""Names of methods and ladders as people type them; the library itself knows classes and functions."""

import math
import sys
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from ..errors import InputError

if TYPE_CHECKING:
    from ..methods import Method

METHODS = ("hqs", "dds", "diffpir", "ddnm+", "ddnm", "ddrm", "dps", "repaint")
LADDERS = ("karras", "ddpm", "quadratic")
SHARES = {"eta", "eta_b", "zeta"}  # hyper-parameters from 0 to 1; all others are positive
BEYOND = {"dds", "dps"}  # whose eta may pass 1: see `methods.budget.ddim_split`


def method(name: str, options: dict[str, Any]) -> "Method":
    """The method of that name; `options` are its hyper-parameters by the names of its paper."""
    from .. import methods

    classes = {
        "diffpir": methods.DiffPIR, "dds": methods.DDS, "ddnm+": methods.DDNMPlus, "ddnm": methods.DDNM,
        "ddrm": methods.DDRM, "hqs": methods.HQS, "dps": methods.DPS, "repaint": methods.RePaint,
    }
    kind = classes[name]
    fields, hints = kind.__dataclass_fields__, get_type_hints(kind)
    unknown = set(options) - set(fields)
    if unknown:
        raise InputError(f"{name} has no option {', '.join(sorted(unknown))}; it has: {', '.join(fields) or 'none'}")
    shares = SHARES - {"eta"} if name in BEYOND else SHARES
    return kind(**{key: _checked(key, value, hints[key], share=key in shares) for key, value in options.items()})


def _checked(key: str, value: Any, annotation: Any, *, share: bool) -> Any:
    """The value of a hyper-parameter as its type has it."""
    allowed = get_args(annotation) or (annotation,)
    if value is None and type(None) in allowed:
        return None
    low = 0 if key in SHARES else math.nextafter(0, 1)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= (1 if share else sys.float_info.max)
    if not fits or (int in allowed and value != int(value)):
        bounds = "from 0 to 1" if share else "of at least 0" if key in SHARES else "above 0"
        wanted = f"{'a whole number' if int in allowed else 'a number'} {bounds}{' or null' if type(None) in allowed else ''}"
        raise InputError(f"--options.{key} must be {wanted}, got {value!r}")
    return int(value) if int in allowed else float(value)
