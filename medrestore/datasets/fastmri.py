"""fastMRI volumes as clean images: coil-combined complex ones or root-sum-of-squares, computed once and
cached on disk.

Data: Zbontar et al., "fastMRI: An Open Dataset and Benchmarks for Accelerated MRI", arXiv:1811.08839.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..codecs import CalibratedComplex
from ..errors import InputError
from ..fft import ifft2c
from ..files import expanded
from ..io import Scan, read_cartesian
from ..io.guards import guarded, has, open_hdf5
from ..mri import calibration_scale, espirit
from ..settings import build, check
from .base import Images, Progress
from .cache import cache_key, read_cached, write_array
from .files import find_files
from .splits import split as load_split

Target = Literal["combined", "rss"]
CALIBRATION = 0.08  # share of the columns that the scale is taken from: the calibration lines of a scan at 4x


@dataclass(frozen=True)
class Selection:
    """A split: which files of a fastMRI download belong to it.

    Args:
        folder: of the download that the files are in, such as multicoil_train.
        acquisitions: those of which files are taken; null for all.
        share: [from, to) of the patients, ordered by a hash of their identifier, so that one patient is in
            one part only.
        files: names; null for all.
    """

    folder: str | None = None
    acquisitions: tuple[str, ...] | None = None
    share: tuple[float, float] = (0.0, 1.0)
    files: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Volume:
    path: Path
    slices: range
    patient: str  # a hash


@dataclass(eq=False)
class FastMRI(Images):
    """Slices of fully sampled fastMRI volumes, cropped to the reconstruction's size, scaled as a scan at 4x
    would be.

    `prepare` makes one file per volume in the cache folder; killed, it goes on with the volume it was at.
    Without it each volume is made when one of its slices is first read. ESPIRiT takes seconds a slice.

    Args:
        files: files, folders (to any depth) or globs; the download itself when there is a split.
        cache: folder for the images made, 0.4 MB for a slice of 320 x 320.
        split: a name in data/splits/fastmri.yaml, or FILE.yaml:NAME.
        acquisitions: such as [CORPD_FBK]; null for all.
        slices: [first, last) of every volume, counted from the end where negative; null for all.
        target: `combined`, complex by ESPIRiT from the fully sampled k-space, or `rss`, magnitude.
    """

    files: str | tuple[str, ...]
    cache: Path
    split: str | None = None
    acquisitions: tuple[str, ...] | None = None
    slices: tuple[int, int] | None = None
    target: Target = "combined"
    recipe = CalibratedComplex()

    def __post_init__(self) -> None:
        check(self)
        chosen = Selection() if self.split is None else build(
            Selection, load_split("fastmri", self.split), f"split {self.split}")
        self.channels = 2 if self.target == "combined" else 1
        wanted = set(self.acquisitions or ()) or None
        if chosen.acquisitions is not None:
            wanted = set(chosen.acquisitions) if wanted is None else wanted & set(chosen.acquisitions)
        headers = [_read_header(path, self.slices) for path in find_files(_subfolders(self.files, chosen.folder), (".h5",),
                                                                          "FastMRI")
                 if chosen.files is None or path.name in chosen.files]  # fmt: skip
        low, high = chosen.share  # of the patients, by the first 32 bits of the hash of each
        self.volumes = [volume for volume, acquisition in headers if (wanted is None or acquisition in wanted)
                        and low <= int(volume.patient[:8], 16) / 2**32 < high and volume.slices]  # fmt: skip
        if not self.volumes:
            seen = ", ".join(sorted({acquisition for _, acquisition in headers})) or "none"
            raise InputError(f"none of the {len(headers)} volumes found is selected (acquisitions {seen}); check split, "
                             "acquisitions and slices")
        self._index = [(number, at) for number, volume in enumerate(self.volumes) for at in range(len(volume.slices))]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Tensor:
        number, at = self._index[index]
        return torch.from_numpy(self._images(number)[at].astype(np.float32))

    def group_of(self, index: int) -> str:
        return self.volumes[self._index[index][0]].patient

    def groups(self) -> set[str]:
        return {volume.patient for volume in self.volumes}

    def prepare(self, progress: Progress | None = None) -> None:
        advance = progress("fastMRI volumes", len(self.volumes)) if progress is not None else lambda: None
        for number in range(len(self.volumes)):
            self._images(number)
            advance()

    def _images(self, number: int) -> np.ndarray:
        """(slice, channels, height, width) float16, mapped for this read alone: open maps would count as
        memory.
        """
        volume = self.volumes[number]
        key = cache_key(volume.path,
                        ("fastmri", 1, self.target, self.slices, CALIBRATION, self.recipe.quantile))
        path = self.cache / f"{key}.npy"
        images = read_cached(path)
        if images is None or images.ndim != 4 or images.shape[:2] != (len(volume.slices), self.channels):
            with read_cartesian(volume.path) as file:
                images = np.stack([clean_image(file[at], self.target).numpy().astype(np.float16) for at in volume.slices])
            write_array(path, images)
        return images


def clean_image(scan: Scan, target: Target, *, quantile: float = CalibratedComplex().quantile) -> Tensor:
    """The image of a fully sampled slice: (2, h, w) real and imaginary, or (1, h, w) magnitude, about 1 at
    its brightest.

    Scaled by the magnitude of the calibration image of 8 % of the columns, which is what a scan at 4x would
    know.

    Raises:
        InputError: the slice is undersampled, or its calibration region holds no signal.
    """
    where = np.flatnonzero(scan.mask.amin(0).numpy())
    if not len(where) or where[-1] - where[0] + 1 != len(where):
        raise InputError(
            f"{scan.name}: slice {scan.index} is undersampled, so it shows no clean image; train on volumes of *_train or *_val."
        )
    width = scan.mask.shape[-1]
    lines = max(round(CALIBRATION * width), min(8, width))
    centre = torch.zeros(1, width)
    centre[:, width // 2 - lines // 2 : width // 2 - lines // 2 + lines] = 1
    coils = ifft2c(scan.kspace)
    maps = None
    if target == "rss":
        image = coils.abs().square().sum(1, keepdim=True).sqrt()
    elif coils.shape[1] == 1:
        image = coils
    else:
        maps = espirit(scan.kspace, mask=scan.mask)
        image = (maps.conj() * coils).sum(1, keepdim=True)
    image = image / calibration_scale(scan.kspace, centre * scan.mask, maps, quantile=quantile)
    top, left = ((n - m) // 2 for n, m in zip(image.shape[-2:], scan.crop, strict=True))
    image = image[0, 0, top : top + scan.crop[0], left : left + scan.crop[1]]
    return image[None] if target == "rss" else torch.view_as_real(image).permute(2, 0, 1).contiguous()


def _subfolders(files: str | tuple[str, ...], folder: str | None) -> str | tuple[str, ...]:
    """The named folder of each download, unless what is given is that folder."""
    if folder is None:
        return files
    roots = [expanded(text) for text in ((files,) if isinstance(files, str) else files)]
    return tuple(str(root if root.name == folder else root / folder) for root in roots)


def _read_header(path: Path, slices: tuple[int, int] | None) -> tuple[_Volume, str]:
    """A volume's slices and patient from its header, and its acquisition."""
    with open_hdf5(path) as file:
        if has(file, "mask") or not has(file, "kspace"):
            what = "holds a mask, so its k-space is undersampled" if has(file, "mask") else "holds no 'kspace'"
            raise InputError(f"{path} {what}; train on volumes of *_train or *_val.")
        patient, acquisition = patient_of(file, path), guarded(path, lambda: file.attrs.get("acquisition"))
    with read_cartesian(path) as volume:
        chosen = range(len(volume)) if slices is None else range(*slice(*slices).indices(len(volume)))
    return _Volume(path, chosen, patient or _hash(path.stem)), str(acquisition)


def patient_of(file: Any, path: Path) -> str | None:
    """What tells the patient of a fastMRI file apart from others; None where the file names none.

    It is a plain hash of the identifier, by which published splits divide patients: whoever has a list of
    identifiers finds the one that it is of, so it is not to be stored or shown.
    """
    named = guarded(path, lambda: file.attrs.get("patient_id"))
    return _hash(named) if isinstance(named, str) and named else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
