"""The slices of a scan, restored group after group: each is stored when it is done, and none is restored twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..allocator import release_freed_memory
from ..conditions import UNPLACED
from ..errors import InputError
from ..files import digest_of
from ..io import KSpaceFile, Scan
from ..io.kspace.plausible import is_noise
from ..priors import Prior
from ..settings import FieldError, plain
from .frames import Common, frames_of, prepared_frame
from .plan import Plan
from .preparation import is_empty, prepare
from .prepared import Prepared
from .records import Record, Records, key_of
from .reference import ReferenceImages, with_reference
from .restoring import restore_slices
from .settle import Settled, settled
from .shared import FAINT, QUIET, Shared, central_energy
from .slices import ahead, images_of

if TYPE_CHECKING:
    from .files import Job


BESIDE = 4  # slices on either side of a slab that are restored with it and left out: variation across slices reaches no farther


@dataclass(frozen=True)
class Group:
    """Slices that share a batch.

    Attributes:
        numbers: of the slices.
        key: of their records.
        ready: those that hold something, by number, and of a slab the slices on either side that go with it; empty where all
            records are stored already.
        empty: those that hold nothing.
        refused: why the group cannot be served.
    """

    numbers: range
    key: str = ""
    ready: dict[int, Prepared] = field(default_factory=dict)
    empty: tuple[int, ...] = ()
    refused: InputError | None = None

    @property
    def kept(self) -> list[int]:
        """Those of `ready` that are of the group itself."""
        return [index for index in self.ready if index in self.numbers]


@dataclass(frozen=True)
class Volume:
    """A scan that is being restored.

    Args:
        scan, maps: as opened.
        file_name: of the scan.
        numbers: of the slices that are asked for.
        job: what to do with them.
        settled: the plan of the job with what it leaves to the scan; None before that is known.
        latest: what the frames of the slice that was prepared last have in common, by its number.
    """

    scan: KSpaceFile
    maps: KSpaceFile | None
    file_name: str
    numbers: range
    job: "Job"
    settled: Settled | None = None
    latest: dict[int, Common] = field(default_factory=dict, compare=False)

    @property
    def plan(self) -> Plan:
        """The plan of the job, as far as it is settled."""
        return self.job.plan if self.settled is None else self.settled.plan

    @property
    def prior(self) -> Prior:
        """The prior of the job, adapted where the plan asks for that and it predicts the scan better."""
        return self.job.prior if self.settled is None else self.settled.adaptation.prior or self.job.prior

    @property
    def passes(self) -> int:
        """Steps that a slice takes."""
        return self.plan.passes(self.job.prior)

    @property
    def pictured(self) -> int:
        """The slice of which a picture is shown."""
        return self.numbers[len(self.numbers) // 2]

    @cached_property
    def base(self) -> str:
        """sha256 of what decides each slice, but for what the files of the scan and of the maps hold."""
        plan = replace(self.plan, prior="", slices=None, maps=None, dataset=None, axes=None, trajectory=None,
                       reference_image=None, **UNPLACED)
        name = None if plan.undersample is None else self.file_name  # of which masks are made
        beside = self.job.reference_fingerprint
        fitted = "" if self.settled is None else self.settled.adaptation.digest
        return digest_of([plain(plan), self.job.prior_key(), fitted, name, self.job.machine.place, torch.__version__, beside])

    def first(self) -> dict[int, Prepared]:
        """The first slice that holds something, prepared, by its number.

        Raises:
            InputError: none does, or it cannot be served.
        """
        for index in self.numbers:
            scan = self.scan[index]
            if not self._nothing(scan):
                return {index: self._prepare(scan, self._maps(index))}
        raise InputError(f"{self.scan.path}: the k-space is zero everywhere; copy or export the scan again")

    def settle(self, prepared: dict[int, Prepared]) -> "Volume":
        """The volume with what its middle slice settles, or the first that holds something."""

        def middle() -> Prepared:
            scan = self.scan[self.pictured]
            if self.pictured in prepared or self._nothing(scan):
                return next(iter(prepared.values()))
            return self._prepare(scan, self._maps(self.pictured))

        job = self.job
        return replace(self, settled=settled(middle, job.prior, job.plan, check_fit=job.machine.check_fit, say=job.say,
                                             progress=job.progress))

    def restore(self, prepared: dict[int, Prepared], at_once: int, records: Records,
                advance: Callable[[], None]) -> tuple[dict[int, str], dict[int, InputError]]:
        """Restores and stores all slices that are not stored yet, and goes on past those that cannot be served.

        Args:
            prepared: as returned by `first`; emptied, so that nothing holds the exact data step of a slice, hundreds of
                megabytes, while those of the next group are made.
            at_once: slices that share a batch.
            advance: called after every step of every sample.

        Returns:
            The keys of the records by number, and why slices could not be served by number.
        """
        shape, scored = next((_shape(ready), ready.reference is not None) for ready in prepared.values())
        groups = self._groups(prepared, at_once, records)
        keys: dict[int, str] = {}
        refused: dict[int, InputError] = {}
        while (group := next(groups, None)) is not None:
            if group.refused is not None:
                refused |= dict.fromkeys(group.numbers, group.refused)
                continue
            keys |= dict.fromkeys(group.numbers, group.key)
            for index in group.empty:
                records.save(index, group.key, Record.empty(shape, samples=self.plan.samples,
                                                            keep_samples=self.plan.keep_samples, scored=scored))
            if group.kept:
                self._restore(group, records, advance)
                release_freed_memory()
            for _ in range((len(group.numbers) - len(group.kept)) * self.passes):
                advance()
            del group
        return keys, refused

    def _groups(self, prepared: dict[int, Prepared], at_once: int, records: Records) -> Iterator[Group]:
        """Slices made ready, `at_once` at a time; those in `prepared` are taken out of it."""

        def make(start: int) -> Group:
            numbers = range(start, min(start + at_once, self.numbers.stop))
            try:
                return self._group(numbers, prepared, records)
            except FieldError:  # of the plan, not of the slice
                raise
            except (InputError, torch.linalg.LinAlgError) as error:
                return Group(numbers, refused=error if isinstance(error, InputError) else InputError(str(error)))

        return ahead(make, self.numbers[::at_once], threaded=self.job.machine.place != "cpu")

    def _group(self, numbers: range, prepared: dict[int, Prepared], records: Records) -> Group:
        beside = 0 if self.plan.across_slices is None else BESIDE
        wide = range(max(self.numbers.start, numbers.start - beside), min(self.numbers.stop, numbers.stop + beside))
        read = {index: (self.scan[index], self._maps(index)) for index in wide}
        key = key_of(f"{self.base} {any(map(self._with_baselines, numbers))}", read.values())
        if all(records.load(index, key) is not None for index in numbers):
            for index in numbers:
                prepared.pop(index, None)
            return Group(numbers, key)
        empty = {index for index, (scan, _) in read.items() if self._nothing(scan)}
        ready = {index: prepared.pop(index) if index in prepared else self._prepare(*pair)
                 for index, pair in read.items() if index not in empty}
        return Group(numbers, key, ready, tuple(index for index in numbers if index in empty))

    @cached_property
    def _shared(self) -> Shared | None:
        """What all slices have in common; None for slices that are images of their own."""
        if not (self.scan.is_volume or self.plan.across_slices is not None):
            return None
        scan = self.scan[self.pictured]
        if self._nothing(scan):
            scan = next(one for one in (self.scan[index] for index in self.numbers) if not self._nothing(one))
        machine = self.job.machine
        ready = prepare(scan, self.plan, file_name=self.file_name, maps=self._maps(scan.index), cache=machine.cache,
                        device=machine.place)
        return Shared.of(scan, ready, self.job.prior, self.plan)

    def _nothing(self, scan: Scan) -> bool:
        """Whether a slice holds nothing, or as the outer positions of a 3-D scan nothing but noise."""
        if is_empty(scan) or not self.scan.is_volume:
            return is_empty(scan)
        share = central_energy(scan) / self._loudest
        return share < QUIET or (share < FAINT and is_noise(scan.kspace[0]))

    @cached_property
    def _loudest(self) -> float:
        return max(central_energy(self.scan[index]) for index in self.numbers)

    def _maps(self, index: int) -> Tensor | None:
        return None if self.maps is None else self.maps[index // self.scan.frames].kspace

    def _prepare(self, scan: Scan, maps: Tensor | None) -> Prepared:
        ready, images, number = self._alone(scan, maps), self._reference_images, scan.index // self.scan.frames
        return ready if images is None else with_reference(ready, images[number], f"slice {number} of {images.path}")

    def _alone(self, scan: Scan, maps: Tensor | None) -> Prepared:
        """A slice without what lies beside it."""
        machine = self.job.machine
        if self.scan.frames > 1:
            return prepared_frame(scan, self._common(scan.index // self.scan.frames, maps), self.plan,
                                  file_name=self.file_name, device=machine.place)
        reference = None if self._shared is None else self._shared.reference
        return prepare(scan, self.plan, file_name=self.file_name, maps=maps, cache=machine.cache, device=machine.place,
                       reference=reference)

    @cached_property
    def _reference_images(self) -> ReferenceImages | None:
        """The images beside the slices, one for all frames of a slice, for a prior that takes them."""
        if self.plan.reference_image is None:
            return None
        images = ReferenceImages(Path(self.plan.reference_image), max_gb=self.job.reading.max_gb)
        images.check_slices(len(self.scan) // self.scan.frames)
        return images

    def _common(self, number: int, maps: Tensor | None) -> Common:
        """What the frames of a slice have in common."""
        if number not in self.latest:
            machine, frames = self.job.machine, self.scan.frames
            scans = frames_of([self.scan[index] for index in range(number * frames, (number + 1) * frames)])
            reference = None if self._shared is None else self._shared.reference
            found = Common.of(scans, self.plan, file_name=self.file_name, maps=maps, cache=machine.cache, device=machine.place,
                              reference=reference)
            self.latest.clear()
            self.latest[number] = found
        return self.latest[number]

    def _restore(self, group: Group, records: Records, advance: Callable[[], None]) -> None:
        """Restores the slices of a group in one batch, and stores them."""
        plan = self.plan

        def stepped(step: int, x: Tensor) -> None:
            for _ in range(len(x) if plan.across_slices is None else len(group.kept)):
                advance()

        restored = restore_slices(list(group.ready.values()), self.prior, plan, numbers=list(group.ready),
                                  batch_size=images_of(plan, len(group.ready)), on_step=stepped,
                                  codec=None if self._shared is None else self._shared.codec)
        for index, done in zip(group.ready, restored, strict=True):
            if index not in group.numbers:
                continue
            records.save(index, group.key, Record.of(done, samples=plan.keep_samples, baselines=self._with_baselines(index)))

    def _with_baselines(self, index: int) -> bool:
        """Whether the images of a slice without a prior are needed, though there may be no reference."""
        return index == self.pictured or self.job.show is not None


def _shape(ready: Prepared) -> tuple[int, int]:
    """(h, w) of the image as shown."""
    height, width = ready.shown(ready.problem.back_projected[0]).shape
    return height, width
