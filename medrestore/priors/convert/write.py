"""A converted checkpoint as a prior, or a classifier, on disk, proven by reading it back."""

import math
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...files import digest
from .. import check, classifier_store, store
from ..classes import embeds
from ..classifier import NetworkClassifier
from ..network import NetworkPrior
from .base import Converted

NOTICE = "Research use only. Not a medical device. Not for diagnosis. Can invent anatomy."


def write(converted: Converted, out: Path, *, source: Path, licence: str | None = None,
          overwrite: bool = False) -> dict[str, Any]:
    """Writes the prior, reads it back, compares the answers to fixed noise, and publishes it.

    Args:
        source: the checkpoint, a file or a folder; its name and the sha256 of a file are noted.
        licence: of the weights; whoever converts them has to look it up.
        overwrite: an older prior at `out` is replaced.

    Returns:
        `prior.json` or `classifier.json` as written.

    Raises:
        InputError: it cannot be written there, or what was read back answers otherwise.
    """
    condition = converted.about.get("condition_channels", 0)
    class_label = 0 if embeds(converted.config) is not None else None
    with store.new_prior(out, replace=overwrite) as folder:
        made = check.answer(_as_prior(converted, class_label), condition_channels=condition)
        if not all(math.isfinite(value) for value in (made["mean"], made["std"])):
            raise InputError(f"{source} makes a network whose answer to noise is not finite; take another snapshot of that run")
        facts = {
            "family": converted.family, "network": converted.config["_class_name"],
            "licence": licence or "not stated; ask whoever published the checkpoint",
            "source": {"name": source.name, "sha256": digest(source) if source.is_file() else None},
            "check": made,
        }
        store.save(
            folder, converted.net, parametrisation=converted.parametrisation, recipe=converted.recipe,
            channels=converted.channels, multiple=converted.multiple, size=converted.size, config=converted.config,
            parts=converted.parts,
            facts=facts | ({"condition_channels": condition} if condition else {}),
            card={"about": "converted from an existing checkpoint", "use": NOTICE, **converted.about},
            file=store.PRIOR if converted.classifies is None else classifier_store.FILE,
        )
        written: NetworkPrior | NetworkClassifier
        if converted.classifies is None:
            written = store.load(folder, label=class_label, conditioned=bool(condition))
        else:
            written = classifier_store.load(folder)
        again = check.answer(written, condition_channels=condition)
        if not check.agree(made, again):
            raise InputError(f"{out}: the network that was written answers otherwise than the one that was read; nothing was "
                             "kept; this is worth a report with the checkpoint's name")
        return store.describe(folder) if converted.classifies is None else classifier_store.describe(folder)


def _as_prior(converted: Converted, class_label: int | None) -> NetworkPrior | NetworkClassifier:
    if converted.classifies is not None:
        return NetworkClassifier(converted.net, converted.parametrisation, classes=converted.classifies,
                                 channels=converted.channels, multiple=converted.multiple, size=converted.size)
    return NetworkPrior(converted.net, converted.parametrisation, channels=converted.channels, multiple=converted.multiple,
                        size=converted.size, recipe=converted.recipe, class_label=class_label)
