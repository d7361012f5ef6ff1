"""The configuration of a run that trains an autoencoder; its fields are those of `config` where they have the names."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from ..errors import InputError
from ..settings import Bounds, Privacy, build, check
from .config import Adjustable, Card, Count, Data, NotNegative, Optim, Whole


@dataclass(frozen=True)
class AutoencoderLoss:
    """The loss of an autoencoder, of images in a prior's coordinates; each weight is that of a mean over real numbers.

    Args:
        l1: weight of |image - reconstruction|.
        gradients: weight of the same of differences of neighbouring pixels, the mean over the image and its halves and
            quarters. It stands where LPIPS stands in the paper: it needs no downloaded network, punishes blur at three
            scales, and is as good for complex images as for colours.
        codes: weight of the divergence of the codes from a normal distribution (kl), or of their distance to the code book
            (vq); null: 1e-4 and 1.
        adversarial: weight of what a judge of patches says of reconstructions; 0: there is no judge.
        adversarial_after: images after which that weight counts; the judge learns from the start.
        judge_width: channels of the first layer of the judge.
    """

    l1: NotNegative = 1.0
    gradients: NotNegative = 1.0
    codes: NotNegative | None = None
    adversarial: NotNegative = 0.0
    adversarial_after: Whole = 0
    judge_width: Count = 32

    def __post_init__(self) -> None:
        check(self)
        if self.l1 + self.gradients == 0:
            raise InputError("AutoencoderLoss: l1 and gradients are both 0, so nothing would be learned; raise one")


@dataclass(frozen=True)
class AutoencoderConfig:
    """A run that trains an autoencoder, whose codes a latent prior may learn.

    Args:
        autoencoder: kl, codes near a normal distribution; or vq, codes of a code book.
        out: folder of the run; the autoencoder ends up in `out/autoencoder`.
        seed: of the weights, the crops and the noise.
        network: arguments of a diffusers `AutoencoderKL` or `VQModel`; the blocks and, where they are left out, the channels
            of images follow.
        loss: of the reconstruction.
        data: as for a prior; sides must be multiples of how many times smaller codes are than images.
        images: to train on, in all.
        ema_images: half-life of the averaged weights.
        weights: type of the exported weights; fp16 takes half the space.
        channels_last: faster layout.
        checkpoint_images: between checkpoints.
        keep: how many of the last checkpoints stay, besides the best.
        scale_crops: training crops whose codes are measured for their std.
        card: what the run cannot know.
        privacy: what checkpoints and the autoencoder tell of the paths of the training data.
    """

    autoencoder: Literal["kl", "vq"] = "kl"
    out: Adjustable[str] = "runs/autoencoder"
    seed: Whole = 0
    network: dict[str, Any] = field(default_factory=dict)
    loss: AutoencoderLoss = field(default_factory=AutoencoderLoss)
    data: Data = field(default_factory=Data)
    optim: Optim = field(default_factory=Optim)
    images: Adjustable[Count] = 100_000
    ema_images: Count = 5_000
    weights: Adjustable[Literal["fp32", "fp16"]] = "fp32"
    channels_last: bool = True
    checkpoint_images: Adjustable[Count] = 10_000
    keep: Adjustable[Count] = 2
    scale_crops: Annotated[int, Bounds(at_least=1, at_most=4096)] = 64
    card: Adjustable[Card] = field(default_factory=Card)
    privacy: Adjustable[Privacy] = field(default_factory=Privacy)

    def __post_init__(self) -> None:
        check(self)

    @property
    def codes_weight(self) -> float:
        """Of the regularisation of the codes."""
        default = {"kl": 1e-4, "vq": 1.0}[self.autoencoder]
        return default if self.loss.codes is None else self.loss.codes


def read_autoencoder(given: Any, source: str) -> AutoencoderConfig:
    """The run of an autoencoder that a mapping describes; `source` begins the messages.

    Raises:
        InputError: an unknown key, a value of another type, or one out of bounds.
    """
    return build(AutoencoderConfig, given, source)
