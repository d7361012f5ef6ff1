"""One step of every method against the formula of its paper, in its paper's coordinates sqrt(abar) x0 + sqrt(1 - abar) n.

The references are dense float64 linear algebra on a random matrix with chosen singular values.
"""

import math

import pytest
import torch
from torch import Tensor

from medrestore.methods import DDIM, DDNM, DDPM, DDRM, DDS, DPS, HQS, DDNMPlus, DiffPIR, ProbabilityFlow, RePaint
from medrestore.methods.budget import ddim_split, fixed_split, spectral_gains
from medrestore.operators import FromSpectrum, Spectrum
from medrestore.priors import Prior
from medrestore.problem import Problem

SIDE, ROWS = 4, 12
D = SIDE * SIDE
SINGULAR = torch.cat([torch.zeros(6), torch.logspace(-1.5, 0.7, 10)]).double()  # six directions are not seen
JUMPS = [(4.0, 3.0), (2.0, 0.6), (0.5, 0.1)]


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


V = torch.linalg.qr(random(D, D, seed=1))[0]
U = torch.linalg.qr(random(ROWS, ROWS, seed=2))[0]
U = torch.cat([torch.zeros(ROWS, 6).double(), U[:, :10]], 1)
A = U * SINGULAR @ V.T
PINV = torch.linalg.pinv(A, rtol=1e-8)


class Rotated(FromSpectrum):
    """The matrix A, on images."""

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(SINGULAR.reshape(SIDE, SIDE), lambda x: image(flat(x) @ V), lambda c: image(flat(c) @ V.T),
                        lambda c: flat(c) @ U.T, lambda y: image(y @ U))


class Linear(Prior):
    """A denoiser that depends on x, so that gradients through it count."""

    channels = 1

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return X0 + 0.1 * torch.tanh(x) / sigma


def flat(x: Tensor) -> Tensor:
    return x.reshape(len(x), D)


def image(v: Tensor) -> Tensor:
    return v.reshape(len(v), 1, SIDE, SIDE)


X0, START, NOISE = (random(2, 1, SIDE, SIDE, seed=k) for k in (3, 4, 5))
Y = random(2, D, seed=6) @ A.T
PRIOR = Linear()


def step(method, sigma: float, tau: float, *, sigma_y: float = 0.0, noises: tuple[Tensor, ...] = (NOISE,)) -> Tensor:
    """What the method makes of START, in the coordinates of the level it reaches."""
    drawn = iter(noises)
    x = method.step(sigma * START, sigma, tau, problem=Problem(Rotated(), Y, sigma_y), denoise=PRIOR, constrain=lambda v: v,
                    noise=lambda: next(drawn))
    return flat(x) / math.sqrt(1 + tau**2)


class VP:
    """What the papers call x_t, x_0|t, epsilon and alpha-bar, for one jump."""

    def __init__(self, sigma: float, tau: float) -> None:
        self.abar, self.abar_next = 1 / (1 + sigma**2), 1 / (1 + tau**2)
        self.x = self.abar**0.5 * flat(sigma * START)
        self.x0 = flat(PRIOR(sigma * START, sigma))
        self.e = (self.x - self.abar**0.5 * self.x0) / (1 - self.abar) ** 0.5
        self.n = flat(NOISE)
        self.beta = 1 - self.abar / self.abar_next
        self.beta_tilde = (1 - self.abar_next) / (1 - self.abar) * self.beta

    def ddim(self, x0: Tensor, e: Tensor, eta: float) -> Tensor:
        """Song, Meng & Ermon, eqs. 12 and 16."""
        fresh = eta**2 * self.beta_tilde
        return self.abar_next**0.5 * x0 + (1 - self.abar_next - fresh) ** 0.5 * e + fresh**0.5 * self.n

    def posterior_mean(self, x0: Tensor) -> Tensor:
        """Ho, Jain & Abbeel, eq. 7."""
        alpha = 1 - self.beta
        return (self.abar_next**0.5 * self.beta * x0 + alpha**0.5 * (1 - self.abar_next) * self.x) / (1 - self.abar)


def close(got: Tensor, want: Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


def test_the_operator_of_these_tests_is_the_matrix():
    close(Rotated()(X0), flat(X0) @ A.T)
    close(flat(Rotated().adjoint(Y)), Y @ A)
    close(flat(Rotated().pinv(Y)), Y @ PINV.T)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(sigma, tau, eta):
    vp = VP(sigma, tau)
    close(step(DDIM(eta), sigma, tau), vp.ddim(vp.x0, vp.e, eta))


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_ddpm_draws_from_the_posterior_of_the_forward_process(sigma, tau):
    vp = VP(sigma, tau)
    close(step(DDPM(), sigma, tau), vp.posterior_mean(vp.x0) + vp.beta_tilde**0.5 * vp.n)


@pytest.mark.parametrize(("sigma", "tau"), [*JUMPS, (0.5, 0.0)])
def test_the_flow_is_heuns(sigma, tau):
    x = sigma * START
    d = (x - PRIOR(x, sigma)) / sigma
    there = x + (tau - sigma) * d
    close(step(ProbabilityFlow(heun=False), sigma, tau), flat(there) / math.sqrt(1 + tau**2))
    if tau > 0:
        there = x + (tau - sigma) * (d / 2 + (there - PRIOR(there, tau)) / tau / 2)
    close(step(ProbabilityFlow(), sigma, tau), flat(there) / math.sqrt(1 + tau**2))


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_ddnm(sigma, tau):
    vp, eta = VP(sigma, tau), 0.85
    x0 = vp.x0 - (vp.x0 @ A.T - Y) @ PINV.T
    noise = (1 - vp.abar_next) ** 0.5 * (eta * vp.n + (1 - eta**2) ** 0.5 * vp.e)
    close(step(DDNM(eta), sigma, tau), vp.abar_next**0.5 * x0 + noise)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("sigma_y", [0.0, 0.2])
def test_ddnm_plus(sigma, tau, sigma_y):
    vp, eta = VP(sigma, tau), 0.85
    a, st = vp.abar_next**0.5, (1 - vp.abar_next) ** 0.5
    lam, fresh, kept = (torch.empty(D, dtype=torch.float64) for _ in range(3))
    for i, s in enumerate(SINGULAR.tolist()):  # appendix I, eqs. 53-56
        if s == 0:
            lam[i], fresh[i], kept[i] = 1.0, st * eta, st * (1 - eta**2) ** 0.5
        elif st >= a * sigma_y / s:
            lam[i], fresh[i], kept[i] = 1.0, (st**2 - (a * sigma_y / s) ** 2) ** 0.5, 0.0
        else:
            lam[i], fresh[i], kept[i] = s * st * (1 - eta**2) ** 0.5 / (a * sigma_y), st * eta, 0.0
    if sigma_y > 0:
        assert 0 < (lam < 1).sum() < 10, "both branches must be walked"
    x0 = vp.x0 - (vp.x0 @ A.T - Y) @ PINV.T @ (V * lam @ V.T)
    want = a * x0 + vp.n @ (V * fresh @ V.T) + vp.e @ (V * kept @ V.T)
    close(step(DDNMPlus(eta), sigma, tau, sigma_y=sigma_y), want)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("eta_b", [1.0, 0.7])
def test_ddrm(sigma, tau, eta_b):
    sigma_y, eta = 0.2, 0.85
    x0, x = flat(PRIOR(sigma * START, sigma)) @ V, flat(sigma * START) @ V
    n, y = flat(NOISE) @ V, Y @ U
    want = torch.empty(2, D, dtype=torch.float64)
    for i, s in enumerate(SINGULAR.tolist()):  # eqs. 7-8, in their own x0 + sigma n, with ybar = y / s
        if s == 0:
            mean, var = x0[:, i] + (1 - eta**2) ** 0.5 * tau * (x[:, i] - x0[:, i]) / sigma, (eta * tau) ** 2
        elif tau < sigma_y / s:
            mean = x0[:, i] + (1 - eta**2) ** 0.5 * tau * (y[:, i] / s - x0[:, i]) / (sigma_y / s)
            var = (eta * tau) ** 2
        else:
            mean, var = (1 - eta_b) * x0[:, i] + eta_b * y[:, i] / s, tau**2 - (sigma_y / s * eta_b) ** 2
        want[:, i] = mean + var**0.5 * n[:, i]
    got = step(DDRM(eta, eta_b), sigma, tau, sigma_y=sigma_y) * math.sqrt(1 + tau**2)
    close(got, want @ V.T)


def textbook_cg(system: Tensor, b: Tensor, x: Tensor, steps: int) -> Tensor:
    r = b - system @ x
    p = r
    for _ in range(steps):
        alpha = (r @ r) / (p @ system @ p)
        x, r_old = x + alpha * p, r
        r = r - alpha * system @ p
        p = r + (r @ r) / (r_old @ r_old) * p
    return x


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("sigma_y", [0.0, 0.2])
def test_dds(sigma, tau, sigma_y):
    """Alg. 1 starts the conjugate gradients of Ah A x = Ah y at x0; Alg. 3 solves (I + gamma Ah A) x = x0 + gamma Ah y."""
    vp, gamma, eta = VP(sigma, tau), 5.0, 0.85
    system, right = (A.T @ A, Y @ A) if sigma_y == 0 else (torch.eye(D) + gamma * A.T @ A, vp.x0 + gamma * Y @ A)
    x0 = torch.stack([textbook_cg(system, b, x, 5) for b, x in zip(right, vp.x0, strict=True)])
    close(step(DDS(gamma, 5, eta=eta), sigma, tau, sigma_y=sigma_y), vp.ddim(x0, vp.e, eta))


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_dds_with_a_justified_weight(sigma, tau):
    vp, sigma_y, lam = VP(sigma, tau), 0.2, 2.0
    gamma = sigma**2 / (lam * sigma_y**2)
    x0 = torch.linalg.solve(torch.eye(D) + gamma * A.T @ A, vp.x0 + gamma * Y @ A, left=False)
    close(step(DDS(None, None, lam=lam, eta=0.85), sigma, tau, sigma_y=sigma_y), vp.ddim(x0, vp.e, 0.85))
    nearest = vp.x0 - (vp.x0 @ A.T - Y) @ PINV.T
    close(step(DDS(None, None, eta=0.85), sigma, tau), vp.ddim(nearest, vp.e, 0.85))


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_diffpir(sigma, tau):
    vp, sigma_y, lam, zeta = VP(sigma, tau), 0.2, 7.0, 0.3
    rho = lam * sigma_y**2 / ((1 - vp.abar) / vp.abar)  # Alg. 1, line 2
    x0 = torch.linalg.solve(A.T @ A + rho * torch.eye(D), Y @ A + rho * vp.x0, left=False)
    e = (vp.x - vp.abar**0.5 * x0) / (1 - vp.abar) ** 0.5
    want = vp.abar_next**0.5 * x0 + (1 - vp.abar_next) ** 0.5 * ((1 - zeta) ** 0.5 * e + zeta**0.5 * vp.n)
    close(step(DiffPIR(lam, zeta), sigma, tau, sigma_y=sigma_y), want)


def test_hqs():
    sigma, sigma_y, lam = 0.7, 0.2, 0.23
    alpha = lam * sigma_y**2 / sigma**2
    x = torch.linalg.solve(A.T @ A + alpha * torch.eye(D), Y @ A + alpha * flat(sigma * START), left=False)
    close(step(HQS(lam), sigma, 0.0, sigma_y=sigma_y), flat(PRIOR(image(x), sigma)))


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_dps(sigma, tau):
    """Alg. 1 with zeta_i = zeta' / |y - A x0|, the gradient written out for this prior: dx0/dx = 0.1 (1 - tanh^2) / sigma."""
    vp, zeta = VP(sigma, tau), 0.4
    residual = vp.x0 @ A.T - Y
    slope = 0.1 * (1 - torch.tanh(flat(sigma * START)) ** 2) / sigma / vp.abar**0.5  # by x_t = sqrt(abar) x
    squared = 2 * slope * (residual @ A)
    want = (vp.posterior_mean(vp.x0) + vp.beta_tilde**0.5 * vp.n - zeta / residual.norm(dim=1, keepdim=True) * squared)
    close(step(DPS(2 * zeta), sigma, tau, sigma_y=0.2), want)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_repaint(sigma, tau):
    vp, other = VP(sigma, tau), random(2, 1, SIDE, SIDE, seed=9)
    seen = V[:, 6:] @ V[:, 6:].T
    mean = (vp.x - vp.beta / (1 - vp.abar) ** 0.5 * vp.e) / (1 - vp.beta) ** 0.5  # Ho et al., eq. 11
    unknown = mean + vp.beta_tilde**0.5 * vp.n
    known = vp.abar_next**0.5 * Y @ PINV.T + (1 - vp.abar_next) ** 0.5 * flat(other)
    want = known @ seen + unknown @ (torch.eye(D) - seen)
    close(step(RePaint(), sigma, tau, noises=(NOISE, other)), want)


@pytest.mark.parametrize("method", [DDNM(), DDNMPlus(), DDRM(), RePaint(), DiffPIR(), DDS(None, None)], ids=str)
def test_the_last_step_explains_exact_data(method):
    x = step(method, 0.3, 0.0, noises=(NOISE, NOISE))
    close(x @ A.T, Y)


@pytest.mark.parametrize("eta", [0.0, 0.5, 0.85, 1.0])
@pytest.mark.parametrize("tau", [5.0, 1.0, 0.3, 0.1, 0.01, 0.0])
def test_the_budget_balances(tau, eta):
    for kept, fresh in (ddim_split(6.0, tau, eta), fixed_split(tau, eta)):
        assert kept**2 + fresh**2 == pytest.approx(tau**2, abs=1e-12)
    s = torch.tensor([0.0, 0.01, 0.1, 0.5, 1.0, 3.0])
    for sigma_y in (0.0, 0.2):
        for eta_b in (0.0, 0.7, 1.0):
            trust, kept, fresh = spectral_gains(s, sigma_y, tau, eta, eta_b)
            brought = torch.where(s > 0, trust * sigma_y / s.clamp(min=1e-9), 0.0)
            torch.testing.assert_close(brought**2 + kept**2 + fresh**2, torch.full_like(s, tau**2), rtol=1e-5, atol=1e-9)
            assert (kept[s > 0] == 0).all() and trust[0] == 0
