"""y = A(x) + noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import torch
from torch import Tensor

from .allocator import is_out_of_memory
from .codecs import AffineCodec, Codec, Interval, OneChannel, Padded
from .errors import InputError
from .noise import Noise, white_like
from .operators import (
    Chroma,
    CoIsometry,
    Decoded,
    Isometry,
    LinearOperator,
    OfCodes,
    Operator,
    PseudoInvertible,
    ResolventOperator,
    RoundingOperator,
    SpectralOperator,
    Spectrum,
)
from .operators import stack as stack_operators
from .operators.base import Window, on_device, required
from .operators.local import LocalOperator, as_local
from .operators.representation import ShortRepr

A = TypeVar("A", bound=Operator, covariant=True)
FAR = 10  # times the largest value of a prior's interval: images beyond it are taken to be in other units


@dataclass(frozen=True)
class Problem(ShortRepr, Generic[A]):
    """Measured data y = A(x) + n.

    Args:
        operator: A.
        y: the data, (batch, ...) as A returns them; a batch of 1 serves any number of samples.
        sigma: std of every real number in n (real and imaginary part each), in the units of y: one number, or
            (batch, 1, 1, 1) for a batch of measurements whose noise differs (`stack`). 0 for data without noise.

    Raises:
        InputError: sigma is negative or not finite.
    """

    operator: A
    y: Tensor
    sigma: float | Tensor = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.sigma, Tensor) and not 0 <= self.sigma < math.inf:
            raise InputError(f"sigma is the std of the noise and cannot be {self.sigma}; give 0 for data without noise")

    @property
    def unrounded(self) -> "Problem[Operator]":
        """The problem itself, and where its operator rounds linear samples (`RoundingOperator`) that of the samples."""
        if not isinstance(self.operator, RoundingOperator):
            return self
        return Problem(*self.operator.samples(self.y, self.sigma))

    def encoded(self, codec: Codec) -> "Problem[Operator]":
        """The same problem in a prior's coordinates, and in its units: divided by the codec's scale.

        Where the operator rounds linear samples it is the problem of these, so that methods meet one that is linear.
        """
        if isinstance(self.operator, RoundingOperator):
            return self.unrounded.encoded(codec)
        operator = self.operator
        if not (isinstance(codec, AffineCodec) and isinstance(operator, LinearOperator)):
            scale, support = codec.scale if isinstance(codec, AffineCodec) else 1.0, _encoded_support(operator, codec)
            seen = Decoded(operator, codec.decode, support, scale)
            if isinstance(operator, LinearOperator):
                seen = OfCodes(operator, codec.decode, support, scale, encode=codec.encode)
            return Problem(seen, self.y / scale, self.sigma / scale) if scale != 1 else Problem(seen, self.y, self.sigma)
        y = self.y
        if codec.offset != 0:  # A (scale L z + offset) = y
            y = y - operator(torch.full_like(operator.adjoint(y), codec.offset))
        return Problem(operator @ codec.linear, y / codec.scale, self.sigma / codec.scale)

    def to(self, device: torch.device | str) -> "Problem[A]":
        """The same problem on a device."""
        return Problem(on_device(self.operator, device), self.y.to(device), on_device(self.sigma, device))

    def restrict(self, window: Window) -> "Problem[LocalOperator]":
        """The part of a local problem that lies inside a window of the image.

        Raises:
            TypeError: the operator is not local.
        """
        local = as_local(self.operator)
        return Problem(local.restrict(window), self.y[(..., *local.footprint(window))], self.sigma)

    @cached_property
    def exact(self) -> bool | Tensor:
        """Whether the data have no noise: a bool, or (batch, 1, 1, 1) where some have and others have not."""
        if not isinstance(self.sigma, Tensor):
            return self.sigma == 0
        exact = self.sigma == 0
        return bool(exact.all()) if bool(exact.all() | ~exact.any()) else exact

    @property
    def spectrum(self) -> Spectrum:
        """That of the operator, on the device of the data; for spectral operators."""
        with self.y.device:  # an operator without tensors of its own, such as a crop, makes its singular values there
            return required(self.operator, SpectralOperator).spectrum  # type: ignore[type-abstract]  # any subclass will do

    @cached_property
    def observed(self) -> Tensor:
        """A^+ y on the grid of V's coefficients, zero in the null space; for spectral operators."""
        S = self.spectrum
        return S.invert(S.unmeasure(self.y))

    @cached_property
    def back_projected(self) -> Tensor:
        """Ah y; for linear operators."""
        return required(self.operator, LinearOperator).adjoint(self.y)  # type: ignore[type-abstract]  # any subclass will do

    @cached_property
    def pseudo_inverse(self) -> Tensor:
        """A^+ y; for operators with a pseudo-inverse."""
        return required(self.operator, PseudoInvertible).pinv(self.y)  # type: ignore[type-abstract]  # any subclass will do

    @cached_property
    def inverted_noise(self) -> Tensor:
        """(batch, 1, 1, 1) std of the noise of A^+ y, root mean square over the directions that A measures.

        For operators with a pseudo-inverse. That of y itself where all singular values are 1. Measured on white noise, so
        that it is to a few per cent where singular values differ.
        """
        A = required(self.operator, PseudoInvertible)  # type: ignore[type-abstract]  # any subclass will do
        white = white_like(self.y[:1], Noise([0], self.y.device)).to(self.y.dtype).expand_as(self.y)
        image = A.pinv(white)
        within, size = (torch.linalg.vector_norm(value.flatten(1), dim=1) for value in (A(image), image))
        return (size / within.where(within > 0, 1.0)).reshape(-1, 1, 1, 1) * self.sigma

    @cached_property
    def resolved(self) -> Tensor:
        """(I + gamma Ah A)^-1 gamma Ah y, the data step of a zero image; for operators with a resolvent."""
        operator, back_projected = required(self.operator, ResolventOperator), self.back_projected  # type: ignore[type-abstract]  # any subclass will do
        x = operator.resolve(operator.gamma * back_projected)
        # refined once: the first solution is off by rounding * gamma
        return x + operator.resolve(operator.gamma * (back_projected - operator.normal(x)) - x)

    @cached_property
    def count(self) -> Tensor:
        """(batch,) how many real numbers were measured, a complex entry counting two."""
        sampled = self.operator.sampled
        reached = torch.ones_like(self.y, dtype=torch.bool) if sampled is None else torch.broadcast_to(sampled != 0, self.y.shape)
        return reached.flatten(1).sum(1) * (2 if self.y.is_complex() else 1)


def _encoded_support(operator: Operator, codec: Codec) -> Tensor | None:
    """Where a code may differ from zero, for an operator that is not linear."""
    if operator.support is None or not isinstance(codec, AffineCodec):
        return None
    return codec.linear.lift(operator.support) if isinstance(codec.linear, Isometry | CoIsometry) else None


def straightened(codec: Codec, size: tuple[int, int], device: torch.device | str) -> list[Problem[Chroma]]:
    """What codes (batch, channel, height, width) of a codec's images meet exactly: `OneChannel.straight`, else nothing."""
    if not isinstance(codec, OneChannel):
        return []
    return [Problem(codec.straight, torch.zeros(1, len(codec.weights) - 1, *size, device=device))]


def stack(problems: Sequence[Problem[Operator]]) -> Problem[Operator]:
    """Problems of one size as one, whose batch they are; see `operators.stack`.

    Noise levels that differ become a sigma of (batch, 1, 1, 1).

    Raises:
        InputError: measurements of different shapes.
    """
    if len(problems) == 1:
        return problems[0]
    shapes = sorted({(tuple(problem.y.shape[1:]), str(problem.y.dtype)) for problem in problems})
    if len(shapes) > 1:
        described = ' and '.join(f'{shape} {dtype}' for shape, dtype in shapes)
        raise InputError(f"measurements of shapes {described} cannot be stacked; "
                         "restore problems of different sizes apart")
    operator = stack_operators([problem.operator for problem in problems for _ in problem.y])
    return Problem(operator, torch.cat([problem.y for problem in problems]), _stacked_sigma(problems))


def _stacked_sigma(problems: Sequence[Problem[Operator]]) -> float | Tensor:
    first = problems[0]
    if not any(isinstance(problem.sigma, Tensor) for problem in problems) and len({problem.sigma for problem in problems}) == 1:
        return first.sigma
    levels = [torch.as_tensor(problem.sigma, dtype=torch.float32, device=first.y.device).expand(len(problem.y), 1, 1, 1)
              for problem in problems]
    return torch.cat(levels)


def check_data(problem: Problem[Operator]) -> None:
    """Refuses data that no operator can have measured of one image.

    Raises:
        InputError: y has no batch axis, holds several measurements, or has values that are not finite.
    """
    y, kind = problem.y, problem.operator.kind
    if y.ndim < 3:
        raise InputError(f"y has shape {tuple(y.shape)}, without a batch axis and a channel or coil axis; "
                         "(batch, channel, height, width) is what operators measure of images: add them as y[None, None]")
    if isinstance(problem.operator, LinearOperator):
        image = _back_projected(problem, problem.operator)
        if image.ndim != 4:
            raise InputError(f"y has shape {tuple(y.shape)}, from which {kind} makes an image of shape {tuple(image.shape)} "
                             "instead of (batch, channel, height, width); add the batch axis as y[None]")
    if len(y) != 1:
        raise InputError(f"y has shape {tuple(y.shape)}, a batch of {len(y)} measurements, and restore takes one; "
                         "give a list of problems to restore_all, or y[None] where the batch axis is missing")
    if not bool(y.isfinite().all()):
        raise InputError("y has values that are not finite; replace or mask them first")


def _back_projected(problem: Problem[Operator], operator: LinearOperator) -> Tensor:
    try:
        return problem.back_projected
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise InputError(f"{operator.kind} cannot have measured y of shape {tuple(problem.y.shape)}, {problem.y.dtype} "
                         f"({str(error).splitlines()[0]}); give the data as the operator returns them") from error


def check_fits(problem: Problem[Operator], codec: Codec, field: Padded, channels: int) -> None:
    """Refuses data that the operator cannot have measured of an image of the prior.

    Args:
        codec, field: from images to the prior's coordinates, and to its size.
        channels: of the prior.

    Raises:
        InputError: what does not fit: the shape, real and complex, or the units.
    """
    operator, y = problem.operator, problem.y
    image = codec.decode(field.decode(torch.zeros(1, channels, *field.size, device=y.device)))
    if isinstance(operator, LinearOperator):
        given = _back_projected(problem, operator)
        if given.is_complex() != image.is_complex():
            raise InputError(f"the data are of a {_numbers_of(given)} image and the prior's codec is of "
                             f"{_numbers_of(image)} images; take a prior (or a codec) of the same kind of image")
        if given.shape != image.shape:
            raise InputError(f"the data are of an image of shape {tuple(given.shape[1:])} (channel, height, width) and the prior "
                             f"makes images of {tuple(image.shape[1:])}; take a prior of as many channels")
    linear = isinstance(operator, LinearOperator)
    try:
        with torch.set_grad_enabled(not linear):
            measured = operator(image.requires_grad_(not linear))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise InputError(f"{operator.kind} cannot be applied to an image of shape {tuple(image.shape)}, {image.dtype} "
                         f"({str(error).splitlines()[0]}); take a prior and a size that suit it") from error
    if measured.shape != y.shape:
        raise InputError(f"{operator.kind} measures {tuple(measured.shape)} of an image, and y has shape {tuple(y.shape)}; "
                         "give the data as the operator returns them, batch axis first")
    if measured.is_complex() != y.is_complex():
        raise InputError(f"{operator.kind} measures {_numbers_of(measured)} data, and y is {_numbers_of(y)}; "
                         "give the data as the operator returns them")
    if not linear and not measured.requires_grad:
        raise InputError(f"what {operator.kind} measures has no gradient by the image, and operators that are not linear are "
                         "followed by it; write it with differentiable functions of torch")
    if isinstance(codec, Interval) and isinstance(operator, LinearOperator):
        _check_units(problem, operator, codec)


def _numbers_of(values: Tensor) -> str:
    return "complex" if values.is_complex() else "real"


def _check_units(problem: Problem[Operator], operator: LinearOperator, interval: Interval) -> None:
    """Refuses images far outside the prior's interval: those of 0 to 255 for a prior of 0 to 1.

    Judged by c Ah y, c being the step of steepest descent, which is A^+ y for co-isometries.
    """
    x = problem.back_projected
    power = operator(x).abs().square().sum()
    step = float(x.abs().square().sum() / power) if bool(power > 0) else 0.0
    largest, allowed = step * float(x.abs().max()), FAR * max(abs(interval.low), abs(interval.high))
    if largest > allowed + FAR * float(torch.as_tensor(problem.sigma).max()) * step**0.5:
        raise InputError(f"the image reaches {largest:.3g}, far outside the interval of the prior, {interval.low:g} to "
                         f"{interval.high:g}; scale the data to it, or pass the interval of the image as "
                         "codec=Interval(low, high), such as Interval(0, 255)")
