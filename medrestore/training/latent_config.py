"""The configuration of runs that train an autoencoder, or a prior of its codes; see `config` for the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from ..errors import InputError
from ..settings import Bounds, Checked, build, check
from .conditioning import Conditioning
from .config import Adjustable, Count, GeneratorConfig, NotNegative, Objective, Whole


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


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(GeneratorConfig):
    """A run that trains an autoencoder, whose codes a latent prior may learn.

    Args:
        autoencoder: kl, codes near a normal distribution; or vq, codes of a code book.
        out: folder of the run; the autoencoder ends up in `out/autoencoder`.
        network: arguments of a diffusers `AutoencoderKL` or `VQModel`; the blocks and, where they are left out, the channels
            of images follow.
        loss: of the reconstruction.
        data: as for a prior; sides must be multiples of how many times smaller codes are than images.
        ema_images: half-life of the averaged weights.
        scale_crops: training crops whose codes are measured for their std.
    """

    autoencoder: Literal["kl", "vq"] = "kl"
    out: Adjustable[str] = "runs/autoencoder"
    loss: AutoencoderLoss = field(default_factory=AutoencoderLoss)
    ema_images: Count = 5_000
    scale_crops: Annotated[int, Bounds(at_least=1, at_most=4096)] = 64

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


@dataclass(frozen=True, kw_only=True)
class LatentConfig(GeneratorConfig):
    """A run that trains a prior of codes, or one that is given the coarse image, or both (SRLDM).

    Args:
        latent: the codes.
        low_resolution: what it is given; null: nothing.
        out: folder of the run; the prior ends up in `out/prior`.
        network: arguments of a diffusers `UNet2DModel`; the channels follow.
        objective: what the network predicts, and its noise levels.
        conditions: classes, as for a prior; there are no reference images of codes.
        data: as for a prior, with one side.
        images: codes to train on, in all.
        ema_images: half-life of the averaged weights.
    """

    latent: Latent
    low_resolution: LowResolution | None = None
    out: Adjustable[str] = "runs/latent"
    objective: Objective = field(default_factory=lambda: Objective(sigma_data=1.0))
    conditions: Conditioning = field(default_factory=Conditioning)
    ema_images: Count = 5_000

    def __post_init__(self) -> None:
        check(self)
        if self.conditions.reference:
            raise InputError("LatentConfig: codes are learned without reference images; leave conditions.reference out, or learn "
                             "pixels by leaving latent out")
        if len(self.data.sides) != 1:
            raise InputError(f"LatentConfig: codes are of crops of one side, and data.sides has {len(self.data.sides)}")

    @property
    def conditioning(self) -> Conditioning:
        return self.conditions

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
