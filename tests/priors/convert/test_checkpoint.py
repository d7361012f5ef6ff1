"""The door itself: wrappers come off by rule, code is never run, and no file, however damaged, gets more than a sentence."""

import argparse
import shlex
import subprocess
import sys
import zipfile
from collections import OrderedDict

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from medrestore.errors import InputError
from medrestore.priors.convert import ddpm, identify, read_views

ARCH = ddpm.DDPMArchitecture(3, 3, (32,), 1, (True,))


@pytest.fixture
def state(random_state):
    return random_state(ddpm.ddpm_layout(ARCH))


def other(state):
    return {key: value + 1 for key, value in state.items()}


def listed(state):
    model = {f"module.{key}": value + 1 for key, value in state.items()}
    model = {"module.sigmas": torch.arange(5.0), **model, "module.steps": torch.arange(7.0)}
    return {"model": model, "ema": {"decay": 0.999, "shadow_params": list(state.values())}, "optimizer": {"state": {}}, "step": 3}


WRAPPED = {  # all hold `state` where it is looked for first
    "bare": lambda s: s,
    "parameters": lambda s: OrderedDict((key, nn.Parameter(value)) for key, value in s.items()),
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "optimizer_states": [{"state": {0: {"exp": torch.ones(2)}}}]},
    "EMA beside": lambda s: {"model": other(s), "ema": s, "optimizer": {"state": {}}, "step": torch.tensor(3)},
    "EMA within": lambda s: {"state_dict": {**{f"model.{k}": v for k, v in other(s).items()},
                                            **{f"ema_model.{k}": v for k, v in s.items()}}},
    "data parallel": lambda s: {f"module.{key}": value for key, value in s.items()},
    "compiled, parallel": lambda s: {"model": {f"_orig_mod.module.{key}": value for key, value in s.items()}},
    "own name": lambda s: {"diffuser": s, "epoch": 3},
    "options": lambda s: {"args": argparse.Namespace(lr=1e-4, name="x"), "model": s},
    "half precision": lambda s: {"net": {key: value.half() for key, value in s.items()}},
    "list of parameters": listed,
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("wrapper", WRAPPED)
def test_wrappers_come_off_and_averaged_weights_go_first(tmp_path, state, wrapper, zipped):
    if wrapper == "list of parameters":
        views = read_views(_saved(tmp_path, listed(state), zipped))
        found = next(view.state for view in views if "conv_in.weight" in view.state)
        found = {key: value for key, value in found.items() if key not in ("sigmas", "steps")}
    else:
        whole = identify(_saved(tmp_path, WRAPPED[wrapper](state), zipped))
        assert whole.family is ddpm.FAMILY
        assert any("EMA" in note or "ema" in note for note in whole.notes) == ("EMA" in wrapper)
        found = whole.state
    assert set(found) == set(state)
    for key, value in state.items():
        torch.testing.assert_close(found[key].float(), value, rtol=1e-3, atol=1e-3)


def _saved(folder, tree, zipped=True):
    torch.save(tree, folder / "c.pt", _use_new_zipfile_serialization=zipped)
    return folder / "c.pt"


def test_a_list_that_fits_nothing_is_not_passed_over(tmp_path, state):
    tree = listed(state)
    tree["ema"]["shadow_params"].append(torch.ones(3))
    with pytest.raises(InputError, match=r"a list of .* that fit no network"):
        read_views(_saved(tmp_path, tree))


class Mine(nn.Module):
    """A class of the checkpoint's author: to make it again is to run code."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


class Bomb:
    def __reduce__(self):
        return exec, ("open('exploded', 'w')",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("tree", [{"ema": Mine()}, {"model": {}, "x": Bomb()}], ids=["module", "bomb"])
def test_code_is_never_run_and_the_way_out_is_said(tmp_path, monkeypatch, tree, zipped):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="only running its code") as refusal:
        read_views(_saved(tmp_path, tree, zipped))
    assert not (tmp_path / "exploded").exists() and "\n" not in str(refusal.value)
    assert "weights_only=False" in str(refusal.value) and "convert weights.pt" in str(refusal.value)


def test_the_way_out_leads_out(tmp_path):
    path = _saved(tmp_path, {"ema": nn.Linear(2, 3), "args": complex, "step": 7})
    with pytest.raises(InputError) as refusal:
        read_views(path)
    line = shlex.split(str(refusal.value).split("`")[1])
    subprocess.run([sys.executable, *line[1:]], cwd=tmp_path, check=True, timeout=60)
    assert set(read_views(tmp_path / "weights.pt")[0].state) == {"weight", "bias"}


def test_a_script_is_a_program(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        for name in ("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"):
            archive.writestr(name, b"\x80\x02N.")
    with pytest.raises(InputError, match=r"TorchScript program; where you trust it, run `python .*torch\.jit\.load"):
        read_views(tmp_path / "m.pt")


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**7))


def plain_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.png", b"png")


def declared(path, shape, stride):
    """A tensor that says more than its one number."""
    torch.save({"a": torch.as_strided(torch.ones(1), shape, stride)}, path)


def deep(path):
    tree = torch.ones(1)
    for _ in range(30):
        tree = {"a": tree}
    torch.save(tree, path)


WRONG = {
    "empty": (lambda p: p.write_bytes(b""), "no checkpoint of PyTorch or safetensors"),
    "text": (lambda p: p.write_text("learning rate: 3e-4\n" * 9), "no checkpoint of PyTorch or safetensors"),
    "page": (lambda p: p.write_text("<!DOCTYPE html><html>404</html>"), "no checkpoint of PyTorch or safetensors"),
    "folder": (lambda p: p.mkdir(), "a folder"),
    "missing": (lambda p: None, "does not exist"),
    "bomb": (bomb, "declares more than its"),
    "other zip": (plain_zip, "not one of torch.save"),
    "a number": (lambda p: torch.save(3, p), "holds no network: it is one int"),
    "a list": (lambda p: torch.save([torch.ones(2)], p), "holds no network"),
    "no tensors": (lambda p: torch.save({"step": 3}, p), "its entries are step"),
    "stride 0": (lambda p: declared(p, (10**6, 10**6), (0, 0)), "declares the shape"),
    "sparse": (lambda p: torch.save({"a": torch.eye(3).to_sparse()}, p), "plain"),
    "meta": (lambda p: torch.save({"a": torch.empty(3, device="meta")}, p), "plain"),
    "deep": (deep, "deeper than"),
    "another network": (lambda p: torch.save(nn.Linear(2, 2).state_dict(), p), "of no known family .*known are adm, "),
    "line break": (lambda p: torch.save({"a\nb" * 99: torch.ones(2)}, p), "of no known family"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.filterwarnings("ignore:.*Sparse.*")
def test_what_is_no_checkpoint_is_said_in_a_sentence(tmp_path, case):
    make, says = WRONG[case]
    path = tmp_path / "c.pt"
    make(path)
    with pytest.raises(InputError, match=says) as refusal:
        identify(path)
    assert str(path) in str(refusal.value) and str(refusal.value).isprintable()


def test_what_is_nearly_known_is_said(tmp_path, state):
    torch.save({key: value for key, value in state.items() if key != "mid.block_1.conv1.weight"}, tmp_path / "c.pt")
    with pytest.raises(InputError, match=r"the closest is DDPM \(SDEdit\), and it lacks mid.block_1.conv1.weight"):
        identify(tmp_path / "c.pt")
    with pytest.raises(InputError, match="nearly DDPM"):
        identify(tmp_path / "c.pt", "ddpm").convert({})
    with pytest.raises(InputError, match="there is no family 'gan'"):
        identify(tmp_path / "c.pt", "gan")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Small sound files of every kind: (name, bytes)."""
    folder = tmp_path_factory.mktemp("whole")
    tensors = {key: torch.full(shape, 0.1) for key, shape in ddpm.ddpm_layout(ARCH).items()}
    torch.save({"ema": tensors, "step": 3}, folder / "zip.pt")
    torch.save({"ema": tensors, "step": 3}, folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file(tensors, folder / "c.safetensors")
    return folder, {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


FUZZ = settings(max_examples=120, deadline=None, derandomize=True, database=None,
                suppress_health_check=[HealthCheck.function_scoped_fixture])


def never_more_than_a_sentence(path, data):
    path.write_bytes(data)
    try:
        identify(path).convert({"image_size": 16})
    except InputError as refusal:
        assert str(path) in str(refusal) and str(refusal).isprintable()


@FUZZ
@given(kind=st.sampled_from(["zip.pt", "old.pt", "c.safetensors"]), part=st.floats(0, 1, exclude_max=True))
def test_truncated_files(whole, kind, part):
    folder, files = whole
    never_more_than_a_sentence(folder / f"x-{kind}", files[kind][: int(part * len(files[kind]))])


@FUZZ
@given(kind=st.sampled_from(["zip.pt", "old.pt", "c.safetensors"]),
       flips=st.lists(st.tuples(st.integers(-20_000, 12_000), st.integers(0, 255)), min_size=1, max_size=12))
def test_altered_files(whole, kind, flips):
    """Bytes at the beginning and the end, where the structure of all three formats lies."""
    folder, files = whole
    data = bytearray(files[kind])
    for at, byte in flips:
        data[at] = byte
    never_more_than_a_sentence(folder / f"x-{kind}", bytes(data))
