"""The loop over noise levels, which every method shares."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from .allocator import is_out_of_memory
from .consistency import project
from .levels import check_levels
from .methods import Method, serving
from .methods.base import TrajectoryMethod
from .noise import Noise
from .operators import CoilEncoding, LinearOperator, Operator, SpectralOperator
from .priors import Prior
from .problem import Problem

Item = TypeVar("Item")
OnStep = Callable[[int, Tensor], None]


@torch.no_grad()
def sample(
    problem: Problem[Operator] | None, prior: Prior, method: Method, levels: Sequence[float], *, noise: Noise,
    size: tuple[int, int], constraints: Sequence[Problem[Operator]] = (), start: Tensor | float = 0.0,
    on_step: OnStep | None = None,
) -> Tensor:
    """Runs down the noise levels once and returns one image per noise stream, in the prior's coordinates.

    Args:
        problem: in the prior's coordinates (`Problem.encoded`), or None for methods that take none.
        levels: noise levels, each the std in every real number; a rise is time travel. The last is 0.
        noise: one stream per sample.
        size: (height, width) of the image.
        constraints: noise-free problems that every clean estimate must meet, applied in order.
        start: (1 or sample, channels, height, width) to which the first level's noise is added.
        on_step: called with the number of the step and x after it.

    Returns:
        (sample, channels, height, width) float32.

    Raises:
        TypeError: the operator does not know enough for the method, or that of a constraint has no spectrum.
        ValueError: the size does not suit the prior.
        InputError: the levels do not run down to 0.
    """
    check_sampling(problem, method, prior, size)
    check_levels(levels)
    exact = [spectral(constraint) for constraint in constraints]
    for one in (*constraints, *([] if problem is None else [problem])):
        _read_ahead(one)
    shape = (len(noise.seeds), prior.channels, *size)

    def constrain(x0: Tensor) -> Tensor:
        for constraint in exact:
            x0 = project(constraint, x0)
        return x0

    def fresh() -> Tensor:
        return noise(shape)

    with noise.device:  # what operators make on the way belongs where the samples are
        if isinstance(method, TrajectoryMethod):
            return method.sample(fresh(), levels, start=start, problem=problem, denoise=prior, constrain=constrain,
                                 on_step=on_step)
        x = start + levels[0] * fresh()
        memory = method.begin(problem, x.shape)
        for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
            if sigma_next > sigma:  # time travel: forget a little
                x = x + (sigma_next**2 - sigma**2) ** 0.5 * fresh()
                memory = method.begin(problem, x.shape)
            else:
                x, memory = method.advance(x, sigma, sigma_next, memory, problem=problem, denoise=prior,
                                           constrain=constrain, noise=fresh)
            if on_step is not None:
                on_step(i, x)
    return x


def _read_ahead(problem: Problem[Operator]) -> None:
    """Computes what the steps share, some of which is read back from the device: during steps that would wait for it."""
    operator, _ = problem.operator, problem.exact
    if isinstance(operator, SpectralOperator):
        problem.observed.size()
    elif isinstance(operator, LinearOperator):
        operator.normal(problem.back_projected)


def check_sampling(problem: Problem[Operator] | None, method: Method, prior: Prior, size: tuple[int, int]) -> None:
    """Refuses what does not fit together, before the first step.

    Raises:
        TypeError: the method's needs are not met.
        ValueError: the size does not suit the prior.
    """
    check_needs(problem, method)
    if prior.size is not None and size != prior.size:
        raise ValueError(f"the prior knows images of {prior.size} pixels only, and the problem has {size}")
    if any(side % prior.multiple for side in size):
        raise ValueError(f"the prior needs sides that are multiples of {prior.multiple}, and the problem has {size}; "
                         "`codecs.Padded` embeds it in a larger field")


def check_needs(problem: Problem[Operator] | None, method: Method) -> None:
    """Refuses a problem whose operator does not know enough for the method.

    Raises:
        TypeError: the method's needs are not met.
    """
    operator = None if problem is None else problem.operator
    if method.needs is not None and not method.served_by(operator):
        given = "no problem was given" if operator is None else f"{operator.kind} is not one"
        article = "an" if method.needs is Operator else "a"
        raise TypeError(f"{type(method).__name__} needs {article} {method.needs.__name__}, and {given}; "
                        f"{serving(operator)} would do{_way_out(operator, method.needs)}")


def _way_out(operator: Operator | None, needs: type[Operator]) -> str:
    """How the operator comes to know more, where it can."""
    if isinstance(operator, CoilEncoding) and issubclass(SpectralOperator, needs):
        return "; Sense becomes spectral through Sense.spectral() when its mask undersamples one axis"
    return ""


def spectral(constraint: Problem[Operator]) -> Problem[SpectralOperator]:
    """The constraint, whose operator must have a spectrum.

    Raises:
        TypeError: it has none.
    """
    operator = constraint.operator
    if not isinstance(operator, SpectralOperator):
        raise TypeError(f"a constraint needs a SpectralOperator, and {operator.kind} is not one; "
                        "give what it measures as part of the problem")
    return constraint  # type: ignore[return-value]  # checked above


def in_batches(draw: Callable[[Sequence[Item]], Tensor], items: Sequence[Item], batch_size: int) -> Iterator[Tensor]:
    """`draw` of all items in turn, at most `batch_size` at once, half as many whenever memory runs out."""
    done = 0
    while done < len(items):
        try:
            drawn = draw(items[done : done + batch_size])
        except (RuntimeError, MemoryError) as error:
            if batch_size == 1 or not is_out_of_memory(error):
                raise
            batch_size //= 2
        else:
            done += len(drawn)
            yield drawn
