"""A network as a classifier: its levels, and log-probabilities."""

import torch
from torch import nn

from medrestore.priors import EDM, Classes, Epsilon, NetworkClassifier


class Told(nn.Module):
    """Logits are the mean of the input, the time, and 0."""

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.mean((1, 2, 3)), t, 0 * t], 1)


def test_the_network_is_given_its_input_and_its_time() -> None:
    x = torch.full((2, 1, 4, 4), 3.0)
    for parametrisation, expected in ((EDM(0.5, time_scale=2.0), (3 / (0.25 + 0.25) ** 0.5, 2 * torch.tensor(0.5).log())),
                                      (Epsilon(), (3 / 1.25**0.5, Epsilon().timestep(torch.tensor([0.5]))[0]))):
        found = NetworkClassifier(Told(), parametrisation, classes=Classes(3), channels=1)(x, 0.5)
        logits = torch.tensor([float(expected[0]), float(expected[1]), 0.0])
        torch.testing.assert_close(found, logits.log_softmax(0).expand(2, 3), rtol=1e-4, atol=1e-5)
