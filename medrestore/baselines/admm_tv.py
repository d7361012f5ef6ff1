"""Total variation by the alternating direction method of multipliers, for any linear operator."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..operators import AnySense, LinearOperator, SmoothPhase
from ..problem import Problem
from ..solvers import cg
from .penalties import soft_threshold, wrapped_adjoint, wrapped_differences
from .pictures import PictureBaseline
from .regularised import Iterations, Regularised

TYPICAL = 0.02  # lam / rho, what is taken off a difference in one iteration, for images of about unit brightness
INNER = 8  # conjugate-gradient steps of each iteration, from the image before


@dataclass(frozen=True)
class ADMMTV(Regularised, PictureBaseline):
    """The image x of least 1/2 |A x - y|^2 + lam (|Dv x|_1 + |Dh x|_1), by ADMM: Boyd et al., 2011, sec. 6.4.1.

    The objective of `TotalVariation`, and the comparator ADMM-TV of Chan, Wang & Elgendy (IEEE TCI 3, 2017) and of DDS, for
    every linear operator: scans, and pictures of any number of channels. Dv and Dh are differences of neighbouring pixels,
    wrapped at the border; |.|_1 sums complex magnitudes.

    Attributes:
        iterations: each a few conjugate-gradient steps.
    """

    iterations: Iterations = 60

    def _fit(self, A: AnySense | SmoothPhase, y: Tensor) -> Tensor:
        return self.fitted(A, y)

    def restore(self, problem: Problem[LinearOperator]) -> Tensor:
        return self.fitted(problem.operator, problem.y)

    def fitted(self, A: LinearOperator, y: Tensor) -> Tensor:
        """The image (batch, channel, height, width) behind y, images being of about unit brightness."""
        rho = max(self.lam, 1e-6) / TYPICAL
        data = A.adjoint(y)
        x = torch.zeros_like(data)
        z = u = wrapped_differences(x)
        for _ in range(self.iterations):
            right = data + rho * wrapped_adjoint(z - u)
            x = x + cg(lambda v: A.normal(v) + rho * wrapped_adjoint(wrapped_differences(v)),
                       right - A.normal(x) - rho * wrapped_adjoint(wrapped_differences(x)), max_steps=INNER, rtol=1e-3)
            d = wrapped_differences(x)
            z = soft_threshold(d + u, self.lam / rho)
            u = u + d - z
        return x
