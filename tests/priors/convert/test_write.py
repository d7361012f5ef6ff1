"""Converted checkpoints are written whole or not at all, and never in place of anything but a prior."""

import errno
import os

import pytest
import torch
from diffusers import UNet2DModel
from helpers.checkpoints import open_checkpoint

from medrestore.errors import InputError
from medrestore.files import Stage
from medrestore.priors import Epsilon, check, load, network_files, store
from medrestore.priors.convert import Converted, write


def test_what_exists_is_kept_unless_it_is_a_prior_and_that_is_asked_for(checkpoint, tmp_path):
    path, out = checkpoint(), tmp_path / "prior"
    converted = open_checkpoint(path, given={"num_heads": 2})
    write(converted, out, source=path)
    with pytest.raises(InputError, match="pass `overwrite` to replace the prior"):
        write(converted, out, source=path)
    assert write(converted, out, source=path, licence="MIT", overwrite=True)["licence"] == "MIT"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"dear")
    with pytest.raises(InputError, match="it is no prior"):
        write(converted, tmp_path / "photos", source=path, overwrite=True)
    assert (tmp_path / "photos" / "one.jpg").read_bytes() == b"dear"
    assert {found.name for found in tmp_path.iterdir()} == {"knee.pt", "photos", "prior"}


@pytest.mark.parametrize("fails", ["save", "answer", "rename"])
def test_a_failure_leaves_what_was_there(fails, checkpoint, tmp_path, monkeypatch):
    path, out = checkpoint(), tmp_path / "prior"
    converted = open_checkpoint(path, given={"num_heads": 2})
    write(converted, out, source=path, licence="first")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    replaced = os.replace
    if fails == "save":
        monkeypatch.setattr(network_files, "write_tensors", full)
    elif fails == "rename":
        monkeypatch.setattr(os, "replace", lambda a, b: full() if a.name == "new" else replaced(a, b))
    else:
        monkeypatch.setattr(check, "agree", lambda one, other: False)
    with pytest.raises(InputError, match="answers otherwise" if fails == "answer" else "written .no space left on device"):
        write(converted, out, source=path, overwrite=True)
    monkeypatch.undo()
    assert store.describe(out)["licence"] == "first" and load(out)
    assert {found.name for found in tmp_path.iterdir()} == {"knee.pt", "prior"}


def test_a_killed_run_leaves_nothing_for_the_next(checkpoint, tmp_path):
    path, out = checkpoint(), tmp_path / "prior"
    converted = open_checkpoint(path, given={"num_heads": 2})
    write(converted, out, source=path, licence="first")
    left = Stage(out)
    os.rename(out, left.folder / "old")  # killed between the two renames
    left.leave()
    (tmp_path / "prior.part").mkdir()  # the user's own
    (tmp_path / "prior.old").symlink_to("knee.pt")
    write(converted, out, source=path, licence="second", overwrite=True)
    assert {found.name for found in tmp_path.iterdir()} == {"knee.pt", "prior", "prior.part", "prior.old"}
    assert store.describe(out)["licence"] == "second" and (tmp_path / "prior.old").is_symlink()


def test_a_network_that_answers_nothing_is_refused(checkpoint, tmp_path):
    converted = open_checkpoint(checkpoint(), given={"num_heads": 2})
    for weights in converted.net.parameters():
        weights.data.mul_(1e30)
    with pytest.raises(InputError, match="not finite"):
        write(converted, tmp_path / "prior", source=tmp_path / "knee.pt")


def test_a_network_with_a_second_input_and_a_part(tmp_path):
    """Latent priors are told an image and bring an autoencoder: both are proven and kept."""

    def net(**channels):
        torch.manual_seed(0)
        return UNet2DModel(**channels, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, add_attention=False,
                           down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2)

    told = net(in_channels=3, out_channels=1)
    config = {**told.config, "_class_name": "UNet2DModel"}
    converted = Converted("two", config, told, Epsilon(), None, 1, 2, about={"condition_channels": 2},
                          parts={"vqvae": net(in_channels=1, out_channels=1)})
    about = write(converted, tmp_path / "prior", source=tmp_path)
    assert about["condition_channels"] == 2 and about["recipe"] is None and set(about["parts"]) == {"vqvae"}
    assert store.load_part(tmp_path / "prior", "vqvae").config["in_channels"] == 1
    assert load(tmp_path / "prior", conditioned=True).recipe is None
    with pytest.raises(InputError, match="needs a low-resolution image, which scans"):
        load(tmp_path / "prior")
