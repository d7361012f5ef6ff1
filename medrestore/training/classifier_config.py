"""The configuration of a run that trains a classifier of noisy images; see `config` for the others."""

from dataclasses import dataclass, field
from typing import Literal

from .conditioning import Conditioning
from .config import Adjustable, Count, CropConfig, Objective


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(CropConfig):
    """A run that trains a classifier of noisy images, from the labels of the data.

    Args:
        classifier: `encoder`, the first half of a U-Net with a pool at its end.
        out: folder of the run; the classifier ends up in `out/classifier`.
        network: arguments of `priors.encoder.EncoderUNet`, but for the number of classes.
        objective: `kind` and its numbers say how noisy images and levels are given to the network, `noise` which levels are
            trained on; the weighting plays no part.
        data: images with labels (docs/conditions.md), and crops of them.
        ema_images: half-life of the averaged weights.
    """

    classifier: Literal["encoder"]
    out: Adjustable[str] = "runs/classifier"
    objective: Objective = field(default_factory=Objective)
    ema_images: Count = 5_000

    @property
    def conditioning(self) -> Conditioning:
        """Labels, none of them left out: they are what is learned."""
        return Conditioning(labels=True, label_dropout=0.0)
