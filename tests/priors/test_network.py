"""Networks as priors: their calls, what they refuse, and pipelines of diffusers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, EulerDiscreteScheduler, UNet2DModel
from torch import Tensor, nn

from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.methods import DDIM
from medrestore.noise import Noise
from medrestore.priors import EDM, Epsilon, NetworkPrior, Sample, Velocity
from medrestore.priors.network import computes_bfloat16
from medrestore.sampling import sample

SIDE = 8


@pytest.fixture(autouse=True)
def forget_devices() -> Iterator[None]:
    """What a device computes in is asked again in each test."""
    computes_bfloat16.cache_clear()
    yield
    computes_bfloat16.cache_clear()


@pytest.mark.parametrize(("capabilities", "computes"), [
    ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_bf16": False, "avx2": True}, False), ({}, False),
])
def test_bf16_is_used_where_the_processor_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], computes: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    dtypes: list[torch.dtype] = []

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Conv2d(2, 2, 1)
            self.net.register_forward_hook(lambda module, args, out: dtypes.append(out.dtype))

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return self.net(x)

    NetworkPrior(Net(), Epsilon(), channels=2, bf16=True)(torch.zeros(1, 2, SIDE, SIDE), 1.0)
    assert dtypes == [torch.bfloat16 if computes else torch.float32]


def test_a_release_of_torch_that_does_not_say_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not computes_bfloat16("cpu") and not computes_bfloat16("mps")


def test_bf16_stays_inside_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
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


@pytest.mark.parametrize(("changes", "message"), [
    ({"channels": 0}, "channels of a prior must be a whole number of at least 1, got 0"),
    ({"channels": 2.0}, "channels of a prior must be a whole number of at least 1, got 2.0"),
    ({"multiple": 0}, "multiple of a prior must be a whole number of at least 1, got 0"),
    ({"multiple": -8}, "multiple of a prior"),
    ({"size": (16, 0)}, r"the size of a prior must be \(height, width\), multiples of 2, got \(16, 0\)"),
    ({"size": (16, 15)}, "multiples of 2"),
    ({"size": (16,)}, "the size of a prior"),
    ({"class_label": -1}, "class_label must be a whole number of at least 0, got -1"),
])
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NetworkPrior(tiny(), EDM(), **({"channels": 2, "multiple": 2} | changes))


def test_a_prior_is_shown_in_a_line() -> None:
    prior = NetworkPrior(tiny(), Epsilon(), channels=2, multiple=2, size=(16, 16))
    assert repr(prior) == ("NetworkPrior(UNet2DModel, Epsilon(betas=1000 from 0.0001 to 0.02), channels=2, multiple=2, "
                           "size=(16, 16))")


BETAS = {"num_train_timesteps": 200, "beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195}


@pytest.mark.parametrize(("prediction", "kind"), [("epsilon", Epsilon), ("v_prediction", Velocity), ("sample", Sample)])
@pytest.mark.parametrize("given", ["DDPMPipeline", "DDIMPipeline", "a pair"])
def test_a_pipeline_of_diffusers_gives_the_estimate_of_its_scheduler(given: str, prediction: str, kind: type) -> None:
    """At training steps, where `step` of the scheduler returns x0 as `pred_original_sample`."""
    net = tiny()
    kind_of = DDIMScheduler if given == "DDIMPipeline" else DDPMScheduler
    scheduler = kind_of(prediction_type=prediction, clip_sample=False, **BETAS)
    pipeline = {"DDPMPipeline": lambda: DDPMPipeline(net, scheduler), "DDIMPipeline": lambda: DDIMPipeline(net, scheduler),
                "a pair": lambda: (net, scheduler)}[given]()
    prior = NetworkPrior.from_diffusers(pipeline)
    assert type(prior.parametrisation) is kind and (prior.channels, prior.multiple, prior.recipe) == (2, 2, None)
    if given == "DDIMPipeline":  # which makes its own copy of the scheduler
        scheduler = pipeline.scheduler
    scheduler.set_timesteps(200)
    generator = torch.Generator().manual_seed(0)
    for step in (5, 60, 190):
        abar = float(scheduler.alphas_cumprod[step])
        x = torch.randn(1, 2, 16, 16, generator=generator)  # x_t of the paper
        with torch.no_grad():
            want = scheduler.step(net(x, step).sample, step, x).pred_original_sample
            got = prior(x / abar**0.5, ((1 - abar) / abar) ** 0.5)
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3 * float(want.abs().max()))


def test_a_pipeline_of_pictures_has_their_recipe() -> None:
    def net(channels: int, **changes: Any) -> UNet2DModel:
        return UNet2DModel(in_channels=channels, out_channels=channels, layers_per_block=1, block_out_channels=(8, 8, 8),
                           down_block_types=("DownBlock2D",) * 3, up_block_types=("UpBlock2D",) * 3, norm_num_groups=4,
                           add_attention=False, **changes)

    prior = NetworkPrior.from_diffusers(DDPMPipeline(net(3), DDPMScheduler()), bf16=True)
    assert (prior.channels, prior.multiple, prior.recipe, prior.bf16) == (3, 4, Interval(0.0, 1.0), True)
    assert NetworkPrior.from_diffusers((net(1), DDPMScheduler()), recipe=Interval(-1.0, 1.0)).recipe == Interval(-1.0, 1.0)
    classes = net(1, num_class_embeds=5), DDPMScheduler()
    assert NetworkPrior.from_diffusers(classes, class_label=4).class_label == 4
    for label in (None, 5):
        with pytest.raises(InputError, match=f"takes a class_label from 0 to 4, got {label}"):
            NetworkPrior.from_diffusers(classes, class_label=label)
    with pytest.raises(InputError, match="takes no class_label, got 0"):
        NetworkPrior.from_diffusers((net(1), DDPMScheduler()), class_label=0)


def test_schedules_of_other_samplers_are_read_too() -> None:
    scheduler = EulerDiscreteScheduler(beta_schedule="linear", beta_start=1e-3, beta_end=0.01, num_train_timesteps=50)
    prior = NetworkPrior.from_diffusers((tiny(), scheduler))
    assert prior.parametrisation.betas == pytest.approx(torch.linspace(1e-3, 0.01, 50, dtype=torch.float64).tolist())


def unlike(**changes: Any) -> UNet2DModel:
    made = {"in_channels": 2, "out_channels": 2, "layers_per_block": 1, "block_out_channels": (8,), "norm_num_groups": 4,
            "down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "add_attention": False}
    return UNet2DModel(**(made | changes))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a network alone": (lambda: tiny(), "a UNet2DModel is no diffusers pipeline"),
    "another network": (lambda: (nn.Conv2d(2, 2, 1), DDPMScheduler()), "a Conv2d and a DDPMScheduler are given"),
    "another scheduler": (lambda: (tiny(), object()), "a UNet2DModel and a object are given"),
    "rectified flow": (lambda: (tiny(), _flow()), "FlowMatchEulerDiscreteScheduler"),
    "zero terminal noise": (lambda: (tiny(), DDPMScheduler(rescale_betas_zero_snr=True)), "rescale_betas_zero_snr"),
    "more channels than it gives": (lambda: (unlike(in_channels=5), DDPMScheduler()), "takes 5 channels and gives 2"),
    "another embedding": (lambda: (unlike(time_embedding_type="fourier"), DDPMScheduler()), "of its own"),
    "half precision": (lambda: (tiny().half(), DDPMScheduler()), "are torch.float16; load the pipeline in float32"),
}


def _flow() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler()


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_prior_of_images_is_refused(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(InputError) as refusal:
        NetworkPrior.from_diffusers(make())
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_latent_pipelines_are_refused() -> None:
    from diffusers import LDMPipeline, VQModel

    vq = VQModel(block_out_channels=(8,), down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",),
                 norm_num_groups=4)
    with pytest.raises(InputError, match="a LDMPipeline has vqvae, unet, scheduler"):
        NetworkPrior.from_diffusers(LDMPipeline(vq, tiny(), DDIMScheduler()))
