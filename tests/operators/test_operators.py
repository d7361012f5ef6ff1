"""Every operator keeps its laws, alone, composed, and through every codec. A new operator is one line in CASES."""

from dataclasses import dataclass

import laws
import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import torch
from laws import close, white
from torch import Tensor

from medrestore.codecs import Codec, ComplexChannels, Interval, Padded
from medrestore.operators import (
    AveragePool,
    CircularBlur,
    CoIsometry,
    Crop,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
    ResolventOperator,
    Sense,
    Separable,
    SingleCoil,
    SpectralOperator,
    WalshHadamard,
    bicubic_downsample,
    gaussian_blur,
    gaussian_kernel,
    motion_kernel,
    sample_pixels,
)
from medrestore.operators.compressed import walsh_hadamard
from medrestore.problem import Problem

COMPLEX = torch.complex64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return (torch.rand(shape, generator=generator(seed)) < 0.6).float()


def lines(width: int) -> Tensor:
    mask = torch.zeros(1, width)
    mask[:, ::3] = 1
    mask[:, width // 2 - 2 : width // 2 + 2] = 1
    return mask


def coil_maps(height: int, width: int, coils: int = 4) -> Tensor:
    """Smooth sensitivities of unit norm, zero in two columns and a corner."""
    maps = torch.fft.ifft2(white((1, coils, 4, 4), COMPLEX), s=(height, width))
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    maps[..., :2] = 0
    maps[..., :3, -3:] = 0
    return maps


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
    Case("compressed sensing, complex", WalshHadamard.random((4, 8), 0.4, generator=generator()), (1, 4, 8), COMPLEX),
    Case("old photo", Mask(pixels(2, 3)) @ Grayscale() @ AveragePool(4, (8, 12)), (3, 8, 12)),
    Case("old photo, bracketed", Mask(pixels(2, 3)) @ (Grayscale() @ AveragePool(4, (8, 12))), (3, 8, 12)),
    Case("old photo, mask of each image", Mask(pixels(2, 1, 4, 3)) @ AveragePool(2, (8, 6)) @ Grayscale(), (3, 8, 6)),
    Case("grey coarse", Grayscale() @ AveragePool(3, (6, 9)), (3, 6, 9)),
    Case("coarse grey", AveragePool(3, (6, 9)) @ Grayscale(), (3, 6, 9)),
    Case("coarser", AveragePool(2, (4, 6)) @ AveragePool(2, (8, 12)), (2, 8, 12)),
    Case("pool of a crop", AveragePool(2, (4, 6)) @ Crop((9, 8), (4, 6)), (2, 9, 8)),
    Case("crop of a pool", Crop((4, 3), (2, 2)) @ AveragePool(2, (8, 6)), (2, 8, 6)),
    Case("grey compressed sensing", WalshHadamard.random((8, 4), 0.4, generator=generator()) @ Grayscale(), (3, 8, 4)),
    Case("coarse compressed sensing",
         WalshHadamard.random((4, 4), 0.5, generator=generator()) @ AveragePool(2, (8, 8)) @ Grayscale(), (3, 8, 8)),
    Case("grey blur", CircularBlur(gaussian_kernel(0.5), (9, 8)) @ Grayscale(), (3, 9, 8)),
    Case("coarse blur", gaussian_blur((4, 5), 0.5) @ AveragePool(2, (8, 10)), (1, 8, 10)),
    Case("masked blur", Mask(pixels(9, 8)) @ CircularBlur(gaussian_kernel(0.5), (9, 8)), (1, 9, 8)),
    Case("single coil, lines", SingleCoil(lines(10)), (1, 9, 10), COMPLEX),
    Case("single coil, points", SingleCoil(pixels(8, 11)), (1, 8, 11), COMPLEX),
    Case("sense, lines", Sense(coil_maps(12, 11), lines(11)), (1, 12, 11), COMPLEX),
    Case("sense, points", Sense(coil_maps(11, 10), pixels(11, 10)), (1, 11, 10), COMPLEX),
    Case("spectral sense", Sense(coil_maps(12, 10), lines(10)).spectral(), (1, 12, 10), COMPLEX, LOSSY),
    Case("spectral sense, odd", Sense(coil_maps(11, 9), lines(9)).spectral(), (1, 11, 9), COMPLEX, LOSSY),
    Case("spectral sense of a crop",
         Sense(coil_maps(12, 10), lines(10)).spectral() @ Crop((15, 14), (12, 10)), (1, 15, 14), COMPLEX, LOSSY),
    Case("resolved sense", Sense(coil_maps(12, 10), lines(10)).resolvent(5.0), (1, 12, 10), COMPLEX),
    Case("resolved sense, odd, certain data", Sense(coil_maps(11, 9), lines(9)).resolvent(1e4), (1, 11, 9), COMPLEX),
    Case("resolved sense of a crop",
         Sense(coil_maps(12, 10), lines(10)).resolvent(5.0) @ Crop((15, 14), (12, 10)), (1, 15, 14), COMPLEX),
]


def seen(case: Case) -> dict[str, list[Codec]]:
    """The chains of codecs through which a prior may see the case."""
    height, width = case.shape[1:]
    field = Padded((height + 5, width + 4), (height, width))
    units: Codec = ComplexChannels(3.0) if case.dtype.is_complex else Interval(-1.0, 4.0)
    return {"alone": [], "units": [units], "field": [field], "units, field": [units, field]}


SEEN = [pytest.param(case, codecs, id=f"{case.name}; {name}") for case in CASES for name, codecs in seen(case).items()]


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


@pytest.mark.parametrize(("case", "codecs"), SEEN)
def test_codecs_keep_the_residual(case: Case, codecs: list[Codec]) -> None:
    problem, view, z = through(case, codecs)
    x, scale = z, 1.0
    for codec in reversed(codecs):
        x, scale = codec.decode(x), scale * codec.scale
    close((problem.operator(x) - problem.y) / scale, view.operator(z) - view.y)
    assert view.sigma == pytest.approx(problem.sigma / scale)
    assert torch.equal(view.count, problem.count)


def test_which_compositions_are_spectral() -> None:
    kinds = {case.name: type(case.operator).__mro__ for case in CASES}
    for name in ("old photo", "old photo, bracketed", "coarse compressed sensing", "grey blur", "coarse blur"):
        assert SpectralOperator in kinds[name]
    for name in ("grey coarse", "coarse grey", "coarser", "pool of a crop"):
        assert CoIsometry in kinds[name]
    assert SpectralOperator not in kinds["masked blur"]
    grey, crop = Grayscale(), Crop((9, 8), (4, 5))
    assert Identity() @ grey is grey and grey @ Identity() is grey
    assert isinstance(Mask(pixels(4, 5)) @ (crop @ ComplexChannels(2.0).linear), SpectralOperator)


@pytest.mark.parametrize("codec", [Interval(-3.0, 5.0), ComplexChannels(7.0), Padded((9, 8), (4, 5))], ids=repr)
def test_codec_round_trip(codec: Codec) -> None:
    x = white((2, 1, 4, 5), COMPLEX if isinstance(codec, ComplexChannels) else torch.float32)
    close(codec.decode(codec.encode(x)), x)
    if isinstance(codec, Interval):
        close(codec.encode(torch.tensor([-3.0, 1.0, 5.0])), torch.tensor([-1.0, 0.0, 1.0]))
    if isinstance(codec, Padded):
        close(codec.encode(x)[..., 2:6, 1:6], x)
        assert codec.encode(x).norm() == x.norm()


@pytest.mark.parametrize(("after", "size"), [
    (Identity(), (8, 6)), (Grayscale(), (8, 6)), (AveragePool(2, (8, 6)) @ Grayscale(), (4, 3)),
], ids=["plain", "grey", "coarse grey"])
def test_one_mask_for_each_image(after: LinearOperator, size: tuple[int, int]) -> None:
    x, keep = white((3, 3, 8, 6)), pixels(3, 1, *size)
    whole = Mask(keep) @ after
    for k in range(3):
        one = Mask(keep[k, 0]) @ after
        close(whole(x)[k : k + 1], one(x[k : k + 1]))
        close(whole.pinv(whole(x))[k : k + 1], one.pinv(one(x[k : k + 1])))


LOCAL = {
    "identity": (Identity(), (3, 16, 12)),
    "mask": (Mask(pixels(16, 12)), (3, 16, 12)),
    "mask of each image": (Mask(pixels(2, 1, 16, 12)), (3, 16, 12)),
    "pool": (AveragePool(4, (16, 12)), (3, 16, 12)),
    "grey": (Grayscale(), (3, 16, 12)),
    "old photo": (Mask(pixels(4, 3)) @ Grayscale() @ AveragePool(4, (16, 12)), (3, 16, 12)),
    "mask of each image, coarse": (Mask(pixels(2, 1, 4, 3)) @ AveragePool(4, (16, 12)), (3, 16, 12)),
    "part": (Crop((16, 12), (8, 6), (5, 3)), (3, 16, 12)),
    "part beside": (Crop((16, 12), (16, 3), (0, 0)), (3, 16, 12)),
    "pool of a part": (Mask(pixels(4, 4)) @ AveragePool(2, (8, 8)) @ Crop((16, 12), (8, 8), (4, 4)), (3, 16, 12)),
    "pool of a mask": (AveragePool(4, (16, 12)) @ Mask(pixels(16, 12)), (3, 16, 12)),
    "in units": ((Mask(pixels(16, 12)) @ ComplexChannels(2.0).linear), (2, 16, 12)),
}


@pytest.mark.parametrize(("operator", "shape"), LOCAL.values(), ids=LOCAL)
@pytest.mark.parametrize("window", [(slice(4, 12), slice(0, 8)), (slice(0, 16), slice(8, 12)), (slice(None), slice(4, None))])
def test_a_window_of_a_local_problem(operator: LinearOperator, shape: tuple[int, ...], window) -> None:
    x = white((2, *shape))
    part = Problem(operator, operator(x)).restrict(window)
    close(part.operator(x[(..., *window)]), part.y)
    for law in laws.laws_of(part.operator):
        law(part.operator, x[(..., *window)], laws.EXACT)


def test_windows_that_make_no_problem() -> None:
    with pytest.raises(ValueError, match="multiples of the factor"):
        AveragePool(4, (16, 12)).restrict((slice(2, 10), slice(0, 8)))
    with pytest.raises(TypeError, match="not local"):
        SingleCoil(lines(12)).restrict((slice(0, 4), slice(0, 4)))
    with pytest.raises(TypeError, match="not local"):
        (SingleCoil(lines(12)) @ ComplexChannels(2.0).linear).restrict((slice(0, 4), slice(0, 4)))


@pytest.mark.parametrize("make", [
    lambda: AveragePool(4, (10, 12)), lambda: Grayscale((0.0, 0.0)), lambda: bicubic_downsample((10, 12), 4),
    lambda: gaussian_blur((8, 8), 0.0), lambda: CircularBlur(torch.ones(3, 9), (8, 8)), lambda: motion_kernel(0.0, 0.0),
    lambda: WalshHadamard.random((6, 8), 0.5, generator=generator()), lambda: gaussian_kernel(-1.0),
    lambda: sample_pixels((8, 8), 1.5, generator=generator()),
])
def test_impossible_operators_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        make()


def test_sampling_is_exact_and_repeatable() -> None:
    first, again, other = (sample_pixels((9, 11), 0.37, generator=generator(seed)).keep for seed in (3, 3, 4))
    assert first.sum() == round(0.37 * 99) and first.shape == (9, 11)
    assert torch.equal(first, again) and not torch.equal(first, other)
    kept = WalshHadamard.random((8, 8), 0.3, generator=generator()).kept
    assert len(kept) == round(0.3 * 64) == len(kept.unique()) and 0 in kept


def test_pooling_and_grey_are_means() -> None:
    x = white((1, 3, 8, 12))
    close(AveragePool(4, (8, 12))(x), torch.nn.functional.avg_pool2d(x, 4))
    close(Grayscale()(x), x.mean(1, keepdim=True))


def test_walsh_hadamard_is_the_hadamard_matrix() -> None:
    matrix = scipy.linalg.hadamard(16) / 4
    close(walsh_hadamard(torch.eye(16)), torch.from_numpy(matrix).float())


def test_gaussian_blur_reflects() -> None:
    x = white((17, 14))
    expected = scipy.ndimage.gaussian_filter(x.double().numpy(), (2.5, 1.0), mode="reflect", truncate=4)
    close(gaussian_blur((17, 14), (2.5, 1.0))(x[None, None])[0, 0], torch.from_numpy(expected).float(), 2e-4)


def test_bicubic_downsample_has_all_its_taps() -> None:
    A = bicubic_downsample((48, 36), 3)
    close(A(torch.ones(1, 1, 48, 36)), torch.ones(1, 1, 16, 12))
    assert A.rows[8].abs().gt(1e-7).nonzero().flatten().tolist() == [20, 21, 23, 24, 25, 26, 27, 29, 30]  # +-3: Keys is 0
    assert int((bicubic_downsample((64, 64), 4).rows[8].abs() > 1e-7).sum()) == 16
    x = white((1, 1, 48, 36))
    peer = torch.nn.functional.interpolate(x, (16, 12), mode="bicubic", antialias=True, align_corners=False)
    close(A(x)[..., 2:-2, 2:-2], peer[..., 2:-2, 2:-2])
    shifted = bicubic_downsample((48, 36), 4)(x)
    close(bicubic_downsample((48, 36), 4)(x.flip(-1)).flip(-1), shifted)


def test_circular_blur_wraps() -> None:
    x, kernel = white((9, 8)), white((3, 4), seed=1)
    expected = sum(
        float(kernel[i, j]) * x.roll((i - 1, j - 2), (0, 1)) for i in range(3) for j in range(4)
    )
    close(CircularBlur(kernel, (9, 8))(x[None, None])[0, 0], expected)


def test_kernels() -> None:
    close(motion_kernel(5.0, 0.0), torch.full((5, 5), 0.2) * torch.tensor([0.0, 0, 1, 0, 0])[:, None])
    close(motion_kernel(5.0, 90.0), motion_kernel(5.0, 0.0).T)
    rising = motion_kernel(7.0, 45.0)
    assert rising[1, -2] > 0 and rising[1, 1] == 0
    for kernel in (rising, gaussian_kernel(1.3), motion_kernel(3.7, 20.0)):
        assert float(kernel.sum()) == pytest.approx(1.0, abs=1e-5) and kernel.shape[0] % 2 == 1
        close(kernel.flip(0, 1), kernel, 2e-3)
    spread = (gaussian_kernel(1.3).sum(0) * torch.arange(-6, 7) ** 2).sum() ** 0.5
    assert float(spread) == pytest.approx(1.3, abs=0.01)


def test_faint_singular_values_are_null_space() -> None:
    for A in (gaussian_blur((32, 32), 2.0), CircularBlur(gaussian_kernel(2.0), (32, 32))):
        s = A.spectrum.s
        assert float(s[s > 0].min()) >= 1e-3 * float(s.max()) and (s == 0).any()
        assert float(A.pinv(A(white((1, 1, 32, 32)))).abs().max()) < 10


def test_grey_support_reaches_every_channel() -> None:
    support = pixels(6, 7)
    np.testing.assert_array_equal(Grayscale((0.0, 1.0)).lift(support), support)
    np.testing.assert_array_equal(AveragePool(2, (12, 14)).lift(support), support.repeat_interleave(2, 0).repeat_interleave(2, 1))
