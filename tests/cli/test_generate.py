"""`medrestore generate`."""

import json

import numpy as np
from helpers.networks import save_classifier, save_rgb_prior
from helpers.scans import Bench
from PIL import Image


def test_images_of_any_size(bench: Bench) -> None:
    prior = save_rgb_prior(bench / "rgb")
    words = ("generate", "--prior", prior, "--steps", 2, "--height", 20, "--width", 35, "-o", bench / "x.png")
    outcome = bench.call(*words)
    assert (outcome.code, outcome.err) == (0, "") and np.asarray(Image.open(bench / "x.png")).shape == (
        20,
        35,
        3,
    )
    assert bench.call(*words).code == 2 and "complete already" in bench.call(*words, "--resume").out


def test_images_of_a_class_by_label_by_guidance_and_by_a_classifier(bench: Bench) -> None:
    """Each is heard; the record names the classifier and not its folder, and a moved one makes the same output."""
    classes = save_rgb_prior(bench / "classes", names=("gut", "liver"), null=True)
    plain = save_rgb_prior(bench / "plain")
    save_classifier(bench / "deep" / "classifier", names=("gut", "liver"))
    cases = {"any": (classes,), "gut": (classes, "--label", "gut"), "liver": (classes, "--label", "liver"),
             "more": (classes, "--label", "liver", "--guidance", 4), "plain": (plain,),
             "guided": (plain, "--label", "liver", "--guidance", 3, "--classifier", bench / "deep" / "classifier")}
    made = {}
    for name, (prior, *words) in cases.items():
        size = ("--steps", 3, "--sigma-max", 2, "--height", 16, "--width", 16)
        outcome = bench.call("generate", "--prior", prior, *words, *size, "-o", bench / f"{name}.npy")
        assert (outcome.code, outcome.err) == (0, ""), outcome
        made[name] = np.load(bench / f"{name}.npy").tobytes()
    assert len(set(made.values())) == len(cases)
    record = json.loads((bench / "guided.npy.json").read_text())
    assert record["config"]["classifier"] == "classifier" and record["config"]["label"] == "liver"
    assert str(bench.folder) not in json.dumps(record)
    outcome = bench.call("generate", "--prior", plain, "--label", "skin", "--classifier", bench / "deep" / "classifier", "-o",
                         bench / "x.npy")
    assert outcome.code == 2 and "no class 'skin'; its classes are gut, liver" in outcome.err
    outcome = bench.call("generate", "--prior", plain, "--guidance", 2, "-o", bench / "x.npy")
    assert outcome.code == 2 and "give a --label" in outcome.err


def test_mistakes_are_told_in_one_sentence(bench: Bench) -> None:
    for words, says in (
        ((), "give -o"),
        (("-o", bench / "x.nii"), "written as .png"),
        (("-o", bench / "x.png", "--samples", 2), "one picture"),
        (("-o", bench / "x.png", "--prior", bench.prior, "--label", 1), "without classes"),
        (("-o", bench / "x.png", "--method", "hqs"), "--method must be one of"),
    ):
        outcome = bench.call("generate", *words)
        assert outcome.code == 2 and says in outcome.err and outcome.err.count("\n") == 1, outcome
