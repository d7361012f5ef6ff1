"""Steps of conjugate gradients by preconditioner, mask and gamma, into docs/speed.md: `python benchmarks/preconditioners.py`."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch
from fill import fill
from speed_cases import Size
from speed_steps import Case, head_case
from torch import Tensor

from medrestore.operators import Sense
from medrestore.solvers import cg

PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
KINDS = {"Poisson": "poisson2d", "Gaussian, both axes": "gaussian2d", "uniform, one axis": "uniform1d",
         "Gaussian, one axis": "gaussian1d"}
FLOORS = {"none": None, "circulant": 0.0, "held up at 0.05": 0.05, "held up at 0.1": 0.1, "held up at 0.3": 0.3}
GAMMAS, TOLERANCES = (1e2, 1e3, 1e4), (1e-2, 1e-4)
SIZE = Size(side=192, coils=8)


def steps(case: Case, gamma: float, floor: float | None, rtol: float) -> int:
    """Until the residual is below `rtol` of the first."""
    A, x, calls = Sense(case.sense.maps, case.sense.mask), case.estimates(1, gamma), []
    help: Callable[[Tensor], Tensor] | None = None
    if floor is not None:
        with mock.patch("medrestore.operators.sense.LEAST", floor):
            help = A.preconditioner(gamma)
    residual = A.adjoint(case.y) - A.normal(x)
    cg(lambda z: calls.append(1) or z / gamma + A.normal(z), residual, max_steps=400, rtol=rtol, precondition=help)
    return len(calls)


def main() -> None:
    torch.set_num_threads(1)
    cases = [head_case(SIZE, kind) for kind in KINDS.values()]
    title = f"{SIZE.coils} coils, {SIZE.side} x {SIZE.side}, a head with air, 4x"
    lines = [f"Steps to a residual of 1e-2 / 1e-4 of the first, {title}:", "",
             f"| preconditioner | gamma | {' | '.join(KINDS)} |", "|---" * (len(KINDS) + 2) + "|"]
    for name, floor in FLOORS.items():
        for gamma in GAMMAS:
            counts = [" / ".join(str(steps(case, gamma, floor, rtol)) for rtol in TOLERANCES) for case in cases]
            lines.append(f"| {name} | {gamma:g} | {' | '.join(counts)} |")
            print(lines[-1], flush=True)
    fill(PAGE, "preconditioners", "\n".join(lines))


if __name__ == "__main__":
    main()
