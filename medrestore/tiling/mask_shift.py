"""Pictures larger than the prior: each window is restored given the pixels of the windows restored before it."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..consistency import project
from ..methods import Method
from ..noise import Noise, derived_seed
from ..operators import Crop, LocalOperator, Mask, Operator, SpectralOperator, Window
from ..operators.local import as_local
from ..priors import Prior, WrappedPrior
from ..problem import Problem, stack
from ..sampling import check_sampling, in_batches, sample, spectral
from .settled import SettledPrior
from .windows import Layout, Size, core, plan, raster, waves

Seam = Literal["continued", "fixed"]
Job = tuple[Window, int]  # a window of a sample
SURE = 1e-5  # numbers of unit size that A^+ A changes by less than this are determined by the data


@torch.no_grad()
def mask_shift(
    problem: Problem[Operator], prior: Prior, method: Method, levels: Sequence[float], *, size: Size, window: Size,
    noise: Noise, shift: Size | None = None, constraints: Sequence[Problem[Operator]] = (),
    guide: Problem[Operator] | None = None, guide_until: float = 0.0, start: Tensor | float = 0.0, layout: Layout = "auto",
    seam: Seam = "continued", batch: int = 8, progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Restores a picture of any size window by window: Wang et al., CVPRW 2023 (arXiv 2303.00354), Alg. 2.

    Pixels that noise-free data determine are returned bit by bit, and a window of such pixels alone is skipped. Windows
    that do not overlap are drawn together, and the result is that of drawing them in turn. A picture smaller than a window,
    or with sides that the guide's patches do not divide, is placed in the corner of a larger field. What an operator with a
    halo measures beside the edge of a window is left to the next, and so are the pixels there.

    Departs from the public code, which begins every window but the first at the clean picture of the one before: here
    each begins at fresh noise of its own.

    Args:
        problem: of a local operator, for the whole picture, in the prior's coordinates (`Problem.encoded`); a batch of 1,
            or one measurement a sample.
        levels, constraints, start: as for `sample`, for the whole picture; the seam is met after the constraints.
        size: (height, width) of the picture.
        window: (height, width) that the prior is applied to, multiples of `prior.multiple` and of the operator's grain.
        noise: one stream per sample; every window draws from its own, made of the sample's seed, the field's size and the
            window's place, so that it depends on neither the batch nor other windows.
        shift: (rows, columns) from window to window; half a window by default.
        guide: noise-free problem that the prior's estimate is made to meet before the data, to which it yields, while the
            noise level is at least `guide_until`.
        layout: where windows lie (`plan`).
        seam: "fixed" is the paper's: settled pixels are put into the estimate. With "continued" what the prior missed there is
            first continued into their surroundings (`settled.Settled`).
        batch: images, windows times samples, drawn together at most; halved when memory runs out.
        progress: called with how many images are drawn and how many there will be.

    Returns:
        (sample, channels, height, width) float32.

    Raises:
        TypeError: the operator is not local, or knows less than the method needs.
        ValueError: windows that do not suit prior or operators, or a shift that leaves gaps.
    """
    given = [problem, *constraints, *([] if guide is None else [guide])]
    grain = common_grain(given)
    shift = checked(problem, prior, method, window, shift, grain, common_halo(given))
    field = _field_of_windows(size, window, grain)
    given = [_set_into(field, one, size, len(noise.seeds)) for one in given]
    guides = [] if guide is None else [given.pop()]
    if isinstance(start, Tensor):
        start = F.pad(start, (0, field[1] - size[1], 0, field[0] - size[0]))
    with noise.device:
        settled = determined(given[0], prior.channels, field, window)
        canvas = torch.zeros(len(noise.seeds), prior.channels, *field)
        halo = common_halo(given)
        tiles = _Canvas(given[0], given[1:], guides, guide_until, prior, method, levels, window, noise, start, canvas, settled,
                        halo, seam)
        tiles.write_determined()
        unknown = settled == 0
        unknown[size[0] :], unknown[:, size[1] :] = False, False
        order = plan(unknown, window, shift, grain=grain, layout=layout, halo=halo)
        for drawn in tiles.restore(order, batch):
            if progress is not None:
                progress(drawn, len(order) * len(noise.seeds))
    return canvas[..., : size[0], : size[1]]


def generate(
    prior: Prior, method: Method, levels: Sequence[float], *, size: Size, window: Size, noise: Noise,
    shift: Size | None = None, seam: Seam = "continued", batch: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Pictures of any size from the prior alone: `mask_shift` without data."""
    return mask_shift(nothing(prior.channels, size, noise.device), prior, method, levels, size=size, window=window, noise=noise,
                      shift=shift, seam=seam, batch=batch, progress=progress)


def nothing(channels: int, size: Size, device: torch.device | str = "cpu") -> Problem[Mask]:
    """The problem without data, for any method: a mask that keeps no pixel."""
    keep = torch.zeros(1, 1, device=device).expand(size)
    return Problem(Mask(keep), keep.expand(1, channels, *size))


def common_grain(problems: Iterable[Problem[Operator]]) -> int:
    """The least number of pixels at whose multiples windows of all the problems may begin.

    Raises:
        TypeError: an operator is not local.
    """
    return math.lcm(*(as_local(problem.operator).grain for problem in problems))


def common_halo(problems: Iterable[Problem[Operator]]) -> int:
    """The halo of all the problems together, pixels.

    Raises:
        TypeError: an operator is not local.
    """
    return max(as_local(problem.operator).halo for problem in problems)


def determined(problem: Problem[Operator], channels: int, size: Size, tile: Size) -> Tensor:
    """(height, width) 0 and 1: the pixels that noise-free data alone determine.

    Where A^+ A leaves two white images as they are, whatever the operator. Computed tile by tile, so that memory does not
    grow with the picture.
    """
    exact = torch.zeros(size, device=problem.y.device)
    operator = as_local(problem.operator)
    if problem.exact is not True or not isinstance(operator, SpectralOperator):
        return exact
    tile = _field_of_windows(tile, tile, operator.grain)
    white = Noise([0, 1], problem.y.device)((2, channels, *tile))
    for here in _tiles(size, tile):
        A = _spectral(operator.restrict(here))
        x = white[..., : here[0].stop - here[0].start, : here[1].stop - here[1].start]
        exact[here] = ((A.pinv(A(x)) - x).abs().amax((0, 1)) < SURE).float()
    return exact


def _spectral(operator: LocalOperator) -> SpectralOperator:
    """A window of a spectral operator, which is spectral as well."""
    if not isinstance(operator, SpectralOperator):
        raise TypeError(f"{operator.kind} has no spectrum, unlike the operator of whose image it is a window; "
                        "return a SpectralOperator from its restrict")
    return operator


class ConstrainedPrior(WrappedPrior):
    """A prior whose estimates meet a noise-free problem, while the noise level is at least `until`."""

    def __init__(self, prior: Prior, guide: Problem[SpectralOperator], until: float = 0.0) -> None:
        super().__init__(prior)
        self.guide, self.until = guide, until

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        x0 = self.prior(x, sigma)
        return project(self.guide, x0) if sigma >= self.until else x0


@dataclass(frozen=True)
class _Canvas:
    """A picture in the making, and what its windows are restored with."""

    problem: Problem[Operator]
    constraints: Sequence[Problem[Operator]]
    guides: Sequence[Problem[Operator]]  # one or none
    guide_until: float
    prior: Prior
    method: Method
    levels: Sequence[float]
    window: Size
    noise: Noise
    start: Tensor | float
    canvas: Tensor  # (sample, channel, height, width)
    settled: Tensor  # (height, width), 1 where the canvas is final
    halo: int
    seam: Seam

    def write_determined(self) -> None:
        """Writes the determined pixels onto the canvas."""
        height, width = self.settled.shape
        for here in _tiles((height, width), self.window) if bool(self.settled.any()) else ():
            part = self.problem.restrict(here)
            pixels = _spectral(part.operator).pinv(part.y)
            self.canvas[(..., *here)] = torch.where(self.settled[here] > 0, pixels, 0.0)

    def restore(self, order: Sequence[Window], batch: int) -> Iterator[int]:
        """Restores the windows onto the canvas; yields how many images are drawn."""
        done = 0
        for wave in waves(order):
            for jobs in self._alike(wave):
                place = iter(jobs)
                for drawn in in_batches(self._draw, jobs, batch):
                    for image in drawn:
                        here, k = next(place)
                        self.canvas[(k, ..., *here)] = torch.where(self.settled[here] > 0, self.canvas[(k, ..., *here)], image)
                    done += len(drawn)
                    yield done
            height, width = self.settled.shape
            for here in wave:
                self.settled[core(here, (height, width), self.halo)] = 1

    def _alike(self, wave: Sequence[Window]) -> list[list[Job]]:
        """The images of a wave, those whose data have the same shape together."""
        groups: dict[tuple[torch.Size, ...], list[Job]] = {}
        for here, k in product(wave, range(len(self.canvas))):
            shapes = tuple(one.restrict(here).y.shape for one in (self.problem, *self.constraints, *self.guides))
            groups.setdefault(shapes, []).append((here, k))
        return list(groups.values())

    def _draw(self, jobs: Sequence[Job]) -> Tensor:
        """One image a job, (job, channel, *window)."""
        problem, *given = (_joint(one, jobs) for one in (self.problem, *self.constraints, *self.guides))
        settled = torch.stack([self.settled[here][None] for here, _ in jobs])
        seam = Problem(Mask(settled), torch.stack([self.canvas[(k, ..., *here)] for here, k in jobs]))
        carried = self.seam == "continued" and bool(settled.any())
        prior: Prior = SettledPrior(self.prior, seam.y, settled) if carried else self.prior
        if self.guides:
            prior = ConstrainedPrior(prior, spectral(given.pop()), self.guide_until)
        start = self.start
        if isinstance(start, Tensor):
            start = torch.cat([start[k : k + 1, ..., *here] if len(start) > 1 else start[..., *here] for here, k in jobs])
        seeds = [derived_seed(self.noise.seeds[k], *self.settled.shape, here[0].start, here[1].start) for here, k in jobs]
        return sample(problem, prior, self.method, self.levels, noise=Noise(seeds, self.noise.device), size=self.window,
                      constraints=[*given, seam], start=start)


def _joint(problem: Problem[Operator], jobs: Sequence[Job]) -> Problem[Operator]:
    """The windows of a problem as one problem, whose batch they are."""
    local = as_local(problem.operator)
    operators = {id(here): local.restrict(here) for here, _ in jobs}  # once for all samples of a window
    return stack([
        Problem(operators[id(here)], _of_sample(problem.y, k)[(..., *local.footprint(here))],
                _of_sample(problem.sigma, k) if isinstance(problem.sigma, Tensor) else problem.sigma)
        for here, k in jobs
    ])


def _of_sample(values: Tensor, k: int) -> Tensor:
    """Those of sample k; of all samples where there is one row."""
    return values[k : k + 1] if len(values) > 1 else values


def _tiles(size: Size, tile: Size) -> Iterable[Window]:
    """The picture cut into tiles that do not overlap."""
    rows, columns = ([slice(a, min(a + t, n)) for a in range(0, n, t)] for n, t in zip(size, tile, strict=True))
    return product(rows, columns)


def _field_of_windows(size: Size, window: Size, grain: int) -> Size:
    """The smallest field that holds the picture and a window, of sides that are multiples of the grain."""
    height, width = (-(-max(n, w) // grain) * grain for n, w in zip(size, window, strict=True))
    return height, width


def _set_into(field: Size, problem: Problem[Operator], size: Size, samples: int) -> Problem[Operator]:
    """The same problem of a larger field, with the picture in its first corner, where patches are complete."""
    operator = as_local(problem.operator)
    sampled = operator.sampled
    if len(problem.y) not in (1, samples) or (sampled is not None and sampled.ndim == 4 and len(sampled) > 1):
        raise ValueError(f"{samples} samples of one picture need a measurement for all or for each and one mask for all, "
                         f"and the problem is a batch of {len(problem.y)}; restore the pictures one by one")
    operator.footprint((slice(0, size[0]), slice(0, size[1])))  # refuses a size that cuts through patches
    return problem if field == size else Problem(operator @ Crop(field, size, (0, 0)), problem.y, problem.sigma)


def checked(problem: Problem[Operator], prior: Prior, method: Method, window: Size, shift: Size | None, grain: int,
            halo: int = 0) -> Size:
    """The shift, once window and shift are known to suit prior, operators and method.

    Raises:
        TypeError: the operator does not know enough for the method.
        ValueError: windows that do not suit prior or operators, or a shift that leaves gaps.
    """
    some = window if prior.size is not None else (prior.multiple, prior.multiple)  # sides are checked below, with the grain
    check_sampling(problem, method, prior, some)
    multiple = math.lcm(prior.multiple, grain)
    if any(side % multiple for side in window):
        raise ValueError(f"windows of {window} pixels do not suit prior and operator: sides must be multiples of {multiple}")
    settles = window[0] - 2 * halo, window[1] - 2 * halo
    if min(settles) < grain:
        raise ValueError(f"windows of {window} pixels are too small for the operator, which looks {halo} pixels around each; "
                         f"take more than {2 * halo + grain}")
    if shift is None:
        height, width = (max(min(side // 2, inner) // grain, 1) * grain for side, inner in zip(window, settles, strict=True))
        return height, width
    raster(settles, settles, shift)  # refuses a shift that leaves gaps
    if any(step % grain for step in shift):
        raise ValueError(f"a shift of {shift} pixels cuts through the operator's patches: it must be a multiple of {grain}")
    return shift
