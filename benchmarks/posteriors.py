"""Every method against posteriors known in closed form: writes docs/posteriors.md, and its spreads into docs/uncertainty.md.

    python benchmarks/posteriors.py [--measurements 8] [--samples 32] [--steps 100]
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from fill import fill
from gaussian_posterior import EXACT as EXACT_SIGMA
from gaussian_posterior import FAMILIES, SIDE, Case, Posterior, Score, chi
from torch import Tensor

from medrestore.levels import karras, time_travel
from medrestore.methods import (
    DAPS,
    DDNM,
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
    REDDiff,
    RePaint,
    ScoreMRI,
    ScoreSDE,
    SimplifiedDDNMPlus,
)
from medrestore.priors import Prior, StationaryGaussian

PAGE = Path(__file__).parents[1] / "docs" / "posteriors.md"
SUMMARY = PAGE.with_name("uncertainty.md")
SIGMA_Y = 0.1
TOP, BOTTOM = 40.0, 0.005

NOISY: dict[str, tuple[Method, bool]] = {  # and whether with time travel
    "DDNM+": (DDNMPlus(), False),
    "DDRM": (DDRM(), False),
    "DDS, gamma 5": (DDS(5.0, 5, eta=0.85), False),
    "DDS": (DDS(), False),
    "DDS, lam 1, eta 0.85": (DDS(lam=1.0, eta=0.85), False),
    "DDS, lam 10, eta 1": (DDS(None, None, lam=10.0, eta=1.0), False),
    "DiffPIR, lam 7, zeta 0.3": (DiffPIR(7.0, 0.3), False),
    "DiffPIR, lam 1.25, zeta 0.5": (DiffPIR(1.25, 0.5), False),
    "HQS, lam 0.23": (HQS(0.23), False),
    "HQS, lam 1": (HQS(1.0), False),
    "DPS, step 1": (DPS(1.0), False),
    "DPS, step 2": (DPS(2.0), False),
    "DDNM+, simplified": (SimplifiedDDNMPlus(), False),
    "PiGDM": (PiGDM(), False),
    "RED-diff": (REDDiff(), False),
    "DAPS": (DAPS(), False),
    "DAPS, 5 ODE steps": (DAPS(5), False),
    "PnP-DM, 2 prior steps": (PnPDM(2), False),
    "SNIPS": (SNIPS(), False),
    "Score-SDE": (ScoreSDE(), False),
    "Score-SDE, VP": (ScoreSDE("vp"), False),
    "PnP-ADMM, lam 1": (PnPADMM(1.0), False),
    "RED, lam 1": (RED(1.0), False),
    "Langevin": (Langevin(), False),
    "Langevin, annealed": (Langevin(annealed=True), False),
    "score-MRI": (ScoreMRI(), False),
}
EXACT: dict[str, tuple[Method, bool]] = {
    "DDNM": (DDNM(), False),
    "DDRM": (DDRM(), False),
    "RePaint": (RePaint(), False),
    "RePaint, time travel 10 x 3": (RePaint(), True),
    "DDS, solved": (DDS(lam=1.0, eta=0.85), False),
    "DDS, solved, eta 0": (DDS(None, None, eta=0.0), False),
    "DiffPIR, zeta 0.5": (DiffPIR(1.25, 0.5), False),
    "DDNM+, simplified": (SimplifiedDDNMPlus(), False),
    "ILVR": (ILVR(), False),
    "MCG": (MCG(), False),
    "PiGDM": (PiGDM(), False),
    "DAPS": (DAPS(), False),
    "PnP-DM, 2 prior steps": (PnPDM(2), False),
    "SNIPS": (SNIPS(), False),
    "Score-SDE": (ScoreSDE(), False),
    "PnP-ADMM, lam 1": (PnPADMM(1.0), False),
    "RED, lam 1": (RED(1.0), False),
    "Langevin": (Langevin(), False),
    "score-MRI": (ScoreMRI(), False),
}
SETTINGS: dict[str, Method] = {
    **{f"DDS, lam {lam:g}, eta {eta:g}": DDS(None, None, lam=lam, eta=eta) for lam in (1.0, 4.0, 10.0) for eta in (0.85, 1.0)},
    **{f"DDS, gamma {gamma:g}": DDS(gamma, 5, eta=0.85) for gamma in (1.0, 5.0)},
    **{f"DiffPIR, lam {lam:g}, zeta {zeta:g}": DiffPIR(lam, zeta) for lam in (1.0, 1.25, 1.5) for zeta in (0.3, 0.5, 1.0)},
    **{f"HQS, lam {lam:g}": HQS(lam) for lam in (0.23, 0.5, 1.0)},
    **{f"DPS, step {size:g}": DPS(size) for size in (0.5, 1.0, 2.0, 3.0)},
    **{f"DDNM+, eta {eta:g}": DDNMPlus(eta) for eta in (0.5, 0.85, 1.0)},
}

INTRODUCTION = """# Samples against exact posteriors

Made by `python benchmarks/posteriors.py`; do not edit.

The prior is a smooth Gaussian field of {side} x {side} pixels (complex for MRI) of pixel std 1, and the operators are linear,
so the posterior is a Gaussian that linear algebra gives exactly, and the prior's denoiser is exact too: what is
measured here is the method alone, with no network to blame. {measurements} measurements of {samples} samples each,
`karras({steps}, {top:g}, {bottom:g})`.

Errors and spreads are in units of the posterior's own std, root mean square over the directions in which the data
outweigh the prior (*measured*, first number) and over the others (*missing*, second number; a dash where there are none).
Exact data are the limit of little noise, sigma_y {exact:g}.

- **error of the mean**: 0 is the posterior mean, the estimate of least squared error. What the finite number of samples
  adds is taken off.
- **spread**: 1 is the posterior's; below 1 the samples agree with one another more than the data warrant.
- **misfit**: |A x - y| / (sigma_y sqrt(m)); samples of the posterior have 1. A method that reproduces y to the last digit has
  0, noise included.
- a dash also stands where a method needs a spectrum, or coils, that the operator does not have.
"""

MEANING = """
## What the spread of each method means

- **DiffPIR** recomputes the noise direction after the data step, and with `lam` near 1 this is nearly the score of the
  posterior: with noisy data it comes closest to the posterior, on every operator. The published `lam = 7` (in consistent
  units) trusts the data too little here: its measured spread is twice too wide and its mean is off. A larger `zeta` brings
  the mean closer and narrows the spread; with `zeta = 1` the spread is a third too narrow. What is left of the error in
  missing directions falls with the number of levels.
- **DDS with a constant gamma** trusts the data nearly completely, whatever their noise: it reproduces y, noise included.
  Its spread in measured directions is close to nothing and says nothing of the noise; in missing directions it is near
  the posterior's where the operator is well conditioned, and too narrow where it is not.
- **DDS with a justified weight** (`gamma=None`) can be brought to the right spread by `lam` with `eta = 1`, but the `lam`
  that does so grows with the number of levels: about 4 for 25 and 10 for 100. Its mean leans towards the data's noise.
  With exact data its mean is among the best and its spread that of the posterior.
- **DDNM+ and DDRM** know the noise of y, and their mean is good in measured directions; their spread there is about half
  the posterior's with 50 levels and narrower with more. Directions that are hardly seen (blurred) come out with an error
  larger than the posterior's std and half its spread: neither is to be believed there. With `eta_b = 1` the two are the same
  method.
- **DDNM and RePaint** take y for exact. With exact data the spread of their missing directions is the posterior's to within
  some fifteen per cent; RePaint's known and missing parts disagree without time travel, which its mean shows. With noisy
  data and small singular values they amplify the noise without limit, and are not shown.
- **HQS** is deterministic: no spread. With `lam = 1` and enough levels its estimate is close to the posterior mean here.
- **DAPS** with one ODE step comes nearest to the posterior, its spread within 8 % in every column, its mean within a
  sixth of the std: what it assumes of the clean image, N(x0, sigma^2), is what Tweedie's x0 leaves at low noise. With 5
  ODE steps, the paper's, x0 is an image of the prior already, and missing directions spread sqrt(2) too far.
- **PnP-DM** samples the posterior in the limit of many levels; with 100 its mean lags behind a little, and it
  spreads 3 to 8 % too far.
- **PiGDM** has a good mean and half the spread of the posterior in measured directions.
- **SNIPS** spreads too little in measured directions, by less the smaller c and the more levels there are.
- **RED-diff** is an estimate, and what its seeds differ by says nothing. It does not know the noise of the data.
- **DDNM+ in its simplified form** puts back noise of one std everywhere, too little for missing directions, and none at all
  once the level is below the noise of the data. Where A^+ amplifies noise without limit (deblurring) it fails.
- **ILVR** is RePaint without time travel for spectral operators; **MCG** is guided as well, and its mean is better.
- **Score-SDE** with the data in the score of its corrector has the posterior's spread in measured and in missing directions, and
  more correctors bring its mean closer; the VP form adds a tenth to the spread at this number of levels.
- **Langevin**, preconditioned, is close in both too; with the data's variance raised by the level's (the paper's annealing) its
  mean lags behind in half-seen directions. Its spread is a tenth too narrow where the data rule.
- **PnP-ADMM** and **RED** are deterministic: no spread. With `lam = 1` PnP-ADMM ends at the posterior mean to a few hundredths of
  its std, on every operator; RED comes as close with three iterations a level.
- **score-MRI** denoises coil images, whose prior here is not that of the image, and takes noisy data for exact: it is right
  for one coil with exact data alone. (The thousands of its last columns are in units of a posterior of std 1e-5; its images
  miss by some 0.03.)
- **DPS** moves by a step whose length does not know the noise: the spread of its measured directions lies anywhere between
  nothing and too much, depending on step size, number of levels and operator. Too small a step ends far from the data.

No method's spread is a calibrated uncertainty by itself. For real images the network adds its own error, which none of
these numbers contain, and the settings that are best for a Gaussian need not be best for them.
"""


class Counted(Prior):
    """A prior that counts its calls."""

    def __init__(self, prior: StationaryGaussian) -> None:
        self.prior, self.channels, self.calls = prior, prior.channels, 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += len(x)
        return self.prior(x, sigma)


@dataclass(frozen=True)
class Cell:
    """One method on one operator."""

    score: Score
    misfit: float
    calls: int


def problems(sigma: float, measurements: int) -> dict[str, tuple[Case, Posterior]]:
    made = {family: Case.of(make(), sigma, measurements=measurements) for family, make in FAMILIES.items()}
    return {family: (case, Posterior(case)) for family, case in made.items()}


def measure(method: Method, case: Case, posterior: Posterior, levels: list[float], samples: int) -> Cell | None:
    """None where the operator knows too little for the method."""
    if not method.served_by(case.problem.operator):
        return None
    prior = Counted(case.prior)
    z = case.draw(method, levels, samples=samples, prior=prior)
    misfit = chi(case.repeated(samples), z, prior.channels) if case.problem.sigma > 0 else 0.0
    return Cell(posterior.score(z), misfit, prior.calls // z[..., 0].numel())


def pair(parts: tuple[float, float]) -> str:
    return " / ".join("–" if math.isnan(part) else f"{part:.2f}" for part in parts)


def table(rows: dict[str, dict[str, Cell | None]], heading: str, write) -> list[str]:
    """One quantity: a row a method, a column an operator."""
    families = list(next(iter(rows.values())))
    lines = ["", f"### {heading}", "", f"| method | {' | '.join(families)} |", "|---" * (len(families) + 1) + "|"]
    for name, cells in rows.items():
        lines.append(f"| {name} | {' | '.join('–' if cell is None else write(cell) for cell in cells.values())} |")
    return lines


def calls(name: str, method: Method, cells: dict[str, Cell | None]) -> str:
    count = next(cell.calls for cell in cells.values() if cell is not None)
    return f"{name}: {count}{' and as many gradients through it' if isinstance(method, DPS | MCG | PiGDM) else ''}"


def measure_all(methods: dict[str, tuple[Method, bool]], cases: dict[str, tuple[Case, Posterior]], levels: list[float],
                samples: int) -> dict[str, dict[str, Cell | None]]:
    return {name: {family: measure(method, *case, time_travel(levels, 10, 3) if travel else levels, samples)
                   for family, case in cases.items()}
            for name, (method, travel) in methods.items()}


def section(title: str, methods: dict[str, tuple[Method, bool]], rows: dict[str, dict[str, Cell | None]], *,
            noisy: bool) -> list[str]:
    lines = ["", f"## {title}"]
    lines += table(rows, "Error of the mean, measured / missing", lambda cell: pair(cell.score.error))
    lines += table(rows, "Spread, measured / missing", lambda cell: pair(cell.score.spread))
    if noisy:
        lines += table(rows, "Misfit", lambda cell: f"{cell.misfit:.2f}")
    counted = [calls(name, method, rows[name]) for name, (method, _) in methods.items()]
    return [*lines, "", f"Network calls a sample: {'; '.join(counted)}."]


def spreads(tables: dict[str, dict[str, dict[str, Cell | None]]]) -> str:
    """From the least to the largest spread over the operators, one row a method and kind of data."""
    lines = ["| method | data | measured directions | missing directions |", "|---|---|---|---|"]
    for data, rows in tables.items():
        for name, cells in rows.items():
            parts = zip(*(cell.score.spread for cell in cells.values() if cell is not None), strict=True)
            known = [[value for value in values if not math.isnan(value)] for values in parts]
            lines.append(f"| {name} | {data} | {' | '.join(f'{min(values):.2f} to {max(values):.2f}' for values in known)} |")
    return "\n".join(lines)


def settings(cases: dict[str, tuple[Case, Posterior]], samples: int) -> list[str]:
    """How the free settings fare, over all operators that a method serves."""

    def rms(values: list[float]) -> float:
        values = [value for value in values if not math.isnan(value)]
        return (sum(value**2 for value in values) / len(values)) ** 0.5

    lines = ["", "## Settings", "", f"Root mean square over all operators, sigma_y {SIGMA_Y}, with 25 and with 100 levels.", "",
             "| method | error, 25 | spread, 25 | misfit, 25 | error, 100 | spread, 100 | misfit, 100 |", "|---" * 7 + "|"]
    for name, method in SETTINGS.items():
        row = [name]
        for steps in (25, 100):
            measured = (measure(method, *case, karras(steps, TOP, BOTTOM), samples) for case in cases.values())
            cells = [cell for cell in measured if cell is not None]
            for quantity in ("error", "spread"):
                row.append(pair(tuple(rms([getattr(cell.score, quantity)[part] for cell in cells]) for part in (0, 1))))
            row.append(f"{rms([cell.misfit for cell in cells]):.2f}")
        lines.append(f"| {' | '.join(row)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measurements", type=int, default=8, help="of each operator")
    parser.add_argument("--samples", type=int, default=32, help="of each measurement")
    parser.add_argument("--steps", type=int, default=100, help="noise levels")
    args = parser.parse_args()
    levels = karras(args.steps, TOP, BOTTOM)
    noisy, exact = (problems(sigma, args.measurements) for sigma in (SIGMA_Y, 0.0))
    del exact["deblurring"]  # without noise its posterior is as narrow as rounding
    with torch.no_grad():
        rows = measure_all(NOISY, noisy, levels, args.samples)
        exact_rows = measure_all(EXACT, exact, levels, args.samples)
        lines = [
            INTRODUCTION.format(side=SIDE, exact=EXACT_SIGMA, top=TOP, bottom=BOTTOM, **vars(args)),
            *section(f"Noisy data, sigma_y {SIGMA_Y}", NOISY, rows, noisy=True),
            *section("Exact data", EXACT, exact_rows, noisy=False),
            *settings(noisy, max(8, args.samples // 4)),
            MEANING,
        ]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(lines).replace("\n\n\n", "\n\n"))
    fill(SUMMARY, "spread", spreads({"noisy": rows, "exact": exact_rows}))


if __name__ == "__main__":
    main()
