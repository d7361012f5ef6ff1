"""Scans as cases: simulated from volumes or phantoms, or read from files; undersampled and made ready for any method."""

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files as package_files
from pathlib import Path

import torch
from torch import Tensor

from ..baselines import rss
from ..datasets.brain import EMPTY, load_volumes
from ..datasets.fastmri import FastMRI
from ..datasets.files import find
from ..datasets.phantoms import Phantoms as Heads
from ..errors import InputError
from ..fft import ifft2c
from ..io import Scan, read_kspace
from ..io.guards import guarded, open_hdf5
from ..methods import DDNM
from ..mri import add_smooth_phase, noise_covariance, prewhiten, simulate_scan, simulated_maps, whitening
from ..operators import Crop
from ..recon.files import SUFFIXES
from ..recon.plan import Plan, Undersampling
from ..recon.preparation import SLICE_SEEDS, Prepared, prepare
from .cases import Case, Fingerprints, between, digest, hashed
from .config import KSpace, Phantoms, Simulated, Undersample

MASK_SEEDS = 1_000_003  # masks set apart for the seeds of a study
KEPT_BYTES = 2 * 2**30  # of prepared slices that a process keeps for the other methods of a group
BUNDLED = "brain-scan.h5"


@dataclass(frozen=True)
class ScanCase(Case):
    """One volume.

    Attributes:
        slices: their numbers.
        source: how it is made or read.
        place: the file, or the number of the subject or phantom.
        seed: of its masks.
    """

    slices: tuple[int, ...]
    source: Simulated | Phantoms | KSpace
    place: str | int
    seed: int

    @property
    def images(self) -> int:
        return len(self.slices)

    @property
    def middle(self) -> int:
        """The position of the slice to show."""
        return len(self.slices) // 2

    def stream(self, number: int) -> int:
        """What sets the seeds of slice `number` apart; 0 for the only slice of a simulated scan."""
        if isinstance(self.source, KSpace):
            return number
        offset = number - _magnitudes(self.source, self.place)[1]
        return 2 * abs(offset) - (offset > 0)

    def scan(self, number: int) -> Scan:
        """Slice `number`, fully sampled."""
        if isinstance(self.source, KSpace):
            with read_kspace(Path(str(self.place)), dataset=self.source.dataset, axes=self.source.axes,
                             max_gb=self.source.max_gb) as file:
                return file[number]
        return _simulated(self, number)

    def peak(self) -> float | None:
        """The largest value of the whole stored reference, which scores are taken against; None without one."""
        if not isinstance(self.source, KSpace):
            return None
        with read_kspace(Path(str(self.place)), dataset=self.source.dataset, axes=self.source.axes,
                         max_gb=self.source.max_gb) as file:
            return file.reference_max


@dataclass(frozen=True)
class Ready:
    """A slice that any method can take, and what it is scored against.

    Attributes:
        prepared: under-sampled, whitened, with coil maps.
        reference: (h, w) magnitude as shown.
        truth: (h, w) complex as shown: the fully sampled scan combined by the same coil maps.
        rss: (h, w) root-sum-of-squares of what was sampled, as shown.
    """

    prepared: Prepared
    reference: Tensor
    truth: Tensor
    rss: Tensor

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        y = self.prepared.problem.y
        operator = self.prepared.problem.operator
        spectrum = 0 if operator is self.prepared.sense else y.shape[-2] * y.shape[-1] ** 2
        return y.element_size() * (2 * y.numel() + spectrum)


@dataclass
class Shelf:
    """Prepared slices of one group of tasks, as many as fit; another group's make room."""

    group: str = ""
    held: dict[int, Ready] = field(default_factory=dict)
    bytes: int = 0

    def take(self, group: str) -> "Shelf":
        """The shelf, empty unless the group is the one before."""
        if group != self.group:
            self.group, self.bytes = group, 0
            self.held.clear()
        return self

    def keep(self, number: int, ready: Ready) -> None:
        if self.bytes + ready.bytes <= KEPT_BYTES:
            self.held[number] = ready
            self.bytes += ready.bytes


def ready(case: ScanCase, number: int, setting: Undersample, seed: int, *, cache: Path | None, spectral_gb: float,
          device: str) -> Ready:
    """Slice `number` undersampled and prepared, as `medrestore recon` would, and its references.

    Args:
        spectral_gb: largest exact spectrum to compute; 0 computes none.
    """
    scan = case.scan(number)
    # for all methods at once: with the spectrum, which some need and all can use, so that none depends on the others
    plan = Plan(method=DDNM(), seed=case.seed + MASK_SEEDS * seed, spectral_gb=spectral_gb,
                undersample=Undersampling(setting.kind, setting.accel, setting.acs))
    file_name = Path(str(case.place)).name if isinstance(case.source, KSpace) else case.name
    prepared = prepare(scan, plan, file_name=file_name, cache=cache, device=device)
    if prepared.reference is None:
        raise InputError(f"{case.place} is undersampled and holds no reference, so nothing made of it can be scored")
    full = scan.kspace if scan.noise is None else prewhiten(scan.kspace, whitening(noise_covariance(scan.noise)))
    combined = (prepared.sense.maps.conj() * ifft2c(full.to(device))).sum(1)[0]
    seen = rss(scan.kspace * prepared.sampling.mask)[0, 0]
    inner = (min(scan.crop[0], seen.shape[0]), min(scan.crop[1], seen.shape[1]))
    return Ready(prepared, prepared.reference, prepared.shown(combined).cpu(), Crop(tuple(seen.shape), inner)(seen))


def scan_cases(source: Simulated | Phantoms | KSpace, prints: Fingerprints, where: str) -> list[ScanCase]:
    """The cases of a source.

    Raises:
        InputError: files or subjects that are not there, or a volume without slices.
    """
    if isinstance(source, Simulated):
        return _subjects(source, prints, where)
    if isinstance(source, Phantoms):
        spec = [source.size, source.seed, source.coils, source.snr_db]
        return [ScanCase(f"phantom{number}", f"phantom{number}", f"phantom {source.seed} {number}",
                         digest(["phantom", number, spec]), (0,), source, number, number)
                for number in range(source.first, source.first + source.count)]
    return _files(source, prints, where)


def _subjects(source: Simulated, prints: Fingerprints, where: str) -> list[ScanCase]:
    volumes, held, made = _volumes(source.volumes), prints(Path(source.volumes)), []
    first, last = source.subjects
    if last > len(volumes):
        raise InputError(f"{where}: {source.volumes} holds the subjects 0 to {len(volumes) - 1}, and {list(source.subjects)} "
                         "asks for others")
    for subject in range(first, last):
        numbers = between(source.slices, len(_magnitudes(source, subject)[0]), f"subject {subject} of {source.volumes}")
        if not numbers:
            raise InputError(f"{where}: subject {subject} of {source.volumes} is empty; leave it out")
        name = f"subject{subject}"
        decides = [held, subject, numbers, source.coils, source.snr_db]
        made.append(ScanCase(name, name, f"{held} {subject}", digest(decides), numbers, source, subject, subject))
    return made


def _files(source: KSpace, prints: Fingerprints, where: str) -> list[ScanCase]:
    made = []
    for path, patient in _chosen(source, where):
        with read_kspace(path, dataset=source.dataset, axes=source.axes, max_gb=source.max_gb) as file:
            numbers = between(source.slices, len(file), str(path))
        held = prints(path)
        decides = [held, path.name, numbers, source.dataset, source.axes]  # fastMRI's masks follow from the name
        made.append(ScanCase(path.stem, patient or path.stem, patient or held, digest(decides), numbers, source, str(path), 0))
    return made


def _chosen(source: KSpace, where: str) -> list[tuple[Path, str | None]]:
    """The files, each with a hash of its patient where it names one."""
    if source.folder == "bundled":
        return [(Path(str(package_files("medrestore.data"))) / "samples" / BUNDLED, None)]
    if source.split is not None:
        chosen = FastMRI(str(source.folder), cache=Path(), split=source.split).volumes
        return [(volume.path, volume.patient) for volume in chosen]
    paths = find(source.files or str(source.folder), SUFFIXES, where)
    return [(path, _patient(path)) for path in paths]


def _patient(path: Path) -> str | None:
    """A hash of the patient that an HDF5 file names, as `datasets.fastmri` makes it."""
    if path.suffix not in (".h5", ".hdf5"):
        return None
    with open_hdf5(path) as file:
        named = guarded(path, lambda: file.attrs.get("patient_id"))
    return hashed(named) if isinstance(named, str) and named else None


@lru_cache(maxsize=1)
def _volumes(path: str) -> Tensor:
    return load_volumes(path)


def _magnitudes(source: Simulated | Phantoms, place: str | int) -> tuple[Tensor, int]:
    """(slice, h, w) of a subject, empty slices left out, and the number of the middle one."""
    number = int(place)
    if isinstance(source, Phantoms):
        return Heads(count=1, first=number, size=source.size, seed=source.seed)[0], 0
    volume = _volumes(source.volumes)[number]
    filled = volume[volume.mean((1, 2)) > EMPTY]
    return filled, len(filled) // 2


def _simulated(case: ScanCase, number: int) -> Scan:
    """One slice as an array of coils would have acquired it; phase and coils are those of the subject, noise is the slice's."""
    slices, middle = _magnitudes(case.source, case.place)
    generator = torch.Generator().manual_seed(int(case.place))
    truth = slices[number][None, None].to(torch.complex64)
    height, width = truth.shape[-2:]
    image = add_smooth_phase(truth, generator)
    maps = simulated_maps(case.source.coils, (height, width), generator=generator)
    if number != middle:
        generator = torch.Generator().manual_seed(int(case.place) + SLICE_SEEDS * case.stream(number))
    full = torch.ones(1, width)
    kspace = simulate_scan(image, maps, full, snr_db=case.source.snr_db, generator=generator)
    return Scan(name=case.name, index=number, kspace=kspace, mask=full, acs=None, noise=None, reference=truth[0, 0].abs(),
                crop=(height, width), pixel_mm=None, affine=None)


