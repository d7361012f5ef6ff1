"""ISMRMRD (MRD) raw data in HDF5: Cartesian 2-D slices, read line by line.

Format: Inati et al., "ISMRM Raw data format: A proposed standard for MRI raw datasets", Magn. Reson. Med. 77, 2017.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...errors import InputError
from ..guards import (
    MAX_TEXT,
    check_size,
    check_stored,
    guarded,
    has,
    is_own,
    lookup,
    names,
    own_dataset,
    read_text,
    require,
)
from ..hdf5 import Dataset, File, Group
from .header import Header, parse_header
from .lines import LINE, Grid, LineFile, line_start

# Flag numbers of the standard, counted from 1.
NOISE, CALIBRATION, CALIBRATION_AND_IMAGE, REVERSE = 19, 20, 21, 22
NOT_IMAGE = (NOISE, 23, 24, 26, 27, 28, 29, 30, 31)  # navigators, phase correction, feedback, dummies, coil correction
FIRST_ONLY = ("repetition", "contrast", "phase", "set")
COUNTERS = {"kspace_encode_step_1", "kspace_encode_step_2", "slice", *FIRST_ONLY}
FIELDS = {"flags", "number_of_samples", "active_channels", "discard_pre", "discard_post", "center_sample", "encoding_space_ref"}
FIELDS |= {"sample_time_us", "position", "read_dir", "phase_dir", "slice_dir", "idx"}


class MRDFile(LineFile):
    """A Cartesian 2-D ISMRMRD file.

    Lines of one phase encode step are averaged; of repetitions, contrasts, phases and sets the first is read and `notes`
    says so. Calibration-only lines belong to the image unless the header calls the calibration separate or external.

    The affine assumes s(k) = sum rho(x) exp(-2 pi i k x) with k growing along read_dir and phase_dir, `position` at the
    centre of the field of view, and the patient frame of the standard (LPS), which is turned to RAS.
    """

    kind = "ISMRMRD"

    def __init__(self, path: Path, file: File, group: str, *, max_gb: float):
        self._file = file
        self._records = _acquisitions(file, f"{group}/data", max_gb=max_gb)
        self._header = parse_header(read_text(file, f"{group}/xml"), str(path))
        self.dtype = "complex64"
        head = guarded(path, lambda: self._records.fields("head")[:])
        head, self.notes = self._image_heads(path, head)
        grid = _grid(self._header)
        lines = _lines(head, grid, self._header)
        coils = np.unique(head["active_channels"])
        require(len(coils) <= 1, f"{path} changes its number of coils ({', '.join(map(str, coils))}) during the scan.")
        super().__init__(path, lines, grid, coils=int(coils[0]) if len(coils) else 0, max_gb=max_gb)
        self._head = head
        self.has_noise = len(self._noise_heads) > 0

    def _image_heads(self, path: Path, head: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """The headers of the image lines, with their record numbers kept in `_image_records`, and notes."""
        require(
            self._header.trajectory == "cartesian",
            f"{path} has a {self._header.trajectory} trajectory; only Cartesian scans are read, grid it first.",
        )
        dropped = list(NOT_IMAGE)
        if self._header.calibration in ("separate", "external"):
            dropped.append(CALIBRATION)
        image = ~_flagged(head, *dropped) | (_flagged(head, CALIBRATION_AND_IMAGE) & ~_flagged(head, *NOT_IMAGE))
        image &= head["encoding_space_ref"] == 0
        noise = _flagged(head, NOISE)
        self._noise_records, self._noise_heads = np.flatnonzero(noise), head[noise]
        notes = []
        for counter in FIRST_ONLY:
            values = np.unique(head["idx"][counter][image])
            if len(values) > 1:
                image &= head["idx"][counter] == values[0]
                notes.append(f"The file holds {len(values)} of {counter}; only {counter} {values[0]} is read.")
        self._image_records, head = np.flatnonzero(image), head[image]
        require(
            not head["idx"]["kspace_encode_step_2"].any(),
            f"{path} is a 3-D scan (it encodes a second phase direction); only stacks of 2-D slices are read.",
        )
        require(
            not _flagged(head, REVERSE).any(),
            f"{path} reads lines in reverse (EPI), which needs a phase correction first; export corrected data.",
        )
        return head, tuple(notes)

    def _data(self, records: np.ndarray) -> Iterable[np.ndarray]:
        rows = guarded(self.path, lambda: self._records[self._image_records[records]])
        return (self._samples(row) for row in rows)

    def _samples(self, row: np.ndarray) -> np.ndarray:
        """(coil, samples) of one acquisition, which stores re, im, re, im."""
        coils, samples = int(row["head"]["active_channels"]), int(row["head"]["number_of_samples"])
        data = np.asarray(row["data"], np.float32)
        require(
            data.size == 2 * coils * samples,
            f"{self.path}: a line stores {data.size} numbers, not {coils} coils x {samples} samples x 2; export it again.",
        )
        return data.view(np.complex64).reshape(coils, samples)

    def _noise_samples(self) -> np.ndarray | None:
        """Noise in image units: its variance grows with the bandwidth, which is one over the dwell time.

        A noise scan's own filter passes only a part of its band (relativeReceiverNoiseBandwidth, 0.79 on many scanners),
        which its variance has to be divided by. Removing the readout oversampling leaves the std per sample as it is.
        """
        if not self.has_noise:
            return None
        rows = guarded(self.path, lambda: self._records[self._noise_records])
        noise = np.concatenate([self._samples(row) for row in rows], axis=1)
        ratio, image_us, noise_us = 1.0, float(self._head["sample_time_us"][0]), float(self._noise_heads["sample_time_us"][0])
        if image_us > 0 and noise_us > 0:
            ratio = noise_us / image_us
        bandwidth = self._header.noise_bandwidth
        return noise * np.float32(np.sqrt(ratio / (bandwidth if bandwidth is not None and bandwidth > 0 else 1.0)))

    def _affine(self) -> np.ndarray | None:
        if self._grid.pixel_mm is None:
            return None
        _, first = np.unique(self._head["idx"]["slice"], return_index=True)
        directions = np.stack([self._head[key][first].astype(np.float64) for key in ("read_dir", "phase_dir", "slice_dir")], -1)
        positions = self._head["position"][first].astype(np.float64)
        return _affine(directions, positions, self._grid.pixel_mm, self._centre())

    def close(self) -> None:
        self._file.close()


def find_group(file: File) -> str | None:
    """The name of the group that holds an ISMRMRD data set (a text `xml` and records `data`), usually "dataset"."""
    for name in sorted(names(file, 100), key=lambda name: name != "dataset"):
        group = lookup(file, name) if is_own(file, name) else None
        if isinstance(group, Group) and has(group, "xml") and has(group, "data"):
            return name
    return None


def _acquisitions(file: File, name: str, *, max_gb: float) -> Dataset:
    """The records, checked: fields head, traj and data of the standard, not more than the file can hold."""
    import h5py

    records = own_dataset(file, name)
    fields = records.dtype.names if records.ndim == 1 else None
    if fields is None or not {"head", "data"} <= set(fields):
        raise InputError(f"{file.filename}: {name!r} is not a list of ISMRMRD acquisitions; export the file again.")
    head, data = records.dtype["head"], h5py.check_vlen_dtype(records.dtype["data"])
    complete = set(head.names or ()) >= FIELDS and set(head["idx"].names or ()) >= COUNTERS
    if not complete or data != np.float32 or records.dtype.itemsize > MAX_TEXT:
        raise InputError(f"{file.filename}: {name!r} does not have the fields of ISMRMRD; convert it to version 1.")
    size = check_size(f"{file.filename}: {name!r}", records.shape, records.dtype.itemsize, max_gb=max_gb)
    check_stored(f"{file.filename}: {name!r}", records, size)
    return records


def _flagged(head: np.ndarray, *numbers: int) -> np.ndarray:
    bits = np.uint64(sum(1 << (number - 1) for number in numbers))
    return (head["flags"].astype(np.uint64) & bits) != 0


def _grid(header: Header) -> Grid:
    """The grid: what the recon field of view keeps of the encoded one, along the readout and along the phase encode."""
    samples, columns, _ = header.encoded
    pixel = None
    if header.encoded_mm is not None and header.recon_mm is not None:
        keep = [min(n, round(n * r / e)) for n, r, e in zip(header.encoded, header.recon_mm, header.encoded_mm, strict=True)]
        rows, crop = keep[:2]
        pixel = (header.encoded_mm[0] / samples, header.encoded_mm[1] / columns, header.recon_mm[2] / header.recon[2])
    else:
        rows, crop = min(samples, header.recon[0]), min(columns, header.recon[1])
    return Grid(samples=samples, rows=max(rows, 1), columns=columns, crop_columns=max(crop, 1), pixel_mm=pixel)


def _lines(head: np.ndarray, grid: Grid, header: Header) -> np.ndarray:
    lines = np.zeros(len(head), LINE)
    pre, post = (head[key].astype(np.int64) for key in ("discard_pre", "discard_post"))
    lines["record"] = np.arange(len(head))
    lines["slice"] = head["idx"]["slice"]
    centre = grid.columns // 2 if header.center is None else header.center
    lines["column"] = head["idx"]["kspace_encode_step_1"].astype(np.int64) + grid.columns // 2 - centre
    lines["skip"] = pre
    lines["count"] = head["number_of_samples"].astype(np.int64) - pre - post
    middle = head["center_sample"].astype(np.int64) - pre
    lines["at"] = [line_start(grid.samples, count, at) for count, at in zip(lines["count"], middle, strict=True)]
    lines["acs"] = _flagged(head, CALIBRATION, CALIBRATION_AND_IMAGE)
    return lines


def _affine(
    directions: np.ndarray, positions: np.ndarray, pixel_mm: tuple[float, float, float], centre: tuple[int, int]
) -> np.ndarray | None:
    """4x4 from (row, column, slice) to RAS mm; None unless the slices are parallel, equally spaced and orthonormal.

    Args:
        directions: (slice, xyz, 3) unit vectors along the readout, the phase encode and the slice, LPS.
        positions: (slice, xyz) of the centre of the field of view, LPS mm.
    """
    frame = directions[0]
    if not np.allclose(frame.T @ frame, np.eye(3), atol=1e-3) or not np.allclose(directions, frame, atol=1e-3):
        return None
    step = frame[:, 2] * pixel_mm[2]
    if len(positions) > 1:
        step = (positions[-1] - positions[0]) / (len(positions) - 1)
        regular = positions[0] + np.arange(len(positions))[:, None] * step
        if np.linalg.norm(step) < 1e-6 or not np.allclose(positions, regular, atol=1e-2):
            return None
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = frame[:, 0] * pixel_mm[0], frame[:, 1] * pixel_mm[1], step
    affine[:3, 3] = positions[0] - affine[:3, 0] * centre[0] - affine[:3, 1] * centre[1]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
