"""Classifiers on disk: what was written is read, what was altered is refused."""

import json
from pathlib import Path

import pytest
import torch
from helpers.networks import save_classifier, save_rgb_prior

from medrestore.conditions import Conditions
from medrestore.errors import InputError
from medrestore.priors import ClassifierFree, Guided, classifier_store, opened

NAMES = ("gut", "liver")


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    net = save_classifier(tmp_path / "c", names=NAMES)
    loaded = classifier_store.load(tmp_path / "c")
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = net(*loaded.parametrisation.inputs(x, torch.full((2,), 0.7))).log_softmax(1)
    torch.testing.assert_close(loaded(x, 0.7), expected)
    assert (loaded.classes.names, loaded.channels, loaded.multiple, loaded.size) == (NAMES, 3, 2, None)
    assert float(loaded(x, 0.7).exp().sum(1)[0]) == pytest.approx(1)


def test_plans_name_it(tmp_path: Path) -> None:
    save_classifier(tmp_path / "c", names=NAMES)
    plain = save_rgb_prior(tmp_path / "plain")
    classes = save_rgb_prior(tmp_path / "classes", names=NAMES, null=True)
    told = Conditions(label="liver", classifier=str(tmp_path / "c"))
    guided = opened(plain, told)
    assert isinstance(guided, Guided) and (guided.scale, guided.index) == (1.0, 1)
    both = opened(classes, Conditions(label="gut", classifier=str(tmp_path / "c"), guidance=3.0))
    assert isinstance(both, Guided) and both.scale == 3 and vars(both.prior)["class_label"] == 0
    free = opened(classes, Conditions(label="gut", guidance=2.5))
    assert isinstance(free, ClassifierFree) and free.scale == 2.5
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert (opened(plain, Conditions())(x, 1.0) - guided(x, 1.0)).abs().max() > 1e-6
    for conditions, says in ((Conditions(guidance=2.0), "none is given; give a `label`"),
                             (Conditions(label="gut", guidance=2.0), "without classes"),
                             (Conditions(label="skin", classifier=told.classifier), "no class 'skin'"),
                             (Conditions(label="gut", classifier=str(plain)), "no classifier at")):
        with pytest.raises(InputError, match=says):
            opened(plain, conditions)


def test_what_was_altered_is_refused(tmp_path: Path) -> None:
    save_classifier(tmp_path / "c", names=NAMES)
    path = tmp_path / "c" / classifier_store.FILE
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"channels": 1}))
    with pytest.raises(InputError, match="altered after it was written"):
        classifier_store.load(tmp_path / "c")
    path.write_text(json.dumps({key: value for key, value in about.items() if key != "digest"} | {"channels": 1}))
    with pytest.raises(InputError, match=r"of 1 channels and unet/config\.json of 3"):
        classifier_store.load(tmp_path / "c")
    path.write_text("{")
    with pytest.raises(InputError, match="not readable JSON"):
        classifier_store.load(tmp_path / "c")
    path.write_text(json.dumps(about))
    weights = tmp_path / "c" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="not the file"):
        classifier_store.load(tmp_path / "c")
