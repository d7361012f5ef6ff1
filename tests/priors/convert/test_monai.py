"""MONAI's DiffusionModelUNet: against MONAI's own module and schedulers, from bundles and from bare state dicts."""

import json
import math
from pathlib import Path

import pytest
import torch
import yaml
from helpers.checkpoints import open_checkpoint
from monai.networks.nets import DiffusionModelUNet
from monai.networks.schedulers import DDPMScheduler
from torch import Tensor

from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.priors import Epsilon, NetworkPrior, Sample, Velocity, load
from medrestore.priors.convert import write
from medrestore.priors.convert.monai import FAMILY, SCHEDULES, monai_betas

SMALL = dict(spatial_dims=2, in_channels=1, out_channels=1, channels=[16, 32], attention_levels=[False, True], num_res_blocks=1,
             num_head_channels=8, norm_num_groups=8)
GIVEN = {"num_head_channels": 8, "norm_num_groups": 8, "schedule": "linear_beta", "num_train_timesteps": 1000,
         "prediction_type": "epsilon", "low": -1, "high": 1}


def trained(**how) -> DiffusionModelUNet:
    """MONAI's network with weights that are nowhere zero."""
    net = DiffusionModelUNet(**{**SMALL, **how})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in net.parameters():
            fan = max(math.prod(value.shape[1:]), 1)
            value.copy_(torch.randn(value.shape, generator=generator) / (fan**0.5 if value.ndim > 1 else 4))
    return net.eval()


def generative(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors by the names of MONAI Generative."""
    old = {}
    for key, value in state.items():
        for name in ("to_q", "to_k", "to_v"):
            key = key.replace(f".attn.{name}.", f".{name}.")
        old[key.replace(".attn.out_proj.", ".proj_attn.").replace(".postconv.", ".conv.")] = value
    return old


def make_neutral(net: DiffusionModelUNet) -> None:
    """The last layer of each attention as the identity: MONAI Generative stores it and never applies it."""
    for key, value in net.named_parameters():
        if ".out_proj." in key:
            value.data.copy_(torch.eye(len(value)) if value.ndim == 2 else torch.zeros_like(value))


CASES = {
    "convolutions": {},
    "residual": dict(resblock_updown=True, channels=[16, 16, 32], attention_levels=[False, True, False],
                     num_res_blocks=[1, 2, 1]),
    "combined": dict(use_combined_linear=True, out_channels=2),
    "bare": dict(include_fc=False, num_head_channels=[4, 16], in_channels=3, out_channels=3),
    "classes": dict(num_class_embeds=3),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("names", ["now", "generative"])
def test_the_converted_network_is_monais(case, names):
    net = trained(**CASES[case])
    state = net.state_dict() if names == "now" else generative(net.state_dict())
    if names == "generative":
        make_neutral(net)
    assert FAMILY.recognises({key: tuple(value.shape) for key, value in state.items()})
    assert (set(state) == set(net.state_dict())) == (names == "now")
    heads = {key: value for key, value in CASES[case].items() if key == "num_head_channels"}
    made = FAMILY.convert(dict(state), {**GIVEN, **heads})
    x, t = torch.randn(2, made.channels, 8, 16, generator=torch.Generator().manual_seed(1)), torch.tensor([3.0, 812.5])
    told = {"class_labels": torch.tensor([2, 0])} if case == "classes" else {}
    with torch.no_grad():
        expected = net(x, t, **told)
        assert (made.net(x, t, **told) - expected).norm() < 1e-5 * expected.norm()
    assert made.multiple == 2 ** (len(CASES[case].get("channels", SMALL["channels"])) - 1)
    assert made.recipe == Interval(-1, 1) and isinstance(made.parametrisation, Epsilon)
    assert type(made.net) is DiffusionModelUNet and made.config["_class_name"] == "DiffusionModelUNet"


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("ends", [{}, {"beta_start": 0.0015, "beta_end": 0.0195}])
def test_schedules_are_monais(schedule, ends):
    ends = {} if schedule == "cosine" else ends
    expected = DDPMScheduler(num_train_timesteps=500, schedule=schedule, **ends).betas
    torch.testing.assert_close(torch.tensor(monai_betas(schedule, 500, ends)), expected, rtol=1e-3,
                               atol=2e-7)  # theirs are in float32


@pytest.mark.parametrize(("prediction", "kind"), [("epsilon", Epsilon), ("v_prediction", Velocity), ("sample", Sample)])
def test_the_estimate_is_what_monais_scheduler_makes_of_it(prediction, kind):
    net, scheduler = trained(), DDPMScheduler(num_train_timesteps=1000, schedule="scaled_linear_beta", prediction_type=prediction,
                                              beta_start=0.0015, beta_end=0.0195, clip_sample=False)
    made = FAMILY.convert(net.state_dict(), {**GIVEN, "schedule": "scaled_linear", "prediction_type": prediction,
                                             "beta_start": 0.0015, "beta_end": 0.0195})
    assert type(made.parametrisation) is kind
    prior = NetworkPrior(made.net, made.parametrisation, channels=1)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    for t in (50, 700):
        abar = float(scheduler.alphas_cumprod[t])
        with torch.no_grad():
            _, x0 = scheduler.step(net(x, torch.tensor([t])), t, x, generator=torch.Generator().manual_seed(0))
            found = prior(x / abar**0.5, (1 / abar - 1) ** 0.5)
        torch.testing.assert_close(found, x0, rtol=1e-3, atol=1e-3 * float(x0.abs().max()))


def bundle(folder: Path, *, text: str = "json", network: dict | None = None, scheduler: dict | None = None,
           extra: dict | None = None) -> tuple[Path, DiffusionModelUNet]:
    """A bundle as the tutorials write them, with expressions wherever they may be."""
    net = trained()
    config = {
        "imports": ["$import torch"], "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "image": {"dim": 2, "channels": [1]},
        "widths": [16, 32],
        "network_def": {
            "_target_": "monai.networks.nets.DiffusionModelUNet", "spatial_dims": "@image::dim",
            "in_channels": "@image#channels#0", "out_channels": 1, "channels": "@widths",
            "attention_levels": [False, True], "num_res_blocks": 1,
            "num_head_channels": 8, "norm_num_groups": 8, **(network or {}),
        },
        "network": "$@network_def.to(@device)",
        "scheduler": {"_target_": "monai.networks.schedulers.DDIMScheduler", "num_train_timesteps": 500,
                      "schedule": "scaled_linear_beta", "beta_start": 0.0015, "beta_end": 0.0195, "clip_sample": "$not True",
                      **(scheduler or {})},
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 0, "a_max": 255, "b_min": 0.0, "b_max": 1.0}]},
        **(extra or {}),
    }
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text('{"version": "0.1"}')
    written = json.dumps(config, indent="\t") if text == "json" else yaml.safe_dump(config)
    (folder / "configs" / f"train.{text}").write_text(written)
    torch.save(net.state_dict(), folder / "models" / "model.pt")
    return folder, net


@pytest.mark.parametrize("text", ["json", "yaml"])
def test_a_bundle_is_read_as_data(tmp_path, text):
    folder, net = bundle(tmp_path / "bundle", text=text)
    made = open_checkpoint(folder)
    x, t = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([40.0])
    with torch.no_grad():
        torch.testing.assert_close(made.net(x, t), net(x, t))
    assert made.recipe == Interval(-1.0, 1.0)  # images in [0, 1] are what the network was trained on
    assert len(made.parametrisation.betas) == 500 and made.parametrisation.betas[-1] == pytest.approx(0.0195)
    assert write(made, tmp_path / "prior", source=folder)["network"] == "DiffusionModelUNet"
    prior = load(tmp_path / "prior")
    with torch.no_grad():
        torch.testing.assert_close(prior(x, 0.5), NetworkPrior(net, made.parametrisation, channels=1)(x, 0.5))
    stated = open_checkpoint(folder, given={"prediction_type": "v_prediction", "low": 0, "high": 1})
    assert isinstance(stated.parametrisation, Velocity) and stated.recipe == Interval(0, 1)


def test_an_older_bundle_with_the_older_names(tmp_path):
    folder, net = bundle(tmp_path / "bundle")
    path = folder / "configs" / "train.json"
    config = json.loads(path.read_text())
    config["network_def"]["_target_"] = "generative.networks.nets.DiffusionModelUNet"
    config["network_def"]["num_channels"] = config["network_def"].pop("channels")
    config["scheduler"]["_target_"] = "generative.networks.schedulers.DDPMScheduler"
    config["scheduler"]["beta_schedule"] = config["scheduler"].pop("schedule").removesuffix("_beta")
    path.write_text(json.dumps(config))
    torch.save({"model": generative(net.state_dict())}, folder / "models" / "model.pt")
    make_neutral(net)
    made = open_checkpoint(folder)
    x, t = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([40.0])
    with torch.no_grad():
        torch.testing.assert_close(made.net(x, t), net(x, t))
    assert made.parametrisation.betas[0] == pytest.approx(0.0015)


@pytest.mark.parametrize(("how", "says"), [
    (dict(network={"num_head_channels": "$8 * 1"}), "never run"),
    (dict(network={"channels": "@nowhere"}), "refers to @nowhere"),
    (dict(network={"channels": "@image"}), "plain value"),
    (dict(network={"channels": [16, 64]}), "belong to another configuration"),
    (dict(network={"_target_": "monai.networks.nets.UNet"}), "names no DiffusionModelUNet"),
    (dict(scheduler={"schedule": "%train#x"}), "never run"),
    (dict(scheduler={"schedule": "curve"}), "scaled_linear_beta"),
    (dict(extra={"widths": "@widths"}), "plain value"),
    (dict(extra={"autoencoder_def": {}}), "latent"),
    (dict(extra={"preprocessing": []}), "value range"),
    (dict(scheduler={"_target_": "RFlowScheduler"}), "schedule=linear_beta"),
])
def test_a_bundle_that_cannot_be_followed_is_one_sentence(tmp_path, how, says):
    folder, _ = bundle(tmp_path / "bundle", **how)
    with pytest.raises(InputError, match=says) as error:
        open_checkpoint(folder)
    assert "\n" not in str(error.value)


def test_hostile_configurations(tmp_path):
    folder, _ = bundle(tmp_path / "bundle")
    path = folder / "configs" / "train.json"
    (folder / "configs" / "inference.yaml").write_text("a: !!python/object/apply:os.system ['false']\n")
    with pytest.raises(InputError, match="not readable"):
        open_checkpoint(folder)
    layers = "\n".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, 40))  # 9^39 leaves when spelt out
    (folder / "configs" / "inference.yaml").write_text(f"x0: &x0 [1]\n{layers}\n")
    open_checkpoint(folder)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="not readable"):
        open_checkpoint(folder)
    path.write_text(" " * (2 << 20))
    with pytest.raises(InputError, match="larger"):
        open_checkpoint(folder)
    (folder / "models" / "model.pt").unlink()
    path.write_text(json.dumps({"network_def": {"_target_": "DiffusionModelUNet"}}))
    with pytest.raises(InputError, match="no weights"):
        open_checkpoint(folder)


@pytest.mark.parametrize(("change", "given", "says"), [
    (lambda s: s.pop("time_embed.2.bias"), {}, "lacks time_embed.2.bias"),
    (lambda s: s.update({"conv_in.conv.weight": torch.zeros(16, 1, 3, 3, 3)}), {}, "volumes"),
    (lambda s: s.update({"middle_block.attention.transformer_blocks.0.x": torch.zeros(1)}), {}, "cross-attention"),
    (lambda s: s.update({"extra": torch.zeros(1)}), {}, "extra"),
    (lambda s: None, {"num_head_channels": 5}, "can be made"),
    (lambda s: None, {"num_head_channels": 0}, "can be made"),
    (lambda s: None, {"num_head_channels": None}, "num_head_channels=64"),
    (lambda s: None, {"norm_num_groups": 7}, "can be made"),
    (lambda s: None, {"beta_end": 3.0}, "between 0 and 1"),
    (lambda s: None, {"prediction_type": "flow"}, "flow"),
    (lambda s: None, {"widths": 3}, "does not take widths"),
])
def test_a_bare_state_that_does_not_fit_is_one_sentence(change, given, says):
    state = trained().state_dict()
    change(state)
    with pytest.raises(InputError, match=says) as error:
        FAMILY.convert(state, {**GIVEN, **given})
    assert "\n" not in str(error.value)


def test_a_network_that_is_told_a_second_image_is_refused():
    with pytest.raises(InputError, match="second image"):
        FAMILY.convert(trained(in_channels=2, out_channels=1).state_dict(), GIVEN)


@pytest.mark.parametrize("key", ["num_head_channels", "schedule", "num_train_timesteps", "prediction_type", "high"])
def test_what_no_tensor_tells_must_be_given(key):
    with pytest.raises(InputError, match=key):
        FAMILY.convert(trained().state_dict(), {name: value for name, value in GIVEN.items() if name != key})
