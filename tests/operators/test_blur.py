"""Blurs and downsampling against their definitions."""

import pytest
import scipy.linalg
import scipy.ndimage
import torch
from laws import close, white

from medrestore.consistency import prox
from medrestore.operators import (
    CircularBlur,
    LocalOperator,
    ReflectingBlur,
    bicubic_downsample,
    gaussian_blur,
    gaussian_kernel,
    motion_kernel,
)
from medrestore.problem import Problem


def test_gaussian_blur_reflects() -> None:
    x = white((17, 14))
    expected = scipy.ndimage.gaussian_filter(x.double().numpy(), (2.5, 1.0), mode="reflect", truncate=4)
    close(gaussian_blur((17, 14), (2.5, 1.0))(x[None, None])[0, 0], torch.from_numpy(expected).float(), 2e-4)


def test_bicubic_downsample_has_all_its_taps() -> None:
    A = bicubic_downsample((48, 36), 3)
    close(A(torch.ones(1, 1, 48, 36)), torch.ones(1, 1, 16, 12))
    assert A.rows[8].abs().gt(1e-7).nonzero().flatten().tolist() == [
        20,
        21,
        23,
        24,
        25,
        26,
        27,
        29,
        30,
    ]  # +-3: Keys is 0
    assert int((bicubic_downsample((64, 64), 4).rows[8].abs() > 1e-7).sum()) == 16
    x = white((1, 1, 48, 36))
    peer = torch.nn.functional.interpolate(x, (16, 12), mode="bicubic", antialias=True, align_corners=False)
    close(A(x)[..., 2:-2, 2:-2], peer[..., 2:-2, 2:-2])
    shifted = bicubic_downsample((48, 36), 4)(x)
    close(bicubic_downsample((48, 36), 4)(x.flip(-1)).flip(-1), shifted)


def test_circular_blur_wraps() -> None:
    x, kernel = white((9, 8)), white((3, 4), seed=1)
    expected = sum(float(kernel[i, j]) * x.roll((i - 1, j - 2), (0, 1)) for i in range(3) for j in range(4))
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


def test_reflecting_blur_is_that_of_scipy() -> None:
    x, kernel = white((20, 17)), white((5, 4), seed=1)
    expected = scipy.ndimage.convolve(x.double().numpy(), kernel.double().numpy(), mode="reflect")
    close(ReflectingBlur(kernel, (20, 17))(x[None, None])[0, 0], torch.from_numpy(expected).float())


def test_a_kernel_larger_than_the_image_is_refused() -> None:
    for kind in (CircularBlur, ReflectingBlur):
        with pytest.raises(ValueError, match="larger than the image"):
            kind(torch.ones(9, 3), (8, 8))


@pytest.mark.parametrize("A", [gaussian_blur((40, 36), 1.0), ReflectingBlur(motion_kernel(7.0, 30.0), (40, 36)),
                               bicubic_downsample((40, 36), 2)], ids=["gaussian", "motion", "bicubic"])
def test_windows_explain_all_but_a_halo(A: LocalOperator) -> None:
    """Inside the image the footprint lacks what reaches beyond the window; at its edges it lacks nothing."""
    x, here = white((1, 1, 40, 36)), (slice(0, 24), slice(12, 36))
    rows, columns = A.footprint(here)
    close(A.restrict(here)(x[(..., *here)]), A(x)[..., rows, columns])
    per_row = A(x).shape[-2] / 40
    assert rows.start == 0 and rows.stop / per_row >= 24 - A.halo - 1 and rows.stop / per_row < 24
    assert columns.stop == A(x).shape[-1] and columns.start * 36 / A(x).shape[-1] > 12
    whole = slice(0, 40), slice(0, 36)
    close(A.restrict(whole)(x), A(x))
    with pytest.raises(ValueError, match="take larger windows"):
        A.footprint((slice(20, 22), slice(16, 18)))


def test_the_preconditioner_of_a_reflecting_blur_is_nearly_the_inverse() -> None:
    A, x = ReflectingBlur(gaussian_kernel(1.0), (32, 32)), white((1, 1, 32, 32))
    off = A.preconditioner(1.0)(x + A.normal(x)) - x  # above 20 it is held up
    assert float(off[..., 8:-8, 8:-8].abs().mean()) < 0.05 < float(off.abs().max())


def test_a_data_step_that_ends_early_leaves_no_waves_where_a_blur_has_zeros() -> None:
    generator = torch.Generator().manual_seed(0)
    A, (truth, noise, start) = (ReflectingBlur(motion_kernel(9.0, 30.0), (48, 48)),
                                torch.randn(3, 1, 1, 48, 48, generator=generator).unbind())
    problem = Problem(A, A(truth) + 0.005 * noise, 0.005)
    x, gamma = truth + 2 * start, 16 / 0.005**2
    solved, early = prox(problem, x, gamma, cg_steps=1000, rtol=1e-6), prox(problem, x, gamma)
    assert float((solved - truth).std()) < float((early - truth).std()) < 1.0 < float((x - truth).std())
