"""Checkpoints of other programs that are damaged or altered: each is refused, and converted once it is copied again."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from helpers.advice import damage, followed
from helpers.checkpoints import open_checkpoint
from helpers.damage import entry, flip, lost, said
from priors.convert import test_adm_classifier as classifiers
from priors.convert import test_ldm as ldm
from priors.convert import test_monai as monai
from priors.convert import test_ncsnpp as ncsnpp
from priors.convert.conftest import random_state
from priors.convert.test_folder import pipeline
from safetensors.torch import load_file, save_file

from medrestore.priors.convert import adm_classifier, ddpm, write

SMALL = ddpm.DDPMArchitecture(3, 3, (32,), 1, (True,))


def cut(name: str = "", to: int = 100) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        place = path / name if name else path
        place.write_bytes(place.read_bytes()[:to])

    return spoil


def faces(folder: Path) -> Path:
    torch.save(random_state(ddpm.ddpm_layout(SMALL)), folder / "c.pt")
    return folder / "c.pt"


def safe(folder: Path) -> Path:
    save_file(random_state(ddpm.ddpm_layout(SMALL)), folder / "c.safetensors")
    return folder / "c.safetensors"


def older(folder: Path) -> Path:
    torch.save(random_state(ddpm.ddpm_layout(SMALL)), folder / "c.pt", _use_new_zipfile_serialization=False)
    return folder / "c.pt"


def first(path: Path) -> torch.Tensor:
    """The first layer of what is converted."""
    return open_checkpoint(path).net.state_dict()["conv_in.weight"]


def as_faces(path: Path) -> torch.Tensor:
    return open_checkpoint(path, family="ddpm").net.state_dict()["conv_in.weight"]


def sums(path: Path, **given: Any) -> float:
    return float(sum(weight.double().sum() for weight in open_checkpoint(path, given=given).net.parameters()))


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """A checkpoint with other tensors."""

    def spoil(path: Path) -> None:
        tree = torch.load(path, weights_only=True)
        change(tree)
        torch.save(tree, path)

    return spoil


def folder_of(folder: Path) -> Path:
    return pipeline(folder / "p", DDPMScheduler())


def grey_folder(folder: Path) -> Path:
    return pipeline(folder / "p", DDPMScheduler(), 1)


def another_ncsnpp(path: Path) -> None:
    """One that sees images at one resolution."""
    torch.save({"model": ncsnpp.random_state(ncsnpp.layout(width=16, mults=(1,), blocks=1))}, path)


def sharded(folder: Path) -> Path:
    """A pipeline whose weights are in two shards."""
    path = folder_of(folder)
    name = "diffusion_pytorch_model"
    whole = path / "unet" / f"{name}.safetensors"
    tensors = sorted(load_file(whole).items())
    whole.unlink()
    table = {}
    for number, part in enumerate((tensors[::2], tensors[1::2]), 1):
        shard = f"{name}-0000{number}-of-00002.safetensors"
        save_file(dict(part), path / "unet" / shard)
        table |= {key: shard for key, _ in part}
    (path / "unet" / f"{name}.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    return path


SHARD = "unet/diffusion_pytorch_model-0000{}-of-00002.safetensors"
INDEX = "unet/diffusion_pytorch_model.safetensors.index.json"
SCHEDULER = "scheduler/scheduler_config.json"


def twice(path: Path) -> None:
    """A tensor in both shards."""
    one, other = (path / SHARD.format(number) for number in (1, 2))
    tensors = load_file(one)
    save_file(load_file(other) | {next(iter(tensors)): next(iter(tensors.values()))}, other)


def bundle(folder: Path) -> Path:
    return monai.bundle(folder / "bundle")[0]


TRAIN = "configs/train.json"


def of_classifier(folder: Path) -> Path:
    torch.save(random_state(adm_classifier.classifier_layout(classifiers.BASE, 5, 17)), folder / "c.pt")
    return folder / "c.pt"


def sums_of_classifier(path: Path) -> float:
    return sums(path, num_head_channels=32)


def of_ldm(folder: Path) -> Path:
    state = ldm.random_state(ldm.layout(ldm.unet_layout(**ldm.UNET), ldm.vq_layout(**ldm.VQ), averaged=True))
    torch.save({"state_dict": state}, folder / "c.pt")
    return folder / "c.pt"


def of_ncsnpp(folder: Path) -> Path:
    torch.save(
        {"model": ncsnpp.random_state(ncsnpp.layout(width=16, mults=(1, 1), blocks=1))}, folder / "c.pt"
    )
    return folder / "c.pt"


def of_monai(folder: Path) -> Path:
    net = monai.trained()
    monai.make_neutral(net)
    torch.save(monai.generative(net.state_dict()), folder / "c.pt")
    return folder / "c.pt"


def sums_of_monai(path: Path) -> float:
    return sums(path, **monai.GIVEN)


def fewer(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda tree: tree.pop(key)


def other(key: str, *shape: int) -> Callable[[dict[str, Any]], object]:
    return lambda tree: tree.update({key: torch.zeros(shape)})


def answers(path: Path) -> float:
    """What a converted prior answers to noise."""
    return float(
        write(open_checkpoint(path), path.parent / "prior", source=path, overwrite=True)["check"]["mean"]
    )


CONVERTED = [
    damage("{} is not a whole safetensors file ({}); copy it again", safe, cut(to=3000), first),
    damage("{} is not a whole file of torch.save ({}); copy it again", faces, cut(to=3000), first),
    damage(
        "{}: {} does not have the checksum that was stored with it; the file is damaged, copy it again",
        faces,
        flip(),
        first,
    ),
    damage("{} is not a whole checkpoint of torch.save: {}; copy it again", older, cut(to=30), first),
    damage("{} is not a whole checkpoint of torch.save ({}); copy it again", older, cut(to=30_000), first),
    damage(
        "{}: {} is a {} tensor on {}, and plain ones are needed; save it again as a dense float tensor",
        faces,
        changed(lambda tree: tree.update({"conv_in.weight": torch.eye(3).to_sparse()})),
        first,
    ),
    damage(
        "{}: {} declares the shape {}, more than is stored; copy it again",
        faces,
        changed(lambda tree: tree.update({"conv_in.weight": torch.ones(1).expand(5000, 5000)})),
        first,
    ),
    damage(
        "{}: {} holds {} instead of floating-point weights; save the checkpoint again without quantisation",
        faces,
        changed(lambda tree: tree.update({"conv_in.weight": tree["conv_in.weight"].to(torch.int8)})),
        first,
    ),
    damage(
        "{}: {} holds NaN or infinity, or more than float32 can hold; take another snapshot of that run",
        faces,
        changed(lambda tree: tree["conv_in.weight"].fill_(math.nan)),
        first,
    ),
    damage(
        "{} makes a network whose answer to noise is not finite; take another snapshot of that run",
        faces,
        changed(lambda tree: [value.fill_(1e30) for value in tree.values()]),
        answers,
    ),
    damage(
        "this is nearly {}, but it {}; take the file that the network was published in",
        faces,
        changed(fewer("conv_out.bias")),
        first,
    ),
    damage(
        "this is nearly {}, but it lacks {}; take the file that the network was published in",
        faces,
        changed(fewer("down.0.block.0.conv1.weight")),
        as_faces,
    ),
    damage(
        "this is nearly {}, but {} has the shape {}; take the file that the network was published in",
        faces,
        changed(other("down.0.block.0.conv1.weight", 0)),
        as_faces,
    ),
    damage(
        "this is nearly {}, but {} is {} instead of {}; take the file that the network was published in",
        faces,
        changed(other("conv_out.bias", 7)),
        first,
    ),
    damage(
        "this is nearly {}, but it lacks {}{} of {} axes; take the file that the network was published in",
        of_ncsnpp,
        changed(lambda tree: tree["model"].update({"all_modules.0.W": torch.zeros(2, 2)})),
        sums,
    ),
    damage(
        "this is nearly {}, but no image is seen at a second resolution; take the file that the "
        "network was published in",
        of_ncsnpp,
        another_ncsnpp,
        sums,
    ),
    damage(
        "this is nearly {}, but {} is {}, which no attention of it has; take the file that the "
        "network was published in",
        of_monai,
        changed(lambda tree: tree.update({key: torch.zeros(7) for key in tree if "proj_attn.bias" in key})),
        sums_of_monai,
    ),
    damage(
        "its {} blocks make no levels of {} blocks; take the file that the network was published in, "
        "or state num_res_blocks as its training flags do",
        of_classifier,
        changed(lambda tree: [tree.pop(key) for key in list(tree) if "input_blocks.8." in key]),
        sums_of_classifier,
    ),
    damage(
        "its pool has {} positions, which are no square and the mean; take the file that the network "
        "was published in",
        of_classifier,
        changed(lambda tree: tree.update({POOL: tree[POOL][:, :12]})),
        sums_of_classifier,
    ),
    damage(
        "the averaged weights do not fit the last ones: {}; take the file that the network was published in",
        of_ldm,
        changed(lambda tree: tree["state_dict"].pop("model_ema.diffusion_modeltime_embed0weight")),
        sums,
    ),
    damage(
        "{} holds no JSON object; take it from the source again",
        folder_of,
        said("unet/config.json", "[]"),
        first,
    ),
    damage(
        "{} is larger than 1 MiB, which no configuration is; take it from the source again",
        folder_of,
        said("unet/config.json", " " * (1 << 21)),
        first,
    ),
    damage(
        "{} is not readable JSON; take it from the source again",
        folder_of,
        said("unet/config.json", "{"),
        first,
    ),
    damage(
        "{} cannot be read ({}); take the whole folder from its source",
        folder_of,
        lost("unet/config.json"),
        first,
    ),
    damage(
        "config.json gives {} as {}, which must be a whole number of at least 1; take it from the "
        "source again",
        grey_folder,
        entry("unet/config.json", in_channels=True),
        first,
    ),
    damage(
        "trained_betas of the scheduler must be a list of numbers between 0 and 1; take it from the "
        "source again",
        folder_of,
        entry(SCHEDULER, trained_betas="x"),
        first,
    ),
    damage(
        "{} holds no {}.safetensors, .bin, variant or index of shards; it holds {}; take the whole "
        "folder from its source",
        folder_of,
        lost("unet/diffusion_pytorch_model.safetensors"),
        first,
    ),
    damage(
        "{} is no index of shards; take the whole folder from its source", sharded, said(INDEX, "{}"), first
    ),
    damage(
        "{} lacks {}, one of {} shards of its weights; take the whole folder from its source",
        sharded,
        lost(SHARD.format(2)),
        first,
    ),
    damage(
        "{} holds {}, which another shard holds too; take the whole folder from its source",
        sharded,
        twice,
        first,
    ),
    damage(
        "{} holds no configuration; take the bundle from its source again", bundle, said(TRAIN, "[1]"), sums
    ),
    damage(
        "{} is larger than 1 MiB, which no configuration is; take the bundle from its source again",
        bundle,
        said(TRAIN, " " * (1 << 21)),
        sums,
    ),
    damage(
        "{} is not readable JSON or YAML; take the bundle from its source again",
        bundle,
        said(TRAIN, "{"),
        sums,
    ),
    damage(
        "{} holds no DiffusionModelUNet, which the bundle's configuration names; take the bundle "
        "from its source again",
        bundle,
        lambda path: torch.save({"other": torch.ones(2)}, path / "models" / "model.pt"),
        sums,
    ),
]
POOL = "out.2.positional_embedding"


@pytest.mark.parametrize(("sentence", "wrong", "right"), CONVERTED)
def test_a_checkpoint_is_copied_again(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
