"""Where the scans of a study come from: simulated from volumes or phantoms, or read from files."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..datasets.brain import EMPTY, load_volumes
from ..datasets.fastmri import FastMRI, patient_of
from ..datasets.files import find_files
from ..datasets.phantoms import Phantoms as Heads
from ..errors import InputError
from ..files import digest_of
from ..io import Scan, read_cartesian
from ..io.guards import open_hdf5
from ..io.kspace.open import suffixes
from ..mri import add_smooth_phase, simulate_scan, simulated_maps
from ..recon.plan import SLICE_SEEDS
from ..shipped import samples
from .cases import between, part_of
from .fingerprints import Fingerprints
from .mri import ScanCase
from .sources import Acquisition, Head, KSpace, Layout, Phantoms, Simulated

BUNDLED = "brain-scan"


@dataclass(frozen=True)
class FileCase(ScanCase):
    """A volume in a file.

    Attributes:
        source: how it is read.
        path: of the file.
    """

    source: KSpace
    path: str

    @property
    def file_name(self) -> str:
        return Path(self.path).name

    def scan(self, number: int) -> Scan:
        with read_cartesian(Path(self.path), **_reading(self.source)) as file:
            return file[number]

    def peak(self) -> float | None:
        with read_cartesian(Path(self.path), **_reading(self.source)) as file:
            return file.reference_max


def _reading(source: KSpace) -> dict[str, Any]:
    """The arguments of `io.read_kspace`."""
    return {**asdict(part_of(Layout, source)), "max_gb": source.max_gb}


@dataclass(frozen=True)
class SimulatedCase(ScanCase):
    """A volume that an array of coils would have acquired of magnitude images.

    Attributes:
        number: of the subject or phantom; the seed of its phase and coils.
        acquisition: of the simulated array.
    """

    number: int
    acquisition: Acquisition

    @abstractmethod
    def magnitudes(self) -> tuple[Tensor, int]:
        """(slice, h, w), and the number of the middle slice."""

    @property
    def file_name(self) -> str:
        return self.name

    def stream(self, number: int) -> int:
        """0 for the middle slice, then outwards."""
        offset = number - self.magnitudes()[1]
        return 2 * abs(offset) - (offset > 0)

    def scan(self, number: int) -> Scan:
        """Phase and coils are those of the subject, noise is the slice's."""
        slices, middle = self.magnitudes()
        generator = torch.Generator().manual_seed(self.number)
        truth = slices[number][None, None].to(torch.complex64)
        height, width = truth.shape[-2:]
        image = add_smooth_phase(truth, generator)
        maps = simulated_maps(self.acquisition.coils, (height, width), generator=generator)
        if number != middle:
            generator = torch.Generator().manual_seed(self.number + SLICE_SEEDS * self.stream(number))
        full = torch.ones(1, width)
        kspace = simulate_scan(image, maps, full, snr_db=self.acquisition.snr_db, generator=generator)
        return Scan(name=self.name, index=number, kspace=kspace, mask=full, acs=None, noise=None,
                    reference=truth[0, 0].abs(), crop=(height, width), pixel_mm=None, affine=None)


@dataclass(frozen=True)
class SubjectCase(SimulatedCase):
    """A volume of magnitudes; slices without content are left out.

    Attributes:
        volumes: the file of all subjects.
    """

    volumes: str

    def magnitudes(self) -> tuple[Tensor, int]:
        return _subject(self.volumes, self.number)


@dataclass(frozen=True)
class PhantomCase(SimulatedCase):
    """A generated head of one slice."""

    acquisition: Head

    def magnitudes(self) -> tuple[Tensor, int]:
        return Heads(count=1, first=self.number, size=self.acquisition.size, seed=self.acquisition.seed)[0], 0


@lru_cache(maxsize=1)
def _volumes(path: str) -> Tensor:
    return load_volumes(path)


def _subject(path: str, number: int) -> tuple[Tensor, int]:
    volume = _volumes(path)[number]
    with_content = volume[volume.mean((1, 2)) > EMPTY]
    return with_content, len(with_content) // 2


def scan_cases(source: Simulated | Phantoms | KSpace, prints: Fingerprints, where: str) -> Sequence[ScanCase]:
    """The cases of a source.

    Raises:
        InputError: files or subjects that do not exist, or a volume without slices.
    """
    match source:
        case Simulated():
            return _subjects(source, prints, where)
        case Phantoms():
            head = part_of(Head, source)
            cases = []
            for number in range(source.first, source.first + source.count):
                name, identity = f"phantom{number}", f"phantom {head.seed} {number}"
                fingerprint = digest_of(["phantom", number, asdict(head)])
                cases.append(PhantomCase(name, name, fingerprint, identity, (0,), number, number, head))
            return cases
        case KSpace():
            return _file_cases(source, prints, where)


def _subjects(source: Simulated, prints: Fingerprints, where: str) -> list[SubjectCase]:
    count, content = len(_volumes(source.volumes)), prints(Path(source.volumes))
    acquisition = part_of(Acquisition, source)
    first, last = source.subjects
    if last > count:
        raise InputError(f"{where}: {source.volumes} holds the subjects 0 to {count - 1}, and {list(source.subjects)} "
                         "asks for others")
    cases = []
    for subject in range(first, last):
        slices = len(_subject(source.volumes, subject)[0])
        numbers = between(source.slices, slices, f"subject {subject} of {source.volumes}")
        if not numbers:
            raise InputError(f"{where}: subject {subject} of {source.volumes} is empty; leave it out")
        name = f"subject{subject}"
        fingerprint = digest_of([content, subject, numbers, asdict(acquisition)])
        cases.append(SubjectCase(name, name, fingerprint, f"{content} {subject}", numbers, subject, subject, acquisition,
                                 source.volumes))
    return cases


def _file_cases(source: KSpace, prints: Fingerprints, where: str) -> list[FileCase]:
    layout = asdict(part_of(Layout, source))
    cases = []
    first: dict[str, str] = {}  # case of each patient, which stands for the patient in tables
    for path, identity in _chosen_files(source, where):
        with read_cartesian(path, **_reading(source)) as file:
            numbers = between(source.slices, len(file), str(path))
        content = prints(path)
        fingerprint = digest_of([content, path.name, numbers, layout])  # fastMRI's masks follow from the name
        patient = first.setdefault(identity or content, path.stem)
        cases.append(FileCase(path.stem, patient, fingerprint, identity or content, numbers, 0, source, str(path)))
    return cases


def _chosen_files(source: KSpace, where: str) -> list[tuple[Path, str | None]]:
    """The files, each with what it says of its patient, to tell patients apart; it is stored nowhere."""
    if source.folder == "bundled":
        return [(samples()[BUNDLED], None)]
    if source.split is not None:
        chosen = FastMRI(str(source.folder), cache=Path(), split=source.split).volumes
        return [(volume.path, volume.patient) for volume in chosen]
    return [(path, _identity(path)) for path in find_files(source.files or str(source.folder), suffixes(), where)]


def _identity(path: Path) -> str | None:
    if path.suffix.lower() not in (".h5", ".hdf5"):
        return None
    with open_hdf5(path) as file:
        return patient_of(file, path)
