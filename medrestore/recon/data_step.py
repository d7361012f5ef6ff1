"""Which form of the data step serves a scan best: exact, or conjugate gradients."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..methods import Method
from ..methods.base import ProximalMethod
from ..operators import AnySense, LinearOperator, Operator, Sense, SpectralOperator

# Columns of the image for each data step after which the set-up has paid for itself on a CPU, measured on 8 to 16 coils from
# 217 x 182 to 640 x 368 (docs/speed.md). The set-up grows as columns^3, a data step by conjugate gradients as columns^2.
RESOLVENT_PAYS = 8

# Singular values that count as missing for methods which tell measured from missing coefficients; the largest is at most 1.
# Without noise: the weakest that are taken decide the image, as their error is divided by them. DDNM on the shipped scan at 4x,
# 20 levels, with 0.001, 0.03, 0.1, 0.2, 0.3: -3.0, 19.6, 25.9, 27.1, 25.4 dB.
# With noise, for methods that know the noise of each coefficient: those that single precision cannot tell from zero, so that each
# device finds the same coefficients missing. Others take the same as without noise.
MISSING, MISSING_IN_NOISE = 0.2, 0.01

# Conjugate-gradient steps of each data step for data without noise: those of Chung, Lee & Ye, ICLR 2024. DDS, 19 calls, simulated
# 8-coil scan at 4x without noise, 1, 3, 5, 10 steps and solved: 26.8, 29.2, 29.8, 29.3, 22.5 dB.
EXACT_STEPS = 5


@dataclass(frozen=True)
class DataStep:
    """A form of the operator, and why this one.

    Attributes:
        operator: `sense`, or the same with its spectrum or its resolvent.
        chosen: what the data step will be, in words.
        seconds: that setting it up has taken.
    """

    operator: LinearOperator
    chosen: str
    seconds: float


def data_step(sense: AnySense, method: Method, *, steps: int, samples: int, most_gb: float, noisy: bool) -> DataStep:
    """The quickest form of a scan's operator for what a method will ask of it.

    Args:
        steps, samples: data steps a sample, and samples.
        most_gb: GiB that an exact form may take; beyond it conjugate gradients are used.
        noisy: whether the data have noise; a fixed gamma is meant for those only.
    """
    calls, width = steps * samples, sense.maps.shape[-1]
    gradients = DataStep(sense, "conjugate gradients", 0.0)
    if not isinstance(sense, Sense) or not sense.one_axis or exact_gb(sense) > most_gb:
        return gradients
    if method.needs is Operator and not isinstance(method, ProximalMethod):
        return DataStep(sense, "gradients of the misfit", 0.0)
    if isinstance(method, ProximalMethod):
        gamma = method.constant_gamma if noisy else None
        if method.cg_steps is not None or (gamma is not None and calls * RESOLVENT_PAYS < width):
            return gradients
        if gamma is not None:
            return _timed(lambda: sense.resolvent(gamma), "its exact resolvent")
    if method.inverts():
        if noisy and method.exact:  # which a study asks for, for all of its methods
            return _timed(sense.spectral, "its exact spectrum")
        weighs = noisy and method.needs is SpectralOperator  # each coefficient by its own noise
        return _timed(lambda: sense.spectral(cutoff=MISSING_IN_NOISE if weighs else MISSING), "its exact spectrum")
    return gradients  # which leave what is hardly measured to the prior


def stopped_early(method: Method, *, exact: bool) -> Method:
    """The method as it suits scans: where it leaves open how, data without noise are met in a few conjugate-gradient steps.

    Solved to the end, the weakest singular values decide the image, and with them the errors of coil maps.

    Args:
        exact: whether the data have no noise.
    """
    if not (exact and isinstance(method, ProximalMethod) and method.cg_steps is None):
        return method
    return replace(method, cg_steps=EXACT_STEPS)  # type: ignore[type-var]  # methods are dataclasses


def _timed(make: Callable[[], LinearOperator], chosen: str) -> DataStep:
    started = time.monotonic()
    operator = make()
    return DataStep(operator, chosen, time.monotonic() - started)


def exact_gb(sense: Sense) -> float:
    """GiB that an exact form of the data step takes."""
    height, width = sense.maps.shape[-2:]
    return height * width * width * sense.maps.element_size() / 2**30
