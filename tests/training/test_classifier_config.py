"""The bounds of a run that trains a classifier."""

import pytest

from medrestore.errors import InputError
from medrestore.settings import build
from medrestore.training.classifier_config import ClassifierConfig


def test_all_labels_are_told() -> None:
    conditions = ClassifierConfig(classifier="encoder").conditioning
    assert conditions.labels and conditions.label_dropout == 0.0


def test_other_classifiers_are_refused() -> None:
    with pytest.raises(InputError, match="classifier must be"):
        build(ClassifierConfig, {"classifier": "resnet"}, "x.yaml")
