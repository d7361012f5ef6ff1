"""The contract between the loop and a method."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from ..operators import Operator
from ..priors import Prior
from ..problem import Problem
from ..settings import check


class Method(ABC):
    """One reverse step: from x at noise level sigma to x at sigma_next < sigma, agreeing with the data.

    The loop lends `denoise` (the prior), `constrain` (exact extra constraints, for the corrected estimate) and `noise`
    (fresh white noise shaped like x). Methods hold hyper-parameters and no state.

    Attributes:
        needs: the least that the operator must know; None for methods that take no problem.
        draws: whether results are samples, whose spread means something; False for estimates of the mean.
    """

    needs: ClassVar[type[Operator] | None] = Operator
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self)

    @abstractmethod
    def step(
        self, x: Tensor, sigma: float, sigma_next: float, *,
        problem: Problem, denoise: Prior, constrain: Callable[[Tensor], Tensor], noise: Callable[[], Tensor],
    ) -> Tensor:
        """x (batch, channel, height, width) at `sigma_next`."""
