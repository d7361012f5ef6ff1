"""Names of methods and ladders as people type them; the library itself knows classes and functions."""

from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from ..methods import Method

METHODS = ("diffpir", "dds", "ddnm+", "ddnm", "ddrm", "hqs", "dps", "repaint")
LADDERS = ("karras", "ddpm", "quadratic")


def method(name: str, options: dict[str, Any]) -> "Method":
    """The method of that name; `options` are its hyper-parameters by the names of its paper."""
    from .. import methods

    classes = {
        "diffpir": methods.DiffPIR, "dds": methods.DDS, "ddnm+": methods.DDNMPlus, "ddnm": methods.DDNM,
        "ddrm": methods.DDRM, "hqs": methods.HQS, "dps": methods.DPS, "repaint": methods.RePaint,
    }
    kind = classes[name]
    unknown = set(options) - set(kind.__dataclass_fields__)
    if unknown:
        known = ", ".join(kind.__dataclass_fields__) or "none"
        raise InputError(f"{name} has no option {', '.join(sorted(unknown))}; it has: {known}")
    for key, value in options.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError(f"--options.{key} must be a number or null, got {value!r}")
    return kind(**options)
