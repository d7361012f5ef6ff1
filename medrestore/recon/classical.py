"""Methods of a reconstruction without a diffusion prior, by name. Importing it loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..settings import Registry

if TYPE_CHECKING:
    from ..baselines import Baseline

CLASSICAL: "Registry[Baseline]" = Registry("medrestore.baselines", {
    "cg-sense": "regularised:CGSense", "tv": "regularised:TotalVariation", "l1-wavelet": "regularised:L1Wavelet",
    "zero-filled": "zero_filled:ZeroFilled",
}, base="base:Baseline")


@dataclass(frozen=True)
class Penalty:
    """How the weight of a classical method's penalty is searched; that of data of about unit brightness.

    Attributes:
        weights: to choose from, rising.
        first: that is tried.
        iterations: of each trial, fewer than the method's own: the best weight hardly depends on their number.
    """

    weights: tuple[float, ...]
    first: float
    iterations: int


_GRID = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
PENALTIES = {"cg-sense": Penalty(_GRID, 1e-2, 30), "tv": Penalty(_GRID, 1e-3, 80), "l1-wavelet": Penalty(_GRID, 1e-3, 40)}


def classical(name: str, options: Mapping[str, Any], lam: float | None, source: str = "", where: str = "") -> "Baseline":
    """The method of a name.

    Args:
        options: its hyper-parameters.
        lam: the weight of its penalty; None where the options have it, and for a search, which replaces it.

    Raises:
        InputError: an unknown option, or a value out of bounds.
    """
    penalty = PENALTIES.get(name)
    weight = {} if penalty is None or "lam" in options else {"lam": penalty.first if lam is None else lam}
    return CLASSICAL.build(name, {**options, **weight}, source, where)
