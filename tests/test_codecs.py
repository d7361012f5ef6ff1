"""Codecs fold into problems, and back."""

import pytest
import torch
from helpers.operators import COMPLEX
from laws import close, white

from medrestore.codecs import Codec, ComplexChannels, Interval, OneChannel, Padded

from .operators.test_laws import SEEN, Case, through


@pytest.mark.parametrize(("case", "codecs"), SEEN)
def test_codecs_keep_the_residual(case: Case, codecs: list[Codec]) -> None:
    problem, view, z = through(case, codecs)
    x, scale = z, 1.0
    for codec in reversed(codecs):
        x, scale = codec.decode(x), scale * codec.scale
    close((problem.operator(x) - problem.y) / scale, view.operator(z) - view.y)
    assert view.sigma == pytest.approx(problem.sigma / scale)
    assert torch.equal(view.count, problem.count)


@pytest.mark.parametrize(
    "codec",
    [Interval(-3.0, 5.0), ComplexChannels(7.0), Padded((9, 8), (4, 5)), OneChannel.magnitude(3.0), OneChannel.grey(-2.0, 6.0)],
    ids=repr
)
def test_codec_round_trip(codec: Codec) -> None:
    x = white((2, 1, 4, 5), COMPLEX if isinstance(codec, ComplexChannels) else torch.float32)
    close(codec.decode(codec.encode(x)), x)
    if isinstance(codec, Interval):
        close(codec.encode(torch.tensor([-3.0, 1.0, 5.0])), torch.tensor([-1.0, 0.0, 1.0]))
    if isinstance(codec, Padded):
        close(codec.encode(x)[..., 2:6, 1:6], x)
        assert codec.encode(x).norm() == x.norm()


def test_one_channel_of_several() -> None:
    image = white((2, 1, 4, 5))
    z = OneChannel.magnitude(3.0).encode(image)
    close(z, torch.cat([image / 3, torch.zeros_like(image)], 1))
    grey = OneChannel.grey(-2.0, 6.0)
    close(grey.encode(image), ((image - 2) / 4).expand(-1, 3, -1, -1))
    colours = white((2, 3, 4, 5))
    close(grey.decode(colours), 4 * colours.mean(1, keepdim=True) + 2)
    for codec in (OneChannel.magnitude(3.0), grey):
        assert not codec.straight(codec.encode(image)).abs().max() > 1e-6
