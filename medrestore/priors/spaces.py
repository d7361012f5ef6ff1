"""Spaces of codes: a trained autoencoder with the scale of its codes, in memory and as a folder.

`autoencoder.json` states what the folder holds and `autoencoder/` has the network as diffusers arranges it: tensors and
plain data only.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..codecs import CalibratedComplex, Codec, Recipe
from ..errors import InputError
from ..files import digest
from .autoencoder import Autoencoder
from .descriptions import FORMAT, LARGEST_JSON, RECIPES, build_kind, sealed
from .network_files import WEIGHTS, device_of, network_config, read_network, write_network

ABOUT, PART = "autoencoder.json", "autoencoder"
FIELDS = {"format", "recipe", "scale", "sha256", "config_sha256", "digest"}  # of autoencoder.json, besides its card


@dataclass(frozen=True, eq=False)
class LatentSpace(Codec):
    """The codes of an autoencoder, scaled to a std of about 1; the codec is not affine.

    Args:
        autoencoder: of images in a prior's coordinates, [-1, 1] or complex of about 1.
        scale: by which codes are multiplied.
        recipe: how images become the autoencoder's coordinates; None when whoever uses it knows.

    Raises:
        InputError: a scale that is not above 0.
    """

    autoencoder: Autoencoder
    scale: float = 1.0
    recipe: Recipe | None = None

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise InputError(f"the scale of codes is 1 over their std, above 0, got {self.scale!r}")
        self.autoencoder.eval().requires_grad_(False)

    @property
    def factor(self) -> int:
        """How many times larger an image is than its code, along each axis."""
        return self.autoencoder.factor

    @property
    def channels(self) -> int:
        """Of an image."""
        return int(self.autoencoder.config["in_channels"])

    @property
    def code_channels(self) -> int:
        """Of a code."""
        return self.autoencoder.code_channels

    def encode(self, image: Tensor) -> Tensor:
        """The codes (batch, code_channels, height / factor, width / factor) of images, not quantised."""
        return self.autoencoder.encode(image) * self.scale

    def decode(self, z: Tensor, *, quantise: bool = True) -> Tensor:
        """The images of codes; `quantise` by the code book first, as the published sampler does, where there is one."""
        return self.autoencoder.decode(z / self.scale, quantise=quantise)

    def save(self, folder: Path, card: Mapping[str, Any], *, half: bool = False) -> None:
        """Writes the space; `half` keeps its weights as float16, and they are read as float32 again."""
        sha256 = write_network(folder / PART, self.autoencoder, None, torch.float16 if half else None)
        kinds = {kind: name for name, kind in RECIPES.items()}
        recipe = None if self.recipe is None else {"kind": kinds[type(self.recipe)], **asdict(self.recipe)}
        about = {"format": FORMAT, "recipe": recipe, "scale": self.scale, "sha256": sha256,
                 "config_sha256": {PART: digest(folder / PART / "config.json")}, "card": dict(card)}
        (folder / ABOUT).write_text(json.dumps(sealed(about), indent=2) + "\n", encoding="utf-8")


def describe(folder: Path) -> dict[str, Any]:
    """`autoencoder.json` of a folder.

    Raises:
        InputError: there is none, or it is not as it was written.
    """
    if not (folder / ABOUT).is_file():
        raise InputError(f"{folder} holds no {ABOUT}; give the folder of a trained autoencoder, as OUT/autoencoder of a run")
    try:
        about = json.loads((folder / ABOUT).read_bytes()[:LARGEST_JSON])
        missing = FIELDS - set(about)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{folder / ABOUT} is not readable JSON; copy the autoencoder again") from error
    if missing:
        raise InputError(f"{folder / ABOUT} lacks {', '.join(sorted(missing))}; copy the autoencoder again")
    if about["format"] != FORMAT or sealed(about)["digest"] != about["digest"]:
        raise InputError(f"{folder / ABOUT} was altered after it was written, or is of another version; "
                         "copy the autoencoder again")
    return dict(about)


def load(folder: str | Path, *, device: torch.device | str = "cpu") -> LatentSpace:
    """The space of a trained autoencoder, checked against its hashes.

    Raises:
        InputError: missing, truncated, altered or mismatching files, each in one sentence.
    """
    folder = Path(folder)
    about = describe(folder)
    recipe = None if about["recipe"] is None else build_kind(RECIPES, about["recipe"], folder)
    net = read_network(folder, f"{PART}/{Path(WEIGHTS).name}", network_config(folder, PART, about), about["sha256"])
    return LatentSpace(autoencoder_of(net, folder).to(device_of(device)), float(about["scale"]), recipe)


def autoencoder_of(net: torch.nn.Module, folder: Path) -> Autoencoder:
    """A network that is an autoencoder.

    Raises:
        InputError: it is another one.
    """
    if not isinstance(net, Autoencoder):
        raise InputError(f"{folder} has a {type(net).__name__} where an autoencoder is needed; convert or copy it again")
    return net


def peak_of(recipe: Recipe | None) -> float:
    """The data range of PSNR in a recipe's coordinates: 2 for [-1, 1], 1 for complex images of about 1."""
    return 1.0 if isinstance(recipe, CalibratedComplex) else 2.0
