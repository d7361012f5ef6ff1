"""What the kernels cost beside their peers, side by side in one run: `python benchmarks/speed.py`.

Every contender is checked against the others before it is timed. Times depend on the machine; the ratios are the result.
With one thread (`--threads 1`) time of the processor is counted, which other work on the machine hardly changes; with
more, time on the wall. With `--readme` the table goes into README.md and docs/speed.md.
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
from medrestore.mri import add_smooth_phase, espirit, sampling_mask, simulate_scan, simulated_maps
from medrestore.operators import Sense
from medrestore.priors import load
from medrestore.problem import Problem

ROOT = Path(__file__).parents[1]
ROUNDS = 3
Rows = list[tuple[str, dict[str, float]]]  # (what is done, seconds of each contender)


def medians(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, the contenders taking turns."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(ROUNDS + 1):
        for name, work in contenders.items():
            started = clock()
            work()
            if turn > 0:  # the first turn warms up
                times[name].append(clock() - started)
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


def head(coils: int, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A fully sampled scan (1, coil, h, w) of a textured ellipse with air around it, and a mask of 24 central lines."""
    generator = torch.Generator().manual_seed(0)
    y, x = (torch.linspace(-1, 1, n) for n in shape)
    inside = (y[:, None] / 0.85) ** 2 + (x / 0.7) ** 2 < 1
    image = add_smooth_phase((inside * (0.6 + 0.4 * torch.rand(shape, generator=generator)))[None, None], generator)
    maps = simulated_maps(coils, shape, generator=generator)
    scan = simulate_scan(image, maps, torch.ones(1, shape[1]), snr_db=30, generator=generator)
    lines = torch.zeros(1, shape[1])
    lines[:, shape[1] // 2 - 12 : shape[1] // 2 + 12] = 1
    return scan, lines


def sigpys_espirit(scan: Tensor) -> np.ndarray:
    """sigpy's maps (coil, h, w) from the 24 x 24 centre of k-space."""
    from sigpy.mri.app import EspiritCalib

    return EspiritCalib(scan[0].numpy(), calib_width=24, crop=0.8, show_pbar=False).run()


def calibration(coils: int, shape: tuple[int, int]) -> Rows:
    """ESPIRiT."""
    scan, lines = head(coils, shape)
    ours, theirs = espirit(scan, mask=lines)[0], torch.from_numpy(sigpys_espirit(scan))
    inside = (ours != 0).any(0)
    assert (inside != (theirs != 0).any(0)).float().mean() < 1e-3
    off = (ours - (ours * theirs.conj()).sum(0).sgn() * theirs).abs().amax(0)[inside & (theirs != 0).any(0)]
    assert (off < 1e-3).float().mean() > 0.995
    return [(f"ESPIRiT, {coils} coils, {shape[0]} x {shape[1]}, 24 lines", medians({
        "this": lambda: espirit(scan, mask=lines), "sigpy": lambda: sigpys_espirit(scan)}))]


def normal(kind: str, images: int, coils: int, shape: tuple[int, int]) -> Rows:
    """AhA."""
    import sigpy.mri

    generator = torch.Generator().manual_seed(0)
    mask = sampling_mask(kind, shape, 4, seed=0).mask
    sense = Sense(simulated_maps(coils, shape, generator=generator), mask)
    x = torch.randn(images, 1, *shape, dtype=torch.complex64, generator=generator)
    peer = sigpy.mri.linop.Sense(sense.maps[0].numpy(), weights=np.broadcast_to(mask.numpy(), shape).copy()).N
    assert torch.allclose(sense.normal(x), plain_normal(sense, x), atol=1e-4)
    assert np.allclose(peer(x[0, 0].numpy()), sense.normal(x)[0, 0].numpy(), atol=1e-4)
    contenders = {"this": lambda: sense.normal(x), "plain": lambda: plain_normal(sense, x)}
    if images > 1:
        contenders["plain, image by image"] = lambda: [plain_normal(sense, one) for one in x.split(1)]
    contenders["sigpy"] = lambda: [peer(one[0, 0].numpy()) for one in x.split(1)]
    axes = "one axis" if sense.one_axis else "both axes"
    said = f"AhA, {axes}, {coils} coils, {shape[0]} x {shape[1]}" + (f", {images} images" if images > 1 else "")
    return [(said, medians(contenders))]


def diagonalised(sense: Sense) -> Tensor:
    """The eigenvectors of Ah A as they are usually found: one batch of matrices, on all threads."""
    maps, width = sense.maps[0], sense.maps.shape[-1]
    kernel = torch.fft.ifft(torch.fft.ifftshift(sense.mask[0]).to(maps.dtype))
    index = torch.arange(width)
    gram = torch.einsum("crv,crw->rvw", maps.conj(), maps)
    return torch.linalg.eigh(kernel[(index[:, None] - index) % width] * gram).eigenvectors


def data_steps() -> Rows:
    """One step to the data, 15 coils, 320 x 320, 4x along one axis, and what makes it exact."""
    generator = torch.Generator().manual_seed(0)
    side = 320
    mask = sampling_mask("uniform1d", (side, side), 4, seed=0).mask
    sense = Sense(simulated_maps(15, (side, side), generator=generator), mask)
    scan, lines = head(15, (side, side))
    around_air = Sense(espirit(scan, mask=lines), mask)
    setup = medians({"this": sense.spectral, "this, a head with air around it": around_air.spectral,
                     "one batch": lambda: diagonalised(sense)})
    x = torch.randn(8, 1, side, side, dtype=torch.complex64, generator=generator)
    one, y = x[:1], sense(x[:1])
    problem, exact = Problem(sense, y, 0.01), Problem(sense.spectral(), y, 0.01)
    boxed = Problem(around_air.spectral(), around_air(x[:1]), 0.01)
    assert torch.allclose(pull(exact, x, 5.0), pull(problem, x, 5.0, rtol=1e-6), atol=1e-3)
    _ = exact.observed, problem.back_projected, boxed.observed
    image = y.new_zeros(1, 1, side, side)

    def plain(z: Tensor) -> Tensor:
        return plain_cg(sense, problem.back_projected, z, 5.0, 5)

    return [
        ("data step, 1 sample", medians({
            "this, exact": lambda: pull(exact, one, 5.0), "this, a head with air around it": lambda: pull(boxed, one, 5.0),
            "this, 5 CG steps": lambda: pull(problem, one, 5.0, cg_steps=5), "plain, 5 CG steps": lambda: plain(one)})),
        ("data step, 8 samples", medians({
            "this, exact": lambda: pull(exact, x, 5.0), "this, 5 CG steps": lambda: pull(problem, x, 5.0, cg_steps=5),
            "plain, 5 CG steps": lambda: plain(x),
            "plain, 5 CG steps, image by image": lambda: [plain(z) for z in x.split(1)]})),
        ("data step, gamma 1e3, to 1e-3", medians({
            "this, exact": lambda: pull(exact, one, 1e3), "this, CG": lambda: pull(problem, image, 1e3, rtol=1e-3)})),
        ("set-up of the exact spectrum, once a slice", setup),
    ]


def network() -> Rows:
    """One call of a prior, to compare with."""
    prior, z = load("brain-mr-starter", bf16=True), torch.zeros(1, 2, 320, 320)
    with torch.no_grad():
        return [("one call of the shipped prior, bf16, 320 x 320", medians({"network call": lambda: prior(z, 1.0)}))]


def rows() -> Rows:
    """Everything that is measured."""
    return [
        *calibration(15, (320, 320)), *calibration(8, (217, 182)),
        *normal("uniform1d", 1, 15, (320, 320)), *normal("uniform1d", 8, 16, (256, 256)),
        *normal("poisson2d", 1, 15, (320, 320)), *normal("poisson2d", 8, 16, (256, 256)),
        *data_steps(), *network(),
    ]


def table(measured: Rows) -> str:
    """The rows as Markdown, with ratios to the first contender."""
    threads = torch.get_num_threads()
    counted = "Processor time on 1 CPU thread" if threads == 1 else f"{threads} CPU threads"
    lines = [f"Data steps: 15 coils, 320 x 320, 4x along one axis. {counted}; medians of {ROUNDS} rounds, contenders taking "
             "turns (`python benchmarks/speed.py`).", "",
             "| work | time | ratio to the first |", "|---|---|---|"]
    for work, times in measured:
        first = next(iter(times.values()))
        said = " · ".join(f"{name} {1e3 * seconds:.1f} ms" for name, seconds in times.items())
        ratios = " · ".join(f"{name} {seconds / first:.1f}x" for name, seconds in list(times.items())[1:]) or "-"
        lines.append(f"| {work} | {said} | {ratios} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", action="store_true", help="write the table into README.md and docs/speed.md")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of torch")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    text = table(rows())
    print(text)
    if chosen.readme:
        for page in ("README.md", "docs/speed.md"):
            fill(ROOT / page, "speed", text)


if __name__ == "__main__":
    main()
