"""Classical regularised SENSE: a quadratic, a total-variation or a wavelet penalty.

The last two are solved by sigpy on the CPU; for wavelets by its algorithm and penalty, with the normal
operator of `Sense`, which takes less time.

Step sizes follow from bounds on the operators instead of sigpy's power iteration, which starts from global random numbers:
the same scan gives the same image. In what follows A = M F S: coil maps, centred orthonormal Fourier transform, mask.
"""

from abc import abstractmethod
from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..operators import AnySense, NonCartesianSense, Sense, encoding
from ..solvers import cg
from .base import Baseline
from .zero_filled import ZeroFilled, brightness

LEAST = 1e-4  # weight of the penalty below which the preconditioner is that of this one


@dataclass(frozen=True)
class Regularised(Baseline):
    """A least-squares fit of the data with a penalty of weight `lam`.

    The data are divided by the 99 % quantile of the zero-filled magnitude before the fit and the image is multiplied by
    it afterwards. `lam` is therefore relative to an image of about unit brightness, means the same for every scanner's
    units, and the image scales with the data.

    Attributes:
        lam: weight of the penalty, 0 or more, without units.
        iterations: how many iterations are run.
    """

    lam: float
    iterations: int

    def __post_init__(self) -> None:
        if not (isfinite(self.lam) and self.lam >= 0):
            raise InputError(f"The regularisation weight is {self.lam} but must be a finite number, 0 or more.")
        if self.iterations < 1:
            raise InputError(f"The number of iterations is {self.iterations} but must be at least 1.")

    def reconstruct(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        direct = ZeroFilled().reconstruct(kspace, maps, mask)
        maps, mask = maps.to(kspace.device, torch.complex64), mask.to(kspace.device, torch.float32)
        # however a mask is given, the image has the same digits
        return self._scaled(encoding(maps, mask.expand(kspace.shape[-2:])), kspace, direct)

    def along(self, A: NonCartesianSense, y: Tensor) -> Tensor:
        return self._scaled(A, y, ZeroFilled().along(A, y))

    def _scaled(self, A: AnySense, y: Tensor, direct: Tensor) -> Tensor:
        """The fit of data that are divided by the brightness of the image that they give directly."""
        scale = brightness(direct)
        if scale == 0:
            return torch.zeros_like(direct)
        return (self._fit(A, (y / scale).to(torch.complex64)) * scale).to(torch.complex64)

    @abstractmethod
    def _fit(self, A: AnySense, y: Tensor) -> Tensor:
        """The images (1, set, height, width) for `y` of about unit brightness; all on the device of `y`."""


@dataclass(frozen=True)
class CGSense(Regularised):
    """The image x of least |A x - y|^2 + lam |x|^2, by conjugate gradients from zero: Pruessmann et al., MRM 46, 2001."""

    iterations: int = 30

    def _fit(self, A: AnySense, y: Tensor) -> Tensor:
        known = A.preconditioner(1 / max(self.lam, LEAST)) if isinstance(A, NonCartesianSense) else None
        return cg(lambda x: A.normal(x) + self.lam * x, A.adjoint(y), max_steps=self.iterations, precondition=known)


@dataclass(frozen=True)
class TotalVariation(Regularised):
    """The image x of least 1/2 |A x - y|^2 + lam (|Dv x|_1 + |Dh x|_1): Block, Uecker & Frahm, MRM 57, 2007.

    Dv and Dh are differences of neighbouring pixels, wrapped at the border; |.|_1 sums complex magnitudes. Solved by the
    primal-dual method of Chambolle & Pock, JMIV 40, 2011. The dual variables live on the scale of `lam`, the image on that
    of 1, so the dual steps are made proportional to `lam`. On a brain slice (8 coils, 4-fold) at `lam` = 1e-3 the objective
    is 0.2 % above its minimum after 100 iterations and 0.04 % after 200; with dual steps of 1, sigpy's own, it is 22 % above
    after 100. For several sets of maps, and along a trajectory, it is `ADMMTV`, which has the same objective.
    """

    iterations: int = 200

    def _fit(self, A: AnySense, y: Tensor) -> Tensor:
        from sigpy.mri.app import TotalVariationRecon

        if not isinstance(A, Sense):
            from .admm_tv import ADMMTV

            return ADMMTV(self.lam).fitted(A, y)
        weight = max(self.lam, 1e-4)
        data_step, penalty_step = 100 * weight, 10 * weight
        steps = [np.full(y.numel(), data_step, np.float32), np.full(2 * y[0, 0].numel(), penalty_step, np.float32)]
        # tau times the norm of A^H diag(steps) A must not pass 1; two wrapped differences have norm^2 at most 8
        tau = 1 / (data_step * _norm_bound(A) + 8 * penalty_step)
        image = TotalVariationRecon(
            _numpy(y[0]), _numpy(A.maps[0]), self.lam, weights=_numpy(A.mask), sigma=np.concatenate(steps), tau=tau,
            max_iter=self.iterations, show_pbar=False,
        ).run()
        return torch.from_numpy(image).to(y.device)[None, None]


@dataclass(frozen=True)
class L1Wavelet(Regularised):
    """The image x of least 1/2 |A x - y|^2 + lam |W x|_1, W = Daubechies-4 wavelets: Lustig, Donoho & Pauly, MRM 58, 2007.

    Solved by FISTA (Beck & Teboulle, SIIMS 2, 2009). sigpy extends the image by zeros, also to an even size, so W keeps
    norms but has more coefficients than pixels. Shrinking them is then not exactly the proximal map of the penalty: on a
    brain slice the image that is found differs from the minimiser of the objective above by 0.2 % at `lam` = 5e-3 and by
    1 % at 5e-2.

    Attributes:
        wavelet: name of an orthogonal wavelet of PyWavelets.
    """

    iterations: int = 100
    wavelet: str = "db4"

    def _fit(self, A: AnySense, y: Tensor) -> Tensor:
        from sigpy.alg import GradientMethod
        from sigpy.linop import Wavelet
        from sigpy.prox import L1Reg, UnitaryTransform

        data = A.adjoint(y)
        W = Wavelet(data.shape[1:], axes=(-2, -1), wave_name=self.wavelet)

        def gradient(image: np.ndarray) -> np.ndarray:
            return _numpy((A.normal(torch.from_numpy(image).to(y.device)[None]) - data)[0])

        fista = GradientMethod(
            gradient, np.zeros(data.shape[1:], np.complex64), 1 / _norm_bound(A),
            proxg=UnitaryTransform(L1Reg(W.oshape, self.lam), W), accelerate=True, max_iter=self.iterations,
        )
        while not fista.done():
            fista.update()
        return torch.from_numpy(fista.x).to(y.device)[None]


def _norm_bound(A: AnySense) -> float:
    """A bound on the norm of A^H A: the largest sum over coils and sets of squared map magnitudes, times that of the samples."""
    power = float(A.maps.abs().square().sum((0, 1)).max())
    return power * float(A.toeplitz.largest) if isinstance(A, NonCartesianSense) else power


def _numpy(x: Tensor) -> np.ndarray:
    """A CPU array in single precision."""
    x = x.detach().to("cpu", torch.complex64 if x.is_complex() else torch.float32)
    return x.resolve_conj().resolve_neg().numpy()
