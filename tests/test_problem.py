"""Measurements, alone and side by side, and what is refused."""

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, generator, lines, pixels
from laws import close, white

from medrestore.codecs import Codec, ComplexChannels, Interval, Padded
from medrestore.errors import InputError
from medrestore.operators import (
    AveragePool,
    Decoded,
    Functions,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
    Operator,
    Sense,
    SingleCoil,
    SpectralOperator,
    WalshHadamard,
)
from medrestore.problem import Problem, check_data, check_fits, stack

SIZE = (12, 10)
MASK = Mask(pixels(*SIZE))


def encoding(seed: int = 0) -> Sense:
    return Sense(coil_maps(*SIZE).roll(seed, 1), lines(10))


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf")])
def test_a_noise_level_that_cannot_be_is_refused(sigma: float) -> None:
    with pytest.raises(InputError, match=r"sigma is the std of the noise and cannot be .*; give 0"):
        Problem(Identity(), torch.zeros(1, 1, 4, 4), sigma)


def test_stacked_problems_are_the_single_ones() -> None:
    images = white((3, 3, *SIZE))
    A = [Mask(pixels(*SIZE, seed=k)) @ Grayscale() for k in range(3)]
    single = [Problem(one, one(images[k : k + 1]), 0.1 * k) for k, one in enumerate(A)]
    both = stack(single)
    assert isinstance(both.operator, SpectralOperator)
    assert both.sigma.flatten().tolist() == pytest.approx([0.0, 0.1, 0.2])
    for name in ("y", "observed", "back_projected", "count"):
        assert torch.equal(getattr(both, name), torch.cat([getattr(one, name) for one in single])), name
    view, views = both.encoded(Interval(-1.0, 4.0)), [one.encoded(Interval(-1.0, 4.0)) for one in single]
    close(view.y, torch.cat([one.y for one in views]))
    close(view.sigma.flatten(), torch.tensor([one.sigma for one in views]))


def test_a_common_noise_level_stays_a_number_and_one_problem_itself() -> None:
    one, other = Problem(MASK, torch.zeros(1, 1, *SIZE), 0.3), Problem(MASK, torch.ones(1, 1, *SIZE), 0.3)
    assert stack([one, other]).sigma == 0.3 and stack([one, other]).operator is MASK
    assert stack([one]) is one


def test_stacks_of_stacks() -> None:
    parts = [Problem(encoding(k), white((1, 4, *SIZE), COMPLEX, seed=k), 0.1 * k) for k in range(3)]
    one, other = stack([stack(parts[:2]), parts[2]]), stack(parts)
    x = white((3, 1, *SIZE), COMPLEX)
    assert torch.equal(one.operator(x), other.operator(x)) and torch.equal(one.sigma, other.sigma)
    assert torch.equal(one.operator.normal(x), other.operator.normal(x))


def test_resolved_data_steps_of_a_stack() -> None:
    parts = [
        Problem(encoding(k).resolvent(5.0), white((1, 4, *SIZE), COMPLEX, seed=k), 0.1) for k in range(2)
    ]
    close(stack(parts).resolved, torch.cat([one.resolved for one in parts]), 1e-6)


def test_measurements_of_different_shapes_are_not_stacked() -> None:
    with pytest.raises(
        InputError, match=r"\(1, 4, 4\) torch.float32 and \(1, 8, 8\) torch.float32 cannot be stacked"
    ):
        stack([Problem(Identity(), torch.zeros(1, 1, side, side)) for side in (8, 4)])


def test_which_data_are_exact() -> None:
    y = torch.zeros(1, 1, *SIZE)
    exact, noisy = Problem(MASK, y), Problem(MASK, y, 0.2)
    assert (
        exact.exact is True and noisy.exact is False and stack([noisy, Problem(MASK, y, 0.3)]).exact is False
    )
    assert stack([exact, noisy]).exact.flatten().tolist() == [True, False]


def test_what_an_operator_lacks_is_said() -> None:
    problem = Problem(Decoded(Identity(), torch.square), torch.zeros(1, 1, 4, 4))
    with pytest.raises(TypeError, match="a LinearOperator is needed, and Identity is not one"):
        _ = problem.back_projected
    with pytest.raises(TypeError, match="a SpectralOperator is needed, and Sense is not one"):
        _ = Problem(encoding(), torch.zeros(1, 4, *SIZE)).observed


class Squared(Codec):
    def encode(self, image):
        return image.sqrt()

    def decode(self, z):
        return z.square()


class Cubed(Operator):
    def __init__(self, support=None) -> None:
        self.support = support

    def __call__(self, x):
        return x**3


def test_what_is_not_affine_or_not_linear_is_decoded() -> None:
    y, z = torch.ones(1, 1, *SIZE), white((2, 1, *SIZE))
    for operator, codec, scale in ((MASK, Squared(), 1.0), (Cubed(), Interval(-2.0, 6.0), 4.0)):
        seen = Problem(operator, y, 0.2).encoded(codec)
        assert isinstance(seen.operator, Decoded) and torch.equal(seen.y, y / scale) and seen.sigma == 0.2 / scale
        close(seen.operator(z), operator(codec.decode(z)) / scale)


def test_the_support_of_a_nonlinear_operator_is_seen_through_affine_codecs() -> None:
    problem = Problem(Cubed(pixels(*SIZE)), torch.zeros(1, 1, *SIZE))
    seen = problem.encoded(ComplexChannels(2.0)).encoded(Padded((16, 16), SIZE))
    assert torch.equal(
        seen.operator.support,
        Padded((16, 16), SIZE).linear.adjoint(problem.operator.support[None, None])[0, 0],
    )
    assert problem.encoded(Squared()).operator.support is None


SENSE, REAL = encoding(), torch.zeros(1, 1, *SIZE)
KSPACE = torch.zeros(1, 4, *SIZE, dtype=COMPLEX)


@pytest.mark.parametrize(
    ("operator", "y", "says"),
    [
        (MASK, REAL[0, 0], r"y has shape \(12, 10\), without a batch axis"),
        (
            MASK,
            REAL[0],
            r"makes an image of shape \(1, 12, 10\) instead of .*; add the batch axis as y\[None\]",
        ),
        (
            SENSE,
            KSPACE[0].expand(4, *SIZE),
            r"a batch of 4 measurements.*or y\[None\] where the batch axis is missing",
        ),
        (
            MASK,
            REAL.expand(3, 1, *SIZE),
            r"a batch of 3 measurements, and restore takes one; give a list of problems to restore_all",
        ),
        (AveragePool(2, SIZE), torch.zeros(1, 1, 4, 6, 7, 5)[0], "instead of"),
        (MASK, torch.zeros(1, 1, 5, 7), r"Mask cannot have measured y of shape \(1, 1, 5, 7\)"),
        (MASK, REAL / 0, "y has values that are not finite"),
        (SENSE, KSPACE * torch.inf, "y has values that are not finite"),
    ],
)
def test_data_of_no_image(operator: LinearOperator, y: torch.Tensor, says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_data(Problem(operator, y))


FIELD = Padded(SIZE, SIZE)


@pytest.mark.parametrize(
    ("operator", "y", "codec", "channels", "says"),
    [
        (
            SENSE,
            KSPACE[:, :3],
            ComplexChannels(1.0),
            2,
            r"Sense cannot have measured y|Sense measures \(1, 4, 12, 10\)",
        ),
        (SENSE, KSPACE.real, ComplexChannels(1.0), 2, "Sense measures complex data, and y is real"),
        (
            SENSE,
            KSPACE,
            Interval(),
            1,
            "the data are of a complex image and the prior's codec is of real images",
        ),
        (
            MASK,
            REAL + 0j,
            Interval(),
            1,
            "the data are of a complex image and the prior's codec is of real images",
        ),
        (
            MASK,
            REAL,
            ComplexChannels(1.0),
            2,
            "the data are of a real image and the prior's codec is of complex images",
        ),
        (
            Grayscale(),
            REAL,
            Interval(),
            1,
            r"image of shape \(3, 12, 10\) .* the prior makes images of \(1, 12, 10\)",
        ),
        (
            Cubed(),
            torch.zeros(1, 1, 5, 7),
            Interval(),
            1,
            r"Cubed measures \(1, 1, 12, 10\) of an image, and y has shape \(1, 1, 5, 7\)",
        ),
        (
            WalshHadamard.random((8, 16), 0.5, generator=generator()),
            torch.zeros(1, 1, 64),
            Interval(),
            1,
            "image of shape",
        ),
        (Cubed(), REAL + 0j, Interval(), 1, "Cubed measures real data, and y is complex"),
    ],
)
def test_data_of_another_image(
    operator: Operator, y: torch.Tensor, codec: Codec, channels: int, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        check_fits(Problem(operator, y), codec, FIELD, channels)


@pytest.mark.parametrize(
    "operator", [MASK, AveragePool(2, SIZE), Grayscale(), MASK @ Grayscale()], ids=lambda A: A.kind
)
def test_images_in_other_units(operator: LinearOperator) -> None:
    """8-bit images for a prior of 0 to 1; noise and a little overshoot are no such thing."""
    x = 255 * torch.rand(1, 3, *SIZE, generator=generator())

    def check(y: torch.Tensor, sigma: float, codec: Interval) -> None:
        check_fits(Problem(operator, y, sigma), codec, FIELD, 3)

    with pytest.raises(
        InputError,
        match=r"reaches [12]\d\d, far outside the interval of the prior, 0 to 1; .*Interval\(0, 255\)",
    ):
        check(operator(x), 0.0, Interval())
    check(operator(x), 0.0, Interval(0.0, 255.0))
    check(operator(x / 100), 0.0, Interval())
    check(operator(x / 255) + 5 * white(operator(x).shape), 5.0, Interval())


def test_data_that_fit() -> None:
    for operator, y, codec, channels in (
        (SENSE, KSPACE, ComplexChannels(1.0), 2),
        (SingleCoil(lines(10)), KSPACE[:, :1], ComplexChannels(1.0), 2),
        (MASK, REAL, Interval(), 1),
        (Cubed(), REAL, Interval(), 1),
    ):
        check_data(Problem(operator, y))
        check_fits(Problem(operator, y), codec, FIELD, channels)


def test_noise_of_a_pseudo_inverse() -> None:
    """Root mean square over what is measured: that of y for singular values of 1, whatever the share; y in other units."""
    half, pool = Mask(torch.eye(16)), AveragePool(4, (16, 16))
    for operator, want in ((half, 0.3), (pool, 1.2), (Functions(lambda x: 50 * half(x), lambda y: half(y) / 50), 0.006)):
        y = operator(torch.ones(2, 1, 16, 16))
        noise = Problem(operator, y, 0.3).inverted_noise
        assert noise.shape == (2, 1, 1, 1) and noise.flatten().tolist() == pytest.approx([want, want], rel=1e-4)
    joint = stack([Problem(half, half(torch.ones(1, 1, 16, 16)), sigma) for sigma in (0.0, 0.3)])
    assert joint.inverted_noise.flatten().tolist() == pytest.approx([0.0, 0.3])
    nothing = Mask(torch.zeros(16, 16))
    assert float(Problem(nothing, torch.zeros(1, 1, 16, 16), 0.3).inverted_noise) == 0.0


def test_pseudo_inverse_of_data() -> None:
    pool, x = AveragePool(2, (4, 4)), torch.arange(16.0).reshape(1, 1, 4, 4)
    torch.testing.assert_close(pool(Problem(pool, pool(x)).pseudo_inverse), pool(x))


def test_problems_move_with_operator_data_and_noise() -> None:
    problem = Problem(Mask(torch.ones(4, 4)), torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 1, 1))
    there = problem.to("meta")
    assert {one.device.type for one in (there.operator.keep, there.y, there.sigma)} == {"meta"}
    assert problem.to("cpu").operator is problem.operator and Problem(problem.operator, problem.y, 0.5).to("meta").sigma == 0.5
