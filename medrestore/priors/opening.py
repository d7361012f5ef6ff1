"""A prior by name, told what is known of the image."""

from pathlib import Path

import torch

from ..conditions import Conditions
from . import classifier_store
from .base import Prior
from .guidance import Guided, pulled
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
    conditions.check_told()
    label, guidance = conditions.label, conditions.guidance
    if conditions.classifier is None:
        return pulled(load(name, device=device, bf16=bf16, compiled=compiled, label=label), conditions)
    classifier = classifier_store.load(conditions.classifier, device=device)
    own = None if classes_of(name) is None else label
    prior = load(name, device=device, bf16=bf16, compiled=compiled, label=own)
    return Guided(prior, classifier, label, 1.0 if guidance is None else guidance)
