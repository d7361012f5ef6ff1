"""What a data step costs beside its peers, side by side in one run: `python benchmarks/speed.py`.

Every contender is checked against the others before it is timed. Times depend on the machine; the ratios are the
result. With `--readme` the table goes into README.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fill import fill
from torch import Tensor

from medrestore.consistency import pull
from medrestore.fft import fft2c, ifft2c
from medrestore.mri import sampling_mask, simulated_maps
from medrestore.operators import Sense
from medrestore.priors import load
from medrestore.problem import Problem

ROOT = Path(__file__).parents[1]
ROUNDS = 3


def medians(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, the contenders taking turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(ROUNDS + 1):
        for name, work in contenders.items():
            started = time.perf_counter()
            work()
            if turn > 0:  # the first turn warms up
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(own) for name, own in times.items()}


def plain_normal(sense: Sense, x: Tensor) -> Tensor:
    """Ah A as it is usually written: shift, transform both axes, shift, mask, and back."""
    return (sense.maps.conj() * ifft2c(sense.mask * fft2c(sense.maps * x))).sum(1, keepdim=True)


def plain_cg(sense: Sense, b: Tensor, x: Tensor, gamma: float, steps: int) -> Tensor:
    """The data step of DDS in its usual form: a few conjugate-gradient steps with the plain operator."""
    def system(z: Tensor) -> Tensor:
        return z + gamma * plain_normal(sense, z)

    r = x + gamma * b - system(x)
    p, rr = r, r.abs().square().sum((1, 2, 3), keepdim=True)
    for _ in range(steps):
        Ap = system(p)
        alpha = rr / (p.conj() * Ap).real.sum((1, 2, 3), keepdim=True)
        x, r = x + alpha * p, r - alpha * Ap
        new = r.abs().square().sum((1, 2, 3), keepdim=True)
        p, rr = r + new / rr * p, new
    return x


def rows() -> list[tuple[str, dict[str, float]]]:
    """(what is done, seconds of each contender)."""
    import sigpy.mri

    generator = torch.Generator().manual_seed(0)
    coils, side = 15, 320
    maps = simulated_maps(coils, (side, side), generator=generator)
    mask = sampling_mask("uniform1d", (side, side), 4, seed=0).mask
    sense = Sense(maps, mask)
    x = torch.randn(8, 1, side, side, dtype=torch.complex64, generator=generator)
    peer = sigpy.mri.linop.Sense(maps[0].numpy(), weights=np.broadcast_to(mask.numpy(), (side, side)).copy()).N
    one = x[:1]
    assert torch.allclose(sense.normal(one), plain_normal(sense, one), atol=1e-4)
    assert np.allclose(peer(one[0, 0].numpy()), sense.normal(one)[0, 0].numpy(), atol=1e-4)
    started = time.perf_counter()
    spectral = sense.spectral()
    setup = time.perf_counter() - started
    y = sense(x[:1])
    problem, exact = Problem(sense, y, 0.01), Problem(spectral, y, 0.01)
    assert torch.allclose(pull(exact, x, 5.0), pull(problem, x, 5.0, rtol=1e-6), atol=1e-3)
    _ = exact.observed, problem.back_projected
    prior = load("brain-mr-starter", bf16=True)
    z = torch.zeros(1, 2, side, side)
    with torch.no_grad():
        call = medians({"network call": lambda: prior(z, 1.0)})
    image = y.new_zeros(1, 1, side, side)
    return [
        ("AhA", medians({"this": lambda: sense.normal(one), "plain": lambda: plain_normal(sense, one),
                         "sigpy": lambda: peer(one[0, 0].numpy())})),
        ("data step, 1 sample", medians({"this, exact": lambda: pull(exact, one, 5.0),
                                         "plain, 5 CG steps": lambda: plain_cg(sense, problem.back_projected, one, 5.0, 5)})),
        ("data step, 8 samples", medians({"this, exact": lambda: pull(exact, x, 5.0),
                                          "plain, 5 CG steps": lambda: plain_cg(sense, problem.back_projected, x, 5.0, 5)})),
        ("data step, gamma 1e3, to 1e-3", medians({
            "this, exact": lambda: pull(exact, one, 1e3),
            "this, CG": lambda: pull(problem, image, 1e3, rtol=1e-3)})),
        ("set-up of the exact spectrum, once a slice", {"this": setup}),
        ("one call of the shipped prior, bf16", call),
    ]


def table(measured: list[tuple[str, dict[str, float]]]) -> str:
    """The rows as Markdown, with ratios to the first contender."""
    lines = [f"15 coils, 320 x 320, 4x along one axis, {torch.get_num_threads()} CPU threads; medians of {ROUNDS} rounds, "
             "contenders taking turns (`python benchmarks/speed.py`).", "",
             "| work | time | ratio to the first |", "|---|---|---|"]
    for work, times in measured:
        first = next(iter(times.values()))
        said = " · ".join(f"{name} {1e3 * seconds:.1f} ms" for name, seconds in times.items())
        ratios = " · ".join(f"{name} {seconds / first:.1f}x" for name, seconds in list(times.items())[1:]) or "-"
        lines.append(f"| {work} | {said} | {ratios} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    text = table(rows())
    print(text)
    if parser.parse_args().readme:
        fill(ROOT / "README.md", "speed", text)


if __name__ == "__main__":
    main()
