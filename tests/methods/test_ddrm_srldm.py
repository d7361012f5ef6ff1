"""The two variants of DDRM-SRLDM, with an autoencoder that is linear."""

from typing import Any

import torch
from helpers.autoencoders import autoencoder
from torch import Tensor

from medrestore.methods import DDRM, DDRMSRLDM, DecodedDDRMSRLDM
from medrestore.methods.ddrm_srldm import Refined
from medrestore.noise import Noise
from medrestore.operators import AveragePool
from medrestore.priors.base import Prior
from medrestore.priors.latent import LatentPrior
from medrestore.priors.spaces import LatentSpace
from medrestore.problem import Problem
from medrestore.sampling import sample

LEVELS = (4.0, 1.0, 0.2, 0.0)


class Normal(Prior):
    """Codes of std 1, of three channels."""

    channels = 3

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return x / (1 + sigma**2)


def codes() -> LatentPrior:
    return LatentPrior(Normal(), LatentSpace(autoencoder(), 1.5))


@torch.no_grad()
def test_noise_is_the_difference_to_the_decoded_refined_code_or_the_decoded_noise() -> None:
    prior, sigma = codes(), 1.7
    x = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    small = (1 + sigma**2) ** 0.5
    z = prior.space.encode(x / small) * small
    z0 = z / (1 + sigma**2)
    torch.testing.assert_close(Refined(prior)(x, sigma), prior.space.decode(z0))
    torch.testing.assert_close(Refined(prior, decoded_noise=True)(x, sigma), x - sigma * prior.space.decode((z - z0) / sigma))
    assert (Refined(prior).channels, Refined(prior).multiple) == (2, 2)


@torch.no_grad()
def test_the_step_is_that_of_ddrm_with_that_denoiser() -> None:
    image = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    A = AveragePool(2, (8, 8))
    problem: Any = Problem(A, A(image))
    made = []
    for method in (DDRMSRLDM(), DecodedDDRMSRLDM()):
        denoiser = method.denoiser(codes())
        one, other = (sample(problem, denoiser, each, LEVELS, noise=Noise((0,)), size=(8, 8)) for each in (method, DDRM()))
        assert torch.equal(one, other)
        torch.testing.assert_close(A(one), problem.y, rtol=0, atol=1e-4)  # data consistency is that of DDRM
        made.append(one)
    assert not torch.allclose(*made, atol=1e-2)
