"""One step of DDIM against its paper's formula."""

import pytest
from helpers.steps import JUMPS, VP, close, step

from medrestore.methods import DDIM


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(sigma, tau, eta):
    vp = VP(sigma, tau)
    close(step(DDIM(eta), sigma, tau), vp.ddim(vp.x0, vp.e, eta))
