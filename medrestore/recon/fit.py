"""Does the prior know this scan? Held-out samples predicted with it, beside what methods without a prior make of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..priors import Prior
from .held_out import error, parts
from .plan import Plan
from .prepared import Prepared

CALLS = 12  # of the network: with 8 the error is up to a quarter larger, and that of a known scan as large as l1-wavelet's
MARGIN = 1.1  # times the least error of the others: on a real scan that the prior serves best the two were within 4 %
OTHERS = {"cg-sense": (1e-3, 1e-2), "l1-wavelet": (5e-4, 3e-3)}  # weights that are tried: near the best of most scans
ITERATIONS = {"cg-sense": 30, "l1-wavelet": 50}


@dataclass(frozen=True)
class Fit:
    """How well held-out samples of a slice were predicted.

    Attributes:
        method: the diffusion method.
        errors: |predicted - measured|^2 / |measured|^2, by method, of the classical ones at the better of their weights;
            empty where nothing could be held out.
    """

    method: str = ""
    errors: dict[str, float] = field(default_factory=dict)

    @property
    def better(self) -> str | None:
        """The classical method that predicts clearly better than the prior does; None where none does."""
        others = {name: value for name, value in self.errors.items() if name != self.method}
        if not others:
            return None
        best = min(others, key=others.__getitem__)
        return best if self.errors[self.method] > MARGIN * others[best] else None

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.3g}" for name, value in self.errors.items())


def warning(fit: Fit, plan: Plan) -> str | None:
    """What to tell where the prior does not know the scan, in one sentence; None where it does."""
    if fit.better is None:
        return None
    told = (f"samples that were held back are predicted worse by {fit.method} with this prior than by {fit.better} without one "
            f"(relative error {fit}), so the prior does not know this kind of image, or the "
            "method's settings do not suit it")
    if plan.fallback is not None:
        return f"{told}, and {plan.fallback} takes over"
    return (f"{told}: take more `steps`, another `prior`, `method` {fit.better}, or `fallback` {fit.better} to have that done "
            "where it is so")


def measured_fit(prepared: Prepared, prior: Prior, plan: Plan, *, on_call: Callable[[], None] = lambda: None) -> Fit:
    """The fit of a prior to a scan, from one of its slices; the same for the same data and plan.

    A part of the samples outside the calibration region is held back; the slice is restored from the others, with fewer
    calls of the network than the plan has, and by the methods of `OTHERS`.

    Args:
        prepared: a slice in the middle of the volume.
        on_call: called after each joint call of the network.
    """
    held_back = parts(prepared.sense, plan.seed, 1)
    if not held_back:
        return Fit()
    few = replace(plan, samples=1, steps=min(CALLS, plan.steps), start_sigma=None, fallback=None)
    errors = {plan.method: error(prepared, prior, few, held_back, on_call)}
    for name, weights in OTHERS.items():
        trials = [Plan(name, {"iterations": ITERATIONS[name]}, weight=lam, seed=plan.seed) for lam in weights]
        errors[name] = min(error(prepared, prior, trial, held_back) for trial in trials)
    return Fit(plan.method, errors)


def calls(plan: Plan) -> int:
    """Network calls that the check takes."""
    return min(CALLS, plan.steps)
