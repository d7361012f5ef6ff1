"""The noise budget: the noise of the next level is made of the old direction, fresh noise and the data's own.

Every rule here keeps one law: the noise that it adds and that of the data have together variance sigma_next^2 on every
coefficient.
"""

import math

import torch
from torch import Tensor


def ddim_split(sigma: float, sigma_next: float, eta: float | None) -> tuple[float, float]:
    """(kept, fresh): how much of the old noise direction and of fresh noise make up sigma_next.

    Song, Meng & Ermon, ICLR 2021, eq. 16, for x = x0 + sigma n; eta = 0 is deterministic, eta = 1 is DDPM. Their family
    continues beyond 1, until all of the noise is fresh and the old direction dropped. Where levels are close no number gets
    there: with eta = 2 and 99 levels most of the old direction stays. None drops it whatever the levels are.
    """
    if eta is None:
        return 0.0, sigma_next
    fresh = min(eta * (1 - (sigma_next / sigma) ** 2) ** 0.5, 1.0) * sigma_next
    return (sigma_next**2 - fresh**2) ** 0.5, fresh


def fixed_split(sigma_next: float, eta: float) -> tuple[float, float]:
    """(kept, fresh) in a fixed ratio: the rule of DDRM (Kawar et al., NeurIPS 2022, eq. 4) for what y does not measure."""
    return (1 - eta**2) ** 0.5 * sigma_next, eta * sigma_next


def spectral_noise(s: Tensor, sigma_y: float | Tensor) -> Tensor:
    """Std of the noise of y / s, for each singular value; infinite where s = 0."""
    measured = s > 0
    return torch.where(measured, sigma_y / s.where(measured, 1.0), torch.inf)


def spectral_gains(s: Tensor, sigma_y: float | Tensor, sigma_next: float, eta: float,
                   eta_b: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """(trust, kept, fresh) per singular value: how far to believe y, and how much old and fresh noise to add.

    Kawar et al., NeurIPS 2022, eqs. 7-8; Wang, Yu & Zhang, ICLR 2023, appendix I. y carries noise nu = sigma_y / s on
    each coefficient, so believing it brings trust * nu of noise along; the rest of the budget is made up, so that
    (trust nu)^2 + kept^2 + fresh^2 = sigma_next^2. Where y is cleaner than the level to reach it is believed fully
    (`eta_b`), elsewhere in part; where s = 0 there is only the prior.

    Equality counts as clean, so that noise-free data are met exactly at the last step, where the published code of DDRM
    returns the network's bare estimate.
    """
    measured = s > 0
    nu = spectral_noise(s, sigma_y)
    clean = sigma_next >= nu
    kept, fresh = fixed_split(sigma_next, eta)
    trust = torch.where(clean, eta_b, torch.where(measured, kept / nu.clamp(min=torch.finfo(s.dtype).tiny), 0.0))
    fill = (sigma_next**2 - (eta_b * nu.where(clean, 0.0)) ** 2).clamp(min=0).sqrt()
    return trust, torch.where(measured, 0.0, kept), torch.where(clean, fill, fresh)


def justified_gamma(sigma: float, sigma_y: float | Tensor, lam: float) -> float | Tensor:
    """The weight of the data that their noise justifies: sigma^2 / (lam sigma_y^2), infinite for exact data.

    An estimate at level sigma is off by about sigma, the data by sigma_y (Zhu et al., CVPRW 2023, eq. 13). It is off by no
    more than images differ, though; a bound of that kind (0.3, the std of the prior's images) was tried in DDS, and on scans
    whose noise has what the coil maps leave unexplained it lost 0.03 dB at 4x and 15x and 0.3 dB at 8x.

    Args:
        sigma_y: std of the data's noise, one number or (batch, 1, 1, 1).
    """
    if isinstance(sigma_y, Tensor):
        return sigma**2 / (lam * sigma_y**2)
    return sigma**2 / (lam * sigma_y**2) if sigma_y > 0 else math.inf


def fixed_gamma(gamma: float, exact: bool | Tensor) -> float | Tensor:
    """A weight that is the same at every step, infinite for exact data (`Problem.exact`)."""
    if isinstance(exact, Tensor):
        return torch.where(exact, torch.inf, gamma)
    return math.inf if exact else gamma
