"""Baselines of pictures that need no weight."""

import numpy as np
import pytest
import torch
from PIL import Image

from medrestore.baselines import Bicubic, DeepImagePrior, Degraded, PseudoInverse
from medrestore.errors import InputError
from medrestore.operators import AveragePool, Grayscale, Mask, WalshHadamard, gaussian_blur
from medrestore.problem import Problem


def picture(size: tuple[int, int] = (16, 24)) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))


def test_pictures_as_they_were_given() -> None:
    x = picture()
    small, grey = AveragePool(4, (16, 24)), Grayscale()
    assert torch.equal(Degraded().restore(Problem(small, small(x))), small(x).repeat_interleave(4, -1).repeat_interleave(4, -2))
    assert torch.equal(Degraded().restore(Problem(grey, grey(x))), grey(x).repeat(1, 3, 1, 1))
    blur = gaussian_blur((16, 24), 1.0)
    assert torch.equal(Degraded().restore(Problem(blur, blur(x))), blur(x))
    mask = Mask((x[0, 0] > 0.5).float())
    assert torch.equal(Degraded().restore(Problem(mask, mask(x))), mask(x))


def test_bicubic_interpolation_is_keys() -> None:
    """Exact for planes away from the border, and Pillow's everywhere."""
    small = AveragePool(4, (32, 32))
    rows = torch.arange(32.0)[:, None].expand(32, 32)[None, None] / 64
    x = torch.cat([rows, rows.mT, rows * 0 + 0.3], 1)
    got = Bicubic().restore(Problem(small, small(x)))
    torch.testing.assert_close(got[..., 10:22, 10:22], x[..., 10:22, 10:22], atol=5e-3, rtol=0)
    image = Image.fromarray(np.uint8(255 * small(picture((32, 32)))[0, 0].numpy())).resize((32, 32), Image.Resampling.BICUBIC)
    made = Bicubic().restore(Problem(small, small(picture((32, 32)))))[0, 0]
    assert float((made - torch.from_numpy(np.array(image) / 255)).abs().max()) < 0.01


def test_the_pseudo_inverse_explains_the_data() -> None:
    x, pool = picture(), AveragePool(4, (16, 24))
    torch.testing.assert_close(pool(PseudoInverse().restore(Problem(pool, pool(x)))), pool(x))


def test_measurements_that_are_no_picture_are_refused() -> None:
    A = WalshHadamard.random((16, 16), 0.25, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"WalshHadamard measures .* which is no picture; take PseudoInverse"):
        Degraded().restore(Problem(A, A(picture((16, 16)))))


def test_an_untrained_decoder_fills_what_is_missing() -> None:
    """Nearer to a smooth picture than the mean of what is known, and the same every time."""
    rows = torch.linspace(0.1, 0.9, 48)[None, None, :, None].expand(1, 3, 48, 48)
    mask = Mask((torch.rand(48, 48, generator=torch.Generator().manual_seed(0)) < 0.5).float())
    problem = Problem(mask, mask(rows))
    baseline = DeepImagePrior(channels=16, layers=5, steps=120)
    made = baseline.restore(problem)
    assert made.shape == rows.shape and not made.requires_grad
    assert float((made - rows).square().mean().sqrt()) < 0.2 * float(rows.std())
    assert torch.equal(baseline.restore(problem), made)
