"""Image and kernel in turn: both steps against closed forms, and a kernel that is found."""

import pytest
import torch
from laws import white
from torch import Tensor

from medrestore.codecs import Interval, OneChannel
from medrestore.errors import InputError
from medrestore.inversion import DiffusionEM, kernel_correlation, restore_blind
from medrestore.inversion.em import Explained, Known, expected_image, first_kernels, fitted_kernel, on_simplex, tapered, transfers
from medrestore.operators import CircularBlur, motion_kernel
from medrestore.priors import Prior
from medrestore.problem import straightened

SIDE = 24


def close(a: Tensor, b: Tensor, atol: float = 1e-5, rtol: float = 1e-5) -> None:
    torch.testing.assert_close(a, b, atol=atol, rtol=rtol)


class Listed(Prior):
    """The exact denoiser of images that are equally likely."""

    multiple = 1

    def __init__(self, images: Tensor) -> None:
        self.images, self.channels = images, images.shape[1]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        far = (x[:, None] - self.images).square().flatten(2).sum(2)
        weights = torch.softmax(-far / (2 * sigma**2), 1)
        return torch.einsum("bk,kchw->bchw", weights, self.images)


def pictures(count: int, seed: int = 0) -> Tensor:
    """Images (count, 1, side, side) of random rectangles."""
    generator = torch.Generator().manual_seed(seed)
    made = torch.zeros(count, 1, SIDE, SIDE)
    for image in made:
        for _ in range(6):
            top, left, height, width = torch.randint(2, SIDE // 2, (4,), generator=generator).tolist()
            image[0, top : top + height, left : left + width] = float(torch.rand(1, generator=generator))
    return made


def kernel(side: int = 7) -> Tensor:
    given = motion_kernel(4.0, 30.0)
    margin = (side - given.shape[-1]) // 2
    return torch.nn.functional.pad(given, (margin,) * 4)


def test_the_image_solves_the_normal_equations() -> None:
    x0, y, k = white((2, 3, SIDE, SIDE), seed=1), white((1, 3, SIDE, SIDE), seed=2), kernel()
    image = expected_image(x0, y, k.expand(2, 7, 7), 0.3, 0.5)
    blur = CircularBlur(k, (SIDE, SIDE))
    gamma = 0.3 / 0.5**2
    close(image.x + gamma * blur.adjoint(blur(image.x)), x0 + gamma * blur.adjoint(y), atol=1e-4)
    # the variance of a pixel is the mean of the inverse of the precision over the frequencies
    precision = torch.diag(torch.ones(SIDE**2) / 0.3) + dense(blur).T @ dense(blur) / 0.5**2
    want = torch.linalg.inv(precision).diagonal().mean()
    close(image.variance[0].mean() / SIDE**2, want, rtol=1e-4)


def dense(blur: CircularBlur) -> Tensor:
    return blur(torch.eye(SIDE**2).reshape(SIDE**2, 1, SIDE, SIDE)).flatten(1).T


def test_the_kernel_minimises_the_expected_misfit() -> None:
    x, truth = pictures(1), kernel()
    y = CircularBlur(truth, (SIDE, SIDE))(x)
    certain = Explained(x, torch.zeros(1, SIDE, SIDE))
    method = DiffusionEM(7, iterations=400)
    found = fitted_kernel(certain, y, first_kernels(1, 7, x.device), method)
    close(found[0], truth, atol=2e-3)
    # with a variance the penalty on |K|^2: no kernel on the simplex nearby is better
    unsure = Explained(x, torch.full((1, SIDE, SIDE), 2.0 * SIDE**2))
    best = fitted_kernel(unsure, y, first_kernels(1, 7, x.device), method)

    def loss(k: Tensor) -> float:
        off = (torch.fft.fft2(y) - transfers(k, (SIDE, SIDE)) * torch.fft.fft2(x)).abs().square().sum()
        return float(off + (method.spread * unsure.variance * transfers(k, (SIDE, SIDE)).abs().square()).sum())

    for seed in range(20):
        other = on_simplex(best + 0.01 * white((1, 7, 7), seed=seed))
        assert loss(other) >= loss(best) * (1 - 1e-5)
    assert best.square().sum() < found.square().sum()


def test_the_nearest_point_of_the_simplex() -> None:
    v = white((3, 5, 5), seed=3)
    near = on_simplex(v)
    close(near.sum((1, 2)), torch.ones(3))
    assert float(near.min()) >= 0
    for seed in range(30):  # the angle to every other point is obtuse
        other = torch.softmax(3 * white((3, 25), seed=seed), 1).reshape(3, 5, 5)
        assert float(((v - near) * (other - near)).sum((1, 2)).max()) <= 1e-5
    close(on_simplex(near), near)


def test_a_kernel_and_its_image_are_found() -> None:
    images = pictures(12)
    truth, k = images[:1], kernel()
    y = CircularBlur(k, (SIDE, SIDE))(truth) + 0.01 * white((1, 1, SIDE, SIDE), seed=5)
    steps: list[int] = []
    made = restore_blind(y, Listed(images), DiffusionEM(7), sigma=0.01, codec=Interval(-1.0, 1.0), samples=2, steps=15,
                         on_step=lambda step, _: steps.append(step))
    assert kernel_correlation(made.kernel, k) > 0.95 and kernel_correlation(first_kernels(1, 7, y.device)[0], k) < 0.85
    close(made.best[None], truth, atol=0.1)
    assert float(made.misfit.max()) < 2 and steps == list(range(30)) and made.seeds == (0, 1)
    close(made.kernels.sum((1, 2)), torch.ones(2), atol=1e-4)
    alone = restore_blind(y, Listed(images), DiffusionEM(7), sigma=0.01, codec=Interval(-1.0, 1.0), seed=1, steps=15)
    close(alone.kernels[0], made.kernels[1], atol=1e-4)


def test_the_units_of_the_image_do_not_matter() -> None:
    images, k = pictures(12), kernel()
    y = CircularBlur(k, (SIDE, SIDE))(images[:1]) + 0.01 * white((1, 1, SIDE, SIDE), seed=5)
    made = restore_blind(y, Listed(images), DiffusionEM(7), sigma=0.01, codec=Interval(-1.0, 1.0), steps=10)
    large = restore_blind(50 * y + 50, Listed(images), DiffusionEM(7), sigma=0.5, codec=Interval(0.0, 100.0), steps=10)
    close(large.kernels, made.kernels, atol=1e-4)
    close(large.samples, 50 * made.samples + 50, atol=0.1)


def test_edges_are_blended() -> None:
    y = pictures(1) + torch.linspace(0, 1, SIDE)  # a jump across the edge
    k = first_kernels(1, 7, y.device)
    soft = tapered(y, k)
    close(soft[..., 3:-3, 3:-3], y[..., 3:-3, 3:-3])
    assert float((soft[..., 0] - soft[..., -1]).abs().mean()) < 0.5 * float((y[..., 0] - y[..., -1]).abs().mean())
    made = restore_blind(y, Listed(pictures(3)), DiffusionEM(7, edges="tapered"), sigma=0.01, codec=Interval(-1.0, 1.0), steps=4)
    assert bool(made.samples.isfinite().all())


@pytest.mark.parametrize(("method", "sigma", "says"), [
    (DiffusionEM(7), 0.0, "sigma is 0, and DiffusionEM weighs the data by their noise"),
    (DiffusionEM(25), 0.1, "a kernel of 25 is too large"),
])
def test_what_is_refused(method: DiffusionEM, sigma: float, says: str) -> None:
    with pytest.raises(InputError, match=says):
        restore_blind(pictures(1), Listed(pictures(2)), method, sigma=sigma, codec=Interval(-1.0, 1.0))


def test_an_even_side_is_refused() -> None:
    with pytest.raises(InputError, match="must be odd, got 8"):
        DiffusionEM(8)


def test_channels_that_are_known_add_nothing_to_the_kernel() -> None:
    """Of magnitudes as complex images of phase zero it is that of the magnitudes, whatever a prior says of the phase."""
    x0, y, k = pictures(1), CircularBlur(kernel(), (SIDE, SIDE))(pictures(1)), kernel().expand(1, 7, 7)
    phase, none = white((1, 1, SIDE, SIDE), seed=3), torch.zeros(1, 1, SIDE, SIDE)
    one = Known((), 1).held(expected_image(x0, y, k, 0.3, 0.5))
    straight = straightened(OneChannel.magnitude(1.0), (SIDE, SIDE), "cpu")
    two = Known(straight, 1).held(expected_image(torch.cat([x0, phase], 1), torch.cat([y, none], 1), k, 0.3, 0.5))
    close(two.x, torch.cat([one.x, none], 1))
    found = fitted_kernel(two, torch.cat([y, none], 1), k, DiffusionEM(7))
    close(found, fitted_kernel(one, y, k, DiffusionEM(7)))
