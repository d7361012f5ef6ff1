"""The configuration of a run that trains a classifier of noisy images; see `config` for the others."""

from dataclasses import dataclass, field
from typing import Any, Literal

from ..settings import Checked, Privacy
from .conditioning import Conditioning
from .config import Adjustable, Card, Count, Data, Objective, Optim, Whole


@dataclass(frozen=True)
class ClassifierConfig(Checked):
    """A run that trains a classifier of noisy images, from the labels of the data.

    Args:
        classifier: `encoder`, the first half of a U-Net with a pool at its end.
        out: folder of the run; the classifier ends up in `out/classifier`.
        seed: of the weights, the crops and the noise.
        network: arguments of `priors.encoder.EncoderUNet`, but for the number of classes.
        objective: `kind` and its numbers say how noisy images and levels are given to the network, `noise` which levels are
            trained on; the weighting plays no part.
        data: images with labels (docs/conditions.md), and crops of them.
        images: to train on, in all.
        ema_images: half-life of the averaged weights.
        checkpoint_images: between checkpoints.
        keep: how many of the last checkpoints stay, besides the best.
        card: what the run cannot know.
        privacy: what checkpoints and the classifier tell of the paths of the training data.
    """

    classifier: Literal["encoder"]
    out: Adjustable[str] = "runs/classifier"
    seed: Whole = 0
    network: dict[str, Any] = field(default_factory=dict)
    objective: Objective = field(default_factory=Objective)
    data: Data = field(default_factory=Data)
    optim: Optim = field(default_factory=Optim)
    images: Adjustable[Count] = 100_000
    ema_images: Count = 5_000
    checkpoint_images: Adjustable[Count] = 10_000
    keep: Adjustable[Count] = 2
    card: Adjustable[Card] = field(default_factory=Card)
    privacy: Adjustable[Privacy] = field(default_factory=Privacy)

    @property
    def conditions(self) -> Conditioning:
        """Labels, none of them left out: they are what is learned."""
        return Conditioning(labels=True, label_dropout=0.0)
