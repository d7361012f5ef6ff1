"""Blurs and downsampling against their definitions."""

import pytest
import scipy.linalg
import scipy.ndimage
import torch
from laws import close, white

from medrestore.operators import (
    CircularBlur,
    bicubic_downsample,
    gaussian_blur,
    gaussian_kernel,
    motion_kernel,
)


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
