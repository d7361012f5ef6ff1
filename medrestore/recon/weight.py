"""The weight of the data for one scan: the one with which samples that were held out are predicted best."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..mri.sampling import calibration_region
from ..operators import Sense
from ..priors import Prior
from ..problem import Problem
from ..restoration import restore_all
from .plan import Plan
from .preparation import Prepared

WEIGHTS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)  # lam: larger is less trust in the data
BETTER = 0.98  # of the error at the method's own weight, below which that of another must be: less is chance
FOLDS, SHARE = 2, 0.15  # times that so much of the samples outside the calibration region is held out
CALLS = 12  # of the network for each fold and weight: the best weight hardly depends on their number
MOST = 3  # times the network calls of one slice that the search may make
WANTED, LEAST = 5, 3  # weights to try: with fewer calls one fold does, and with fewer still there is no search
FEWEST = 8  # lines or points outside the calibration region that can be divided


@dataclass(frozen=True)
class Choice:
    """A weight and why.

    Attributes:
        weight: lam of the method; None where the plan or the method gives it, or nothing could be held out.
        errors: |predicted - measured| / |measured| of held-out samples, squared, mean over the folds, by weight.
    """

    weight: float | None = None
    errors: dict[float, float] = field(default_factory=dict)

    def of(self, plan: Plan) -> Plan:
        """The plan with this weight."""
        return plan if self.weight is None else replace(plan, weight=self.weight)


def chosen_weight(prepared: Prepared, prior: Prior, plan: Plan, *, on_call: Callable[[], None] = lambda: None) -> Choice:
    """The weight for a volume, from one of its slices; the same for the same data and plan.

    The slice is restored from fewer samples with a few weights. The error of the samples left out has one minimum, which is
    followed downhill from the method's own weight; that one stays unless the error falls by more than chance. Samples near the
    calibration region count most, being the loudest.

    Args:
        prepared: a slice in the middle of the volume.
        on_call: called after each joint call of the network.
    """
    folds = _folds(prepared.sense.mask, plan.seed)
    search = Search.of(plan, prior)
    if search is None or not folds or prepared.problem.exact is True:
        return Choice()
    errors: dict[int, float] = {}
    own = plan.own_weight or 1.0
    first = min(range(len(WEIGHTS)), key=lambda index: abs(np.log(WEIGHTS[index] / own)))
    following: int | None = first
    while following is not None and len(errors) < search.weights:
        trial = replace(plan, samples=1, steps=search.calls, start_sigma=None, weight=WEIGHTS[following])
        errors[following] = _error(prepared, prior, trial, folds[:search.folds], on_call)
        best = min(errors, key=errors.__getitem__)
        beside = [index for index in (best - 1, best + 1) if 0 <= index < len(WEIGHTS) and index not in errors]
        following = beside[0] if beside else None
    if errors[best] > BETTER * errors[first]:
        best = first
    return Choice(WEIGHTS[best], {WEIGHTS[index]: errors[index] for index in sorted(errors)})


@dataclass(frozen=True)
class Search:
    """What a search may cost.

    Attributes:
        folds: times that samples are held out.
        calls: of the network, for each fold and weight.
        weights: most that are tried.
    """

    folds: int
    calls: int
    weights: int

    @classmethod
    def of(cls, plan: Plan, prior: Prior) -> "Search | None":
        """The search of a plan, no longer than three slices take; None where there is nothing to choose."""
        if plan.weight != "auto" or plan.own_weight is None:
            return None
        allowed = MOST * (len(plan.sampled_levels(prior)) - 1) * plan.samples
        calls = max(1, min(CALLS, plan.steps - 1))
        folds = FOLDS if allowed >= FOLDS * calls * WANTED else 1
        weights = min(len(WEIGHTS), allowed // (folds * calls))
        return cls(folds, calls, weights) if weights >= LEAST else None

    @property
    def total(self) -> int:
        """Most network calls of all."""
        return self.folds * self.calls * self.weights


def _folds(mask: Tensor, seed: int) -> list[Tensor]:
    """Disjoint parts of the samples outside the calibration region, lines or points, each shaped like the mask."""
    inner = torch.zeros_like(mask, dtype=torch.bool)
    inner[calibration_region(mask)] = True
    outer = ((mask > 0) & ~inner).flatten().nonzero()[:, 0]
    if len(outer) < FEWEST:
        return []
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(outer))).to(outer.device)
    size = round(SHARE * len(outer))
    parts = [torch.zeros(mask.numel(), device=mask.device, dtype=mask.dtype) for _ in range(FOLDS)]
    for number, part in enumerate(parts):
        part[outer[order[number * size:(number + 1) * size]]] = 1
    return [part.reshape(mask.shape) for part in parts]


def _error(prepared: Prepared, prior: Prior, plan: Plan, held_out: list[Tensor], on_call: Callable[[], None]) -> float:
    """The relative squared error of the samples held out, mean over the folds."""
    operator, y = prepared.problem.operator, prepared.problem.y
    problems = [Problem(Sense(operator.maps, (1 - part) * operator.mask), (1 - part) * y, prepared.problem.sigma)
                for part in held_out]
    restored = restore_all(problems, prior, plan.sampler, levels=plan.levels(prior), seeds=[plan.seed] * len(problems),
                           batch_size=plan.batch_size, on_step=lambda step, x: on_call())
    errors = []
    for part, result in zip(held_out, restored, strict=True):
        measured = part * prepared.kspace
        missed = part * prepared.sense(result.mean) - measured
        errors.append(missed.abs().square().sum() / measured.abs().square().sum())
    return float(torch.stack(errors).mean())
