"""The problem that a slice poses: its samples weighted by their noise, its operator in the form that serves a method best."""

from dataclasses import replace

import torch
from torch import Tensor

from ..consistency import unexplained
from ..methods.base import ProximalMethod
from ..operators import AnySense, Sense
from ..problem import Problem
from .data_step import DataStep, data_step
from .noise_model import UNSOLVED, noise_profile
from .plan import Plan

ROUNDING = 1e-4  # of the data: what float32 leaves of k-space that the maps explain


def weighted(sense: AnySense, kspace: Tensor, sigma: float, source: str, plan: Plan, *,
             exact: bool = True) -> tuple[Problem, DataStep, str]:
    """The problem with samples weighted by their noise, the form of its operator, and where the noise comes from, in words.

    Args:
        exact: whether an exact form of the data step may be taken.

    A given noise level is held against what the coil maps leave unexplained, too: to fit the model's error costs up to 15 dB.
    """
    plain = Problem(sense, kspace, sigma)
    spectral = not plan.is_classical and plan.sampler.inverts()
    along_axis = spectral and isinstance(sense, Sense) and sense.one_axis  # whose exact spectrum has one weight a line
    profile = None if _counts_steps(plan) else noise_profile(plain, along_axis=along_axis)
    if profile is not None:
        sense, sigma = replace(sense, mask=profile.weights), profile.sigma
    form = _data_step(sense, plan, noisy=sigma > 0, exact=exact)
    if profile is not None:
        source = (f"{source}, with what the coil maps leave unexplained {sigma:.3g} to {profile.largest:.3g} "
                  "from the edge of k-space to its centre")
        return Problem(form.operator, profile.weights * kspace, sigma), form, source
    problem: Problem = Problem(form.operator, kspace, sigma)
    left = unexplained(problem if sigma > 0 else plain)  # exact forms for data without noise drop weak singular values
    size = float(torch.linalg.vector_norm(kspace) / plain.count.sqrt())
    if left > max(sigma, size * (ROUNDING if sigma > 0 else UNSOLVED)):
        source = f"{source}, raised from {sigma:.3g} to what the coil maps leave unexplained"
        problem = replace(problem, sigma=left)
        if sigma == 0:  # the form is that of data with noise
            form = _data_step(sense, plan, noisy=True, exact=exact)
            problem = Problem(form.operator, kspace, left)
    return problem, form, source


def _counts_steps(plan: Plan) -> bool:
    """Whether the method takes a number of conjugate-gradient steps: too few for samples of very different weights.

    On a simulated scan at 4x with noise at 80 dB, weights of 1 to 29, 5 steps of DDS left 10.9 dB and 60 steps 26.4.
    """
    if plan.is_classical:
        return False
    method = plan.sampler
    return isinstance(method, ProximalMethod) and method.cg_steps is not None


def _data_step(sense: AnySense, plan: Plan, *, noisy: bool, exact: bool) -> DataStep:
    """The form of the operator; a classical method takes the operator as it is."""
    if plan.is_classical:
        return DataStep(sense, "its own iterations", 0.0)
    return data_step(sense, plan.sampler, steps=plan.steps, samples=plan.samples, most_gb=plan.spectral_gb if exact else 0.0,
                     noisy=noisy)
