"""Intervals about the image: how many std of its samples hold the truth in nine of ten pixels, as measured."""

from dataclasses import replace
from typing import Any

from .plan import Plan

SHARE = 0.9  # of the pixels
UNCERTAINTY: dict[str, Any] = {"method": "diffpir", "steps": 25, "samples": 4}  # the plan that was calibrated
FACTORS = {  # by sha256 of the prior's weights: measured by benchmarks/uncertainty.py
    "4c83772c866852b7dc7ce6f9276bf1ca12f17085a3ef0cd49cb092fe7cc11bdf": 3.6,
}


def interval_factor(plan: Plan, prior_sha256: str) -> float | None:
    """Image +- factor * std holds the truth in about 90 % of the pixels; None where plan or prior is not what was calibrated.

    The factor makes up for few samples and for the network's error; it is no promise for any one pixel (docs/uncertainty.md).

    Args:
        plan: settled.
        prior_sha256: of the weights.
    """
    calibrated = replace(Plan(**UNCERTAINTY), seed=plan.seed)
    decides = ("method", "options", "weight", "steps", "samples", "ladder", "sigma_max", "start_sigma")
    if any(getattr(plan, name) != getattr(calibrated, name) for name in decides):
        return None
    return FACTORS.get(prior_sha256)
