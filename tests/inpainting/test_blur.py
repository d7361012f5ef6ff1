"""Frames that are blurred: where the kernel is looked for, and fills as blurred as what is around them."""

from dataclasses import replace

import pytest
import torch
from helpers.frames import SIZE, FieldPrior, known, picture
from helpers.pictured import off
from torch import Tensor

from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.inpainting.blur import blurred_fills, kernel_of_frame, seen_square
from medrestore.inpainting.frame import check_inpaint_plan, inpaint_frame
from medrestore.inpainting.plan import Plan
from medrestore.methods import DDNM, DiffPIR
from medrestore.operators import ReflectingBlur, motion_kernel

PLAN = Plan(steps=8, sigma_max=10.0, window=48, feather=0, blur=5, method=DiffPIR())
KERNEL = motion_kernel(5.0, 30.0)


def blurred(frame: Tensor) -> Tensor:
    size = (frame.shape[-2], frame.shape[-1])
    return ReflectingBlur(KERNEL, size)(frame[None].float())[0].round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_the_square_is_the_largest_of_those_that_are_seen(seed: int) -> None:
    keep = torch.rand(20, 30, generator=torch.Generator().manual_seed(seed)) > 0.02
    rows, columns = seen_square(keep)
    side = rows.stop - rows.start
    assert side == columns.stop - columns.start and bool(keep[rows, columns].all())
    larger = keep.unfold(0, side + 2, 1).unfold(1, side + 2, 1).flatten(2).all(-1)
    assert not bool(larger.any())
    empty, _ = seen_square(torch.zeros(4, 4, dtype=torch.bool))
    assert empty.stop - empty.start == 0


def test_a_fill_is_as_blurred_as_the_frame() -> None:
    """With the kernel and the field known: nearer to the blurred truth than the sharp fill of a method that knows of no blur."""
    frame, keep = blurred(picture(size=(32, 32))), known((12, 12, 6, 6), size=(32, 32))
    seen = torch.where(keep, frame, 0)
    fills = blurred_fills(seen, keep, KERNEL, FieldPrior(), Interval(), replace(PLAN, samples=4), range(4), "cpu")
    sharp = inpaint_frame(torch.where(keep, frame, 0), keep, FieldPrior(),
                          Plan(steps=8, sigma_max=10.0, window=32, samples=4, feather=0))
    assert fills.shape == (4, 3, 32, 32)
    assert off(fills.mean(0)[:, ~keep], frame[:, ~keep]) < 0.8 * off(sharp[:, ~keep], frame[:, ~keep])
    assert off(fills.mean(0)[:, keep], frame[:, keep]) < 3


def test_the_kernel_is_found_and_known_pixels_stay() -> None:
    frame, keep = blurred(picture()), known((10, 4, 9, 8))
    kernel = kernel_of_frame(frame, keep, 5, FieldPrior(), Interval(), PLAN)
    assert kernel.shape == (5, 5) and float(kernel.min()) >= 0 and float(kernel.sum()) == pytest.approx(1, abs=1e-3)
    filled = inpaint_frame(frame, keep, FieldPrior(), PLAN)
    assert torch.equal(filled[:, keep], frame[:, keep]) and not torch.equal(filled, frame)


def test_what_cannot_be() -> None:
    keep = known((0, 0, SIZE[0], SIZE[1] - 9))
    with pytest.raises(InputError, match="9 x 9 pixels, and to find a blur of 5 it takes 10 x 10; give a smaller `blur`"):
        kernel_of_frame(picture(), keep, 5, FieldPrior(), Interval(), PLAN)
    with pytest.raises(InputError, match=r"needs no spectrum; take as `method` one of .*diffpir"):
        check_inpaint_plan(replace(PLAN, method=DDNM()), FieldPrior())
    check_inpaint_plan(PLAN, FieldPrior())
    with pytest.raises(InputError, match="blur must be odd"):
        replace(PLAN, blur=6)
