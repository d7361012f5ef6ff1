"""Calls of a network on images turned over, and what that must not change."""

import json

import pytest
import torch
from torch import nn

from medrestore.errors import InputError
from medrestore.levels import karras
from medrestore.priors import NetworkPrior, load, save
from medrestore.priors.parametrisations import EDM, Epsilon, linear_betas
from medrestore.priors.symmetries import SYMMETRIES, Way, way_at

ALL = ("left-right", "up-down", "phase")
LEVELS = karras(50, 5.0, 0.005)


def noise(channels=2, seed=0):
    return torch.randn(3, channels, 8, 16, generator=torch.Generator().manual_seed(seed))


class Leaning(nn.Module):
    """A network whose answer depends on how its image lies."""

    def forward(self, x, t):
        ramp = torch.linspace(0, 1, x.shape[-1]) + torch.linspace(0, 2, x.shape[-2])[:, None]
        return x[:, :2] * ramp + torch.tensor([0.5, -0.2])[:, None, None]


class Alike(nn.Module):
    """A network to which every way to lie is the same: the mean of each pixel's neighbours."""

    def forward(self, x, t):
        return torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=True)


@pytest.mark.parametrize("sigma", LEVELS[:6])
def test_back_undoes_turned_and_turned_images_are_those_described(sigma):
    x, way = noise(), way_at(ALL, sigma)
    assert torch.allclose(way.back(way.turned(x)), x, atol=1e-6)
    whole = torch.complex(x[:, 0], x[:, 1]) * torch.exp(torch.tensor(1j * way.phase))
    expected = whole.flip(way.axes) if way.axes else whole
    made = way.turned(x)
    assert torch.allclose(torch.complex(made[:, 0], made[:, 1]), expected, atol=1e-5)


def test_every_way_is_drawn_over_the_levels_and_the_same_at_a_level():
    ways = [way_at(ALL, sigma) for sigma in LEVELS]
    assert {way.axes for way in ways} == {(), (-1,), (-2,), (-1, -2)}
    assert len({way.phase for way in ways}) == len(LEVELS) and all(0 <= way.phase < 6.2832 for way in ways)
    assert [way_at(ALL, sigma) for sigma in LEVELS] == ways
    assert {way_at(("left-right",), sigma) for sigma in LEVELS} == {Way(), Way((-1,))}
    assert way_at((), 1.0) == Way()


def test_the_ways_are_the_same_on_every_machine():
    assert way_at(ALL, 0.1) == Way((-1,), pytest.approx(2.5453, abs=1e-4))


@pytest.mark.parametrize("target", [EDM(0.5), Epsilon(linear_betas())])
def test_a_network_to_which_all_ways_are_alike_estimates_the_same(target):
    plain, turned = (NetworkPrior(Alike(), target, channels=2, symmetries=names) for names in ((), ALL))
    for sigma in (0.05, 0.3, 2.0):
        assert torch.allclose(plain(noise(), sigma), turned(noise(), sigma), atol=1e-5)


def test_a_leaning_network_is_asked_of_the_turned_image():
    prior = NetworkPrior(Leaning(), EDM(0.5), channels=2, symmetries=ALL)
    plain = NetworkPrior(Leaning(), EDM(0.5), channels=2)
    sigma = next(sigma for sigma in LEVELS if way_at(ALL, sigma).axes == (-1,))
    way = way_at(ALL, sigma)
    assert torch.allclose(prior(noise(), sigma), way.back(plain(way.turned(noise()), sigma)), atol=1e-5)
    assert not torch.allclose(prior(noise(), sigma), plain(noise(), sigma), atol=1e-2)


def test_estimates_of_images_do_not_depend_on_what_else_is_in_the_batch():
    prior = NetworkPrior(Leaning(), EDM(0.5), channels=2, symmetries=ALL)
    assert torch.equal(prior(noise(), 0.4)[1:2], prior(noise()[1:2], 0.4))


def test_a_reference_image_is_turned_over_with_the_image():
    class Given(nn.Module):
        def forward(self, x, t):
            return x[:, 2:3].expand(-1, 2, -1, -1) * torch.linspace(0, 1, x.shape[-1])

    sigma = next(sigma for sigma in LEVELS if way_at(("left-right",), sigma).axes == (-1,))
    prior = NetworkPrior(Given(), EDM(0.5), channels=2, reference_channels=1, symmetries=("left-right",))
    image = torch.rand(1, 1, 8, 16, generator=torch.Generator().manual_seed(1))
    x = torch.zeros(1, 2, 8, 16)
    made = prior.with_reference(image)(x, sigma)
    expected = image * torch.linspace(1, 0, 16)
    assert torch.allclose(made / made.abs().max(), expected.expand(-1, 2, -1, -1) / expected.max(), atol=1e-5)


@pytest.mark.parametrize(("names", "channels"), [(("phase",), 3), (("upside-down",), 2), (("phase", "phase"), 2), ("phase", 2)])
def test_symmetries_that_images_cannot_have_are_refused(names, channels):
    with pytest.raises(InputError, match="symmetries of a prior are of left-right, up-down, phase"):
        NetworkPrior(Leaning(), EDM(0.5), channels=channels, symmetries=names)


def test_they_are_kept_on_disk_and_checked(tmp_path):
    shipped = load("brain-mr-starter")
    assert shipped.symmetries == ALL == SYMMETRIES and "symmetries=" in repr(shipped)
    save(tmp_path / "p", shipped.net, parametrisation=shipped.parametrisation, recipe=None, channels=2, multiple=8, card={},
         facts={"symmetries": ["up-down"]})
    assert load(tmp_path / "p").symmetries == ("up-down",)
    about = json.loads((tmp_path / "p" / "prior.json").read_text())
    del about["digest"]
    (tmp_path / "p" / "prior.json").write_text(json.dumps(about | {"symmetries": ["sideways"]}))
    with pytest.raises(InputError, match="describes its symmetries as"):
        load(tmp_path / "p")
