"""`inspect` of trained baselines, folders of runs, and descriptions that lie."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.frames import WINDOW, FieldPrior, known, picture, scene
from helpers.networks import rewrite, save_classifier

from medrestore.baselines import Supervised, UNet, VarNet, save
from medrestore.inpainting.files import inpaint_scene
from medrestore.inpainting.job import Job
from medrestore.inpainting.plan import Plan


def facts(text):
    return {name.strip(): value.strip() for name, _, value in (line.partition(": ") for line in text.splitlines())}


@pytest.mark.parametrize("net", [UNet(channels=4), VarNet(cascades=1, channels=4, map_channels=2)], ids=["unet", "varnet"])
def test_a_trained_baseline(bench, net):
    folder = bench / "run" / "baseline"
    save(folder, Supervised(net, {"name": "small", "licence": "CC0", "scores": {"psnr": 30.5}}))
    outcome = bench.call("inspect", folder)
    told, about = facts(outcome.out), json.loads((folder / "baseline.json").read_text())
    assert (outcome.code, outcome.err) == (0, "") and told["kind"] == "trained baseline" and told["network"] == net.kind
    assert {key: told[f"arguments.{key}"] for key in net.arguments} == {key: str(value) for key, value in net.arguments.items()}
    assert told["licence"] == "CC0" and told["sha256"] == about["sha256"] and told["card.scores.psnr"] == "30.5"
    assert told["weights"].endswith("MB, as described")
    (folder / "weights.safetensors").write_bytes(b"altered")
    assert facts(bench.call("inspect", folder).out)["weights"] == "MISSING or altered; copy the baseline again"
    assert f"its result is in {folder}" in bench.call("inspect", bench / "run").err


def test_what_a_description_says_is_shown_as_text_and_not_believed(bench):
    folder = bench / "prior"
    shutil.copytree(bench.prior, folder)
    about = {"card": {"licence": "MIT\nkind: \x1b[2Jother"}, "weights": "1 MB, as described", "parts": {"vqvae": "0" * 64}}
    rewrite(folder, **about)
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"block_out_channels": 8}))
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"altered")
    outcome = bench.call("inspect", folder)
    told = facts(outcome.out)
    assert (outcome.code, outcome.err) == (0, "") and told["kind"] == "prior" and "\x1b" not in outcome.out
    assert told["card.licence"] == "MIT kind: [2Jother" and "architecture" not in told
    assert told["weights"] == told["weights of vqvae"] == "MISSING or altered; copy the prior again"


def test_frames_that_were_restored(bench):
    """What they are, and whether they are as they were written."""
    out, job = bench / "out.mha", Job(Plan(steps=2, window=WINDOW), FieldPrior(), {"sha256": "weights"})
    inpaint_scene(lambda: scene([picture(0)], [known((10, 20, 12, 12))]), out, job, source=Path("frames"))
    told = facts(bench.call("inspect", out).out)
    assert told["kind"] == "frames restored by medrestore" and told["data"].startswith("as written")
    assert told["config.steps"] == "2" and told["input.name"] == "frames"
    content = bytearray(out.read_bytes())
    content[-1] ^= 1
    out.write_bytes(content)
    told = facts(bench.call("inspect", out).out)
    assert told["data"] == "DAMAGED: out.mha; make it again"


def test_a_classifier(bench):
    save_classifier(bench / "run" / "classifier", names=("gut", "liver"))
    outcome = bench.call("inspect", bench / "run" / "classifier")
    told = facts(outcome.out)
    assert (outcome.code, outcome.err) == (0, "") and told["kind"].startswith("classifier of noisy images")
    assert told["weights"].endswith("as described") and "liver" in outcome.out and "any height and width" in told["sizes"]
    outcome = bench.call("inspect", bench / "run")
    assert outcome.code == 2 and str(bench / "run" / "classifier") in outcome.err
