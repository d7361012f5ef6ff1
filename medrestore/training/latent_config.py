"""The configuration of runs that train an autoencoder, or a prior of its codes; see `config` for the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from ..errors import InputError
from ..settings import Bounds, Checked, Privacy, build, check
from .conditioning import Conditioning
from .config import Adjustable, Card, Count, Data, NotNegative, Objective, Optim, Whole


@dataclass(frozen=True)
class AutoencoderLoss:
    """The loss of an autoencoder, of images in a prior's coordinates; each weight is that of a mean over real numbers.

    Args:
        l1: weight of |image - reconstruction|.
        squared: weight of its square. Most of an MR image is empty, so that black is where |.| alone long rests.
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
    squared: NotNegative = 10.0
    gradients: NotNegative = 1.0
    codes: NotNegative | None = None
    adversarial: NotNegative = 0.0
    adversarial_after: Whole = 0
    judge_width: Count = 32

    def __post_init__(self) -> None:
        check(self)
        if self.l1 + self.squared + self.gradients == 0:
            raise InputError("AutoencoderLoss: l1, squared and gradients are all 0, so nothing would be learned; raise one")


class Unconditioned:
    """The config of a network that is told nothing of an image beside it."""

    @property
    def conditions(self) -> Conditioning:
        """None: no labels are told."""
        return Conditioning()


@dataclass(frozen=True)
class AutoencoderConfig(Checked, Unconditioned):
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

    @property
    def codes_weight(self) -> float:
        """Of the regularisation of the codes."""
        default = {"kl": 1e-4, "vq": 1.0}[self.autoencoder]
        return default if self.loss.codes is None else self.loss.codes


@dataclass(frozen=True)
class Latent:
    """What a latent prior learns: codes of crops, made once and kept on disk. One of the first three is given.

    Args:
        autoencoder: folder of a trained autoencoder, which is `out/autoencoder` of its run.
        train: fields of an `AutoencoderConfig` but for data, out and seed: it is trained first, in the folder `OUT-autoencoder`.
        pixels: there are no codes: the crops themselves are learned, as by SR3 (Saharia et al., 2021).
        crops: how many are encoded, and then learned from again and again.
        cache: folder of the codes; null: `out/codes`.
    """

    autoencoder: Adjustable[str | None] = None
    train: Mapping[str, Any] | None = None
    pixels: bool = False
    crops: Count = 4_096
    cache: Adjustable[str | None] = None

    def __post_init__(self) -> None:
        check(self)
        if (self.autoencoder is not None) + (self.train is not None) + self.pixels != 1:
            raise InputError("Latent: autoencoder (a folder), train (how to train one) and pixels: true exclude one another; "
                             "give one of them")


@dataclass(frozen=True)
class LowResolution(Checked):
    """The coarse image that a prior is given.

    Args:
        recipe: bsr, a random order of blur, resizing, noise and JPEG; or average, means over pixels.
        factor: how many pixels became one, along each axis.
        drop: share of the crops without it, so that the prior does without too; all of its numbers are 0 then.
    """

    recipe: Literal["bsr", "average"] = "bsr"
    factor: Annotated[int, Bounds(at_least=2, at_most=32)] = 4
    drop: Annotated[float, Bounds(at_least=0, below=1)] = 0.1


@dataclass(frozen=True)
class LatentConfig(Unconditioned):
    """A run that trains a prior of codes, or one that is given the coarse image, or both (SRLDM).

    Args:
        latent: the codes.
        low_resolution: what it is given; null: nothing.
        out: folder of the run; the prior ends up in `out/prior`.
        seed: of the weights, the crops and the noise.
        network: arguments of a diffusers `UNet2DModel`; the channels follow.
        objective: what the network predicts, and its noise levels.
        data: as for a prior, with one side.
        images: codes to train on, in all.
        ema_images: half-life of the averaged weights.
        weights: type of the exported weights; fp16 takes half the space.
        channels_last: faster layout.
        checkpoint_images: between checkpoints.
        keep: how many of the last checkpoints stay, besides the best.
        card: what the run cannot know.
        privacy: what checkpoints and the prior tell of the paths of the training data.
    """

    latent: Latent
    low_resolution: LowResolution | None = None
    out: Adjustable[str] = "runs/latent"
    seed: Whole = 0
    network: dict[str, Any] = field(default_factory=dict)
    objective: Objective = field(default_factory=lambda: Objective(sigma_data=1.0))
    data: Data = field(default_factory=Data)
    optim: Optim = field(default_factory=Optim)
    images: Adjustable[Count] = 100_000
    ema_images: Count = 5_000
    weights: Adjustable[Literal["fp32", "fp16"]] = "fp32"
    channels_last: bool = True
    checkpoint_images: Adjustable[Count] = 10_000
    keep: Adjustable[Count] = 2
    card: Adjustable[Card] = field(default_factory=Card)
    privacy: Adjustable[Privacy] = field(default_factory=Privacy)

    def __post_init__(self) -> None:
        check(self)
        if len(self.data.sides) != 1:
            raise InputError(f"LatentConfig: codes are of crops of one side, and data.sides has {len(self.data.sides)}")

    @property
    def side(self) -> int:
        """Of the crops, pixels."""
        return self.data.sides[0][0]

    @property
    def first(self) -> AutoencoderConfig | None:
        """The run that trains the autoencoder, where it is trained first."""
        if self.latent.train is None:
            return None
        given: dict[str, Any] = {"out": f"{self.out}-autoencoder", "seed": self.seed, "data": self.data, "privacy": self.privacy}
        if wrong := sorted(given.keys() & self.latent.train.keys()):
            raise InputError(f"latent.train: {wrong[0]} is that of the run of the prior; leave it out")
        return replace(build(AutoencoderConfig, self.latent.train, "latent.train"), **given)


def read_latent(given: Any, source: str) -> LatentConfig:
    """As `read_autoencoder`, for the run of a prior of codes."""
    return build(LatentConfig, given, source)


def read_autoencoder(given: Any, source: str) -> AutoencoderConfig:
    """The run of an autoencoder that a mapping describes; `source` begins the messages.

    Raises:
        InputError: an unknown key, a value of another type, or one out of bounds.
    """
    return build(AutoencoderConfig, given, source)
