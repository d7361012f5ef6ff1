"""The likelihood step of methods that sample in turn from the prior and from the data: DAPS and PnP-DM."""

from dataclasses import replace

import torch
from torch import Tensor

from ..consistency import prox
from ..operators import LinearOperator
from ..problem import Problem
from .base import Draw
from .budget import justified_gamma


def given_data(problem: Problem[LinearOperator], x0: Tensor, std: float, *, noise: Draw, cg_steps: int | None = None,
               rtol: float | None = None) -> Tensor:
    """A sample of N(x0, std^2 I) times the likelihood of the data, p(y | x).

    A Gaussian for linear operators, and drawn exactly: the proximal step of x0 and y, both with fresh noise of their own
    std (perturb and maximise: Papandreou & Yuille, NeurIPS 2010). Data without noise are met exactly. As many draws of
    noise for every sigma.

    Args:
        x0: (batch, channel, height, width).
        std: 0 gives x0 for noisy data and its projection onto data without noise.
        noise: white, shaped like x0.
        cg_steps, rtol: see `prox`.
    """
    centre, white = x0 + std * noise(), _shaped(problem.y, x0, noise)
    perturbed = replace(problem, y=problem.y + problem.sigma * white)
    if std > 0:
        return prox(perturbed, centre, justified_gamma(std, problem.sigma, 1.0), cg_steps=cg_steps, rtol=rtol)
    if problem.exact is False:
        return x0
    projected = prox(problem, x0, torch.inf, cg_steps=cg_steps, rtol=rtol)
    return torch.where(problem.exact, projected, x0) if isinstance(problem.exact, Tensor) else projected


def _shaped(y: Tensor, x0: Tensor, noise: Draw) -> Tensor:
    """White noise (batch of x0, *shape of y), made of draws that are shaped like x0.

    An accelerator draws ahead for one shape (`Noise`), and two in turn would keep it waiting.
    """
    count = y[0].numel()
    reals = 2 * count if y.is_complex() else count
    rows = torch.cat([noise().flatten(1) for _ in range(-(-reals // x0[0].numel()))], 1)
    rows = torch.complex(rows[:, :count], rows[:, count:reals]) if y.is_complex() else rows[:, :count]
    return rows.reshape(len(x0), *y.shape[1:])
