"""`medrestore convert` and `medrestore inspect` of checkpoints."""

import json
import shlex
from pathlib import Path

import pytest
import torch

from medrestore.priors import load
from medrestore.priors.convert import adm, ddpm

KNEE = adm.ADMArchitecture(2, 4, 32, (32, 64), 1, (False, True))
FACES = ddpm.DDPMArchitecture(3, 3, (32, 64), 1, (False, True))


def checkpoint(path: Path, shapes, **wrapped) -> Path:
    generator = torch.Generator().manual_seed(0)
    state = {key: 0.05 * torch.randn(shape, generator=generator) for key, shape in shapes.items()}
    torch.save({"ema": state, **wrapped} if wrapped else state, path)
    return path


def facts(text):
    return {name.strip(): value.strip() for name, _, value in (line.partition(": ") for line in text.splitlines())}


def test_convert_then_inspect_then_load(bench):
    path = checkpoint(bench / "knee.pt", adm.adm_layout(KNEE), step=3)
    words = ("--set", "num_heads=2", "--set", "quantile=0.98", "--licence", "MIT")
    outcome = bench.call("convert", path, "-o", bench / "knee", *words)
    assert (outcome.code, outcome.err) == (0, "")
    told = facts(outcome.out)
    assert told["family"] == "guided diffusion (ADM)" and "averaged weights (EMA)" in told["taken"]
    count = sum(torch.Size(shape).numel() for shape in adm.adm_layout(KNEE).values())
    assert told["tensors"] == f"{len(adm.adm_layout(KNEE))} keys, {count:,} numbers"
    assert told["images"] == "2 channels, any height and width that 2 divides"
    assert told["range"] == "CalibratedComplex(quantile=0.98)"
    assert told["schedule"] == "linear beta 0.0001 to 0.02, 1000 steps" and told["check"].startswith("answers noise of 32 x 32")
    assert told["predicts"] == "Epsilon, noise levels 0.01 to 157.4"
    assert outcome.out.splitlines()[-1] == str(bench / "knee")
    assert load(bench / "knee").channels == 2

    told = facts(bench.call("inspect", bench / "knee").out)
    assert told["kind"] == "prior" and told["weights"].endswith("as described") and told["licence"] == "MIT"
    assert told["architecture"] == "widths 32, 64; 1 blocks a level; 2 channels in, 4 out"
    assert told["parametrisation.betas.kind"] == "linear" and told["sizes"] == "any height and width that 2 divides"
    assert len(told["sha256"]) == 64 and told["recipe.quantile"] == "0.98" and told["source.name"] == "knee.pt"


def test_inspect_a_checkpoint(bench):
    before = facts(bench.call("inspect", checkpoint(bench / "knee.pth", adm.adm_layout(KNEE))).out)
    assert before["family"] == "guided diffusion (ADM)" and "num_heads=4" in before["before use"]
    assert before["to use it"].startswith(f"medrestore convert {bench / 'knee.pth'} -o knee --set")
    outcome = bench.call("inspect", checkpoint(bench / "faces.ckpt", ddpm.ddpm_layout(FACES)))
    told = facts(outcome.out)
    assert (outcome.code, outcome.err) == (0, "")
    assert told["family"] == "DDPM (SDEdit)" and told["images"].endswith("32 x 32 alone")
    assert told["to use it"] == f"medrestore convert {bench / 'faces.ckpt'} -o faces"
    assert not (bench / "faces").exists()


def test_the_name_of_the_prior_by_default(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    assert bench.call("convert", checkpoint(bench / "faces.pt", ddpm.ddpm_layout(FACES))).code == 0
    about = json.loads((bench / "faces" / "prior.json").read_text())
    assert about["size"] == [32, 32] and about["licence"].startswith("not stated")


REFUSED = {
    "no file": (["none.pt"], "none.pt does not exist"),
    "text": (["text.pt"], "text.pt is no checkpoint of PyTorch or safetensors"),
    "code": (["code.pt"], "code.pt holds Python objects"),
    "exists": (["knee.pt", "-o", "there", "--set", "num_heads=2"], "there exists and it is no prior; choose another output"),
    "no prior there": (["knee.pt", "-o", "there", "--set", "num_heads=2", "--overwrite"], "there exists and it is no prior"),
    "itself": (["knee.pt", "-o", "knee.pt"], "knee.pt is the checkpoint itself"),
    "not told": (["knee.pt"], "give num_heads=4"),
    "unknown word": (["knee.pt", "--set", "heads=2"], "does not take heads"),
    "no value": (["knee.pt", "--set", "num_heads"], "--set takes key=value"),
    "float where int": (["knee.pt", "--set", "num_heads=2.0"], "num_heads must be a whole number of at least 1, got 2.0"),
    "family": (["knee.pt", "--family", "gan"], "there is no family 'gan'"),
    "wrong family": (["knee.pt", "--family", "ddpm"], "this is nearly DDPM (SDEdit), but it lacks"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_sentence_and_leave_nothing(bench, monkeypatch, case):
    monkeypatch.chdir(bench.folder)
    checkpoint(bench / "knee.pt", adm.adm_layout(KNEE))
    (bench / "text.pt").write_text("not found")
    torch.save({"model": torch.nn.Linear(1, 1)}, bench / "code.pt")
    (bench / "there").mkdir()
    (bench / "there" / "photo.jpg").write_bytes(b"dear")
    before = bench.files()
    words, says = REFUSED[case]
    outcome = bench.call("convert", *words)
    lines = outcome.err.splitlines()
    assert outcome.code == 2 and len(lines) == 1, outcome
    assert lines[0].startswith("medrestore convert: error: ") and says in lines[0]
    assert bench.files() == before and outcome.out == ""


def test_the_line_that_inspect_gives_can_be_pasted(bench, monkeypatch):
    monkeypatch.chdir(bench / ".")
    name = "-a $(touch exploded) 'b'.ckpt"
    checkpoint(bench / name, ddpm.ddpm_layout(FACES))
    line = facts(bench.call("inspect", f"./{name}").out)["to use it"]
    words = shlex.split(line)
    assert words[:3] == ["medrestore", "convert", f"./{name}"] and words[4] == f"./{name.removesuffix('.ckpt')}"
    assert bench.call(*words[1:]).code == 0 and (bench / words[4] / "prior.json").is_file()
    assert not (bench / "exploded").exists()
