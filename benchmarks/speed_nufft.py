"""Rows of the table: scans along trajectories beside their peers, and their data step beside a Cartesian one.

sigpy is installed with the tests, mri-nufft, which makes deepinv's transforms too, mrpro, deepinv and pytorch-finufft by
`make bench`; BART takes part where its program is. A line says which are missing.
"""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from speed_cases import Size, distance, ellipse
from speed_peers import Bart, empty_modules, read_cfl, write_cfl
from speed_timing import Row, medians
from torch import Tensor

from medrestore.baselines import CGSense
from medrestore.consistency import prox
from medrestore.mri import radial, sampling_mask, simulated_maps
from medrestore.operators import NonCartesianSense, Sense
from medrestore.problem import Problem
from medrestore.recon.along import virtual_coils
from medrestore.recon.thermal import Whitened

SPOKES, SNR_DB, LAM, ITERATIONS = 48, 30.0, 0.01, 30
LEVELS = (1.0, 0.3, 0.1, 0.03)  # of noise, at which data steps are timed
ALIKE = 5e-3  # relative to this, of what others compute: they interpolate to about 1e-3


class Radial:
    """48 golden-angle spokes of an ellipse, and what each contender makes of them."""

    def __init__(self, coils: int, side: int) -> None:
        random = torch.Generator().manual_seed(0)
        self.shape = (side, side)
        self.image, maps = ellipse(self.shape, random), simulated_maps(coils, self.shape, generator=random)
        trajectory = radial(SPOKES, self.shape)
        self.sense = NonCartesianSense(maps, trajectory, torch.ones(trajectory.shape[:2]))
        self.std = float(self.image.abs().square().mean().sqrt()) * 10 ** (-SNR_DB / 20) / 2**0.5
        y = self.sense(self.image)
        self.y = y + self.std * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))

    @property
    def coord(self) -> np.ndarray:
        """(readout, sample, 2) as sigpy has it."""
        return self.sense.trajectory.numpy().astype(np.float32)

    def sigpys(self) -> dict[str, Callable[[], Tensor]]:
        """sigpy's forward, adjoint and normal operator, and its CG-SENSE."""
        from sigpy.mri.app import SenseRecon
        from sigpy.mri.linop import Sense as Linop

        A = Linop(self.sense.maps[0].numpy(), coord=self.coord)
        x, y = self.image[0, 0].numpy(), self.y[0].numpy()
        return {
            "forward": lambda: torch.from_numpy(A(x))[None], "adjoint": lambda: torch.from_numpy(A.H(y))[None, None],
            "normal": lambda: torch.from_numpy(A.N(x))[None, None],
            "cg": lambda: torch.from_numpy(SenseRecon(y, self.sense.maps[0].numpy(), LAM, coord=self.coord, max_iter=ITERATIONS,
                                                      show_pbar=False).run())[None, None],
        }

    def mri_nuffts(self) -> dict[str, Callable[[], Tensor]]:
        """mri-nufft's operators with finufft."""
        from mrinufft import get_operator

        samples = (self.sense.points / self.shape[0]).numpy().astype(np.float32)
        A = get_operator("finufft")(samples, self.shape, n_coils=self.sense.maps.shape[1], smaps=self.sense.maps[0].numpy(),
                                    squeeze_dims=True)
        x, y = self.image[0, 0].numpy(), self.y[0].flatten(1).numpy()
        return {
            "forward": lambda: torch.from_numpy(A.op(x)).reshape(self.y.shape),
            "adjoint": lambda: torch.from_numpy(A.adj_op(y))[None, None],
            "normal": lambda: torch.from_numpy(A.adj_op(A.op(x)))[None, None],
        }

    def deepinvs(self) -> dict[str, Callable[[], Tensor]]:
        """deepinv's `NonCartesianMRI`, with the transforms of mri-nufft along these spokes, and its conjugate gradients."""
        from mrinufft import get_operator

        with empty_modules():
            from deepinv.physics import NonCartesianMRI
        readouts, samples = self.sense.trajectory.shape[:2]
        physics = NonCartesianMRI(self.shape, readouts, samples, coil_maps=self.sense.maps)
        points = (self.sense.points / self.shape[0]).numpy().astype(np.float32)
        physics.nufft_op = get_operator("finufft")(points, self.shape, n_coils=self.sense.maps.shape[1], squeeze_dims=False)
        x, y = (torch.cat([one.real, one.imag], 1) for one in (self.image, self.y.flatten(2)[:, None]))
        gamma = 1 / LAM

        def of_parts(image: Tensor) -> Tensor:
            return torch.complex(image[:, :1], image[:, 1:])

        return {
            "forward": lambda: of_parts(physics.A(x)).reshape(self.y.shape),
            "adjoint": lambda: of_parts(physics.A_adjoint(y)), "normal": lambda: of_parts(physics.A_adjoint_A(x)),
            "cg": lambda: of_parts(physics.prox_l2(0.0, y, gamma, solver="CG", max_iter=ITERATIONS, tol=0.0)),
        }

    def mrpros(self) -> dict[str, Callable[[], Tensor]]:
        """mrpro's operators, the normal one by its own Toeplitz matrix, and its conjugate gradients."""
        import pytorch_finufft  # noqa: F401  without which its operators are made and fail when called

        with empty_modules():
            from mrpro.algorithms.optimizers import cg
            from mrpro.data import KTrajectory, SpatialDimension
            from mrpro.operators import NonUniformFastFourierOp, SensitivityOp
        rows, columns = (one[None, None, None].contiguous() for one in self.sense.trajectory.unbind(-1))
        size = SpatialDimension(1, *self.shape)
        F = NonUniformFastFourierOp(["y", "x"], size, size, KTrajectory(torch.zeros(1, 1, 1, 1, 1), rows, columns))
        S = SensitivityOp(self.sense.maps[:, :, None])
        gram, x, y = S.H @ F.gram @ S, self.image[:, :, None], self.y[:, :, None]

        def penalised(v: Tensor) -> tuple[Tensor]:
            return (gram(v)[0] + LAM * v,)

        return {"forward": lambda: F(*S(x))[0][:, :, 0], "adjoint": lambda: S.H(*F.H(y))[0][:, :, 0],
                "normal": lambda: gram(x)[0][:, :, 0],
                "cg": lambda: cg(penalised, S.H(*F.H(y)), max_iterations=ITERATIONS, tolerance=0.0)[0][:, :, 0]}

    def barts(self, folder: Path) -> dict[str, Callable[[], Tensor]]:
        """BART's `nufft` of the coils' images and its `pics` with l2, timed with the start of the program and its files."""
        readouts, samples = self.sense.trajectory.shape[:2]
        turned = np.zeros((3, samples, readouts), np.complex64)
        turned[:2] = self.coord.transpose(2, 1, 0)
        height, width = self.shape
        maps = self.sense.maps[0].permute(1, 2, 0).reshape(height, width, 1, -1).resolve_conj().numpy()
        stored = {"traj": turned, "kspace": self.y[0].permute(2, 1, 0)[None].numpy(), "maps": maps,
                  "coils": maps * self.image[0, 0].numpy()[..., None, None]}
        for name, array in stored.items():
            write_cfl(folder / name, array)

        def called(*words: str, shape: tuple[int, ...]) -> Tensor:
            subprocess.run([str(Bart.program), *words, "out"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            return read_cfl(folder / "out", shape)

        def forward() -> Tensor:
            return called("nufft", "traj", "coils", shape=(samples, readouts, maps.shape[-1])).permute(2, 1, 0)[None]

        def adjoint() -> Tensor:
            coils = called("nufft", "-a", "-d", f"{height}:{width}:1", "traj", "kspace", shape=(height, width, maps.shape[-1]))
            return (self.sense.maps.conj() * coils.permute(2, 0, 1)).sum(1, keepdim=True)

        def pics() -> Tensor:
            options = ["-w", "1", "-l2", "-r", str(LAM), "-i", str(ITERATIONS), "-t", "traj"]
            return called("pics", *options, "kspace", "maps", shape=self.shape)[None, None]

        return {"forward": forward, "adjoint": adjoint, "cg": pics}


def peers(scan: Radial, folder: Path) -> tuple[dict[str, dict[str, Callable[[], Tensor]]], list[str]]:
    """What each peer that is there computes, and a line on each that is not."""
    found, notes = {}, []
    makers = {"sigpy": scan.sigpys, "mri-nufft": scan.mri_nuffts, "deepinv": scan.deepinvs, "mrpro": scan.mrpros}
    for name, make in makers.items():
        try:
            found[name] = make()
        except ModuleNotFoundError as error:
            notes.append(f"{name} is left out: it needs {error.name}.")
    if Bart.program is None:
        notes.append("BART is not installed.")
    else:
        found["bart"] = scan.barts(folder)
    return found, notes


def transform_rows(scan: Radial, others: dict[str, dict[str, Callable[[], Tensor]]], notes: list[str], said: str) -> list[Row]:
    """Forward, adjoint and normal operator, each scaled to ours: conventions differ by a constant."""
    ours: dict[str, Callable[[], Tensor]] = {
        "forward": lambda: scan.sense(scan.image), "adjoint": lambda: scan.sense.adjoint(scan.y),
        "normal": lambda: scan.sense.normal(scan.image)}
    rows = []
    for what, work in ours.items():
        expected, off = work(), {}
        for name, one in others.items():
            if what in one:
                image = one[what]()
                scale = (expected.conj() * image).sum() / image.abs().square().sum()
                off[name] = distance(scale.conj() * image, expected)
                assert off[name] < ALIKE, f"{name} computes something else: {off[name]:.2g}"
        contenders = {"this": work} | {name: one[what] for name, one in others.items() if what in one}
        rows.append(Row(f"{what}, {said}", medians(contenders), off=off, notes=notes))
    return rows


def cg_row(scan: Radial, others: dict[str, dict[str, Callable[[], Tensor]]], said: str) -> Row:
    """CG-SENSE of 30 iterations, and the error of each image."""
    contenders = {"this": lambda: CGSense(lam=LAM, iterations=ITERATIONS).along(scan.sense, scan.y)}
    contenders |= {name: one["cg"] for name, one in others.items() if "cg" in one}
    off = {}
    for name, work in contenders.items():
        image = work()
        scale = (image.conj() * scan.image).sum() / image.abs().square().sum()
        off[name] = distance(scale * image, scan.image)
    return Row(f"CG-SENSE, {said} (off: from the truth, scaled to it)", medians(contenders), off=off)


def data_steps(problem: Problem) -> Callable[[], object]:
    """Solved data steps at several noise levels, from the adjoint."""
    sigma = float(problem.sigma)

    def steps() -> None:
        for level in LEVELS:
            x = problem.back_projected + 0.0
            prox(problem, x, level**2 / sigma**2)

    return steps


def step_row(side: int, coils: int) -> Row:
    """Data steps along a trajectory beside Cartesian ones over both axes, at as many coils, and as `recon` takes them."""
    scan = Radial(coils, side)
    mask = sampling_mask("poisson2d", scan.shape, 4.0, seed=0).mask
    sense = Sense(scan.sense.maps, mask)
    y = sense(scan.image)
    noise = torch.view_as_complex(torch.randn(*y.shape, 2, generator=torch.Generator().manual_seed(1)))
    cartesian = Problem(sense, (y + scan.std * noise) * mask, scan.std)
    white = Whitened(scan.y, scan.sense.maps, None, torch.eye(coils, dtype=torch.complex64), None)
    few, _ = virtual_coils(white, scan.std)
    assert few.maps is not None
    compressed = NonCartesianSense(few.maps, scan.sense.trajectory, scan.sense.mask)
    contenders = {
        "radial, virtual coils": data_steps(Problem(compressed, few.kspace, scan.std)),
        "radial, all coils": data_steps(Problem(scan.sense, scan.y, scan.std)), "Cartesian": data_steps(cartesian),
    }
    said = f"data steps at {len(LEVELS)} noise levels, {coils} coils ({few.kspace.shape[1]} virtual), {side} x {side}"
    return Row(said, medians(contenders), limits={"Cartesian": 2.0})


def nufft_rows(size: Size) -> list[Row]:
    """Of one scan of 48 spokes."""
    side, coils = min(192, size.side), min(8, size.coils)
    scan = Radial(coils, side)
    said = f"{SPOKES} spokes, {coils} coils, {side} x {side}"
    with tempfile.TemporaryDirectory() as folder:
        others, notes = peers(scan, Path(folder))
        return [*transform_rows(scan, others, notes, said), cg_row(scan, others, said), step_row(side, coils)]
