"""What a latent prior learns from: codes of crops, with the coarse image of each where it is given one, kept on disk.

A cache is a folder named by all that decides its contents: the images themselves, the autoencoder, the crops and the recipe
of the coarse images.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..datasets.base import Augment, Batch, Crops, Images, Progress
from ..datasets.coarse import Recipe, coarse
from ..errors import InputError
from ..files import digest_of, new_folder
from ..priors.spaces import LatentSpace
from ..priors.tensors import write_tensors
from .checkpoint import ADVICE

FILE = "codes.safetensors"
AT_ONCE = 8  # crops that are encoded in one call


@dataclass(frozen=True)
class Codes:
    """What is learned from.

    Attributes:
        pairs: (crop, channels, h, w): codes, and behind them the channels of the coarse images.
        labels: (crop,) int64, the numbers of their classes; None where classes play no part.
    """

    pairs: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True)
class CodeSource:
    """Where codes come from.

    Attributes:
        images, augment: of the crops.
        space: of the codes; None: the crops themselves are learned.
        space_key: sha256 of the space.
        side: of a crop, pixels.
        count: of crops.
        seed: of the crops and the coarse images.
        factor: of the coarse images; 0: there are none.
        recipe: of the coarse images.
        classes: the names of the classes in the order of their numbers; none where they play no part.
    """

    images: Images
    augment: Augment
    space: LatentSpace | None
    space_key: str
    side: int
    count: int
    seed: int
    factor: int = 0
    recipe: Recipe = "average"
    classes: tuple[str, ...] = ()

    @property
    def image_channels(self) -> int:
        """Of a crop."""
        return self.augment.channels or self.images.channels

    @property
    def channels(self) -> int:
        """Of a code."""
        return self.image_channels if self.space is None else self.space.code_channels

    @property
    def key(self) -> str:
        """Tells these codes from all others."""
        content = hashlib.sha256()
        for number in range(len(self.images)):
            image = self.images[number]
            content.update(str(tuple(image.shape)).encode() + image.contiguous().numpy().tobytes())
        said: dict[str, Any] = {"space": self.space_key, "side": self.side, "count": self.count, "seed": self.seed,
                                "factor": self.factor, "recipe": self.recipe, "augment": repr(self.augment)}
        if self.classes:
            said["labels"] = [self.images.label_of(number) for number in range(len(self.images))]
        return digest_of([content.hexdigest(), said])

    def read(self, cache: Path, label: str, progress: Progress) -> "Codes":
        """The codes; made where they are not cached.

        Raises:
            InputError: the cache cannot be written.
        """
        folder = cache / self.key[:32]
        try:
            made = load_file(folder / FILE)
            if len(made["codes"]) == self.count and ("labels" in made) == bool(self.classes):
                return Codes(made["codes"].float(), made.get("labels"))
        except (OSError, SafetensorError, KeyError):
            pass  # none, or damaged: made anew
        made = self._made(label, progress)
        with new_folder(folder, replace=True, advice=ADVICE) as part:
            write_tensors(part / FILE, made)
        return Codes(made["codes"].float(), made.get("labels"))

    @torch.no_grad()
    def _made(self, label: str, progress: Progress) -> dict[str, Tensor]:
        """As float16, in half the space, and the classes of the crops."""
        advance, parts, labels = progress(label, self.count), [], []
        crops = Crops(self.images, self.augment, seed=self.seed, classes=self.classes)
        for start in range(0, self.count, AT_ONCE):
            batch = Batch.of([crops.batch((k, self.side)) for k in range(start, min(start + AT_ONCE, self.count))])
            some = batch.images
            labels += [] if batch.labels is None else [batch.labels]
            codes = some if self.space is None else self.space.encode(some)
            if self.factor:
                codes = torch.cat([codes, self._given(some, start, codes.shape[-1])], 1)
            parts.append(codes.half())
            for _ in some:
                advance()
        made = torch.cat(parts)
        if not bool(made.isfinite().all()):
            raise InputError("codes are not finite or too large for half precision; train the autoencoder again")
        return {"codes": made} | ({"labels": torch.cat(labels)} if labels else {})

    def _given(self, crops: Tensor, start: int, side: int) -> Tensor:
        """The coarse image of each crop, at the size of the codes."""
        streams = [torch.Generator().manual_seed(self.seed * 1_000_003 + start + k) for k in range(len(crops))]
        small = torch.stack([coarse(crop, self.factor, self.recipe, chance) for crop, chance in zip(crops, streams, strict=True)])
        return enlarged(small, (side, side))


def enlarged(small: Tensor, size: tuple[int, int]) -> Tensor:
    """A coarse image (batch, channels, h, w) at the size of the codes, by repeating its pixels."""
    return torch.nn.functional.interpolate(small, size=size, mode="nearest")
