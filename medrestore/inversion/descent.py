"""Gradient descent on the initial noise of a trajectory."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..operators.representation import ShortRepr
from .trajectory import Trajectory, on_sphere

Judge = Callable[[Tensor], tuple[Tensor, tuple[Tensor, ...]]]
"""Images (sample, ...) to the loss of each (sample,) and what else belongs to it, tensors with the samples first."""


@dataclass(frozen=True, repr=False)
class BestSoFar(ShortRepr):
    """Of each sample what was best.

    Attributes:
        images: (sample, channel, height, width).
        losses: (sample,) of these images.
        kept: what the judge gave with them.
        history: (iteration, sample) losses of all iterations.
    """

    images: Tensor
    losses: Tensor
    kept: tuple[Tensor, ...]
    history: Tensor


def descend(trajectory: Trajectory, noise: Tensor, judge: Judge, *, lr: float, iterations: int,
            enough: float | Tensor | None = None, others: Iterable[dict[str, Any]] = (),
            on_step: Callable[[int, Tensor], None] | None = None) -> BestSoFar:
    """Adam on the noise, which stays on the sphere of radius sqrt(D): SHRED, Alg. 1 (Chihaoui, Lemkhenter & Favaro, 2024).

    The loss is that of the noise after it was scaled to the sphere, so that its gradient lies in the sphere and the
    optimum on it is where the descent rests; in the published code the gradient is that without the scaling, and Adam drifts
    off that optimum. Samples do not influence one another.

    Args:
        noise: (sample, channel, height, width), where to begin.
        judge: the loss of each image, and what else to keep with the best.
        lr: of Adam.
        iterations: at most, each a whole trajectory.
        enough: the loss at which a sample is done, a number or (sample,); None goes on to the last iteration.
        others: further parameter groups of Adam, optimised together with the noise.
        on_step: called with the number of the iteration and its images.

    Raises:
        InputError: the loss is not finite from the start, or has no gradient.
    """
    z = on_sphere(noise).detach().requires_grad_()
    adam = torch.optim.Adam([{"params": [z], "lr": lr}, *others])
    best: BestSoFar | None = None
    history: list[Tensor] = []
    for i in range(iterations):
        with torch.enable_grad():
            x = trajectory(on_sphere(z))
            loss, kept = judge(x)
            if not loss.requires_grad:
                raise InputError("what the operator measures has no gradient by the image, and this method follows it; "
                                 "write the operator with differentiable functions of torch")
            if i + 1 < iterations:
                adam.zero_grad()
                loss.sum().backward()
        loss = loss.detach()
        history.append(loss)
        best = _better(best, BestSoFar(x.detach(), loss, tuple(one.detach() for one in kept), loss), enough)
        if on_step is not None:
            on_step(i, x.detach())
        if i + 1 == iterations or (enough is not None and bool((best.losses <= enough).all())):
            break
        adam.step()
        with torch.no_grad():
            z.copy_(on_sphere(z))
    if best is None or not bool(best.losses.isfinite().all()):
        raise InputError("the loss is not finite; take a lower lr, and levels within the range of the prior")
    return BestSoFar(best.images, best.losses, best.kept, torch.stack(history))


def _better(best: BestSoFar | None, new: BestSoFar, enough: float | Tensor | None) -> BestSoFar:
    """Of each sample the one of lower loss; those that are good enough stay as they are."""
    if best is None:
        return new
    lower = ~(new.losses >= best.losses) & new.losses.isfinite()
    if enough is not None:
        lower = lower & (best.losses > enough)

    def chosen(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(lower.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return BestSoFar(chosen(new.images, best.images), chosen(new.losses, best.losses),
                     tuple(chosen(a, b) for a, b in zip(new.kept, best.kept, strict=True)), new.history)
