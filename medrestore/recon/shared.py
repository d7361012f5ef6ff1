"""What the slices of a volume have in common, so that they make one image: a scale, and a virtual coil that sets their phase."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..codecs import Codec
from ..io import Scan
from ..mri.coils import principal_coil
from ..priors import Prior
from ..restoration import codec_for
from .plan import Plan
from .prepared import Prepared

QUIET = 1e-5  # of the central energy of the loudest slice: below it a position of a 3-D scan is outside the object
FAINT = 1e-2  # the same where there is no more signal at the centre than elsewhere
CENTRE = 12  # samples a side, at the centre of k-space, that tell the strongest virtual coil


@dataclass(frozen=True)
class Shared:
    """Of a volume.

    Attributes:
        codec: of its middle slice; None for methods without a prior.
        reference: (coil,) weights of the virtual coil with the most energy in the middle slice: the image has the phase that it
            sees, so that the phase of coil maps goes on from slice to slice.
    """

    codec: Codec | None
    reference: Tensor

    @classmethod
    def of(cls, scan: Scan, ready: Prepared, prior: Prior, plan: Plan) -> "Shared":
        """Of the middle slice, as read and as prepared."""
        codec = None if plan.is_classical else codec_for(prior, ready.problem)
        return cls(codec, virtual_coil(scan))


def central_energy(scan: Scan) -> float:
    """Of the samples at the centre of k-space."""
    return float(_central(scan.kspace, scan.trajectory).abs().square().sum())


def _central(kspace: Tensor, trajectory: Tensor | None) -> Tensor:
    """(coil, ...): the samples at the centre of k-space."""
    if trajectory is not None:
        return kspace[0][:, torch.linalg.vector_norm(trajectory, dim=-1) <= CENTRE / 2]
    rows, columns = (slice(max(0, n // 2 - CENTRE // 2), n // 2 + CENTRE // 2) for n in kspace.shape[-2:])
    return kspace[0, :, rows, columns]


def virtual_coil(scan: Scan) -> Tensor:
    """(coil,): the weights of the virtual coil with the most energy at the centre of k-space."""
    if scan.calibration is not None:
        return principal_coil(_central(scan.calibration, None))
    return principal_coil(_central(scan.kspace, scan.trajectory))


def in_phase(maps: Tensor, unmix: Tensor, reference: Tensor) -> Tensor:
    """Maps (set, coil, h, w) turned in each pixel to the phase that a virtual coil sees.

    Args:
        unmix: (coil, coil), from the coils of the maps to those of the reference.
        reference: (coil,).
    """
    seen = torch.einsum("c,cv,svhw->shw", reference.conj().to(maps), unmix.to(maps), maps)
    return maps * seen.sgn().conj()[:, None]
