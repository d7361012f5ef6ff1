"""ISMRMRD (MRD) raw data in HDF5: Cartesian 2-D slices and 3-D volumes, read line by line.

Format: Inati et al., "ISMRM Raw data format: A proposed standard for MRI raw datasets", Magn. Reson. Med. 77, 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ...errors import InputError
from ..guards import (
    MAX_TEXT,
    check_size,
    check_stored,
    first_names,
    guarded,
    has,
    is_own_dataset,
    lookup,
    open_hdf5,
    own_dataset,
    read_text,
    require,
)
from ..hdf5 import Dataset, File, Hdf5Group
from .arrays import has_mark
from .base import Request
from .counters import COUNTERS, SLAB, choose_lines, values_of
from .epi import Echoes, Lines
from .epi import notes as planar_notes
from .geometry import Placement, place
from .header import Header, parse_header
from .lines import LINE, Grid, LineFile, fitted_grid, line_start

# Flag numbers of the standard, counted from 1.
NOISE, CALIBRATION, CALIBRATION_AND_IMAGE, REVERSE, PHASE_CORRECTION = 19, 20, 21, 22, 24
NOT_IMAGE = (NOISE, 23, 24, 26, 27, 28, 29, 30, 31)  # navigators, phase correction, feedback, dummies, coil correction
INDICES = {"kspace_encode_step_1", "kspace_encode_step_2", "slice", *COUNTERS}
FIELDS = {"flags", "number_of_samples", "active_channels", "discard_pre", "discard_post", "center_sample", "encoding_space_ref"}
FIELDS |= {"sample_time_us", "position", "read_dir", "phase_dir", "slice_dir", "idx"}


class MRDFile(LineFile):
    """A Cartesian ISMRMRD file: 2-D slices, or a 3-D scan, which encodes a second phase direction.

    Slices of a 3-D scan are positions along its readout. Of several slabs the first is read, or the selected one.

    Lines of one phase encode step are averaged, repetitions among them; of contrasts, phases and sets the first is read, or
    the selected one, and `notes` says so. Calibration-only lines belong to the image unless the header calls the calibration
    separate or external; then they give the coil maps alone. Slices are in the order of their positions. Of echo-planar scans
    (lines read in reverse) ramps are regridded and ghosts removed by the navigator lines; see `epi.Echoes`.

    The affine assumes s(k) = sum rho(x) exp(-2 pi i k x) with k growing along read_dir and phase_dir, `position` at the
    centre of the field of view, and the patient frame of the standard (LPS), which is turned to RAS.
    """

    kind = "ISMRMRD"

    def __init__(self, path: Path, file: File, group: str, request: Request):
        self._file, self.path = file, path
        self._echoes: Echoes | None = None
        self._records = acquisitions(file, f"{group}/data", max_gb=request.max_gb)
        self._header = parse_header(read_text(file, f"{group}/xml"), str(path))
        self.dtype = "complex64"
        head = guarded(path, lambda: self._records.fields("head")[:])
        head, separate = self._image_heads(path, head, request)
        self._image = image = head[~separate]
        grid = _grid_of_header(self._header, volume=self.is_volume)
        lines = _lines_of_acquisitions(head, grid, self._header)
        lines["separate"] = separate
        if self._echoes is not None:  # which puts each line on the whole grid
            lines["at"], lines["skip"], lines["count"] = 0, 0, grid.samples
        elif len(image):
            grid, notes = fitted_grid(grid, lines[~separate], (image["center_sample"] - image["discard_pre"]).astype(np.int64))
            self.notes += notes
            lines["at"] = _line_starts(head, lines, grid)
        found, announced = len(np.unique(image["idx"]["slice"])), self._header.slices
        if announced is not None and 0 < found < announced and not self.is_volume:
            self.notes += (f"The header announces {announced} slices and the file holds {found}.",)
        coils = np.unique(image["active_channels"])
        require(len(coils) <= 1, f"{path} changes its number of coils ({', '.join(map(str, coils))}) during the scan.")
        super().__init__(path, lines, grid, placement_of(image), coils=int(coils[0]) if len(coils) else 0, request=request)
        self.has_noise = len(self._noise_heads) > 0

    def _image_heads(self, path: Path, head: np.ndarray, request: Request) -> tuple[np.ndarray, np.ndarray]:
        """The headers of the image and of separate calibration lines, and which are the latter; their record numbers are kept
        in `_image_records`."""
        none = flagged(head, *NOT_IMAGE)
        separate = flagged(head, CALIBRATION) & ~flagged(head, CALIBRATION_AND_IMAGE) & ~none
        separate &= self._header.calibration in ("separate", "external")
        image, here = ~none & ~separate, head["encoding_space_ref"] == 0
        noise = flagged(head, NOISE)
        self._noise_records, self._noise_heads = np.flatnonzero(noise), head[noise]
        elsewhere = int(((image | separate) & ~here).sum())
        if elsewhere:
            self.notes += (f"{elsewhere} lines belong to another encoding space and are left out.",)
        numbers = {name: head["idx"][name] for name in COUNTERS}
        if head["idx"]["kspace_encode_step_2"][image & here].any():
            self.is_volume, numbers = True, numbers | {SLAB: head["idx"]["slice"]}
        self.counters = values_of({name: values[image & here] for name, values in numbers.items()})
        between = np.flatnonzero((image | separate) & here)
        image, notes = chosen(image & here, numbers, request.select, path)
        self.notes += notes
        navigators = flagged(head, PHASE_CORRECTION) & ~flagged(head, NOISE) & here
        navigators &= np.isin(head["idx"]["slice"], head["idx"]["slice"][image])
        separate, _ = chosen(separate & here & np.isin(head["idx"]["slice"], head["idx"]["slice"][image]), numbers, {}, path)
        if flagged(head[image], REVERSE).any():
            separate = self._without_other_lines(head, image, separate)
        used = image | separate
        self._image_records = np.flatnonzero(used)
        if flagged(head[used], REVERSE).any():
            self._echoes = self._corrected(path, head, used, navigators, between)
        return head[used], separate[used]

    def _without_other_lines(self, head: np.ndarray, image: np.ndarray, separate: np.ndarray) -> np.ndarray:
        """Separate calibration lines of an echo-planar scan, as far as they are read as its image is."""
        alike = separate & (head["number_of_samples"] == head["number_of_samples"][image][0])
        if bool((separate & ~alike).any()):
            self.notes += (f"{int((separate & ~alike).sum())} separate calibration lines are read otherwise than the echo-planar "
                           "ones and are left out.",)
        return alike

    def _corrected(self, path: Path, head: np.ndarray, used: np.ndarray, navigators: np.ndarray, between: np.ndarray) -> Echoes:
        """The correction of echo-planar lines, which are the lines `used`; see `Echoes`."""
        require(not (head["discard_pre"][used].any() or head["discard_post"][used].any()),
                f"{path} discards samples of echo-planar lines, so that their places are unknown; export corrected data.")
        longest = int(head["number_of_samples"][used].max())
        self.notes += planar_notes(self._header.trapezoid, longest, path, volume=self.is_volume)

        def lines(which: np.ndarray) -> Lines:
            return Lines(np.flatnonzero(which), head["idx"]["slice"][which].astype(np.int64), flagged(head[which], REVERSE))

        return Echoes(path, lines(used), lines(navigators), between, samples=self._header.encoded[0],
                      trapezoid=self._header.trapezoid, read=self._rows)

    def _rows(self, records: np.ndarray) -> Iterable[np.ndarray]:
        """The (coil, samples) of records of the file, in their order."""
        rows = guarded(self.path, lambda: self._records[records])
        return (samples_of(row, self.path) for row in rows)

    def _data(self, records: np.ndarray) -> Iterable[np.ndarray]:
        found = self._rows(self._image_records[records])
        if self._echoes is None:
            return found
        return (self._echoes.corrected(int(number), data) for number, data in zip(records, found, strict=True))

    def _noise_samples(self) -> np.ndarray | None:
        """Noise in image units: its variance grows with the bandwidth, which is one over the dwell time.

        A noise scan's own filter passes only a part of its band (relativeReceiverNoiseBandwidth, 0.79 on many scanners),
        which its variance has to be divided by. Removing the readout oversampling leaves the std per sample as it is.
        """
        if not self.has_noise:
            return None
        rows = guarded(self.path, lambda: self._records[self._noise_records])
        return in_image_units(rows, self._image, self._noise_heads, self._header, self.path)

    def close(self) -> None:
        self._file.close()


def samples_of(row: np.ndarray, path: Path) -> np.ndarray:
    """(coil, samples) of one acquisition, which stores re, im, re, im."""
    coils, samples = int(row["head"]["active_channels"]), int(row["head"]["number_of_samples"])
    data = np.asarray(row["data"], np.float32)
    require(
        data.size == 2 * coils * samples,
        f"{path}: a line stores {data.size} numbers, not {coils} coils x {samples} samples x 2; export it again.",
    )
    return data.view(np.complex64).reshape(coils, samples)


def in_image_units(rows: np.ndarray, image: np.ndarray, noise: np.ndarray, header: Header, path: Path) -> np.ndarray:
    """(coil, n): acquisitions of noise alone, with the std that noise has in the image's.

    Args:
        rows: the acquisitions.
        image, noise: headers of the image's and of these.
    """
    samples = np.concatenate([samples_of(row, path) for row in rows], axis=1)
    ratio, image_us, noise_us = 1.0, float(image["sample_time_us"][0]), float(noise["sample_time_us"][0])
    if image_us > 0 and noise_us > 0:
        ratio = noise_us / image_us
    bandwidth = header.noise_bandwidth
    return samples * np.float32(np.sqrt(ratio / (bandwidth if bandwidth is not None and bandwidth > 0 else 1.0)))


def find_group(file: File) -> str | None:
    """The name of the group that holds an ISMRMRD data set (a text `xml` and records `data`), usually "dataset"."""
    for name in sorted(first_names(file, 100), key=lambda name: name != "dataset"):
        group = lookup(file, name) if is_own_dataset(file, name) else None
        if isinstance(group, Hdf5Group) and has(group, "xml") and has(group, "data"):
            return name
    return None


def acquisitions(file: File, name: str, *, max_gb: float) -> Dataset:
    """The records, checked: fields head, traj and data of the standard, not more than the file can hold."""
    import h5py

    records = own_dataset(file, name)
    fields = records.dtype.names if records.ndim == 1 else None
    if fields is None or not {"head", "data"} <= set(fields):
        raise InputError(f"{file.filename}: {name!r} is not a list of ISMRMRD acquisitions; export the file again.")
    head, data = records.dtype["head"], h5py.check_vlen_dtype(records.dtype["data"])
    complete = set(head.names or ()) >= FIELDS and set(head["idx"].names or ()) >= INDICES
    if not complete or data != np.float32 or records.dtype.itemsize > MAX_TEXT:
        raise InputError(f"{file.filename}: {name!r} does not have the fields of ISMRMRD; convert it to version 1.")
    size = check_size(f"{file.filename}: {name!r}", records.shape, records.dtype.itemsize, max_gb=max_gb)
    check_stored(f"{file.filename}: {name!r}", records, size)
    return records


def flagged(head: np.ndarray, *numbers: int) -> np.ndarray:
    bits = np.uint64(sum(1 << (number - 1) for number in numbers))
    return (head["flags"].astype(np.uint64) & bits) != 0


def chosen(lines: np.ndarray, numbers: dict[str, np.ndarray], select: Mapping[str, int],
            path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Of the lines marked, those of the selected counters; and notes."""
    keep, notes = choose_lines({name: values[lines] for name, values in numbers.items()}, select, path)
    chosen = lines.copy()
    chosen[lines] = keep
    return chosen, notes


def _grid_of_header(header: Header, *, volume: bool) -> Grid:
    """The grid: what the recon field of view keeps of the encoded one, along the readout and along the phase encodes."""
    samples, columns, partitions = header.encoded
    rows, crop = header.kept
    if volume:
        return Grid(samples=samples, rows=rows, columns=columns, crop_columns=crop, pixel_mm=header.volume_pixel_mm,
                    partitions=partitions, crop_partitions=header.kept_partitions)
    pixel = header.pixel_mm if header.recon_mm is not None else None
    return Grid(samples=samples, rows=rows, columns=columns, crop_columns=crop, pixel_mm=pixel)


def _lines_of_acquisitions(head: np.ndarray, grid: Grid, header: Header) -> np.ndarray:
    lines = np.zeros(len(head), LINE)
    pre, post = (head[key].astype(np.int64) for key in ("discard_pre", "discard_post"))
    lines["record"] = np.arange(len(head))
    lines["slice"] = head["idx"]["slice"]
    centre = grid.columns // 2 if header.center is None else header.center
    lines["column"] = head["idx"]["kspace_encode_step_1"].astype(np.int64) + grid.columns // 2 - centre
    if grid.partitions is not None:
        middle = grid.partitions // 2 if header.center_partition is None else header.center_partition
        lines["partition"] = head["idx"]["kspace_encode_step_2"].astype(np.int64) + grid.partitions // 2 - middle
    lines["skip"] = pre
    lines["count"] = head["number_of_samples"].astype(np.int64) - pre - post
    lines["at"] = _line_starts(head, lines, grid)
    lines["acs"] = flagged(head, CALIBRATION, CALIBRATION_AND_IMAGE)
    return lines


def _line_starts(head: np.ndarray, lines: np.ndarray, grid: Grid) -> list[int]:
    """The sample of the grid on which each line begins."""
    middle = head["center_sample"].astype(np.int64) - lines["skip"]
    return [line_start(grid.samples, count, at) for count, at in zip(lines["count"], middle, strict=True)]


def placement_of(head: np.ndarray) -> Placement:
    """Where the slices lie, from the first line of each."""
    if not len(head):
        return Placement(())
    counters, first = np.unique(head["idx"]["slice"], return_index=True)
    directions = np.stack([head[key][first].astype(np.float64) for key in ("read_dir", "phase_dir", "slice_dir")], -1)
    return place(counters, head["position"][first].astype(np.float64), directions)


def recognises(path: Path, begin: bytes, request: Request) -> bool:
    """A group with a text `xml` and records `data`; stated axes make the file a plain array."""
    if not has_mark(begin) or request.axes is not None:
        return False
    with open_hdf5(path) as file:
        group = find_group(file)
    return group is not None and request.dataset in (None, group)
