"""What supervised baselines learn from: undersampled scans with their images, simulated from images or taken from k-space.

Every scan is a pure function of the seed and its position in the run, so that a run may stop and go on anywhere.
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
from ..datasets.options import build
from ..errors import InputError
from ..io import read_kspace
from ..mri import add_smooth_phase, espirit, sampling_mask, simulate_scan, simulated_maps
from ..mri.coils import principal_coil
from ..mri.sampling import KINDS
from ..operators import Crop
from .batches import stream

ORDER, SCAN = 10, 11  # purposes of streams
EDGE = 0.05  # of the brightest pixel: what is brighter, blurred, is inside the object
BLUR = 9  # pixels
CENTRE = 24  # lines of k-space, along both axes, whose principal coil has no phase
Position = tuple[int, tuple[int, int] | None]  # in the run; which mask, (kind and acceleration), None to draw one


@dataclass(frozen=True)
class Acquisition:
    """How scans are made of images, and what is left out of them.

    Args:
        kinds: of masks (`medrestore.mri.sampling.KINDS`), drawn evenly.
        accels: (acceleration, calibration lines), drawn evenly; the lines are those of masks along one axis, 0 takes the kind's
            own rule, which masks over both axes follow always.
        masks: how many different ones of each kind and acceleration; they are kept, as some take long to draw.
        coils: how many are simulated, drawn evenly.
        snr_db: [least, most] of simulated scans, as `simulate_scan` has it, drawn evenly.
        phase: rms of the smooth random phase that an image gets, radians.
        cut: share of the simulated scans whose coil maps are zero outside the object, as those of ESPIRiT.
    """

    kinds: tuple[str, ...] = ("uniform1d", "gaussian1d", "gaussian2d", "poisson2d")
    accels: tuple[tuple[float, int], ...] = ((4.0, 16), (8.0, 10))
    masks: int = 64
    coils: tuple[int, ...] = (8,)
    snr_db: tuple[float, float] = (25.0, 35.0)
    phase: float = 1.0
    cut: float = 0.7


@dataclass(frozen=True)
class Material:
    """Where scans come from.

    Args:
        train, validation: sources, as `datasets.images` takes them, and `{kind: kspace, files: ..., cache: ...}`, fully sampled
            fastMRI volumes with their own coils; they may not share a patient.
        augment: as `datasets.augmentation` takes it, for `sides`.
        sides: of square crops of the images; empty: whole slices, mirrored half of the time.
        workers: processes that prepare scans; 0: none.
        validation_scans: how many of each kind and acceleration are scored.
    """

    train: tuple[dict[str, Any], ...] = ()
    validation: tuple[dict[str, Any], ...] = ()
    augment: Any = None
    sides: tuple[int, ...] = ()
    workers: int = 0
    validation_scans: int = 4


@dataclass(frozen=True)
class Case:
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


class KSpace:
    """Slices of fully sampled fastMRI volumes with their own coils, whose maps ESPIRiT finds in the fully sampled k-space.

    Args:
        files, split, acquisitions, slices: which, as for images of `kind: fastmri`.
        cache: folder for the maps, which take seconds a slice.
    """

    def __init__(self, files: str | tuple[str, ...], *, cache: Path, split: str | None = None,
                 acquisitions: tuple[str, ...] | None = None, slices: tuple[int, int] | None = None) -> None:
        self.volumes = FastMRI(files, cache=cache, split=split, acquisitions=acquisitions, slices=slices).volumes
        self.cache = cache
        self._index = [(volume, at) for volume in self.volumes for at in volume.slices]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """k-space and maps of a slice, (1, coil, height, width) complex64 each, and what was acquired, (1, width)."""
        volume, at = self._index[index]
        with read_kspace(volume.path) as file:
            scan = file[at]
        if not bool(scan.mask.amin(0)[scan.mask.shape[-1] // 2]):
            raise InputError(f"{volume.path}: the centre of slice {at} is not sampled; train on volumes of *_train or *_val.")
        single = scan.kspace.shape[1] == 1
        maps = torch.ones_like(scan.kspace) if single else espirit(scan.kspace, mask=scan.mask, cache=self.cache)
        return scan.kspace, maps, scan.mask

    def groups(self) -> set[str]:
        """All patients, named as by images of `kind: fastmri`."""
        return {f"fastmri: {volume.patient}" for volume in self.volumes}


class Scans(Dataset[Case]):
    """Undersampled scans with their images; every slice comes once an epoch, in an order of its own for each.

    Args:
        images: slices to simulate scans of, or None.
        measured: slices with their own coils.
        augment: of `images`, where `sides` are given.
        seed: of the order and of every scan.
        plain: neither mirrored, and the maps always cut, as for validation.
    """

    def __init__(self, images: Images | None, measured: Sequence[KSpace], acquisition: Acquisition, *,
                 augment: Augment | None = None, sides: tuple[int, ...] = (), seed: int = 0, plain: bool = False) -> None:
        self.images, self.measured, self.acquisition, self.plain = images, tuple(measured), acquisition, plain
        self.augment, self.sides, self.seed = augment, sides, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts())

    def __getitem__(self, at: Position) -> Case:
        position, setting = at
        epoch, within = divmod(position, len(self))
        if epoch != self._epoch:
            self._order, self._epoch = torch.randperm(len(self), generator=stream(self.seed, ORDER, epoch)), epoch
        return self._case(int(self._order[within]), stream(self.seed, SCAN, position), setting)

    def groups(self) -> set[str]:
        """All patients and scenes."""
        return {name for part in self._parts() for name in part.groups()}

    def prepare(self, progress: Progress | None = None) -> None:
        """Does what is slow and done once."""
        if self.images is not None:
            self.images.prepare(progress)

    def _parts(self) -> list[Images | KSpace]:
        return [*([] if self.images is None else [self.images]), *self.measured]

    def _case(self, index: int, generator: torch.Generator, setting: tuple[int, int] | None) -> Case:
        for part in self._parts():
            if index < len(part):
                break
            index -= len(part)
        if isinstance(part, KSpace):
            kspace, maps, acquired = part[index]
            target = ZeroFilled().reconstruct(kspace, maps, acquired)
        else:
            kspace, maps, target = self._simulated(part[index], generator)
            acquired = torch.ones(1, kspace.shape[-1])
        case = self._undersampled(kspace, maps, target, acquired, generator, setting)
        if not (case.kspace.abs().max() > 0):
            raise InputError(f"data: slice {index} of {type(part).__name__} is empty or not finite; leave it out")
        return case

    def _simulated(self, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """k-space, maps and target of an image (1 or 2, height, width)."""
        told = self.acquisition
        if self.augment is not None and self.sides:
            image = self.augment(image, self.sides[_draw(len(self.sides), generator)], generator)
        elif not self.plain and _draw(2, generator):
            image = image.flip(-1)
        if len(image) > 2:
            raise InputError(f"data: a scan is made of images with one channel, magnitude, or two, complex, not {len(image)}.")
        truth = image[None, :1].to(torch.complex64) if len(image) == 1 else torch.complex(image[0], image[1])[None, None]
        truth = add_smooth_phase(truth, generator, strength=told.phase)
        size = (image.shape[-2], image.shape[-1])
        maps = simulated_maps(told.coils[_draw(len(told.coils), generator)], size, generator=generator)
        low, high = told.snr_db
        snr = low + (high - low) * float(torch.rand((), generator=generator))
        kspace = simulate_scan(truth, maps, torch.ones(1, size[1]), snr_db=snr, generator=generator)
        if self.plain or float(torch.rand((), generator=generator)) < told.cut:
            maps = maps * support(truth)
        return kspace, *as_estimated(kspace, maps, truth)

    def _undersampled(self, kspace: Tensor, maps: Tensor, target: Tensor, acquired: Tensor, generator: torch.Generator,
                      setting: tuple[int, int] | None) -> Case:
        told = self.acquisition
        kind, accel = setting or (_draw(len(told.kinds), generator), _draw(len(told.accels), generator))
        (rate, lines), size = told.accels[accel], (kspace.shape[-2], kspace.shape[-1])
        number = _draw(told.masks, generator)
        mask = _mask(told.kinds[kind], size, rate, lines, (self.seed % 2**32, number)).float()
        mask = (mask * acquired).expand(1, *size)
        kspace = kspace * mask
        scale = brightness(ZeroFilled().reconstruct(kspace, maps, mask[0])) or 1.0
        inside = (maps != 0).any(1, keepdim=True)
        return Case((kspace / scale)[0], maps[0], mask, (target * inside / scale)[0], f"{told.kinds[kind]} {rate:g}x")


def as_estimated(kspace: Tensor, maps: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Maps and image with the phase that ESPIRiT gives them: nought in the principal coil, whose phase becomes the image's.

    A phase that maps and image share is in no data; networks on complex images are not indifferent to it all the same.
    """
    centre = Crop((kspace.shape[-2], kspace.shape[-1]), tuple(min(CENTRE, side) for side in kspace.shape[-2:]))
    reference = torch.einsum("bchw,c->bhw", maps, principal_coil(centre(kspace)[0]).conj())[:, None]
    phase = torch.where(reference == 0, 1.0, reference.sgn())
    return maps * phase.conj(), image * phase


def support(image: Tensor) -> Tensor:
    """Where the object is, (1, 1, height, width), 0 or 1: the blurred magnitude above 5 % of its maximum."""
    blurred = F.avg_pool2d(image.abs(), BLUR, 1, BLUR // 2, count_include_pad=False)
    return (blurred > EDGE * blurred.max()).float()


def gather(material: Material, acquisition: Acquisition, seed: int, *, images: Images | None = None,
           validation: Images | None = None) -> tuple[Scans, Scans]:
    """The scans to train on and those to validate with.

    Args:
        images, validation: instead of `material.train` and `.validation`.

    Raises:
        InputError: no data, masks or coils that cannot be, or a patient that is in both.
    """
    _check(acquisition)
    augment = datasets.augmentation(material.augment) if material.sides else None
    if material.augment is not None and not material.sides:
        raise InputError("data.augment makes square crops; give data.sides, their sides in pixels, or leave it out")
    train = Scans(*_parts(material.train, images, "train"), acquisition, augment=augment, sides=material.sides, seed=seed)
    held_out = Scans(*_parts(material.validation, validation, "validation"), acquisition, seed=seed + 1, plain=True)
    if augment is not None and train.images is not None:
        datasets.check_light(augment, train.images)
    datasets.disjoint(train, held_out)
    return train, held_out


def _parts(sources: Sequence[Mapping[str, Any]], given: Images | None, name: str) -> tuple[Images | None, list[KSpace]]:
    if given is not None:
        return given, []
    if not sources:
        raise InputError(f"data.{name} is empty; name at least one source, such as {{kind: volumes, path: volumes.npz}}")
    measured = [{key: value for key, value in one.items() if key != "kind"} for one in sources if one.get("kind") == "kspace"]
    others = [one for one in sources if one.get("kind") != "kspace"]
    return datasets.images(others) if others else None, [build(KSpace, one, "data kspace") for one in measured]


def _check(told: Acquisition) -> None:
    for kind in told.kinds:
        if kind not in KINDS:
            raise InputError(f"scan.kinds: there is no sampling mask {kind!r}; choose of {', '.join(KINDS)}")
    if not told.kinds or not told.accels or not told.coils:
        raise InputError("scan: kinds, accels and coils need at least one entry each")
    if min(rate for rate, _ in told.accels) < 1 or min(lines for _, lines in told.accels) < 0:
        raise InputError("scan.accels are [acceleration of at least 1, calibration lines of at least 0]")
    if told.masks < 1 or min(told.coils) < 1 or told.phase < 0 or not 0 <= told.cut <= 1 or told.snr_db[0] > told.snr_db[1]:
        raise InputError("scan: masks and coils are at least 1, phase at least 0, cut a share, and snr_db rises")


@lru_cache(maxsize=4096)
def _mask(kind: str, size: tuple[int, int], accel: float, lines: int, seed: tuple[int, int]) -> Tensor:
    """(1, width) or (height, width); as bytes, so that thousands may be kept."""
    acs = lines if lines and KINDS[kind][1] == 1 else None
    return sampling_mask(kind, size, accel, acs=acs, seed=seed).mask.bool()


def _draw(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
