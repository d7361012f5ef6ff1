"""A slice that is ready to be restored."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ..baselines import Baseline, CGSense, ZeroFilled
from ..mri import Sampling
from ..operators import AnySense, Crop, NonCartesian, SmoothPhase
from ..problem import Problem
from .data_step import DataStep

CG_SENSE = CGSense(lam=0.01)  # the baseline beside every reconstruction


@dataclass(frozen=True)
class Prepared:
    """A slice that is ready to be restored: the problem, and how its solution becomes the image that a scanner shows.

    Attributes:
        problem: prewhitened k-space under the SENSE model, its samples weighted where their noise differs; its operator is
            `sense` or an exact form of it, weighted alike.
        sense: the operator without weights, spectrum or resolvent; of several sets of maps where the object is larger than the
            field of view.
        kspace: (1, coil, h, w), or (1, coil, readout, sample) along a trajectory, the data of `sense`: prewhitened, without
            weights.
        sampling: the realised mask; along a trajectory the points of the grid that have a sample nearby.
        noise_source: where the noise level comes from, in words.
        gain: (set, 1, h, w), root-sum-of-squares of the coils before whitening: magnitude times gain is comparable to a
            root-sum-of-squares reference.
        crop: (h, w) of the image as shown.
        reference: (h, w) magnitude when the scan holds one or was undersampled in software, else None.
        phase: (1, 1, h, w) complex: of magnitude 1 where the phase is known, divided by the std of what is out of it; None where
            it is free.
        data_step: the form of the operator that was chosen.
        acquired: acceleration of the scan itself, before software took samples away.
        beside: (1, 1, h, w) real on the reconstruction grid, another image of the same object, its 99 % quantile 1; None where
            there is none.
        notes: what was assumed or left out, one sentence each.
        unmix: (coil, coil), from the coils of the maps to the living ones that were measured.
        start: (1, set, h, w), the image that a start part-way begins from; None for CG-SENSE of these samples.
    """

    problem: Problem
    sense: AnySense
    kspace: Tensor
    sampling: Sampling
    noise_source: str
    gain: Tensor
    crop: tuple[int, int]
    reference: Tensor | None
    data_step: DataStep
    notes: tuple[str, ...] = ()
    acquired: float = 1.0
    phase: Tensor | None = None
    unmix: Tensor = field(default_factory=lambda: torch.eye(1, dtype=torch.complex64))
    start: Tensor | None = None
    beside: Tensor | None = None

    @property
    def posed(self) -> Problem:
        """The problem with what is known of the phase."""
        problem, phase = self.problem, self.phase
        if phase is None:
            return problem
        known = SmoothPhase(problem.operator, phase.sgn(), problem.sigma * phase.abs())
        return Problem(known, known.data(problem.y), problem.sigma)

    @property
    def in_phase(self) -> SmoothPhase | None:
        """The encoding without weights, with what is known of the phase; None where that is free."""
        if self.phase is None:
            return None
        return SmoothPhase(self.sense, self.phase.sgn(), self.problem.sigma * self.phase.abs())

    @property
    def acceleration(self) -> str:
        """The acceleration in words: of the whole, and what software and the scanner each have part in it."""
        total = f"{self.sampling.acceleration:.2f}x"
        if self.acquired == 1 or self.sampling.acceleration == self.acquired:
            return total
        return (f"{total}: {self.sampling.acceleration / self.acquired:.2f}x in software on top of the {self.acquired:.2f}x that "
                "the scan was acquired with")

    @cached_property
    def zero_filled(self) -> Tensor:
        """(1, set, height, width) complex on the reconstruction grid, computed when it is first asked for."""
        return reconstructed(ZeroFilled(), self)

    @cached_property
    def cg_sense(self) -> Tensor:
        """(1, set, height, width) complex on the reconstruction grid, computed when it is first asked for."""
        return reconstructed(CG_SENSE, self)

    def shown(self, image: Tensor) -> Tensor:
        """Images (..., set, h, w) of the reconstruction grid as shown, (..., h, w), in units of the coils' root-sum-of-squares.

        Those of several sets of maps make one image, the root of the sum of their squares with the phase of their sum.
        """
        height, width = image.shape[-2:]
        inner = min(self.crop[0], height), min(self.crop[1], width)
        image = self.gain[:, 0] * image
        if len(self.gain) > 1:
            together = torch.linalg.vector_norm(image, dim=-3)
            image = together * image.sum(-3).sgn() if image.is_complex() else together
        else:
            image = image[..., 0, :, :]
        return Crop((height, width), inner)(image)


def reconstructed(baseline: Baseline, prepared: Prepared) -> Tensor:
    """(1, set, height, width) complex by a classical method, on the reconstruction grid."""
    sense, known = prepared.sense, prepared.in_phase
    if known is not None and baseline.holds_phase:
        return baseline.in_phase(known, prepared.kspace)
    if isinstance(sense, NonCartesian):
        return baseline.along(sense, prepared.kspace)
    return baseline.reconstruct(prepared.kspace, sense.maps, sense.mask)
