"""A network with a second image gets it as further channels, for every image of the batch."""

import torch
from torch import Tensor, nn

from medrestore.priors import EDM, NetworkPrior
from medrestore.priors.conditional import Conditioned


class Recorded(nn.Module):
    """Returns the noisy channel of its input, which it records."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Tensor] = []

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.inputs.append(x)
        return x[:, :1]


def test_the_condition_follows_the_noisy_image() -> None:
    net, condition = Recorded(), torch.rand(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    out = Conditioned(net, condition)(x, torch.zeros(3))
    torch.testing.assert_close(out, x)
    assert net.inputs[0].shape == (3, 3, 4, 4)
    for image in net.inputs[0]:
        torch.testing.assert_close(image[1:], condition[0])


def test_a_condition_of_one_pixel_is_spread() -> None:
    net = Recorded()
    Conditioned(net, torch.full((1, 2, 1, 1), 5.0))(torch.zeros(2, 1, 4, 6), torch.zeros(2))
    assert net.inputs[0].shape == (2, 3, 4, 6) and bool((net.inputs[0][:, 1:] == 5).all())


def test_a_condition_for_every_sample_stays_with_it_and_is_no_weight() -> None:
    net, condition = Recorded(), torch.arange(2.0).reshape(2, 1, 1, 1).expand(2, 1, 4, 4)
    module = Conditioned(net, condition)
    prior = NetworkPrior(module, EDM(), channels=1)
    prior(torch.zeros(2, 1, 4, 4), 1.0)
    assert net.inputs[0][:, 1, 0, 0].tolist() == [0.0, 1.0]
    assert not module.state_dict() and module.half().condition.dtype == torch.float16
