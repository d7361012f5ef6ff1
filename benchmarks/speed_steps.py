"""Rows of the table: one step to the data, exactly and by conjugate gradients, and what makes it exact."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from speed_cases import Size, cg_walk, distance, ellipse, head, plain_cg, plain_normal
from speed_timing import Row, medians
from torch import Tensor

from medrestore.consistency import prox
from medrestore.levels import karras
from medrestore.methods.budget import justified_gamma
from medrestore.mri import espirit, sampling_mask, simulated_maps
from medrestore.operators import LinearOperator, Sense
from medrestore.problem import Problem
from medrestore.solvers import cg

FIXED = 5.0  # the gamma of DDS's paper
JUSTIFIED = (1e2, 1e3, 1e4)  # what the noise asks for, early to late in the walk of a quiet scan
SIGMA_Y = 0.005
CLOSE = 1e-3
MOST_STEPS = 2000


@dataclass(frozen=True)
class Case:
    """A scan and its operator in all forms."""

    sense: Sense
    image: Tensor

    @cached_property
    def y(self) -> Tensor:
        clean = self.sense(self.image)
        return clean + SIGMA_Y * self.sense.mask * complex_noise(clean.shape, 1)

    @cached_property
    def spectral(self) -> LinearOperator:
        return self.sense.spectral()

    @cached_property
    def resolved(self) -> LinearOperator:
        return self.sense.resolvent(FIXED)

    def problem(self, operator: LinearOperator) -> Problem:
        return Problem(operator, self.y, SIGMA_Y)

    def exact(self, gamma: float) -> dict[str, Callable[[Tensor], Tensor]]:
        """The exact steps; the first is what ratios are to."""
        operators = {"this, exact for one gamma": self.resolved} if gamma == FIXED else {}  # a gamma that stays allows more
        operators["this, exact for any gamma"] = self.spectral
        return {name: partial(prox, self.problem(operator), gamma=gamma) for name, operator in operators.items()}

    def estimates(self, count: int, gamma: float) -> Tensor:
        """Images (count, 1, h, w) as far off as those for which this gamma is right."""
        sigma = SIGMA_Y * gamma**0.5
        assert abs(justified_gamma(sigma, SIGMA_Y, 1.0) / gamma - 1) < 1e-6
        return self.image + sigma * complex_noise((count, *self.image.shape[1:]), 2)

    def solution(self, x: Tensor, gamma: float) -> Tensor:
        """The minimiser in double precision, refined until its residual, which bounds its error, is below 1e-6 of it."""
        fine = Sense(self.sense.maps.to(torch.complex128), self.sense.mask)
        known = self.spectral if self.sense.one_axis else self.sense
        origin = Problem(known, torch.zeros_like(self.y))  # its prox is the inverse of the system
        x, b = x.to(torch.complex128), fine.adjoint(self.y.to(torch.complex128))
        z = torch.zeros_like(x)
        for _ in range(20):
            residual = x + gamma * b - z - gamma * plain_normal(fine, z)
            if residual.norm() < 1e-6 * z.norm():
                return z
            z = z + prox(origin, residual.to(torch.complex64), gamma, rtol=1e-5)
        raise AssertionError(f"the step at gamma {gamma:g} does not solve its equations")


def complex_noise(shape: torch.Size | tuple[int, ...], seed: int) -> Tensor:
    """White noise of unit std in every real number, complex64."""
    drawn = torch.randn(*shape, 2, generator=torch.Generator().manual_seed(seed))
    return torch.view_as_complex(drawn)


def full_case(size: Size) -> Case:
    """Maps that leave no air around the object: the most work."""
    generator = torch.Generator().manual_seed(0)
    shape = (size.side, size.side)
    sense = Sense(simulated_maps(size.coils, shape, generator=generator), sampling_mask("uniform1d", shape, 4, seed=0).mask)
    return Case(sense, ellipse(shape, generator))


def head_case(size: Size, kind: str = "uniform1d") -> Case:
    """ESPIRiT's maps of a head with air around it."""
    shape = (size.side, size.side)
    scan, lines = head(size.coils, shape)
    sense = Sense(espirit(scan, mask=lines), sampling_mask(kind, shape, 4, seed=0).mask)
    return Case(sense, ellipse(shape, torch.Generator().manual_seed(0)) * sense.support)


def each_alone(step: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A step on one image after the other."""
    return torch.cat([step(one) for one in x.split(1)])


def few_steps(case: Case, boxed: Case, count: int, aim: float) -> Row:
    """DDS's own data step: gamma 5, five CG steps; and the exact one."""
    x = case.estimates(count, FIXED)
    problem, solution = case.problem(case.sense), case.solution(x, FIXED)
    plain = partial(plain_cg, case.sense, problem.back_projected, gamma=FIXED, steps=5)
    exact = case.exact(FIXED)
    steps = {**exact, "this, 5 CG steps": partial(prox, problem, gamma=FIXED, cg_steps=5), "plain, 5 CG steps": plain}
    if count > 1:
        steps["plain, 5 CG steps, image by image"] = partial(each_alone, plain)
    off = {name: distance(step(x), solution) for name, step in steps.items()}
    assert all(off[name] < 1e-5 for name in exact) and max(off.values()) < 0.02, off
    contenders: dict[str, Callable[[], object]] = {name: partial(step, x) for name, step in steps.items()}
    for name, step in boxed.exact(FIXED).items():
        contenders[f"{name}, a head with air around it"] = partial(step, boxed.estimates(count, FIXED))
    return Row(f"data step, gamma {FIXED:g}, {said(count)}", medians(contenders), aims={"plain, 5 CG steps": aim}, off=off)


def solved(case: Case, gamma: float, count: int, aim: float) -> Row:
    """The data step at a gamma that the noise justifies: exact, and by as many CG steps as bring it as near, or to 1e-3."""
    x = case.estimates(count, gamma)
    b, solution, exact = case.problem(case.sense).back_projected, case.solution(x, gamma), case.exact(gamma)
    off = {name: distance(step(x), solution) for name, step in exact.items()}
    near = max(CLOSE, *off.values())
    walk = cg_walk(case.sense.normal, b, x[:1], gamma)
    steps = next(step for step, z in enumerate(walk) if step == MOST_STEPS or distance(z, solution[:1]) < near)
    plain = partial(plain_cg, case.sense, b, gamma=gamma, steps=steps)
    by_ours, by_plain = f"this, {steps} CG steps", f"plain, {steps} CG steps" + (", image by image" if count > 1 else "")
    work = {**exact, by_ours: partial(prox, case.problem(case.sense), gamma=gamma, cg_steps=steps, rtol=0.0),
            by_plain: partial(each_alone, plain)}
    off |= {by_ours: distance(work[by_ours](x), solution), by_plain: distance(plain(x[:1]), solution[:1])}
    assert near < 5 * CLOSE and max(off.values()) < 1.2 * near, off
    times = medians({name: partial(step, x) for name, step in work.items()})
    return Row(f"data step to {near:.2g}, gamma {gamma:g}, {said(count)}", times, aims={by_plain: aim}, off=off)


def preconditioned(case: Case, kind: str, gamma: float) -> Row:
    """The data step to 1e-3 where there is no exact form: conjugate gradients with and without the preconditioner."""
    x, A = case.estimates(1, gamma), case.sense
    b, solution = case.problem(A).back_projected, case.solution(x, gamma)
    help = A.preconditioner(gamma)

    def ours(steps: int, precondition: Callable[[Tensor], Tensor] | None) -> Tensor:
        return x + cg(lambda z: z / gamma + A.normal(z), b - A.normal(x), max_steps=steps, rtol=0.0, precondition=precondition)

    def enough(precondition: Callable[[Tensor], Tensor] | None) -> int:
        return next(steps for steps in range(1, MOST_STEPS) if distance(ours(steps, precondition), solution) < CLOSE)

    helped, alone = enough(help), enough(None)
    work = {f"this, {helped} preconditioned CG steps": partial(ours, helped, help),
            f"this, {alone} CG steps": partial(ours, alone, None),
            f"plain, {alone} CG steps": partial(plain_cg, A, b, x, gamma, alone)}
    off = {name: distance(step(), solution) for name, step in work.items()}
    assert max(off.values()) < 1.2 * CLOSE, off
    return Row(f"data step to {CLOSE:g}, gamma {gamma:g}, {kind} mask over both axes", medians(work), off=off)


def paid(size: Size, coils: int, shape: tuple[int, int]) -> list[Row]:
    """How many data steps of a walk the exact form for any gamma takes to make up for its set-up."""
    full, lines = head(coils, shape)
    sense = Sense(espirit(full, mask=lines), sampling_mask("uniform1d", shape, 4, seed=0).mask)
    case = Case(sense, ellipse(shape, torch.Generator().manual_seed(0)) * sense.support)
    levels = karras(50, 5.0, 0.005)[:-1:7]

    def walk(operator: LinearOperator, count: int) -> Callable[[], None]:
        problem = case.problem(operator)
        images = [case.image + sigma * complex_noise((count, *case.image.shape[1:]), 2) for sigma in levels]

        def run() -> None:
            for sigma, x in zip(levels, images, strict=True):
                prox(problem, x, justified_gamma(sigma, SIGMA_Y, 1.0))

        return run

    counts = (1, size.samples)
    works = {("exact", count): walk(case.spectral, count) for count in counts}
    works |= {("CG", count): walk(sense, count) for count in counts}
    times = medians({"set-up": sense.spectral, **{f"{form} {count}": work for (form, count), work in works.items()}})
    rows = []
    for count in counts:
        exact, gradients = (times[f"{form} {count}"] / len(levels) for form in ("exact", "CG"))
        rows.append(Row(f"data steps until the exact form has paid, {coils} coils, {shape[0]} x {shape[1]}, {said(count)}",
                        {"a step by CG less an exact one": gradients - exact, "set-up": times["set-up"]},
                        notes=["Data steps until the exact form has paid: the set-up over what a step saves."]))
    return rows


def said(count: int) -> str:
    """How many samples, in words."""
    return "1 sample" if count == 1 else f"{count} samples"


def diagonalised(sense: Sense) -> Tensor:
    """The eigenvectors of Ah A as they are usually found: one batch of matrices, on all threads."""
    maps, width = sense.maps[0], sense.maps.shape[-1]
    kernel = torch.fft.ifft(torch.fft.ifftshift(sense.mask[0]).to(maps.dtype))
    index = torch.arange(width)
    gram = torch.einsum("crv,crw->rvw", maps.conj(), maps)
    return torch.linalg.eigh(kernel[(index[:, None] - index) % width] * gram).eigenvectors


def set_up(case: Case, boxed: Case) -> list[Row]:
    """What the exact step costs before the first, in plain data steps."""
    works = {
        "any gamma": case.sense.spectral, "any gamma, a head with air around it": boxed.sense.spectral,
        "one gamma": partial(case.sense.resolvent, FIXED),
        "one gamma, a head with air around it": partial(boxed.sense.resolvent, FIXED),
    }
    batch, plain = "any gamma, one batch of matrices", "plain data step, 5 CG steps"
    x, b = case.estimates(1, FIXED), case.problem(case.sense).back_projected
    times = medians({**works, batch: lambda: diagonalised(case.sense), plain: partial(plain_cg, case.sense, b, x, FIXED, 5)})
    rows = [Row(f"set-up once a slice, {name}", {"this": times[name], plain: times[plain]}, limits={plain: 10.0})
            for name in works]
    rows[0].amounts[batch] = times[batch]
    return rows


def step_rows(size: Size) -> list[Row]:
    """One step to the data, 4x along one axis."""
    case, boxed = full_case(size), head_case(size)
    return [
        few_steps(case, boxed, 1, 10.0), few_steps(case, boxed, size.samples, 100.0),
        *(solved(case, gamma, 1, 30.0) for gamma in JUSTIFIED),
        *(solved(case, gamma, size.samples, 300.0) for gamma in JUSTIFIED),
        *set_up(case, boxed),
        *(preconditioned(head_case(size, kind), name, gamma)
          for kind, name in (("poisson2d", "Poisson"), ("gaussian2d", "Gaussian")) for gamma in JUSTIFIED[:2]),
        *(row for coils, shape in size.scans for row in paid(size, coils, shape)),
    ]
