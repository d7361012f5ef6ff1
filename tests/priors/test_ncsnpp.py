"""NCSN++ as a network of its own; that it is the published one is in `convert/test_ncsnpp.py`."""

import pytest
import torch

from medrestore.priors.ncsnpp import NCSNpp, groups


def made(**changes) -> NCSNpp:
    torch.manual_seed(0)
    net = NCSNpp(**({"channels": 1, "width": 8, "mults": (1, 2), "blocks": 1, "attention": (False, True)} | changes)).eval()
    net.frequencies.copy_(torch.linspace(0.1, 1.0, len(net.frequencies)))
    return net.requires_grad_(False)


X = torch.rand(2, 1, 8, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("progressive_input", ["residual", "input_skip"])
@pytest.mark.parametrize("progressive", ["none", "output_skip"])
def test_the_score_has_the_shape_of_the_image_and_levels_of_its_own(progressive_input, progressive) -> None:
    net = made(progressive_input=progressive_input, progressive=progressive)
    out = net(X, torch.tensor([0.5, 3.0]))
    assert out.shape == X.shape and bool(out.isfinite().all())
    torch.testing.assert_close(out[1:], net(X[1:], torch.tensor([3.0])), rtol=1e-4, atol=1e-6)  # whatever its batch


def test_the_score_falls_as_the_noise_rises() -> None:
    """The last features are divided by sigma: two levels with one embedding differ by their ratio."""
    net = made()
    net.frequencies.zero_()  # every level looks alike to the features
    low, high = net(X, torch.full((2,), 0.5)), net(X, torch.full((2,), 5.0))
    torch.testing.assert_close(low, 10 * high)


def test_images_of_0_to_1_are_centred() -> None:
    centred, other = made(centred=True), made(centred=False)
    sigma = torch.full((2,), 0.5)
    torch.testing.assert_close(centred(2 * X - 1, sigma), other(X, sigma), rtol=1e-4, atol=1e-5)


def test_the_normalisation_has_groups_of_four_channels_or_more() -> None:
    assert [groups(channels) for channels in (2, 4, 8, 64, 128, 512)] == [1, 1, 2, 16, 32, 32]


@pytest.mark.parametrize("changes", [{"progressive": "residual"}, {"progressive_input": "none"}])
def test_other_words_are_refused(changes) -> None:
    with pytest.raises(ValueError, match="no NCSN\\+\\+ has"):
        made(**changes)
