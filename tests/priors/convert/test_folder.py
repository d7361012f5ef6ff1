"""Folders of diffusers: what their configurations say is what the prior does."""

import json
import shutil

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, FlowMatchEulerDiscreteScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from helpers.checkpoints import open_checkpoint
from safetensors.torch import load_file, save_file

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.priors import Epsilon, NetworkPrior, Sample, Velocity
from medrestore.priors.convert import identify
from medrestore.priors.parametrisations import cosine_betas, linear_betas, scaled_linear_betas


def unet(channels=3, **changes) -> UNet2DModel:
    torch.manual_seed(0)
    made = {"sample_size": 16, "in_channels": channels, "out_channels": channels, "layers_per_block": 1,
            "block_out_channels": (32, 64), "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
            "up_block_types": ("AttnUpBlock2D", "UpBlock2D")} | changes
    return UNet2DModel(**made)


def pipeline(folder, scheduler, channels=3, **changes):
    DDPMPipeline(unet(channels, **changes), scheduler).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("words", "kind"), [
    ({}, Epsilon(linear_betas())),
    ({"prediction_type": "v_prediction", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
     Velocity(scaled_linear_betas(0.00085, 0.012))),
    ({"prediction_type": "sample", "beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 100}, Sample(cosine_betas(100))),
    ({"trained_betas": [0.001, 0.01, 0.1]}, Epsilon((0.001, 0.01, 0.1))),
], ids=["epsilon", "velocity", "sample", "own betas"])
def test_schedule_and_target_are_the_schedulers(tmp_path, words, kind, difference, noise):
    """At the training steps the estimate is x0 as the scheduler itself computes it."""
    scheduler = DDPMScheduler(clip_sample=False, **words)
    converted = open_checkpoint(pipeline(tmp_path / "p", scheduler))
    assert type(converted.parametrisation) is type(kind)
    assert converted.parametrisation.betas == pytest.approx(kind.betas, rel=1e-6)
    prior, net = NetworkPrior(converted.net, converted.parametrisation, channels=3), unet()
    for step in (0, scheduler.config.num_train_timesteps // 2) if not words.get("trained_betas") else (0, 1, 2):
        abar = float(scheduler.alphas_cumprod[step])
        x = noise(1, 3, 16, 16)
        with torch.no_grad():
            out = net(x, torch.tensor([float(step)])).sample
            expected = scheduler.step(out, step, x, generator=torch.Generator().manual_seed(0)).pred_original_sample
            assert difference(prior(x / abar**0.5, (1 / abar - 1) ** 0.5), expected) < 2e-3


def test_what_a_folder_may_look_like(tmp_path, difference, noise):
    whole = pipeline(tmp_path / "p", DDPMScheduler())
    x, t = noise(1, 3, 16, 16), torch.tensor([400.0])
    with torch.no_grad():
        expected = unet()(x, t).sample
    torch.save(load_file(whole / "unet" / "diffusion_pytorch_model.safetensors"), tmp_path / "old.bin")
    flat = tmp_path / "flat"
    shutil.copytree(whole / "unet", flat)
    shutil.copy(whole / "scheduler" / "scheduler_config.json", flat)
    old = tmp_path / "old"
    shutil.copytree(whole, old)
    weights = old / "unet" / "diffusion_pytorch_model.safetensors"
    before = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}  # as diffusers wrote them until 0.14
    tensors = load_file(weights)
    for new, name in before.items():
        tensors = {key.replace(f".{new}.", f".{name}."): value for key, value in tensors.items()}
    assert any(".proj_attn." in key for key in tensors)
    weights.unlink()
    torch.save(tensors, weights.with_suffix(".bin"))
    for folder in (whole, whole / "unet", flat, old):
        converted = open_checkpoint(folder)
        with torch.no_grad():
            assert difference(converted.net(x, t), expected) < 1e-5
        assert (converted.family, converted.multiple, converted.recipe) == ("diffusers folder", 2, Interval(0, 1))


def test_ranges_and_classes(tmp_path):
    assert open_checkpoint(pipeline(tmp_path / "grey", DDPMScheduler(), 1)).recipe == Interval(0, 1)
    complex_ = pipeline(tmp_path / "complex", DDPMScheduler(), 2, num_class_embeds=3)
    assert open_checkpoint(complex_).recipe == CalibratedComplex(0.99)
    assert open_checkpoint(complex_, given={"low": -1, "high": 1}).recipe == Interval(-1, 1)
    assert open_checkpoint(complex_).config["num_class_embeds"] == 3
    with pytest.raises(InputError, match="nothing in the tensors tells the value range"):
        open_checkpoint(pipeline(tmp_path / "five", DDPMScheduler(), 5))


def edit(path, **changes):
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def weights(folder, change):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(change(load_file(path)), path)


UNET, SCHEDULER = "unet/config.json", "scheduler/scheduler_config.json"
DAMAGED = {
    "another network": (lambda f: edit(f / UNET, _class_name="UNet2DConditionModel"), {}, "UNet2DConditionModel"),
    "no network": (lambda f: (f / UNET).write_text("[]"), {}, "no JSON object"),
    "broken JSON": (lambda f: (f / UNET).write_text("{"), {}, "not readable JSON"),
    "binary JSON": (lambda f: (f / UNET).write_bytes(b"\xff\xfe"), {}, "not readable JSON"),
    "long JSON": (lambda f: (f / UNET).write_text(" " * (1 << 20) + "{}"), {}, "larger than 1 MiB"),
    "no weights": (lambda f: (f / "unet/diffusion_pytorch_model.safetensors").unlink(), {},
                   "holds no diffusion_pytorch_model.safetensors, .*it holds config.json"),
    "no scheduler": (lambda f: (f / SCHEDULER).unlink(), {}, "prediction=epsilon and schedule=linear"),
    "another scheduler": (lambda f: edit(f / SCHEDULER, _class_name="ScoreSdeVeScheduler"), {}, "ScoreSdeVeScheduler"),
    "flow": (lambda f: FlowMatchEulerDiscreteScheduler().save_pretrained(f / "scheduler"), {}, "FlowMatchEuler"),
    "zero terminal": (lambda f: edit(f / SCHEDULER, rescale_betas_zero_snr=True), {}, "rescale_betas_zero_snr"),
    "target": (lambda f: edit(f / SCHEDULER, prediction_type="flow"), {}, "predicts 'flow'"),
    "betas": (lambda f: edit(f / SCHEDULER, beta_schedule="sigmoid"), {}, "betas are 'sigmoid'"),
    "text betas": (lambda f: edit(f / SCHEDULER, beta_start="small"), {}, "beta_start must be a number"),
    "own betas": (lambda f: edit(f / SCHEDULER, trained_betas=[0.1, 2]), {}, "trained_betas"),
    "steps": (lambda f: edit(f / SCHEDULER, num_train_timesteps=1e3), {}, "steps must be a whole number"),
    "fourier": (lambda f: edit(f / UNET, time_embedding_type="fourier"), {}, "in a way of its own"),
    "width": (lambda f: edit(f / UNET, block_out_channels=[32, 96]), {}, "instead of"),
    "giant": (lambda f: edit(f / UNET, block_out_channels=[32, 32 * 10**6]), {}, "instead of"),
    "unknown setting": (lambda f: edit(f / UNET, magic=True), {},
                        "sets magic, which no UNet2DModel is built with here; a network that depends on it"),
    "text width": (lambda f: edit(f / UNET, block_out_channels="wide"), {}, "no UNet2DModel can be made"),
    "channels": (lambda f: edit(f / UNET, in_channels=None), {"magic": 1}, "does not take magic"),
    "missing": (lambda f: weights(f, lambda s: {k: v for k, v in s.items() if k != "conv_in.bias"}), {}, "lacks conv_in.bias"),
    "extra": (lambda f: weights(f, lambda s: s | {"x": torch.ones(1)}), {}, "has in addition x"),
    "whole numbers": (lambda f: weights(f, lambda s: s | {"conv_in.bias": s["conv_in.bias"].int()}), {}, "int32"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_does_not_fit_is_said_in_a_sentence(tmp_path, case):
    damage, given, says = DAMAGED[case]
    folder = pipeline(tmp_path / "p", DDPMScheduler())
    damage(folder)
    with pytest.raises(InputError, match=says) as refusal:
        open_checkpoint(folder, given=given)
    assert str(folder) in str(refusal.value) and "\n" not in str(refusal.value)


def test_without_a_scheduler_a_user_may_say_it(tmp_path):
    folder = pipeline(tmp_path / "p", DDPMScheduler())
    (folder / SCHEDULER).unlink()
    given = {"prediction": "v_prediction", "schedule": "cosine", "steps": 20}
    assert open_checkpoint(folder, given=given).parametrisation == Velocity(cosine_betas(20))


def test_an_empty_folder_is_none(tmp_path):
    with pytest.raises(InputError, match="a folder, but of no known kind"):
        identify(tmp_path)


def sets(folder, **changes):
    """A training folder of diffusers: the last weights, and the average with its settings in the same configuration."""
    net = unet(1)
    net.save_pretrained(folder / "unet")
    average = EMAModel(net.parameters(), model_cls=UNet2DModel, model_config=net.config)
    with torch.no_grad():
        average.shadow_params[0].add_(1)
    average.save_pretrained(str(folder / "unet_ema"))
    return net, average


def test_the_average_of_a_training_folder_goes_first(tmp_path):
    net, average = sets(tmp_path / "checkpoint-500")
    given = {"prediction": "epsilon", "schedule": "linear"}
    for folder in ("checkpoint-500", "checkpoint-500/unet_ema"):
        found = identify(tmp_path / folder)
        made = found.convert(given)
        assert torch.equal(next(made.net.parameters()), average.shadow_params[0])
        assert "decay" not in made.config
    found = identify(tmp_path / "checkpoint-500")
    assert found.notes[:2] == ("unet_ema taken, the averaged weights (EMA)", "left aside: unet")
    made = identify(tmp_path / "checkpoint-500" / "unet").convert(given)
    assert torch.equal(next(made.net.parameters()), next(net.parameters()))


def test_shards_are_joined_and_variants_named(tmp_path):
    given = {"prediction": "epsilon", "schedule": "linear"}
    net = unet(1)
    net.save_pretrained(tmp_path / "shards", max_shard_size="200KB")
    assert len(list((tmp_path / "shards").glob("*-of-*"))) > 1
    found = identify(tmp_path / "shards")
    assert "shards joined" in found.notes[0]
    for key, value in found.convert(given).net.state_dict().items():
        assert torch.equal(value, net.state_dict()[key])
    net.half().save_pretrained(tmp_path / "half", variant="fp16")
    found = identify(tmp_path / "half")
    assert found.notes == ("the variant fp16 taken",) and found.convert(given).channels == 1
    net.float().save_pretrained(tmp_path / "half")
    assert "left aside: diffusion_pytorch_model.fp16.safetensors" in identify(tmp_path / "half").notes
    plain = tmp_path / "half" / "diffusion_pytorch_model.safetensors"
    other = plain.rename(plain.with_name("diffusion_pytorch_model.non_ema.safetensors"))
    with pytest.raises(InputError, match=r"in the variants fp16, non_ema and none without; copy the one that is wanted to "
                                         r"diffusion_pytorch_model.safetensors there"):
        identify(tmp_path / "half")
    shutil.copy(other, plain)  # as it says
    assert identify(tmp_path / "half").convert(given).channels == 1


@pytest.mark.parametrize(("damage", "says"), [
    (lambda f, names: (f / names[0]).unlink(), "lacks .* one of .* shards"),
    (lambda f, names: edit(f / INDEX, weight_map={"a": "../../secret.safetensors"}), "no index of shards"),
    (lambda f, names: edit(f / INDEX, weight_map={
        str(k): f"diffusion_pytorch_model{k}.bin" for k in range(300)}), "no index of shards"),
    (lambda f, names: shutil.copy(f / names[0], f / names[1]), "which another shard holds too"),
    (lambda f, names: (f / INDEX).write_text("{}"), "no index of shards"),
])  # fmt: skip
def test_damaged_shards(tmp_path, damage, says):
    unet(1).save_pretrained(tmp_path / "f", max_shard_size="200KB")
    damage(tmp_path / "f", sorted(path.name for path in (tmp_path / "f").glob("*-of-*")))
    with pytest.raises(InputError, match=says):
        identify(tmp_path / "f")


INDEX = "diffusion_pytorch_model.safetensors.index.json"
