"""Operators side by side along the batch."""

from dataclasses import dataclass

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, generator, lines, pixels
from laws import close, white
from torch import Tensor

from medrestore.operators import (
    AveragePool,
    CircularBlur,
    Crop,
    Decoded,
    Grayscale,
    Identity,
    LinearOperator,
    LocalOperator,
    Mask,
    Operator,
    PseudoInvertible,
    ResolventOperator,
    Sense,
    SingleCoil,
    SpectralOperator,
    Stack,
    WalshHadamard,
    check,
    gaussian_blur,
    gaussian_kernel,
    sample_pixels,
    stack,
)

SIZE = (12, 10)


def sense(seed: int, mask: Tensor | None = None) -> Sense:
    maps = coil_maps(*SIZE).roll(seed, 1) * torch.exp(torch.tensor(1j * seed))
    return Sense(maps, lines(10).roll(seed, -1) if mask is None else mask)


def compressed(seed: int) -> WalshHadamard:
    return WalshHadamard.random((8, 4), 0.4, generator=generator(seed))


LOSSY = 5e-3
STACKS: dict[str, tuple[list[LinearOperator], tuple[int, int, int], torch.dtype, set[type[Operator]]]] = {
    "masks and identity": (
        [sample_pixels(SIZE, 0.4, generator=generator(0)), Identity()],
        (3, *SIZE),
        torch.float32,
        {SpectralOperator, LocalOperator},
    ),
    "crops": (
        [Crop(SIZE, (4, 5), (0, 1)), Crop(SIZE, (4, 5), (5, 2))],
        (2, *SIZE),
        torch.float32,
        {SpectralOperator, LocalOperator},
    ),
    "greys": (
        [Grayscale(), Grayscale((0.2, 0.3, -0.4))],
        (3, *SIZE),
        torch.float32,
        {SpectralOperator, LocalOperator},
    ),
    "blurs": (
        [gaussian_blur(SIZE, 0.4), CircularBlur(gaussian_kernel(0.4), SIZE)],
        (1, *SIZE),
        torch.float32,
        {SpectralOperator},
    ),
    "compressed": ([compressed(0), compressed(1)], (2, 8, 4), torch.float32, {SpectralOperator}),
    "pool of a mask": (
        [AveragePool(2, SIZE) @ Mask(pixels(*SIZE)), AveragePool(2, SIZE)],
        (1, *SIZE),
        torch.float32,
        {LocalOperator},
    ),
    "single coils": (
        [SingleCoil(lines(10)), SingleCoil(pixels(*SIZE))],
        (1, *SIZE),
        COMPLEX,
        {SpectralOperator},
    ),
    "sense": ([sense(0), sense(1)], (1, *SIZE), COMPLEX, set()),
    "spectral sense": ([sense(0).spectral(), sense(1).spectral()], (1, *SIZE), COMPLEX, {SpectralOperator}),
    "a spectral and a plain sense": ([sense(0).spectral(), sense(1)], (1, *SIZE), COMPLEX, set()),
    "resolvents": (
        [sense(0).resolvent(5.0), sense(1).resolvent(5.0)],
        (1, *SIZE),
        COMPLEX,
        {ResolventOperator},
    ),
    "resolvents at different gamma": (
        [sense(0).resolvent(5.0), sense(1).resolvent(2.0)],
        (1, *SIZE),
        COMPLEX,
        set(),
    ),
    "sense of a crop": ([sense(k) @ Crop((15, 14), SIZE) for k in (0, 1)], (1, 15, 14), COMPLEX, set()),
}


@pytest.mark.parametrize(("operators", "shape", "dtype", "capabilities"), STACKS.values(), ids=STACKS)
def test_a_stack_has_the_capabilities_of_all_and_obeys_their_laws(
    operators: list[LinearOperator],
    shape: tuple[int, int, int],
    dtype: torch.dtype,
    capabilities: set[type[Operator]],
) -> None:
    both = stack(operators)
    for capability in (SpectralOperator, ResolventOperator, LocalOperator):
        assert isinstance(both, capability) == (capability in capabilities), capability
    assert isinstance(both, PseudoInvertible) == (SpectralOperator in capabilities)
    assert isinstance(both, LinearOperator)
    check(both, shape, dtype=dtype, tolerance=LOSSY if "spectral" in both.kind.lower() else 3e-5)
    x = white((2, *shape), dtype)
    for k, A in enumerate(operators):
        one = slice(k, k + 1)
        close(both(x)[one], A(x[one]), 1e-6)
        close(both.adjoint(both(x))[one], A.adjoint(A(x[one])), 1e-6)


def test_operators_that_are_one_object_stay_it() -> None:
    A = sense(0)
    assert stack([A, A, A]) is A
    pool = AveragePool(2, SIZE)
    assert stack([pool, AveragePool(2, SIZE)]) is pool


def test_masks_become_one_mask() -> None:
    keeps = [pixels(*SIZE, seed=k) for k in range(3)]
    both = stack([Mask(keep) for keep in keeps])
    assert isinstance(both, Mask) and torch.equal(both.keep, torch.stack(keeps)[:, None])


@dataclass(frozen=True)
class Lattice(Mask):
    step: int = 1

    @property
    def grain(self) -> int:
        return self.step


def test_a_subclass_of_mask_stays_it_where_its_fields_agree() -> None:
    a, b = (Lattice(pixels(*SIZE, seed=k), 2) for k in (0, 1))
    both = stack([a, b])
    assert isinstance(both, Lattice) and both.grain == 2
    mixed = stack([a, Lattice(b.keep, 3)])
    assert isinstance(mixed, LocalOperator) and not isinstance(mixed, Mask) and mixed.grain == 6
    check(mixed, (1, *SIZE))


def test_runs_of_one_operator_are_applied_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, plain = [], Sense.normal
    monkeypatch.setattr(Sense, "normal", lambda self, x: seen.append(len(x)) or plain(self, x))
    a, b = sense(0), sense(1)
    both = stack([a, a, a, b, b])
    x = white((5, 1, *SIZE), COMPLEX)
    close(both.normal(x), torch.cat([plain(a, x[:3]), plain(b, x[3:])]))
    assert seen == [3, 2]


def test_support_and_sampled_are_those_of_each_image() -> None:
    a, b = sense(0), sense(1)
    both = stack([a, a, b])
    assert torch.equal(both.support, torch.stack([a.support, a.support, b.support])[:, None])
    assert torch.equal(both.sampled, torch.stack([a.mask, a.mask, b.mask])[:, None])
    some = stack([Mask(pixels(*SIZE)), Identity()])
    assert (
        torch.equal(some.sampled, torch.stack([pixels(*SIZE), torch.ones(SIZE)])[:, None])
        and some.support is None
    )
    assert stack([gaussian_blur(SIZE, 0.4), gaussian_blur(SIZE, 0.5)]).sampled is None


def test_preconditioners_are_those_of_each_and_none_changes_nothing() -> None:
    a, b = sense(0), sense(1)
    x, gamma = white((2, 1, *SIZE), COMPLEX), torch.tensor([2.0, 50.0]).reshape(2, 1, 1, 1)
    M = stack([a, b]).preconditioner(gamma)
    close(M(x), torch.cat([a.preconditioner(2.0)(x[:1]), b.preconditioner(50.0)(x[1:])]), 1e-6)
    one = stack([a, SingleCoil(lines(10))]).preconditioner(2.0)
    close(one(x), torch.cat([a.preconditioner(2.0)(x[:1]), x[1:]]), 1e-6)
    assert stack([Mask(pixels(*SIZE)), Identity()]).preconditioner(2.0) is None


def test_what_is_only_differentiable_is_stacked_too() -> None:
    squares = Decoded(Identity(), torch.square)
    both = stack([squares, Decoded(Identity(), torch.abs)])
    assert isinstance(both, Stack) and not isinstance(both, LinearOperator)
    x = white((2, 1, *SIZE))
    close(both(x), torch.cat([x[:1] ** 2, x[1:].abs()]))


def test_windows_of_a_stack() -> None:
    a, b = Mask(pixels(*SIZE)) @ Grayscale(), Mask(pixels(*SIZE, seed=1)) @ Grayscale((1.0, 0.0, 0.0))
    both, x, here = stack([a, b]), white((2, 3, *SIZE)), (slice(2, 8), slice(0, 4))
    part = both.restrict(here)
    close(part(x[(..., *here)]), both(x)[(..., *both.footprint(here))])
    coarse, rest = both.coarsen(2)
    assert rest == 2 and isinstance(coarse, LocalOperator)
    apart = stack([Crop(SIZE, (4, 4), (0, 0)), Crop(SIZE, (4, 4), (4, 4))])
    with pytest.raises(ValueError, match="restore these problems one by one"):
        apart.footprint(here)
    with pytest.raises(ValueError, match="no operators"):
        stack([])
