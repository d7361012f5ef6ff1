"""Classical regularised SENSE: a quadratic, a total-variation or a wavelet penalty.

Step sizes follow from bounds on the operators, not from a power iteration that starts from random numbers: the same scan gives
the same image. In what follows A = M F S: coil maps, centred orthonormal Fourier transform, mask. Tests compare the iterates
with sigpy's.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..operators import AnySense, LinearOperator, NonCartesian, Sense, SmoothPhase, SoftSense, encoding
from ..settings import Bounds, Checked
from ..solvers import cg
from .base import Baseline
from .penalties import Wavelets, wrapped_adjoint, wrapped_differences
from .zero_filled import ZeroFilled, brightness

TYPICAL = 0.02  # lam / rho of ADMM, what is taken off a coefficient in one iteration, for images of about unit brightness
INNER = 4  # conjugate-gradient steps of each
Iterations = Annotated[int, Bounds(at_least=1)]
LEAST = 1e-4  # weight of the penalty below which the preconditioner is that of this one


@dataclass(frozen=True)
class Regularised(Checked, Baseline):
    """A least-squares fit of the data with a penalty of weight `lam`.

    The data are divided by the 99 % quantile of the zero-filled magnitude before the fit and the image is multiplied by
    it afterwards. `lam` is therefore relative to an image of about unit brightness, means the same for every scanner's
    units, and the image scales with the data.

    Attributes:
        lam: weight of the penalty, 0 or more, without units.
        iterations: how many iterations are run.
    """

    holds_phase = True
    lam: Annotated[float, Bounds(at_least=0)]
    iterations: Iterations

    def reconstruct(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        direct = ZeroFilled().reconstruct(kspace, maps, mask)
        maps, mask = maps.to(kspace.device, torch.complex64), mask.to(kspace.device, torch.float32)
        # however a mask is given, the image has the same digits
        return self._scaled(encoding(maps, mask.expand(kspace.shape[-2:])), kspace, direct)

    def along(self, A: NonCartesian, y: Tensor) -> Tensor:
        return self._scaled(A, y, ZeroFilled().along(A, y))

    def in_phase(self, A: SmoothPhase, y: Tensor) -> Tensor:
        inner = A.encoding
        direct = ZeroFilled().along(inner, y) if isinstance(inner, NonCartesian) else inner.adjoint(y)
        return self._scaled(A, A.data(y), direct)

    def _scaled(self, A: AnySense | SmoothPhase, y: Tensor, direct: Tensor) -> Tensor:
        """The fit of data that are divided by the brightness of the image that they give directly."""
        scale = brightness(direct)
        if scale == 0:
            return torch.zeros_like(direct)
        return (self._fit(A, (y / scale).to(torch.complex64)) * scale).to(torch.complex64)

    @abstractmethod
    def _fit(self, A: AnySense | SmoothPhase, y: Tensor) -> Tensor:
        """The images (1, set, height, width) for `y` of about unit brightness; all on the device of `y`."""


@dataclass(frozen=True)
class CGSense(Regularised):
    """The image x of least |A x - y|^2 + lam |x|^2, by conjugate gradients from zero: Pruessmann et al., MRM 46, 2001."""

    iterations: Iterations = 30

    def _fit(self, A: AnySense | SmoothPhase, y: Tensor) -> Tensor:
        known = None if isinstance(A, Sense | SoftSense) else A.preconditioner(1 / max(self.lam, LEAST))
        return cg(lambda x: A.normal(x) + self.lam * x, A.adjoint(y), max_steps=self.iterations, precondition=known)


@dataclass(frozen=True)
class TotalVariation(Regularised):
    """The image x of least 1/2 |A x - y|^2 + lam (|Dv x|_1 + |Dh x|_1): Block, Uecker & Frahm, MRM 57, 2007.

    Dv and Dh are differences of neighbouring pixels, wrapped at the border; |.|_1 sums complex magnitudes. Solved by the
    primal-dual method of Chambolle & Pock, JMIV 40, 2011. The dual variables live on the scale of `lam`, the image on that
    of 1, so the dual steps are made proportional to `lam`. On a brain slice (8 coils, 4-fold) at `lam` = 1e-3 the objective
    is 0.2 % above its minimum after 100 iterations and 0.04 % after 200; with dual steps of 1 it is 22 % above after 100. Along
    a trajectory, whose samples are dense in the centre of k-space, and with a phase that is held it is `ADMMTV`, which has the
    same objective.
    """

    iterations: Iterations = 200

    def _fit(self, A: AnySense | SmoothPhase, y: Tensor) -> Tensor:
        if not isinstance(A, Sense | SoftSense):
            from .admm_tv import ADMMTV

            return ADMMTV(self.lam).fitted(A, y)
        weight = max(self.lam, 1e-4)
        data_step, penalty_step = 100 * weight, 10 * weight
        # the primal step times the norm of A^H A data_step + D^H D penalty_step must not pass 1; the norm of D^H D is at most 8
        step = 1 / (data_step * _norm_bound(A) + 8 * penalty_step)
        x = ahead = torch.zeros_like(A.adjoint(y))
        u, v = torch.zeros_like(y), wrapped_differences(x)
        for _ in range(self.iterations):
            u = (u + data_step * (A(ahead) - y)) / (1 + data_step)
            v = v + penalty_step * wrapped_differences(ahead)
            v = v / (v.abs() / self.lam).clamp(min=1) if self.lam else torch.zeros_like(v)
            before, x = x, x - step * (A.adjoint(u) + wrapped_adjoint(v))
            ahead = 2 * x - before
        return x


@dataclass(frozen=True)
class L1Wavelet(Regularised):
    """The image x of least 1/2 |A x - y|^2 + lam |W x|_1, W = Daubechies-4 wavelets: Lustig, Donoho & Pauly, MRM 58, 2007.

    Solved by FISTA (Beck & Teboulle, SIIMS 2, 2009). W extends the image by zeros, also to an even size, so it keeps
    norms but has more coefficients than pixels. Shrinking them is then not exactly the proximal map of the penalty: on a
    brain slice the image that is found differs from the minimiser of the objective above by 0.2 % at `lam` = 5e-3 and by
    1 % at 5e-2. Along a trajectory, whose samples are dense in the centre of k-space, FISTA takes more than 400 iterations; it
    is ADMM (Boyd et al., 2011) there, and where the phase is held, with preconditioned conjugate gradients, each step of which
    counts as an iteration.

    Attributes:
        wavelet: name of an orthogonal wavelet of PyWavelets.
    """

    iterations: Iterations = 100
    wavelet: str = "db4"

    def _fit(self, A: AnySense | SmoothPhase, y: Tensor) -> Tensor:
        if not isinstance(A, Sense | SoftSense):
            return self._split(A, y)
        W, step = Wavelets(self.wavelet), 1 / _norm_bound(A)
        data = A.adjoint(y)
        x = z = torch.zeros_like(data)
        t = 1.0
        for _ in range(self.iterations):
            moved = (z - step * (A.normal(z) - data)).split(1, 1)
            before, x = x, torch.cat([W.shrunk(each, self.lam * step) for each in moved], 1)
            t_before, t = t, (1 + (1 + 4 * t**2) ** 0.5) / 2
            z = x + (t_before - 1) / t * (x - before)
        return x

    def _split(self, A: LinearOperator, y: Tensor) -> Tensor:
        """The same minimum by ADMM, the image being split from the one that is shrunk."""
        W, rho, data = Wavelets(self.wavelet), max(self.lam, LEAST) / TYPICAL, A.adjoint(y)
        known = A.preconditioner(1 / rho)
        x = torch.zeros_like(data)
        z = u = x
        for _ in range(-(-self.iterations // INNER)):
            right = data + rho * (z - u)
            x = x + cg(lambda v: A.normal(v) + rho * v, right - A.normal(x) - rho * x, max_steps=INNER, rtol=1e-3,
                       precondition=known)
            z = W.shrunk(x + u, self.lam / rho)
            u = u + x - z
        return z


def _norm_bound(A: Sense | SoftSense) -> float:
    """A bound on the norm of A^H A: the largest sum over coils and sets of squared map magnitudes."""
    return float(A.maps.abs().square().sum((0, 1)).max())
