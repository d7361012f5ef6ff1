"""Rows of the table: the classical reconstructions, at an equal residual of the equations they solve."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from speed_cases import Size, distance, head
from speed_peers import Bart
from speed_timing import Row, medians
from torch import Tensor

from medrestore.baselines import Baseline, CGSense, L1Wavelet, ZeroFilled
from medrestore.baselines.zero_filled import brightness
from medrestore.consistency import prox
from medrestore.mri import espirit, sampling_mask
from medrestore.operators import Sense
from medrestore.problem import Problem

LAM = 0.01
BARTS_TIME = "BART's time has the start of the program and its files in it."


class Scan:
    """An undersampled head of about unit brightness, 4x along one axis, and what each contender makes of it."""

    def __init__(self, size: Size) -> None:
        full, lines = head(size.coils, (size.side, size.side))
        self.maps, self.mask = espirit(full, mask=lines), sampling_mask("uniform1d", (size.side, size.side), 4, seed=0).mask
        scale = brightness(ZeroFilled().reconstruct(full * self.mask, self.maps, self.mask))  # which baselines divide by
        self.kspace = full * self.mask / scale
        self.truth = Sense(self.maps, torch.ones_like(self.mask)).adjoint(full) / scale

    def baseline(self, method: Baseline) -> Tensor:
        """One of ours."""
        return method.reconstruct(self.kspace, self.maps, self.mask)

    def pulled(self, steps: int) -> Tensor:
        """The minimiser of CG-SENSE by `pull`, its operator made anew."""
        problem = Problem(Sense(self.maps, self.mask), self.kspace)
        return prox(problem, torch.zeros_like(problem.back_projected), 1 / LAM, cg_steps=steps, rtol=0.0)

    def sigpys(self, app: type, iterations: int) -> Tensor:
        """One of sigpy's apps with its own defaults."""
        y, maps = self.kspace[0].numpy(), self.maps[0].numpy()
        weights = np.broadcast_to(self.mask.numpy(), y.shape[1:])
        return torch.from_numpy(app(y, maps, LAM, weights=weights, max_iter=iterations, show_pbar=False).run())[None, None]

    def residual(self, x: Tensor) -> float:
        """Of CG-SENSE's equations, relative to their right side."""
        sense = Sense(self.maps, self.mask)
        b = sense.adjoint(self.kspace)
        return distance(sense.normal(x) + LAM * x, b)

    def objective(self, x: Tensor) -> float:
        """1/2 |A x - y|^2 + lam |W x|_1, W as sigpy has it."""
        from sigpy.linop import Wavelet

        left = Sense(self.maps, self.mask)(x) - self.kspace
        coefficients = Wavelet(x.shape[2:], wave_name="db4")(x[0, 0].numpy())
        return 0.5 * float(left.abs().square().sum()) + LAM * float(np.abs(coefficients).sum())


def is_sigpys(work: Callable[[], object]) -> bool:
    """Whether this runs one of sigpy's apps."""
    from sigpy.app import LinearLeastSquares

    with mock.patch.object(LinearLeastSquares, "run", autospec=True, side_effect=LinearLeastSquares.run) as run:
        work()
    return run.called


def cg_sense(scan: Scan, bart: Bart | None) -> Row:
    """|A x - y|^2 + lam |x|^2, the same number of CG steps for all."""
    from sigpy.mri.app import SenseRecon

    ours = CGSense(LAM)
    steps, notes = ours.iterations, []
    contenders: dict[str, Callable[[], object]] = {
        "this, `pull`": lambda: scan.pulled(steps), "sigpy": lambda: scan.sigpys(SenseRecon, steps)}
    images = {"this, `pull`": scan.pulled(steps), "sigpy": scan.sigpys(SenseRecon, steps)}
    if is_sigpys(lambda: scan.baseline(ours)):
        notes.append("The baseline `CGSense` is sigpy's app and is not timed against itself; `pull` solves the same equations.")
    else:
        contenders = {"this": lambda: scan.baseline(ours), **contenders}
        images = {"this": scan.baseline(ours), **images}
    if bart is not None:
        options = ("-l2", "-r", str(LAM), "-i", str(steps))
        bart.pics(*options)
        contenders["BART"], images["BART"] = lambda: bart.pics(*options), bart.image(tuple(scan.truth.shape[2:]))
        notes.append(BARTS_TIME)
    first, *others = (scan.residual(image) for image in images.values())
    assert first < 1.05 * max(min(others), 1e-6), f"residuals {first} {others}"
    assert max(distance(image, images["sigpy"]) for image in images.values()) < 0.01, "contenders solve different equations"
    aims = {name: 1.0 for name in contenders if not name.startswith("this")}
    return Row(f"CG-SENSE, {steps} CG steps", medians(contenders), aims=aims, notes=notes)


def l1_wavelet(scan: Scan, bart: Bart | None) -> Row:
    """1/2 |A x - y|^2 + lam |W x|_1, the same number of FISTA steps for all."""
    from sigpy.mri.app import L1WaveletRecon

    ours, notes = L1Wavelet(LAM), []
    steps = ours.iterations
    contenders: dict[str, Callable[[], object]] = {"this": lambda: scan.baseline(ours)}
    image = scan.baseline(ours)
    if is_sigpys(contenders["this"]):
        notes.append("The baseline `L1Wavelet` is sigpy's app, its step from a bound instead of power iteration; it is not timed "
                     "against itself.")
    else:
        contenders["sigpy"] = lambda: scan.sigpys(L1WaveletRecon, steps)
    theirs = scan.objective(scan.sigpys(L1WaveletRecon, steps))
    assert scan.objective(image) < 1.001 * theirs, f"objective {scan.objective(image)}, sigpy's {theirs}"
    if bart is not None:
        options = ("-l1", "-r", str(LAM), "-i", str(steps))
        bart.pics(*options)
        contenders["BART"] = lambda: bart.pics(*options)
        off, barts = (distance(one, scan.truth) for one in (image, bart.image(tuple(scan.truth.shape[2:]))))
        start = distance(scan.baseline(ZeroFilled()), scan.truth)
        assert max(off, barts) < start, f"distances to the truth: {off}, BART's {barts}, zero-filled {start}"
        notes += [BARTS_TIME, f"BART's wavelets are its own: off the truth {barts:.3f} where ours is {off:.3f}."]
    aims = {name: 1.0 for name in contenders if name != "this"}
    return Row(f"L1-wavelet, {steps} FISTA steps", medians(contenders), aims=aims, notes=notes)


def classical_rows(size: Size) -> list[Row]:
    """The reconstructions that `medrestore` has beside the diffusion methods."""
    scan = Scan(size)
    with tempfile.TemporaryDirectory() as folder:
        bart = Bart(Path(folder), scan.kspace, scan.maps) if Bart.program else None
        rows = [cg_sense(scan, bart), l1_wavelet(scan, bart)]
    if bart is None:
        rows[0].notes.append("BART is not installed.")
    return rows
