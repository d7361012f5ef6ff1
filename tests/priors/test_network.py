"""Networks as priors: every training target becomes the same estimate; and priors on disk, sound or broken."""

import json

import pytest
import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.files import digest
from medrestore.methods import DDIM
from medrestore.noise import Noise
from medrestore.priors import EDM, Epsilon, NetworkPrior, Sample, StationaryGaussian, Velocity, store
from medrestore.priors.parametrisations import Parametrisation, scaled_linear_betas
from medrestore.restoration import sample

SIDE = 8
POWER = torch.linspace(0.5, 4.0, SIDE * SIDE).reshape(SIDE, SIDE)
POWER = (POWER + torch.roll(torch.flip(POWER, (0, 1)), (1, 1), (0, 1))) / 2  # even, as the spectrum of a real field is
GAUSSIAN = StationaryGaussian(POWER, mean=0.3, channels=2)


def sigma_of(t: Tensor, betas: tuple[float, ...]) -> Tensor:
    """The noise level of a fractional step, log-linear between the training steps."""
    abar = torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), 0)
    logs = (1 / abar - 1).sqrt().log()
    i = t.double().floor().long().clamp(max=len(betas) - 2)
    return (logs[i] + (t - i) * (logs[i + 1] - logs[i])).exp()


class Perfect(nn.Module):
    """What a network trained to convergence on the Gaussian would return, with a learned variance behind it."""

    def __init__(self, target: str, betas: tuple[float, ...] = Epsilon().betas) -> None:
        super().__init__()
        self.target, self.betas, self.seen = target, betas, []

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.seen.append((x.dtype, t))
        sigma = float(torch.exp(4 * t[0]) if self.target == "edm" else sigma_of(t, self.betas)[0])
        if self.target == "edm":
            x = x * (sigma**2 + 0.25) ** 0.5
            x0 = GAUSSIAN(x, sigma)
            out = (x0 - 0.25 / (sigma**2 + 0.25) * x) * (sigma**2 + 0.25) ** 0.5 / (0.5 * sigma)  # Karras et al., eq. 7
        else:
            abar = 1 / (1 + sigma**2)
            x0 = GAUSSIAN(x / abar**0.5, sigma)
            n = (x - abar**0.5 * x0) / (1 - abar) ** 0.5
            out = {"sample": x0, "epsilon": n, "velocity": abar**0.5 * n - (1 - abar) ** 0.5 * x0}[self.target]
        return torch.cat([out, torch.full_like(out, 7.0)], 1)


KINDS: dict[str, Parametrisation] = {"epsilon": Epsilon(), "velocity": Velocity(), "sample": Sample(), "edm": EDM()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.02, 0.3, 2.0, 30.0])
def test_every_target_gives_the_same_estimate(kind, sigma):
    x = 0.3 + (POWER.max() + sigma**2) ** 0.5 * torch.randn(3, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    prior = NetworkPrior(Perfect(kind), KINDS[kind], channels=2)
    torch.testing.assert_close(prior(x, sigma), GAUSSIAN(x, sigma), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("betas", [Epsilon().betas, scaled_linear_betas(0.0015, 0.0195)], ids=["linear", "scaled"])
def test_the_timestep_is_exact_at_training_steps_and_monotone_between(betas):
    kind = Epsilon(betas)
    steps = torch.tensor([0.0, 1.0, 10.0, 500.0, 998.0, 999.0])
    torch.testing.assert_close(kind.timestep(sigma_of(steps, betas).float()), steps, rtol=1e-5, atol=2e-3)
    between = kind.timestep(sigma_of(torch.linspace(400, 410, 41), betas).float())
    torch.testing.assert_close(between, torch.linspace(400, 410, 41), rtol=1e-5, atol=2e-3)
    torch.testing.assert_close(kind.timestep(torch.tensor([1e-6, 1e6])), torch.tensor([0.0, 999.0]))
    assert kind.sigma_range == pytest.approx([float(s) for s in sigma_of(torch.tensor([0.0, 999.0]), betas)], rel=1e-4)


def test_the_network_is_told_the_paper_inputs():
    net = Perfect("edm")
    NetworkPrior(net, EDM(), channels=2)(torch.zeros(1, 2, SIDE, SIDE), 2.0)
    assert float(net.seen[0][1][0]) == pytest.approx(torch.log(torch.tensor(2.0)).item() / 4)


def test_bf16_stays_inside_the_network():
    net = nn.Conv2d(2, 2, 3, padding=1)
    seen = []
    net.register_forward_hook(lambda module, args, out: seen.append(out.dtype))

    class Timeless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return self.net(x)

    prior = NetworkPrior(Timeless(), Epsilon(), channels=2, bf16=True)
    x = torch.randn(1, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    assert prior(x, 1.0).dtype == torch.float32 and seen == [torch.bfloat16]
    walked = sample(None, prior, DDIM(), [2.0, 1.0, 0.0], noise=Noise([0]), size=(SIDE, SIDE))
    assert walked.dtype == torch.float32
    x0 = NetworkPrior(Timeless(), Epsilon(), channels=2)(x, 1e-3)
    torch.testing.assert_close(prior(x, 1e-3), x0, rtol=0, atol=1e-4)  # x itself was never rounded


def tiny(seed: int = 0) -> UNet2DModel:
    torch.manual_seed(seed)
    return UNet2DModel(sample_size=16, in_channels=2, out_channels=2, layers_per_block=1, block_out_channels=(8, 8),
                       down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
                       norm_num_groups=4, add_attention=False)


CARD = {"data": "none", "licence": "Apache-2.0"}


@pytest.fixture
def folder(tmp_path):
    store.save(tmp_path / "prior", tiny(), parametrisation=EDM(sigma_data=0.4, time_scale=60.0, sigmas=(0.01, 40.0)),
               recipe=CalibratedComplex(0.98), channels=2, multiple=2, card=CARD)
    return tmp_path / "prior"


def test_a_prior_comes_back_as_it_was_saved(folder):
    loaded = store.load(folder)
    assert loaded.parametrisation == EDM(sigma_data=0.4, time_scale=60.0, sigmas=(0.01, 40.0))
    assert (loaded.recipe, loaded.channels, loaded.multiple, loaded.sigma_range) == (CalibratedComplex(0.98), 2, 2, (0.01, 40.0))
    assert store.describe(folder)["card"] == CARD
    original = NetworkPrior(tiny(), loaded.parametrisation, channels=2)
    x = torch.randn(2, 2, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(loaded(x, 0.7), original(x, 0.7), rtol=1e-4, atol=1e-5)
    assert not any(p.requires_grad for p in loaded.net.parameters())


@pytest.mark.parametrize("kind", [Epsilon(), Velocity(scaled_linear_betas(0.0015, 0.0195)), Sample()],
                         ids=lambda k: type(k).__name__)
def test_every_kind_is_stored(tmp_path, kind):
    store.save(tmp_path, tiny(), parametrisation=kind, recipe=Interval(0.0, 255.0), channels=2, multiple=2, card=CARD)
    loaded = store.load(tmp_path)
    assert type(loaded.parametrisation) is type(kind) and loaded.recipe == Interval(0.0, 255.0)
    sigma = torch.tensor([0.5, 3.0])
    torch.testing.assert_close(loaded.parametrisation.timestep(sigma), kind.timestep(sigma))


def rewrite(folder, **changes) -> None:
    about = json.loads((folder / "prior.json").read_text())
    about = {key: value for key, value in {**about, **changes}.items() if value is not None}
    (folder / "prior.json").write_text(json.dumps(about))


def alter(folder) -> None:
    weights = folder / store.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")


def truncate(folder, *, rehash: bool = True) -> None:
    weights = folder / store.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    if rehash:
        rewrite(folder, sha256=digest(weights))


def swap_config(folder) -> None:
    config = json.loads((folder / store.CONFIG).read_text())
    (folder / store.CONFIG).write_text(json.dumps({**config, "block_out_channels": [16, 16]}))


BROKEN = {
    "altered": (alter, "sha256 differs"),
    "truncated": (truncate, "cannot be loaded"),
    "cut short": (lambda f: truncate(f, rehash=False), "sha256 differs"),
    "no description": (lambda f: (f / "prior.json").unlink(), "no prior at"),
    "no weights": (lambda f: (f / store.WEIGHTS).unlink(), "as safetensors"),
    "no config": (lambda f: (f / store.CONFIG).unlink(), "cannot be loaded"),
    "another network": (swap_config, "cannot be loaded"),
    "not JSON": (lambda f: (f / "prior.json").write_text("{'format': 1"), "not readable JSON"),
    "binary JSON": (lambda f: (f / "prior.json").write_bytes(b"\xff\xfe\x00"), "not readable JSON"),
    "a list": (lambda f: (f / "prior.json").write_text("[1, 2]"), "lacks"),
    "a number": (lambda f: (f / "prior.json").write_text("3"), "lacks"),
    "a null": (lambda f: (f / "prior.json").write_text("null"), "lacks"),
    "field names alone": (lambda f: (f / "prior.json").write_text(json.dumps(sorted(store.FIELDS))), "lacks"),
    "later format": (lambda f: rewrite(f, format=99), "format 1"),
    "lacking field": (lambda f: rewrite(f, recipe=None), "lacks recipe"),
    "unknown target": (lambda f: rewrite(f, parametrisation={"kind": "score"}), "epsilon"),
    "target not a table": (lambda f: rewrite(f, parametrisation="edm"), "epsilon"),
    "unknown recipe": (lambda f: rewrite(f, recipe={"kind": "interval", "width": 3}), "interval"),
    "wrong values": (lambda f: rewrite(f, parametrisation={"kind": "edm", "sigma_data": "much"}), "prior.json"),
    "wrong channels": (lambda f: rewrite(f, channels="two"), "channels"),
    "other channels": (lambda f: rewrite(f, channels=3), "channels"),
    "no multiple": (lambda f: rewrite(f, multiple=0), "multiple"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_priors_are_refused_in_a_sentence(folder, broken):
    breaks, says = BROKEN[broken]
    breaks(folder)
    with pytest.raises(InputError, match=says) as refusal:
        store.load(folder)
    message = str(refusal.value)
    assert str(folder) in message and "\n" not in message and "Traceback" not in message


def test_pickled_checkpoints_are_not_loaded(tmp_path):
    checkpoint = tmp_path / "model.pt"
    torch.save(tiny().state_dict(), checkpoint)
    with pytest.raises(InputError, match="not loaded"):
        store.load(checkpoint)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="no prior at"):
        store.load("no-such-prior")


def test_a_cpu_sees_few_large_images_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each as in one batch, with its own noise level and gradient."""
    sizes: list[int] = []

    class Net(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            sizes.append(len(x))
            return x * t.reshape(-1, 1, 1, 1)

    prior = NetworkPrior(Net(), EDM(), channels=1)
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    whole = prior(x, 0.7)
    monkeypatch.setattr("medrestore.priors.network.AT_ONCE", 2 * 64 + 1)
    parts = prior(x, 0.7)
    assert sizes == [5, 2, 2, 1]
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)
    parts.sum().backward()
    assert x.grad.abs().min() > 0
