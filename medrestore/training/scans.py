"""Training data of supervised baselines: undersampled scans, simulated or measured, with their images.

Every scan is a pure function of the seed and its position in the run, so that a run may stop and resume
anywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from .. import datasets
from ..baselines import ZeroFilled
from ..baselines.zero_filled import brightness
from ..datasets.base import Augment, Images, Progress
from ..datasets.fastmri import FastMRI
from ..errors import InputError
from ..io import read_cartesian
from ..mri import add_smooth_phase, espirit, sampling_mask, simulate_scan, simulated_maps
from ..mri.coils import principal_coil
from ..mri.sampling import KINDS
from ..operators import Crop
from ..settings import build, check
from .baseline_config import Acquisition, BaselineConfig
from .batches import stream

ORDER, SCAN = 10, 11  # purposes of streams
EDGE = 0.05  # of the brightest pixel: what is brighter, blurred, is inside the object
BLUR = 9  # pixels
CENTRE = 24  # lines of k-space, along both axes, whose principal coil has no phase
Position = tuple[
    int, tuple[int, int] | None
]  # in the run; which mask, (kind and acceleration), None to draw one


@dataclass(frozen=True)
class TrainingScan:
    """One undersampled scan and its image, divided by the brightness of the zero-filled image.

    Attributes:
        kspace, maps: (coil, height, width) complex64.
        mask: (1, height, width).
        target: (1, height, width) complex64, zero outside the maps.
        setting: kind and acceleration of the mask.
    """

    kspace: Tensor
    maps: Tensor
    mask: Tensor
    target: Tensor
    setting: str

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """k-space, maps, mask and target."""
        return self.kspace, self.maps, self.mask, self.target


@dataclass(eq=False)
class KSpaceVolumes:
    """Slices of fully sampled fastMRI volumes with their own coils; ESPIRiT estimates the maps.

    Args:
        files, split, acquisitions, slices: which, as for images of `kind: fastmri`.
        cache: folder for the maps, which take seconds a slice.
    """

    files: str | tuple[str, ...]
    cache: Path
    split: str | None = None
    acquisitions: tuple[str, ...] | None = None
    slices: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check(self)
        chosen = FastMRI(self.files, self.cache, self.split, self.acquisitions, self.slices)
        self.volumes = chosen.volumes
        self._index = [(volume, at) for volume in self.volumes for at in volume.slices]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """k-space and maps of a slice, (1, coil, height, width) complex64, and acquired lines, (1, width)."""
        volume, at = self._index[index]
        with read_cartesian(volume.path) as file:
            scan = file[at]
        if not bool(scan.mask.amin(0)[scan.mask.shape[-1] // 2]):
            raise InputError(
                f"{volume.path}: the centre of slice {at} is not sampled; train on volumes of *_train or *_val."
            )
        single = scan.kspace.shape[1] == 1
        maps = (
            torch.ones_like(scan.kspace) if single else espirit(scan.kspace, mask=scan.mask, cache=self.cache)
        )
        return scan.kspace, maps, scan.mask

    def groups(self) -> set[str]:
        """All patients, named as by images of `kind: fastmri`."""
        return {f"fastmri: {volume.patient}" for volume in self.volumes}


class Scans(Dataset[TrainingScan]):
    """Undersampled scans with their images; every slice comes once an epoch, in a separate order for each.

    Args:
        images: slices to simulate scans of, or None.
        measured: slices with their own coils.
        augment: of `images`, where `sides` are given.
        seed: of the order and of every scan.
        plain: neither mirrored, and the maps always cut, as for validation.
    """

    def __init__(
        self,
        images: Images | None,
        measured: Sequence[KSpaceVolumes],
        acquisition: Acquisition,
        *,
        augment: Augment | None = None,
        sides: tuple[int, ...] = (),
        seed: int = 0,
        plain: bool = False,
    ) -> None:
        self.images, self.measured, self.acquisition, self.plain = images, tuple(measured), acquisition, plain
        self.augment, self.sides, self.seed = augment, sides, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts())

    def __getitem__(self, at: Position) -> TrainingScan:
        position, setting = at
        epoch, within = divmod(position, len(self))
        if epoch != self._epoch:
            self._order, self._epoch = (
                torch.randperm(len(self), generator=stream(self.seed, ORDER, epoch)),
                epoch,
            )
        return self._scan(int(self._order[within]), stream(self.seed, SCAN, position), setting)

    def groups(self) -> set[str]:
        """All patients and scenes."""
        return {name for part in self._parts() for name in part.groups()}

    def prepare(self, progress: Progress | None = None) -> None:
        """Does what is slow and done once."""
        if self.images is not None:
            self.images.prepare(progress)

    def _parts(self) -> list[Images | KSpaceVolumes]:
        return [*([] if self.images is None else [self.images]), *self.measured]

    def _scan(self, index: int, generator: torch.Generator, setting: tuple[int, int] | None) -> TrainingScan:
        for part in self._parts():
            if index < len(part):
                break
            index -= len(part)
        if isinstance(part, KSpaceVolumes):
            kspace, maps, acquired = part[index]
            target = ZeroFilled().reconstruct(kspace, maps, acquired)
        else:
            image = self._augmented(part[index], generator)
            _check_signal(image, index, part)  # or its coil maps would be called empty
            kspace, maps, target = self._simulated(image, generator)
            acquired = torch.ones(1, kspace.shape[-1])
        scan = self._undersampled(kspace, maps, target, acquired, generator, setting)
        _check_signal(scan.kspace, index, part)
        return scan

    def _augmented(self, image: Tensor, generator: torch.Generator) -> Tensor:
        if self.augment is not None and self.sides:
            return self.augment(image, self.sides[_drawn_index(len(self.sides), generator)], generator)
        return image.flip(-1) if not self.plain and _drawn_index(2, generator) else image

    def _simulated(self, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """k-space, maps and target of an image (1 or 2, height, width)."""
        acquisition = self.acquisition
        if len(image) > 2:
            raise InputError(
                f"data: a scan is made of images with one channel, magnitude, or two, complex, not {len(image)}."
            )
        truth = (
            image[None, :1].to(torch.complex64)
            if len(image) == 1
            else torch.complex(image[0], image[1])[None, None]
        )
        truth = add_smooth_phase(truth, generator, strength=acquisition.phase)
        size = (image.shape[-2], image.shape[-1])
        maps = simulated_maps(
            acquisition.coils[_drawn_index(len(acquisition.coils), generator)], size, generator=generator
        )
        low, high = acquisition.snr_db
        snr = low + (high - low) * float(torch.rand((), generator=generator))
        kspace = simulate_scan(truth, maps, torch.ones(1, size[1]), snr_db=snr, generator=generator)
        if self.plain or float(torch.rand((), generator=generator)) < acquisition.cut:
            maps = maps * object_support(truth)
        return kspace, *as_estimated(kspace, maps, truth)

    def _undersampled(
        self,
        kspace: Tensor,
        maps: Tensor,
        target: Tensor,
        acquired: Tensor,
        generator: torch.Generator,
        setting: tuple[int, int] | None,
    ) -> TrainingScan:
        acquisition = self.acquisition
        kind, accel = setting or (
            _drawn_index(len(acquisition.kinds), generator),
            _drawn_index(len(acquisition.accels), generator),
        )
        (rate, lines), size = acquisition.accels[accel], (kspace.shape[-2], kspace.shape[-1])
        number = _drawn_index(acquisition.masks, generator)
        mask = _drawn_mask(acquisition.kinds[kind], size, rate, lines, (self.seed % 2**32, number)).float()
        mask = (mask * acquired).expand(1, *size)
        kspace = kspace * mask
        scale = brightness(ZeroFilled().reconstruct(kspace, maps, mask[0])) or 1.0
        inside = (maps != 0).any(1, keepdim=True)
        return TrainingScan(
            (kspace / scale)[0],
            maps[0],
            mask,
            (target * inside / scale)[0],
            f"{acquisition.kinds[kind]} {rate:g}x",
        )


def as_estimated(kspace: Tensor, maps: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Maps and image with the phase of ESPIRiT: zero in the principal coil, whose phase the image takes.

    A phase that maps and image share is not in the data, but networks on complex images depend on it.
    """
    height, width = kspace.shape[-2:]
    centre = Crop((height, width), (min(CENTRE, height), min(CENTRE, width)))
    reference = torch.einsum("bchw,c->bhw", maps, principal_coil(centre(kspace)[0]).conj())[:, None]
    phase = torch.where(reference == 0, 1.0, reference.sgn())
    return maps * phase.conj(), image * phase


def object_support(image: Tensor) -> Tensor:
    """Where the object is, (1, 1, height, width), 0 or 1: the blurred magnitude above 5 % of its maximum."""
    blurred = F.avg_pool2d(image.abs(), BLUR, 1, BLUR // 2, count_include_pad=False)
    return (blurred > EDGE * blurred.max()).float()


def _check_signal(values: Tensor, index: int, part: Images | KSpaceVolumes) -> None:
    if not (values.abs().max() > 0):
        raise InputError(f"data: slice {index} of {type(part).__name__} is empty or not finite; leave it out")


def load_scans(
    config: BaselineConfig, images: Images | None = None, validation: Images | None = None
) -> tuple[Scans, Scans]:
    """The scans to train on and those to validate with.

    Args:
        images, validation: instead of `config.data.train` and `.validation`.

    Raises:
        InputError: no data, coils that cannot be, or a patient that is in both.
    """
    data, seed = config.data, config.seed
    augment = datasets.augmentation(data.augment) if data.sides else None
    if data.augment is not None and not data.sides:
        raise InputError(
            "data.augment makes square crops; give data.sides, their sides in pixels, or leave it out"
        )
    train = Scans(
        *_source_parts(data.train, images, "train"), config.scan, augment=augment, sides=data.sides, seed=seed
    )
    held_out = Scans(
        *_source_parts(data.validation, validation, "validation"), config.scan, seed=seed + 1, plain=True
    )
    if augment is not None and train.images is not None:
        datasets.check_light(augment, train.images)
    datasets.disjoint(train, held_out)
    return train, held_out


def _source_parts(
    sources: Sequence[Mapping[str, Any]], given: Images | None, name: str
) -> tuple[Images | None, list[KSpaceVolumes]]:
    if given is not None:
        return given, []
    if not sources:
        raise InputError(
            f"data.{name} is empty; name at least one source, such as {{kind: volumes, path: volumes.npz}}"
        )
    volumes = [
        {key: value for key, value in source.items() if key != "kind"}
        for source in sources
        if source.get("kind") == "kspace"
    ]
    others = [source for source in sources if source.get("kind") != "kspace"]
    return datasets.images(others) if others else None, [
        build(KSpaceVolumes, options, "data kspace") for options in volumes
    ]


@lru_cache(maxsize=4096)
def _drawn_mask(kind: str, size: tuple[int, int], accel: float, lines: int, seed: tuple[int, int]) -> Tensor:
    """(1, width) or (height, width); as bytes, so that thousands fit in memory."""
    acs = lines if lines and KINDS[kind][1] == 1 else None
    return sampling_mask(kind, size, accel, acs=acs, seed=seed).mask.bool()


def _drawn_index(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
