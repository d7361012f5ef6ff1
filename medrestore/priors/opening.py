"""A prior by name, told what is known of the image."""

from pathlib import Path

import torch

from ..conditions import Conditions
from ..errors import InputError
from . import classifier_store
from .base import Prior
from .guidance import ClassifierFree, Guided
from .store import classes_of, load


def opened(name: str | Path, conditions: Conditions, *, device: torch.device | str = "cpu", bf16: bool = False,
           compiled: bool = False) -> Prior:
    """A prior by folder or by the name of a shipped one, with what is known of the image beside its data.

    Args:
        conditions: with a classifier, `Guided`; with guidance alone, `ClassifierFree`; else the prior of the class.
        device, bf16, compiled: as `store.load`.

    Raises:
        InputError: as `store.load`, or conditions that do not suit the prior or each other.
    """
    label, guidance = conditions.label, conditions.guidance
    if label is None and (guidance is not None or conditions.classifier is not None):
        raise InputError("`guidance` and `classifier` pull to a class, and none is given; give a `label`, or leave them out")
    if conditions.classifier is None:
        prior = load(name, device=device, bf16=bf16, compiled=compiled, label=label)
        return prior if guidance is None else ClassifierFree(prior, label, guidance)
    classifier = classifier_store.load(conditions.classifier, device=device)
    own = None if classes_of(name) is None else label
    prior = load(name, device=device, bf16=bf16, compiled=compiled, label=own)
    return Guided(prior, classifier, label, 1.0 if guidance is None else guidance)
