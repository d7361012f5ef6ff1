"""From a checkpoint to a prior on disk and back: proven, complete, never half."""

import json

import pytest
import torch
from helpers.checkpoints import CASES, FACES, KNEE, open_checkpoint

from medrestore.errors import InputError
from medrestore.files import digest
from medrestore.priors import NetworkPrior, check, load, store
from medrestore.priors.convert import FAMILIES, adm, ddpm, identify, write


@pytest.mark.parametrize("case", CASES)
def test_the_prior_on_disk_is_the_checkpoint(case, checkpoint, tmp_path, noise):
    _, given, label = CASES[case]
    path = checkpoint(case)
    converted = open_checkpoint(path, given=given)
    about = write(converted, tmp_path / "prior", source=path, licence="MIT")
    assert about == store.describe(tmp_path / "prior")
    assert (about["family"], about["network"], about["licence"]) == (converted.family, "UNet2DModel", "MIT")
    assert about["source"] == {"name": path.name, "sha256": digest(path)}
    assert about["card"]["schedule"] == converted.about["schedule"] and "Not for diagnosis" in about["card"]["use"]

    prior = load(tmp_path / "prior", label=label)
    assert (prior.channels, prior.multiple, prior.size) == (converted.channels, converted.multiple, converted.size)
    assert prior.recipe == converted.recipe and type(prior.parametrisation) is type(converted.parametrisation)
    assert prior.parametrisation.betas == pytest.approx(converted.parametrisation.betas, rel=1e-6)
    direct = NetworkPrior(converted.net, converted.parametrisation, channels=prior.channels, class_label=label)
    x = noise(2, prior.channels, *(prior.size or (16, 8)))
    with torch.no_grad():
        torch.testing.assert_close(prior(x, 0.7), direct(x, 0.7), rtol=1e-4, atol=1e-5)
        if label is not None:
            again = load(tmp_path / "prior", label=0)(x, 0.7)
            assert (again - prior(x, 0.7)).abs().max() > 1e-4  # the class is heard
    stored = json.loads((tmp_path / "prior" / "prior.json").read_text())
    assert check.agree(stored["check"], check.answer(load(tmp_path / "prior", label=None if label is None else 0)))
    assert set(stored["parametrisation"]["betas"]) <= {"kind", "start", "end", "steps"}  # not a thousand numbers
    with pytest.raises(InputError, match="is a prior already"):
        identify(tmp_path / "prior")


def test_a_class_is_told_where_there_are_classes_and_nowhere_else(checkpoint, tmp_path):
    for case in ("classes", "knee"):
        path = checkpoint(case)
        write(open_checkpoint(path, given=CASES[case][1]), tmp_path / case, source=path)
    for wrong in (None, 5, -1, True, 2.0):
        with pytest.raises(InputError, match=r"a prior of 5 classes: .*its classes are the numbers from 0 to 4"):
            load(tmp_path / "classes", label=wrong)
    with pytest.raises(InputError, match="is a prior without classes"):
        load(tmp_path / "knee", label=0)


def test_the_check_knows_another_wiring(checkpoint):
    """The same weights with other heads, another order of q, k and v, or another schedule answer otherwise."""
    path = checkpoint()

    def answer(**given):
        made = open_checkpoint(path, given=given)
        return check.answer(NetworkPrior(made.net, made.parametrisation, channels=2, multiple=made.multiple))

    right = answer(num_heads=2)
    assert check.agree(right, answer(num_heads=2)) and check.agree(right, answer(num_head_channels=32))
    for wrong in ({"num_heads": 4}, {"num_heads": 2, "new_attention_order": True}, {"num_heads": 2, "schedule": "cosine"}):
        assert not check.agree(right, answer(**wrong))


def test_families_have_names_of_their_own():
    names = [one.name for one in FAMILIES]
    assert len(set(names)) == len(names) and all(hasattr(one, "convert") for one in FAMILIES)
    assert {type(one).__module__.rpartition(".")[2] for one in FAMILIES} >= {"adm", "ddpm", "folder"}


def test_no_family_takes_anothers_checkpoint(random_state):
    for layout, owner in ((adm.adm_layout(KNEE), adm.FAMILY), (ddpm.ddpm_layout(FACES), ddpm.FAMILY)):
        assert [one for one in FAMILIES if one.recognises(layout)] == [owner]


def test_averaged_weights_under_any_name_go_first_and_others_are_named(tmp_path, random_state):
    state = random_state(ddpm.ddpm_layout(FACES))
    last = {key: value + 1 for key, value in state.items()}
    for averaged in ("avg_model", "model_ema_state_dict", "ema_0.9999", "swa", "polyak-average"):
        torch.save({"net": last, averaged: state, "ema_decay": 0.999, "optimizer": {"state": {}}}, tmp_path / "c.pt")
        found = identify(tmp_path / "c.pt")
        assert torch.equal(found.state["conv_in.weight"], state["conv_in.weight"])
        assert "the averaged weights (EMA)" in " ".join(found.notes)
        assert found.notes[-1] == "left aside, 1 other set of weights of the same shapes: net"
    torch.save({"non_ema": last, "model": state}, tmp_path / "c.pt")
    found = identify(tmp_path / "c.pt")
    assert torch.equal(found.state["conv_in.weight"], state["conv_in.weight"]) and found.notes[-1].endswith("non_ema")
    torch.save({"model": last, "shadow_params": list(state.values())}, tmp_path / "c.pt")
    assert torch.equal(identify(tmp_path / "c.pt").state["conv_in.weight"], state["conv_in.weight"])
    torch.save({"model": state, "ema": state}, tmp_path / "c.pt")  # the same twice
    assert not any("left aside" in note for note in identify(tmp_path / "c.pt").notes)


def test_averaged_weights_beside_the_file_are_named(checkpoint, tmp_path):
    path = checkpoint("faces")
    assert not identify(path).notes
    path.rename(tmp_path / "model010000.pt")
    for name in ("ema_0.9999_010000.pt", "opt010000.pt", "ema.txt"):
        (tmp_path / name).write_bytes((tmp_path / "model010000.pt").read_bytes())
    assert "beside it lie ema_0.9999_010000.pt, averaged weights" in identify(tmp_path / "model010000.pt").notes[-1]
    assert not identify(tmp_path / "ema_0.9999_010000.pt").notes


def test_what_was_assumed_stands_in_the_card(checkpoint):
    assert open_checkpoint(checkpoint("faces")).about["assumed"] == "image_size=32, schedule=linear, low=0, high=1"
    given = {"image_size": 32, "schedule": "linear", "low": 0, "high": 1}
    assert "assumed" not in open_checkpoint(checkpoint("faces"), given=given).about
    knee = open_checkpoint(checkpoint("knee"), given={"num_heads": 2})
    assert knee.about["assumed"] == "num_heads_upsample=as num_heads, new_attention_order=false, schedule=linear, quantile=0.99"
