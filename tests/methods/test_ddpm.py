"""One step of ancestral sampling against its paper's formula."""

import pytest
from helpers.steps import JUMPS, VP, close, step

from medrestore.methods import DDPM


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_ddpm_draws_from_the_posterior_of_the_forward_process(sigma, tau):
    vp = VP(sigma, tau)
    close(step(DDPM(), sigma, tau), vp.posterior_mean(vp.x0) + vp.beta_tilde**0.5 * vp.n)
