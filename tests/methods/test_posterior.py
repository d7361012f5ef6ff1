"""Every method against posteriors that are known exactly, and the known mistakes against the same bounds."""

from dataclasses import dataclass, replace

import pytest
import torch
from gaussian_posterior import FAMILIES, SIDE, Case, Posterior, chi, dense, power
from torch import Tensor

from medrestore.consistency import misfit
from medrestore.levels import karras, time_travel
from medrestore.methods import (
    DAPS,
    DDIM,
    DDNM,
    DDPM,
    DDRM,
    DDS,
    DPS,
    HQS,
    ILVR,
    MCG,
    RED,
    SNIPS,
    DDNMPlus,
    DiffPIR,
    Langevin,
    Method,
    PiGDM,
    PnPADMM,
    PnPDM,
    ProbabilityFlow,
    REDDiff,
    RePaint,
    ScoreMRI,
    ScoreSDE,
    SimplifiedDDNMPlus,
)
from medrestore.methods.budget import ddim_split
from medrestore.noise import Noise
from medrestore.priors import StationaryGaussian
from medrestore.sampling import sample

LADDER = karras(50, 40.0, 0.01)
SAMPLES = 24  # of each of four measurements
SIGMA_Y = 0.1  # pixels have std 1


@dataclass(frozen=True)
class Bounds:
    """In posterior stds, for (measured, missing) directions: the mean's largest error, and where the spread must lie."""

    error: tuple[float, float]
    measured: tuple[float, float]
    missing: tuple[float, float]


def cases(sigma: float) -> dict[str, tuple[Case, Posterior]]:
    made = {family: Case.of(make(), sigma) for family, make in FAMILIES.items()}
    return {family: (case, Posterior(case)) for family, case in made.items()}


NOISY, CLEAN = cases(SIGMA_Y), cases(0.0)

WITH_NOISE: dict[str, tuple[Method, Bounds]] = {
    "DDNM+": (DDNMPlus(), Bounds((0.14, 0.42), (0.40, 0.58), (0.76, 0.97))),
    "DDRM": (DDRM(), Bounds((0.14, 0.42), (0.40, 0.58), (0.76, 0.97))),
    "DDS": (DDS(5.0, 5, eta=0.85), Bounds((0.33, 0.30), (0.0, 0.12), (0.79, 1.04))),
    "DDS, justified": (DDS(None, None, lam=4.0, eta=1.0), Bounds((0.38, 0.52), (0.76, 0.88), (0.85, 1.02))),
    "DiffPIR": (DiffPIR(1.25, 0.5), Bounds((0.20, 0.50), (0.89, 1.01), (0.84, 1.06))),
    "HQS": (HQS(0.5), Bounds((0.13, 0.29), (0.0, 1e-3), (0.0, 1e-3))),
    "DPS": (DPS(2.0), Bounds((0.38, 0.53), (0.25, 1.10), (0.86, 1.01))),
    "DAPS": (DAPS(), Bounds((0.12, 0.32), (0.93, 1.07), (1.0, 1.20))),
    "PnP-DM": (PnPDM(2), Bounds((0.26, 0.32), (1.03, 1.22), (1.0, 1.18))),
    "PiGDM": (PiGDM(), Bounds((0.38, 0.44), (0.38, 0.53), (0.75, 0.97))),
    "SNIPS": (SNIPS(), Bounds((0.22, 0.37), (0.62, 0.79), (0.86, 1.09))),
    "DDNM+, simplified": (SimplifiedDDNMPlus(), Bounds((0.34, 0.52), (0.0, 0.06), (0.28, 0.72))),
    "RED-diff": (REDDiff(), Bounds((1.05, 1.20), (0.15, 0.55), (0.10, 0.65))),
}
BLURRED = Bounds((0.20, 1.10), (0.40, 0.50), (0.48, 0.62))  # half-seen directions: trusted in part, and then hardly moved
ELSEWHERE = {
    ("DDNM+", "deblurring"): BLURRED,
    ("DDRM", "deblurring"): BLURRED,
    ("DDNM+, simplified", "deblurring"): Bounds((99, 99), (0.0, 0.02), (0.0, 0.02)),  # A^+ amplifies its noise beyond use
    ("DDS", "deblurring"): Bounds((0.42, 0.50), (0.05, 0.15), (0.77, 0.88)),
    ("DDS", "multi-coil MRI, one axis"): Bounds((0.47, 0.66), (0.0, 0.04), (0.84, 0.96)),  # a constant trusts the data too far
    ("DDS", "multi-coil MRI, both axes"): Bounds((0.51, 1.10), (0.0, 0.04), (0.68, 0.79)),
}

WITHOUT_NOISE: dict[str, tuple[Method, list[float], Bounds]] = {
    "DDNM": (DDNM(), LADDER, Bounds((0.08, 0.30), (0.0, 0.02), (0.78, 0.95))),
    "DDNM+": (DDNMPlus(), LADDER, Bounds((0.08, 0.44), (0.0, 0.02), (0.78, 0.98))),
    "DDRM": (DDRM(), LADDER, Bounds((0.08, 0.44), (0.0, 0.02), (0.78, 0.98))),
    "RePaint": (RePaint(), LADDER, Bounds((0.08, 0.68), (0.0, 0.02), (0.86, 1.15))),
    "RePaint, time travel": (RePaint(), time_travel(LADDER, 5, 3), Bounds((0.08, 0.36), (0.0, 0.02), (0.85, 1.02))),
    "DDS": (DDS(None, None, lam=1.0, eta=0.85), LADDER, Bounds((0.08, 0.26), (0.0, 0.20), (0.86, 1.03))),
    "DiffPIR": (DiffPIR(1.25, 0.5), LADDER, Bounds((0.08, 0.55), (0.0, 0.20), (0.84, 1.09))),
    "DDNM+, simplified": (SimplifiedDDNMPlus(), LADDER, Bounds((0.08, 0.32), (0.0, 0.02), (0.78, 0.96))),
    "ILVR": (ILVR(), LADDER, Bounds((0.08, 0.68), (0.0, 0.02), (0.84, 1.17))),
    "MCG": (MCG(), LADDER, Bounds((0.08, 0.44), (0.0, 0.02), (0.84, 1.05))),
    "PiGDM": (PiGDM(), LADDER, Bounds((0.10, 0.22), (0.0, 0.85), (0.82, 0.97))),
    "DAPS": (DAPS(), LADDER, Bounds((0.08, 0.33), (0.0, 0.20), (1.0, 1.21))),
    "PnP-DM": (PnPDM(2), LADDER, Bounds((0.08, 0.34), (0.0, 0.20), (1.0, 1.20))),
    "SNIPS": (SNIPS(), LADDER, Bounds((0.08, 0.39), (0.0, 0.02), (0.86, 1.10))),
}


IN_PART = ("inpainting", "deblurring", "multi-coil MRI, both axes")  # operators on which these are bound
FURTHER: dict[str, tuple[Method, Bounds]] = {
    "Score-SDE": (ScoreSDE(), Bounds((0.18, 0.48), (0.92, 1.12), (0.88, 1.14))),
    "Score-SDE, VP": (ScoreSDE("vp"), Bounds((0.20, 0.50), (0.98, 1.20), (0.96, 1.22))),
    "PnP-ADMM": (PnPADMM(1.0), Bounds((0.05, 0.10), (0.0, 1e-3), (0.0, 1e-3))),
    "RED": (RED(), Bounds((0.10, 0.32), (0.0, 1e-3), (0.0, 1e-3))),
    "Langevin": (Langevin(), Bounds((0.12, 0.32), (0.82, 0.96), (0.90, 1.14))),
}
FURTHER_EXACT: dict[str, tuple[Method, Bounds]] = {
    "Score-SDE": (ScoreSDE(), Bounds((0.08, 0.48), (0.0, 0.02), (0.94, 1.16))),
    "PnP-ADMM": (PnPADMM(1.0), Bounds((0.08, 0.12), (0.0, 0.05), (0.0, 0.05))),
    "RED": (RED(), Bounds((0.08, 0.34), (0.0, 0.05), (0.0, 0.05))),
    "Langevin": (Langevin(), Bounds((0.08, 0.34), (0.0, 0.05), (0.95, 1.18))),
}


def serves(method: Method, family: str) -> bool:
    return method.served_by(NOISY[family][0].problem.operator)


def strays(method: Method, bounds: Bounds, case: Case, posterior: Posterior, levels: list[float] = LADDER,
           samples: int = SAMPLES) -> list[str]:
    """What lies outside the bounds, in words; empty for a method as good as it should be."""
    score = posterior.score(case.draw(method, levels, samples=samples))
    words = []
    for part, error, most, spread, (low, high) in zip(("measured", "missing"), score.error, bounds.error, score.spread,
                                                      (bounds.measured, bounds.missing), strict=True):
        if error > most:
            words.append(f"mean, {part}: off by {error:.3f} > {most}")
        if spread < low or spread > high:
            words.append(f"spread, {part}: {spread:.3f} not in {low} - {high}")
    return words


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", WITH_NOISE)
def test_samples_of_noisy_data(name, family):
    method, bounds = WITH_NOISE[name]
    if not serves(method, family):
        with pytest.raises(TypeError, match=r"needs a (SpectralOperator|PseudoInvertible)"):
            NOISY[family][0].draw(method, LADDER, samples=1)
        return
    assert not strays(method, ELSEWHERE.get((name, family), bounds), *NOISY[family])


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "deblurring"])
@pytest.mark.parametrize("name", WITHOUT_NOISE)
def test_samples_of_exact_data(name, family):
    method, levels, bounds = WITHOUT_NOISE[name]
    if serves(method, family):
        assert not strays(method, bounds, *CLEAN[family], levels)


@pytest.mark.parametrize("family", IN_PART)
@pytest.mark.parametrize("name", FURTHER)
def test_further_methods_on_noisy_data(name: str, family: str) -> None:
    method, bounds = FURTHER[name]
    if serves(method, family):
        assert not strays(method, bounds, *NOISY[family], samples=12)


@pytest.mark.parametrize("family", ["inpainting", "single-coil MRI"])
@pytest.mark.parametrize("name", FURTHER_EXACT)
def test_further_methods_on_exact_data(name: str, family: str) -> None:
    method, bounds = FURTHER_EXACT[name]
    if serves(method, family):
        assert not strays(method, bounds, *CLEAN[family], samples=12)


def test_score_mri_restores_a_coil_as_the_posterior_of_one_coil() -> None:
    """Exact data of one coil are met and the rest has its spread; the coils of several have another prior than the image."""
    assert not strays(ScoreMRI(), Bounds((0.03, 0.20), (0.0, 0.03), (0.9, 1.1)), *CLEAN["single-coil MRI"], samples=12)
    case, posterior = NOISY["multi-coil MRI, one axis"]
    apart, joint = (posterior.score(case.draw(ScoreMRI(every=every), LADDER, samples=4)).error[0] for every in (5, 1))
    assert joint < 0.7 * apart  # what the coils say of one image


def test_a_corrector_forgets_noisy_data_that_are_not_in_its_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrestore.methods.score_sde.informed", lambda *given: 0.0)
    words = strays(ScoreSDE(), FURTHER["Score-SDE"][1], *NOISY["inpainting"], samples=12)
    assert {word.split(":")[0] for word in words} >= {"mean, measured", "spread, measured"}


def test_a_dual_variable_that_is_not_scaled_along_is_never_worked_off() -> None:
    class Unscaled(PnPADMM):
        def advance(self, x, sigma, sigma_next, memory, **lent):
            v, u = super().advance(x, sigma, sigma_next, memory, **lent)
            return v, u if sigma_next == 0 else (sigma / sigma_next) ** 2 * u

    assert strays(Unscaled(), FURTHER["PnP-ADMM"][1], *NOISY["inpainting"], samples=2)


def test_time_travel_makes_repaint_agree_with_itself():
    case, posterior = CLEAN["inpainting"]
    plain, travelled = (posterior.score(case.draw(RePaint(), levels, samples=SAMPLES)).error[1]
                        for levels in (LADDER, time_travel(LADDER, 5, 3)))
    assert travelled < 0.6 * plain


def test_a_calibrated_method_misfits_by_the_noise():
    for case, _ in NOISY.values():
        z = case.draw(DiffPIR(1.25, 0.5), LADDER, samples=SAMPLES)
        assert 0.9 < chi(case.repeated(SAMPLES), z, case.prior.channels) < 1.05


def test_more_levels_bring_the_best_method_closer():
    case, posterior = NOISY["inpainting"]
    errors = [posterior.score(case.draw(DiffPIR(1.25, 0.5), karras(n, 40.0, 0.01), samples=SAMPLES)).error[1]
              for n in (15, 50, 150)]
    assert errors[0] > 1.3 * errors[1] > 1.6 * errors[2]


# The yardstick itself.

@pytest.mark.parametrize("family", FAMILIES)
def test_the_posterior_is_the_textbook_one(family):
    case, posterior = NOISY[family]
    A = dense(case.problem.operator, case.prior.channels)
    root = dense(lambda z: torch.fft.ifft2(case.prior.power.sqrt() * torch.fft.fft2(z)).real, case.prior.channels,
                 dtype=torch.float64)
    prior = root @ root
    y = case.problem.y
    y = (torch.view_as_real(y) if y.is_complex() else y).reshape(len(y), -1).double()
    gain = torch.linalg.solve(A @ prior @ A.T + case.problem.sigma**2 * torch.eye(len(A)), A @ prior).T
    torch.testing.assert_close(posterior.mean, y @ gain.T, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(posterior.covariance, prior - gain @ A @ prior, rtol=1e-4, atol=1e-5)
    exact = posterior.mean[:, None] + (torch.randn(4, 200, len(prior), dtype=torch.float64,
                                                   generator=torch.Generator().manual_seed(0)) * posterior.deviation) \
        @ posterior.directions.T
    score = posterior.score(exact)
    assert all(error < 0.05 or error != error for error in score.error)
    assert all(abs(spread - 1) < 0.03 or spread != spread for spread in score.spread)


# Without data.

@pytest.mark.parametrize(("method", "steps", "within"), [
    (DDIM(0.0), 400, 0.12), (DDIM(1.0), 400, 0.12), (DDPM(), 400, 0.12), (ProbabilityFlow(heun=False), 400, 0.12),
    (ProbabilityFlow(), 60, 0.09),
], ids=["DDIM", "DDIM, eta 1", "DDPM", "Euler", "Heun"])
def test_samples_of_the_prior_have_its_spectrum(method, steps, within):
    prior = StationaryGaussian(power(), mean=0.7)
    x = sample(None, prior, method, karras(steps, 80.0, 0.01), noise=Noise(range(256)), size=(SIDE, SIDE))
    got = torch.fft.fft2(x - prior.mean, norm="ortho").abs().square().mean((0, 1))
    off = (got / prior.power).log()  # 256 samples leave a std of 0.06 to 0.09
    assert float(off.square().mean().sqrt()) < within and abs(float(off.mean())) < 0.06
    assert abs(float(x.mean()) - 0.7) < 0.1


# Laws.

ALL = [*(method for method, _ in (*WITH_NOISE.values(), *FURTHER.values())), ScoreMRI(), DDNM(), RePaint(), ILVR(), MCG(),
       DDIM(0.5), DDPM(), ProbabilityFlow()]


def batch_gap(method: Method, family: str) -> float:
    """How far a sample drawn alone lies from the same sample drawn among others."""
    case = NOISY[family][0]
    problem = replace(case.problem, y=case.problem.y[:1])
    levels = time_travel(karras(8, 20.0, 0.02), 3, 2)
    together, alone = (sample(problem, case.prior, method, levels, noise=Noise(seeds), size=(SIDE, SIDE))
                       for seeds in ((5, 6, 7), (6,)))
    return float((together[1] - alone[0]).abs().max())


@pytest.mark.parametrize("method", ALL, ids=str)
@pytest.mark.parametrize("family", ["inpainting", "multi-coil MRI, one axis", "multi-coil MRI, both axes"])
def test_a_sample_does_not_depend_on_its_batch(method, family):
    if serves(method, family):
        assert batch_gap(method, family) < 1e-3


EXPLAINING = [DDNM(), DDNMPlus(), SimplifiedDDNMPlus(), DDRM(), RePaint(), ILVR(), MCG(), SNIPS(), DDS(None, None), DiffPIR(),
              DAPS(), PnPDM(), ScoreSDE(), RED(), Langevin(1)]


def unexplained(method: Method, family: str) -> float:
    """|A x - y| / |y| of the worst sample of exact data."""
    case = CLEAN[family][0]
    problem = case.repeated(2)
    z = case.draw(method, karras(10, 20.0, 0.05), samples=2).reshape(8, case.prior.channels, SIDE, SIDE)
    return float((misfit(problem, z) / problem.y.abs().square().flatten(1).sum(1).sqrt()).max())


@pytest.mark.parametrize("method", EXPLAINING, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_exact_data_are_explained(method, family):
    if serves(method, family):
        assert unexplained(method, family) < 5e-4


# The known mistakes, which pictures and PSNR hide. Each must be caught by what holds the methods above.

class BroadcastDDS(DDS):
    """Adds two real channels to one complex channel, so that the data enter multiplied by 1 + i."""

    def step(self, x, sigma, sigma_next, *, problem, denoise, constrain, noise):
        wrong = replace(problem, y=(1 + 1j) * problem.y)
        return super().step(x, sigma, sigma_next, problem=wrong, denoise=denoise, constrain=constrain, noise=noise)


class SimplifiedDDNMPlus(DDNMPlus):
    """Squares alpha-bar in the noise level and scales the injected noise by both levels."""

    def step(self, x, sigma, sigma_next, *, problem, denoise, constrain, noise):
        abar = 1 / (1 + sigma_next**2)
        level, brought = (1 - abar**2) ** 0.5, abar * problem.sigma
        trust, gamma = (1.0, (level**2 - brought**2) ** 0.5) if level >= brought else (level / brought, 0.0)
        x0 = denoise(x, sigma)
        e = (x - x0) / sigma
        x0 = x0 - trust * problem.operator.pinv(problem.operator(x0) - problem.y)
        return x0 + gamma * ((1 - abar) / abar) ** 0.5 * (self.eta * noise() + (1 - self.eta**2) ** 0.5 * e)


class PooledDDS(DDS):
    """One system for the whole batch, with products that lack their conjugates."""

    def step(self, x, sigma, sigma_next, *, problem, denoise, constrain, noise):
        def joined(z: Tensor) -> Tensor:
            return torch.complex(z[:, :1].contiguous(), z[:, 1:].contiguous())

        def split(c: Tensor) -> Tensor:
            return torch.cat([c.real, c.imag], 1)

        def system(c: Tensor) -> Tensor:
            return c + self.gamma * joined(problem.operator.normal(split(c)))

        x0 = denoise(x, sigma)
        e, c = (x - x0) / sigma, joined(x0)
        r = p = c + self.gamma * joined(problem.back_projected) - system(c)
        for _ in range(self.cg_steps):
            step = (r * r).sum() / (p * system(p)).sum()
            c, r_old, r = c + step * p, r, r - step * system(p)
            p = r + (r * r).sum() / (r_old * r_old).sum() * p
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        return split(c) + kept * e + fresh * noise()


class BareDDRM(DDRM):
    """Compares strictly both ways, so that the last step is the prior's bare estimate."""

    def step(self, x, sigma, sigma_next, *, problem, denoise, constrain, noise):
        if sigma_next == 0:
            return denoise(x, sigma)
        return super().step(x, sigma, sigma_next, problem=problem, denoise=denoise, constrain=constrain, noise=noise)


class CoupledDPS(DPS):
    """One norm over the batch."""

    def step(self, x, sigma, sigma_next, *, problem, denoise, constrain, noise):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            x0 = denoise(x, sigma)
            (gradient,) = torch.autograd.grad(misfit(problem, x0).square().sum().sqrt(), x)
        x, x0 = x.detach(), x0.detach()
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        scale = ((1 + sigma**2) * (1 + sigma_next**2)) ** 0.5
        return x0 + kept * (x - x0) / sigma + fresh * noise() - (self.step_size or 1.0) * scale * gradient


@pytest.mark.parametrize("family", ["single-coil MRI", "multi-coil MRI, one axis", "multi-coil MRI, both axes"])
def test_the_bounds_catch_data_times_one_plus_i(family):
    words = strays(BroadcastDDS(5.0, 5, eta=0.85), ELSEWHERE.get(("DDS", family), WITH_NOISE["DDS"][1]), *NOISY[family])
    assert any(word.startswith("mean, measured") for word in words)


@pytest.mark.parametrize("family", ["inpainting", "super-resolution", "compressed sensing", "single-coil MRI"])
def test_the_bounds_catch_the_simplified_noise_rule(family):
    if family != "super-resolution":  # its scalar rule is meant for singular values of 1
        assert strays(SimplifiedDDNMPlus(), WITH_NOISE["DDNM+"][1], *NOISY[family])
    words = strays(SimplifiedDDNMPlus(), WITHOUT_NOISE["DDNM+"][2], *CLEAN[family])
    assert any(word.startswith("spread, missing") for word in words)


def test_the_laws_catch_a_solver_pooled_over_the_batch():
    assert batch_gap(PooledDDS(5.0, 5, eta=0.85), "multi-coil MRI, both axes") > 1e-2


@pytest.mark.parametrize("family", ["inpainting", "super-resolution", "single-coil MRI", "multi-coil MRI, one axis"])
def test_the_laws_catch_a_last_step_that_forgets_the_data(family):
    assert unexplained(BareDDRM(), family) > 2e-3


def test_the_laws_catch_a_norm_over_the_batch():
    assert batch_gap(CoupledDPS(2.0), "inpainting") > 1e-2
