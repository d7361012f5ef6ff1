"""The loss of autoencoders."""

import pytest
import torch

from medrestore.training.latent_config import AutoencoderLoss
from medrestore.training.reconstruction import Judge, gradient_error, reconstruction_error


def test_edges_are_compared_at_three_scales() -> None:
    image, other = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    other[..., 4:] = 1.0  # a step of 1: one of 7, of 3 and of 1 differences along the rows
    assert float(gradient_error(image, other)) == pytest.approx((1 / 7 + 1 / 3 + 1) / 3)
    assert float(gradient_error(image, image + 5.0)) == 0  # not the mean


def test_the_error_is_the_weighted_sum() -> None:
    image, made = torch.zeros(2, 3, 8, 8), torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    error = reconstruction_error(made, image, AutoencoderLoss(l1=2.0, squared=5.0, gradients=3.0))
    want = 2 * float(made.mean()) + 5 * float(made.square().mean()) + 3 * float(gradient_error(made, image))
    assert float(error) == pytest.approx(want, rel=1e-5)
    alone = reconstruction_error(made, image, AutoencoderLoss(squared=0.0, gradients=0.0))
    assert float(alone) == pytest.approx(float(made.mean()), rel=1e-5)


def test_the_judge_and_the_autoencoder_learn_apart() -> None:
    torch.manual_seed(0)
    judge, image = Judge(3, 4), torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    made = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert judge(image).shape == (2, 1, 4, 4)
    judge.verdict(made).backward()
    assert made.grad is not None and all(weight.grad is None for weight in judge.parameters())
    made.grad = None
    judge.loss(image, made).backward()
    assert made.grad is None and all(weight.grad is not None for weight in judge.parameters())


def test_a_perfect_judge_has_no_loss() -> None:
    judge = Judge(1, 4)
    for weight in judge.parameters():
        torch.nn.init.zeros_(weight)
    image = torch.zeros(1, 1, 8, 8)
    assert float(judge.loss(image, image).detach()) == 1.0  # of 0 everywhere: 1 too low and 1 too high, halved
