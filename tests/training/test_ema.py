"""Averages of weights have their half-life, and are exchanged with the network's own weights and back."""

import pytest
import torch

from medrestore.training.ema import ExponentialMovingAverage


def test_weights_count_half_after_the_half_life() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, 1.0)
    average = ExponentialMovingAverage(net, 100)
    torch.nn.init.constant_(net.weight, 0.0)
    for step in range(10):
        average.update(net, 10_000 + 10 * step, 10)
    with average.applied_to(net):
        assert float(net.weight.detach()) == pytest.approx(0.5)
    assert float(net.weight.detach()) == 0.0


def test_half_life_is_short_early_in_a_run() -> None:
    """After 100 images it is 5, whatever is asked for: a step of 100 images leaves almost nothing of the first weights."""
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, 1.0)
    average = ExponentialMovingAverage(net, 10_000)
    torch.nn.init.constant_(net.weight, 0.0)
    average.update(net, 100, 100)
    assert float(average.weights[0]) == pytest.approx(0.5**20)


def test_own_weights_come_back_after_an_error() -> None:
    net = torch.nn.Linear(2, 2)
    average = ExponentialMovingAverage(net, 10)
    torch.nn.init.constant_(net.weight, 3.0)
    with pytest.raises(KeyboardInterrupt), average.applied_to(net):
        assert torch.equal(net.weight, average.weights[0])
        raise KeyboardInterrupt
    assert torch.equal(net.weight, torch.full((2, 2), 3.0))
    average.copy_from(net)
    assert torch.equal(average.weights[0], net.weight)
