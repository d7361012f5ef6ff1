"""Every operator obeys its laws, alone, composed, and through every codec. A new operator is one line in CASES."""

from dataclasses import dataclass, replace

import laws
import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, full, generator, lines, pixels, spokes
from laws import white
from torch import Tensor

from medrestore.codecs import Codec, ComplexChannels, Interval, Padded
from medrestore.errors import InputError
from medrestore.operators import (
    AveragePool,
    BlockWalsh,
    Chroma,
    CircularBlur,
    Crop,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
    NonCartesianSense,
    ReflectingBlur,
    ResolventOperator,
    Sense,
    Separable,
    SingleCoil,
    SpectralOperator,
    WalshHadamard,
    bicubic_downsample,
    check,
    gaussian_blur,
    gaussian_kernel,
    motion_kernel,
    sample_pixels,
)
from medrestore.problem import Problem


@dataclass(frozen=True)
class Case:
    name: str
    operator: LinearOperator
    shape: tuple[int, int, int]  # of one image
    dtype: torch.dtype = torch.float32
    tolerance: float = laws.EXACT  # looser where singular values below a cutoff are dropped


LOSSY = 5e-3


CASES = [
    Case("identity", Identity(), (3, 8, 6)),
    Case("identity, complex", Identity(), (1, 7, 6), COMPLEX),
    Case("mask", Mask(pixels(8, 7)), (3, 8, 7)),
    Case("mask, complex", Mask(pixels(8, 7)), (1, 8, 7), COMPLEX),
    Case("mask of each image", Mask(pixels(2, 1, 8, 7)), (3, 8, 7)),
    Case("sampled pixels", sample_pixels((8, 7), 0.3, generator=generator()), (1, 8, 7)),
    Case("points of k-space", NonCartesianSense(coil_maps(12, 11), spokes(5, 12), full(spokes(5, 12))), (1, 12, 11), COMPLEX),
    Case("points of k-space, weighted", NonCartesianSense(coil_maps(9, 12), spokes(4, 10), pixels(4, 10)), (1, 9, 12), COMPLEX),
    Case("points of k-space, coils of each image",
         NonCartesianSense(torch.cat([coil_maps(8, 9), coil_maps(8, 9).flip(-1)]), spokes(3, 8), full(spokes(3, 8))),
         (1, 8, 9), COMPLEX),
    Case("crop", Crop((9, 8), (4, 5)), (2, 9, 8)),
    Case("corner", Crop((9, 8), (4, 5), (0, 2)), (2, 9, 8)),
    Case("pool 2", AveragePool(2, (8, 6)), (3, 8, 6)),
    Case("pool 3", AveragePool(3, (9, 6)), (1, 9, 6)),
    Case("pool, complex", AveragePool(4, (8, 12)), (1, 8, 12), COMPLEX),
    Case("grey", Grayscale(), (3, 6, 7)),
    Case("luma", Grayscale((0.299, 0.587, 0.114)), (3, 6, 7)),
    Case("grey, first weight nought or less", Grayscale((0.0, -1.0)), (2, 4, 5)),
    Case("grey, first weight negative", Grayscale((-2.0, 0.5, 1.0, 0.0)), (4, 4, 5)),
    Case("grey, one channel", Grayscale((0.5,)), (1, 4, 5)),
    Case("separable, wide", Separable(white((4, 9)), white((5, 8))), (2, 9, 8)),
    Case("separable, tall", Separable(white((9, 6)), white((8, 8))), (2, 6, 8)),
    Case("mild blur", gaussian_blur((9, 8), 0.4), (3, 9, 8)),
    Case("blur", gaussian_blur((16, 15), (2.0, 1.0)), (1, 16, 15), tolerance=LOSSY),
    Case("blur, complex", gaussian_blur((8, 9), (0.3, 0.5)), (1, 8, 9), COMPLEX),
    Case("bicubic", bicubic_downsample((12, 9), 3), (3, 12, 9)),
    Case("circular mild blur", CircularBlur(gaussian_kernel(0.4), (9, 8)), (3, 9, 8)),
    Case("circular blur", CircularBlur(gaussian_kernel(1.5), (16, 15)), (1, 16, 15), tolerance=LOSSY),
    Case("motion", CircularBlur(motion_kernel(4.0, 30.0), (9, 12)), (3, 9, 12), tolerance=LOSSY),
    Case("circular, complex", CircularBlur(white((3, 2)), (7, 6)), (1, 7, 6), COMPLEX),
    Case("compressed sensing", WalshHadamard.random((8, 4), 0.4, generator=generator()), (2, 8, 4)),
    Case(
        "compressed sensing, complex",
        WalshHadamard.random((4, 8), 0.4, generator=generator()),
        (1, 4, 8),
        COMPLEX,
    ),
    Case("blocks of compressed sensing", Mask(pixels(9, 11)) @ BlockWalsh((9, 11), torch.randperm(16, generator=generator())),
         (2, 9, 11)),
    Case("reflecting blur", ReflectingBlur(white((4, 3)), (9, 8)), (2, 9, 8)),
    Case("reflecting blur of a part, complex", ReflectingBlur(white((3, 4)), (9, 8), (True, False, False, True)), (1, 9, 8),
         COMPLEX),
    Case("colour", Chroma(), (3, 6, 7)),
    Case("imaginary part", Chroma((1.0, 0.0)), (2, 6, 7)),
    Case("old photo", Mask(pixels(2, 3)) @ Grayscale() @ AveragePool(4, (8, 12)), (3, 8, 12)),
    Case("old photo, bracketed", Mask(pixels(2, 3)) @ (Grayscale() @ AveragePool(4, (8, 12))), (3, 8, 12)),
    Case(
        "old photo, mask of each image",
        Mask(pixels(2, 1, 4, 3)) @ AveragePool(2, (8, 6)) @ Grayscale(),
        (3, 8, 6),
    ),
    Case("grey coarse", Grayscale() @ AveragePool(3, (6, 9)), (3, 6, 9)),
    Case("coarse grey", AveragePool(3, (6, 9)) @ Grayscale(), (3, 6, 9)),
    Case("coarser", AveragePool(2, (4, 6)) @ AveragePool(2, (8, 12)), (2, 8, 12)),
    Case("pool of a crop", AveragePool(2, (4, 6)) @ Crop((9, 8), (4, 6)), (2, 9, 8)),
    Case("crop of a pool", Crop((4, 3), (2, 2)) @ AveragePool(2, (8, 6)), (2, 8, 6)),
    Case(
        "grey compressed sensing",
        WalshHadamard.random((8, 4), 0.4, generator=generator()) @ Grayscale(),
        (3, 8, 4),
    ),
    Case(
        "coarse compressed sensing",
        WalshHadamard.random((4, 4), 0.5, generator=generator()) @ AveragePool(2, (8, 8)) @ Grayscale(),
        (3, 8, 8),
    ),
    Case("grey blur", CircularBlur(gaussian_kernel(0.5), (9, 8)) @ Grayscale(), (3, 9, 8)),
    Case("coarse blur", gaussian_blur((4, 5), 0.5) @ AveragePool(2, (8, 10)), (1, 8, 10)),
    Case("masked blur", Mask(pixels(9, 8)) @ CircularBlur(gaussian_kernel(0.5), (9, 8)), (1, 9, 8)),
    Case("single coil, lines", SingleCoil(lines(10)), (1, 9, 10), COMPLEX),
    Case("single coil, points", SingleCoil(pixels(8, 11)), (1, 8, 11), COMPLEX),
    Case("sense, lines", Sense(coil_maps(12, 11), lines(11)), (1, 12, 11), COMPLEX),
    Case("sense, points", Sense(coil_maps(11, 10), pixels(11, 10)), (1, 11, 10), COMPLEX),
    Case("spectral sense", Sense(coil_maps(12, 10), lines(10)).spectral(), (1, 12, 10), COMPLEX, LOSSY),
    Case("spectral sense, odd", Sense(coil_maps(11, 9), lines(9)).spectral(), (1, 11, 9), COMPLEX, LOSSY),
    Case(
        "spectral sense of a crop",
        Sense(coil_maps(12, 10), lines(10)).spectral() @ Crop((15, 14), (12, 10)),
        (1, 15, 14),
        COMPLEX,
        LOSSY,
    ),
    Case("resolved sense", Sense(coil_maps(12, 10), lines(10)).resolvent(5.0), (1, 12, 10), COMPLEX),
    Case(
        "resolved sense, odd, certain data",
        Sense(coil_maps(11, 9), lines(9)).resolvent(1e4),
        (1, 11, 9),
        COMPLEX,
    ),
    Case(
        "resolved sense of a crop",
        Sense(coil_maps(12, 10), lines(10)).resolvent(5.0) @ Crop((15, 14), (12, 10)),
        (1, 15, 14),
        COMPLEX,
    ),
]


def seen(case: Case) -> dict[str, list[Codec]]:
    """The chains of codecs through which a prior may see the case."""
    height, width = case.shape[1:]
    field = Padded((height + 5, width + 4), (height, width))
    units: Codec = ComplexChannels(3.0) if case.dtype.is_complex else Interval(-1.0, 4.0)
    return {"alone": [], "units": [units], "field": [field], "units, field": [units, field]}


SEEN = [
    pytest.param(case, codecs, id=f"{case.name}; {name}")
    for case in CASES
    for name, codecs in seen(case).items()
]


def through(case: Case, codecs: list[Codec]) -> tuple[Problem, Problem, Tensor]:
    """The problem, the same seen through the codecs, and white codes to try it on."""
    x = white((2, *case.shape), case.dtype)
    problem = Problem(case.operator, case.operator(x), 0.1)
    view, z = problem, x
    for codec in codecs:
        view, z = view.encoded(codec), codec.encode(z)
    return problem, view, white(z.shape, z.dtype, seed=8)


@pytest.mark.parametrize(("case", "codecs"), SEEN)
def test_laws(case: Case, codecs: list[Codec]) -> None:
    _, view, z = through(case, codecs)
    for kind in (SpectralOperator, ResolventOperator):
        assert isinstance(view.operator, kind) == isinstance(case.operator, kind)
    for law in laws.laws_of(view.operator):
        law(view.operator, z, case.tolerance)


@dataclass(frozen=True)
class Broken(LinearOperator):
    """y = x with one fault."""

    fault: str

    def __call__(self, x: Tensor) -> Tensor:
        match self.fault:
            case "linearity":
                return x.square()
            case "batch axis":
                return x[0]
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        match self.fault:
            case "adjoint":
                return 0.7 * y
            case "shape":
                return y[..., :-1]
        return y

    def normal(self, x: Tensor) -> Tensor:
        return 2 * x if self.fault == "normal" else super().normal(x)

    @property
    def support(self) -> Tensor | None:
        return torch.zeros(6, 8) if self.fault == "support" else None

    @property
    def sampled(self) -> Tensor | None:
        return torch.zeros(6, 8) if self.fault == "sampled" else None

    def preconditioner(self, gamma):
        return (lambda x: x.roll(1, -1)) if self.fault == "preconditioner" else None


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            "linearity",
            r"law of its linearity: A\(2 x - 3 z\) and 2 A\(x\) - 3 A\(z\) differ by \S+ of their norm, and 3e-05 is allowed",
        ),
        ("batch axis", "law of its batch axis: .*first axis must be the batch"),
        ("adjoint", r"law of its adjoint: <A x, y> and <x, Ah y> differ by"),
        ("shape", "law of its adjoint: Ah y is"),
        ("normal", r"law of its normal: A.normal\(x\) and Ah A x differ by 1.0e\+00"),
        ("support", "law of its support"),
        ("sampled", "law of its sampled: 288 of 288 numbers"),
        ("preconditioner", "law of its preconditioner"),
    ],
)
def test_a_broken_law_is_named_and_by_how_much(fault: str, says: str) -> None:
    with pytest.raises(InputError, match=rf"^Broken breaks a {says}"):
        check(Broken(fault), (3, 6, 8))


def wrong_spectrum(**changes: object) -> SpectralOperator:
    class Wrong(Mask):
        @property
        def spectrum(self):
            return replace(super().spectrum, **changes)

        def __call__(self, x: Tensor) -> Tensor:
            return self.keep * x

        def adjoint(self, y: Tensor) -> Tensor:
            return self.keep * y

    return Wrong(pixels(6, 8))


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"s": -torch.ones(6, 8)}, "singular values: s is complex or negative"),
        ({"s": torch.ones(5, 8)}, "singular values: s is"),
        ({"analyse": lambda x: 2 * x}, "unitary"),
        ({"synthesise": lambda c: c.roll(1, -1)}, "unitary"),
        ({"s": 0.5 * pixels(6, 8)}, "spectrum: U s Vh x and A x differ by 5.0e-01"),
        ({"shortcut": lambda x, trust, target: x}, "correction"),
        ({"measure": lambda c: c, "s": pixels(6, 8)}, "orthonormality"),
    ],
)
def test_a_broken_spectrum_is_named(changes: dict, law: str) -> None:
    with pytest.raises(InputError, match=f"Wrong breaks a law of its {law}"):
        check(wrong_spectrum(**changes), (1, 6, 8))


def test_a_broken_resolvent_and_a_broken_pseudo_inverse_are_named() -> None:
    class Halved(type(Sense(coil_maps(8, 8), lines(8)).resolvent(5.0))):
        def resolve(self, x: Tensor) -> Tensor:
            return super().resolve(x) / 2

    class Wrong(Mask):
        def pinv(self, y: Tensor) -> Tensor:
            return y

    right = Sense(coil_maps(8, 8), lines(8)).resolvent(5.0)
    with pytest.raises(InputError, match="law of its resolvent"):
        check(Halved(right.sense, right.gamma, right.box, right.inverses), (1, 8, 8), dtype=COMPLEX)
    with pytest.raises(InputError, match="law of its pseudo inverse"):
        check(Wrong(pixels(6, 8)), (1, 6, 8))


def test_images_that_an_operator_cannot_take_are_told() -> None:
    with pytest.raises(InputError, match=r"AveragePool cannot be applied to images of shape \(2, 1, 6, 8\)"):
        check(AveragePool(4, (8, 8)), (1, 6, 8))


@pytest.mark.parametrize("case", CASES[::5], ids=lambda case: case.name)
def test_what_is_right_passes(case: Case) -> None:
    check(case.operator, case.shape, dtype=case.dtype, tolerance=case.tolerance)
