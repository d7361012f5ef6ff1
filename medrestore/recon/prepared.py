"""A slice that is ready to be restored."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ..baselines import Baseline, CGSense, ZeroFilled
from ..mri import Sampling
from ..operators import Crop, Sense
from ..problem import Problem
from .data_step import DataStep

CG_SENSE = CGSense(lam=0.01)  # the baseline beside every reconstruction


@dataclass(frozen=True)
class Prepared:
    """A slice that is ready to be restored: the problem, and how its solution becomes the image that a scanner shows.

    Attributes:
        problem: prewhitened k-space under the SENSE model, its samples weighted where their noise differs; its operator is
            `sense` or an exact form of it, weighted alike.
        sense: the operator without weights, spectrum or resolvent.
        kspace: (1, coil, h, w) the data of `sense`: prewhitened, without weights.
        sampling: the realised mask.
        noise_source: where the noise level comes from, in words.
        gain: (1, 1, h, w), root-sum-of-squares of the coils before whitening: magnitude times gain is comparable to a
            root-sum-of-squares reference.
        crop: (h, w) of the image as shown.
        reference: (h, w) magnitude when the scan holds one or was undersampled in software, else None.
        data_step: the form of the operator that was chosen.
        acquired: acceleration of the scan itself, before software took samples away.
        notes: what was assumed or left out, one sentence each.
    """

    problem: Problem
    sense: Sense
    kspace: Tensor
    sampling: Sampling
    noise_source: str
    gain: Tensor
    crop: tuple[int, int]
    reference: Tensor | None
    data_step: DataStep
    notes: tuple[str, ...] = ()
    acquired: float = 1.0

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
        """(1, 1, height, width) complex on the reconstruction grid, computed when it is first asked for."""
        return reconstructed(ZeroFilled(), self)

    @cached_property
    def cg_sense(self) -> Tensor:
        """(1, 1, height, width) complex on the reconstruction grid, computed when it is first asked for."""
        return reconstructed(CG_SENSE, self)

    def shown(self, image: Tensor) -> Tensor:
        """Complex (..., h, w) of the reconstruction grid to the image as shown, in units of the coils' root-sum-of-squares."""
        height, width = image.shape[-2:]
        inner = min(self.crop[0], height), min(self.crop[1], width)
        return Crop((height, width), inner)(self.gain.reshape(height, width) * image)


def reconstructed(baseline: Baseline, prepared: Prepared) -> Tensor:
    """(1, 1, height, width) complex by a classical method, on the reconstruction grid."""
    return baseline.reconstruct(prepared.kspace, prepared.sense.maps, prepared.sense.mask)
