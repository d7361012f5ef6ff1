"""Siemens twix .dat raw data (VB and VD/VE), Cartesian 2-D slices and 3-D volumes, its data blocks parsed by `twixtools`.

The loop over the blocks is not twixtools', so that a damaged length raises an `InputError` instead of looping for ever. Of the
protocol text only the few numbers below are read, nothing that identifies a patient.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import InputError
from ...extras import extra
from ..guards import existing, guarded, require
from .base import Request
from .counters import SLAB, choose_lines, values_of
from .epi import Echoes, Lines, Trapezoid
from .epi import notes as planar_notes
from .geometry import Placement, place
from .lines import LINE, Grid, LineFile, fitted_grid, line_start

MAX_PROTOCOL = 64 << 20  # bytes of protocol text; real ones hold some hundred kilobytes
RAID_ENTRY = 152  # bytes of a directory entry of a VD/VE file, the first one at byte 8
NOISE_HZ = 130.0  # bandwidth per pixel of the noise adjustment scan
COUNTERS = {"average": "Ave", "repetition": "Rep", "contrast": "Eco", "phase": "Phs", "set": "Set", "segment": "Seg"}
TRAJECTORIES = {2: "radial", 4: "spiral", 8: "a blade"}
VOLUME = 4  # of sKSpace.ucDimension: encoded in three directions
UNEVEN = (2, 4)  # of alRegridMode: a trapezoid, which is regridded, and a sinusoidal gradient, which is not


class TwixFile(LineFile):
    """A Cartesian twix file; the last measurement in it is the image, earlier ones may hold the noise scan.

    Averages and repetitions are averaged; of contrasts (echoes), phases, sets and slabs the first is read, or the selected one,
    and `notes` says so. Separate reference lines give the coil maps, integrated ones are part of the image. Slices are in the
    order of their positions, or those of a 3-D scan, which encodes partitions, along its readout; their orientation is not read:
    `affine` is None. Of echo-planar scans ramps are regridded and ghosts removed; see `epi.Echoes`.
    """

    kind = "Siemens twix"

    def __init__(self, path: Path, request: Request):
        with existing(path).resolve().open("rb") as stream:  # a block opens it again by its name to read samples
            measurements = list(_measurements(stream, path))
        protocol, blocks = measurements[-1]
        encoded = any(block.cPar for block in blocks if block.is_image_scan())
        self.path, self.is_volume = path, protocol.number("sKSpace.ucDimension") == VOLUME or encoded
        image, separate, self.counters, self.notes = _image_blocks(blocks, protocol, request.select, path, volume=self.is_volume)
        self._blocks = image + separate
        self._noise_blocks = [block for _, part in measurements for block in part if block.is_flag_set("NOISEADJSCAN")]
        self.has_noise = len(self._noise_blocks) > 0
        self._dwell_ns = protocol.number("sRXSPEC.alDwellTime[0]")
        coils = {int(block.mdh.UsedChannels) for block in image}
        require(len(coils) <= 1, f"{path} changes its number of coils during the scan.")
        grid = _grid_of_protocol(protocol, image, path, volume=self.is_volume)
        self._echoes = self._corrected(blocks, protocol, grid) if any(map(_is_reversed, self._blocks)) else None
        lines = _lines_of_blocks(self._blocks, grid)
        lines["separate"] = np.arange(len(lines)) >= len(image)
        if self._echoes is not None:  # which puts each line on the whole grid
            lines["at"], lines["skip"], lines["count"] = 0, 0, grid.samples
        centre = np.array([int(block.mdh.CenterCol) - int(block.mdh.CutOff.Pre) for block in image], np.int64)
        fitting, notes = fitted_grid(grid, lines[: len(image)], centre)
        if fitting != grid and self._echoes is None:
            grid, self.notes = fitting, self.notes + notes
            lines["at"] = _lines_of_blocks(self._blocks, grid)["at"]
        super().__init__(path, lines, grid, _placement(image), coils=max(coils, default=0), request=request)

    def _data(self, records: np.ndarray) -> Iterable[np.ndarray]:
        found = ((int(record), _samples(self._blocks[record], self.path)) for record in records)
        if self._echoes is None:
            return (data for _, data in found)
        return (self._echoes.corrected(record, data) for record, data in found)

    def _corrected(self, blocks: list[Any], protocol: Protocol, grid: Grid) -> Echoes:
        """The correction of echo-planar lines."""
        trapezoid = _trapezoid_of_protocol(protocol, self._blocks, self.path)
        self.notes += planar_notes(trapezoid, int(self._blocks[0].mdh.SamplesInScan), self.path, volume=self.is_volume)
        number = {id(block): at for at, block in enumerate(blocks)}
        navigators = [block for block in blocks if block.is_flag_set("PHASCOR") and not block.is_flag_set("NOISEADJSCAN")]

        def lines(which: list[Any]) -> Lines:
            return Lines(np.array([number[id(block)] for block in which], np.int64),
                         np.array([int(block.cSlc) for block in which], np.int64), np.array([*map(_is_reversed, which)], bool))

        between = np.array([at for at, block in enumerate(blocks)
                            if (block.is_image_scan() or _is_reference(block)) and not block.is_flag_set("PHASCOR")], np.int64)
        return Echoes(self.path, lines(self._blocks), lines(navigators), between, samples=grid.samples, trapezoid=trapezoid,
                      read=lambda records: (_samples(blocks[int(record)], self.path) for record in records))

    def _noise_samples(self) -> np.ndarray | None:
        """Noise in image units: its variance grows with the bandwidth, which is one over the dwell time.

        The noise scan's dwell time is not in the protocol; it is taken to run at Siemens' usual 130 Hz per pixel.
        """
        if not self.has_noise:
            return None
        parts = [guarded(self.path, partial(getattr, block, "data")) for block in self._noise_blocks]
        noise = np.concatenate(parts, axis=1)
        samples = int(self._noise_blocks[0].mdh.SamplesInScan)
        noise_ns = 1e9 / NOISE_HZ / samples
        return noise * np.float32(np.sqrt(noise_ns / self._dwell_ns)) if self._dwell_ns else noise

    def close(self) -> None:
        """Nothing stays open."""


class Protocol:
    """Single numbers from the protocol text of one measurement."""

    def __init__(self, text: bytes):
        self._text = text

    def number(self, key: str) -> float | None:
        """`key = 1.5` (also hexadecimal) of the ASCCONV part, or `<ParamLong."key"> { 1.5 }` of the XProtocol part."""
        name = re.escape(key.encode())
        plain = re.search(rb"(?m)^" + name + rb"[ \t]*=[ \t]*(0x[0-9a-fA-F]{1,8}|[-+.0-9eE]{1,24})\s", self._text)
        nested = rb'<Param(?:Long|Double)\."' + name + rb'">\s{0,8}\{\s{0,8}'
        nested += rb"(?:<Precision>\s{1,8}\d{1,4}\s{0,8})?([-+.0-9eE]{1,24})\s"
        match = plain or re.search(nested, self._text)
        try:
            value = None if match is None else match.group(1)
            return None if value is None else float(int(value, 16)) if value.startswith(b"0x") else float(value)
        except ValueError:
            return None


def recognises(path: Path, begin: bytes, request: Request) -> bool:
    """A directory (VD/VE) or a header length (VB) at the start, followed by protocol text."""
    with path.open("rb") as stream:
        try:
            (offset, _), *_ = _directory(stream, path)
            stream.seek(offset)
            return b"<XProtocol>" in stream.read(1 << 16)
        except InputError:
            return False


def read(path: Path, request: Request) -> TwixFile:
    """A twix file."""
    return TwixFile(path, request)


def _directory(stream: BinaryIO, path: Path) -> list[tuple[int, int]]:
    """(start, end) of every measurement, checked against the size of the file."""
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(0)
    begin = stream.read(8 + 64 * RAID_ENTRY)
    require(len(begin) > 8, f"{path} is too short for a twix file; copy it again.")
    first, count = struct.unpack_from("<II", begin)
    if not (first < 10000 and 0 < count <= 64):  # VB has a single measurement from the first byte on
        return [(0, size)]
    require(len(begin) >= 8 + count * RAID_ENTRY, f"{path} ends inside its directory; copy it again.")
    entries = [struct.unpack_from("<QQ", begin, 16 + RAID_ENTRY * index) for index in range(count)]
    spans = [(start, start + length if length > 0 else size) for start, length in entries]
    require(all(start < end <= size for start, end in spans), f"{path} is shorter than its directory says; copy it again.")
    return spans


def _measurements(stream: BinaryIO, path: Path) -> Iterator[tuple[Protocol, list[Any]]]:
    """The protocol and the data blocks of every measurement; the samples stay in the file."""
    with extra("twix", f"{path} is a Siemens twix file, which"):
        from twixtools.mdb import Mdb
    for start, end in _directory(stream, path):
        stream.seek(start)
        (length,) = struct.unpack("<I", stream.read(4).ljust(4, b"\0"))
        require(4 < length <= min(MAX_PROTOCOL, end - start), f"{path} has a damaged header; copy it again.")
        protocol = Protocol(stream.read(length - 4))
        ve = start > 0
        blocks, position = [], start + length
        while position + 128 < end:
            stream.seek(position)
            try:
                with np.errstate(over="ignore"):  # a damaged number of channels, which its length below gives away
                    block = Mdb(stream, ve)
                size = int(block.dma_len)
            except ValueError as error:
                raise InputError(f"{path} ends inside a data block; copy it again.") from error
            require(size >= 128 and position + size <= end, f"{path} has a damaged or cut data block; copy it again.")
            if block.is_flag_set("ACQEND"):
                break
            if not block.is_flag_set("SYNCDATA"):
                blocks.append(block)
            position += size
        yield protocol, blocks


def _samples(block: Any, path: Path) -> np.ndarray:
    """The (coil, samples) of a block."""
    return np.asarray(guarded(path, partial(getattr, block, "data")))


def _is_reversed(block: Any) -> bool:
    return bool(block.is_flag_set("REFLECT"))


def _trapezoid_of_protocol(protocol: Protocol, image: list[Any], path: Path) -> Trapezoid | None:
    """The readout gradient of an echo-planar scan, in microseconds; None where lines are sampled evenly."""
    mode = protocol.number("alRegridMode")
    if mode not in UNEVEN:
        return None
    require(mode == UNEVEN[0], f"{path} is an echo-planar scan with a sinusoidal readout gradient, which is not regridded here; "
            "export regridded data.")
    keys = ("alRegridRampupTime", "alRegridFlattopTime", "alRegridRampdownTime", "alRegridDelaySamplesTime",
            "aflRegridADCDuration")
    found = [protocol.number(key) for key in keys]
    require(None not in found, f"{path} samples on the ramps of its readout gradient and its protocol lacks their times; export "
            "regridded data.")
    up, flat, down, delay, duration = (value or 0.0 for value in found)
    return Trapezoid(up, flat, down, delay, duration / max(1, int(image[0].mdh.SamplesInScan)))


def _image_blocks(blocks: list[Any], protocol: Protocol, select: Mapping[str, int], path: Path, *,
                  volume: bool) -> tuple[list[Any], list[Any], dict[str, tuple[int, ...]], tuple[str, ...]]:
    """The blocks of the image, those of a separate calibration, the values of the counters, and notes on these."""
    trajectory = protocol.number("sKSpace.ucTrajectory")
    shape = TRAJECTORIES.get(int(trajectory or 0), "not Cartesian")
    require(trajectory in (None, 1), f"{path} is {shape}; twix files do not say where such samples lie: convert it to ISMRMRD "
            "with its trajectory.")
    integrated = protocol.number("sPat.ucRefScanMode") == 2
    image = [block for block in blocks if block.is_image_scan() or (integrated and _is_reference(block))]
    counters = values_of(_counter_values(image))
    image, notes = _selected_blocks(image, select, path, slabs=volume)
    slices = {int(block.cSlc) for block in image}
    separate = [] if integrated else [
        block for block in blocks if _is_reference(block) and not block.is_image_scan() and int(block.cSlc) in slices
        and (not image or block.mdh.UsedChannels == image[0].mdh.UsedChannels)]
    separate, _ = _selected_blocks(separate, {}, path, slabs=volume)
    if any(map(_is_reversed, image)):  # of which lines that are read otherwise are no part
        alike = {int(block.mdh.SamplesInScan) for block in image}
        separate = [block for block in separate if int(block.mdh.SamplesInScan) in alike]
    return image, separate, counters, notes


def _selected_blocks(blocks: list[Any], select: Mapping[str, int], path: Path, *,
                     slabs: bool) -> tuple[list[Any], tuple[str, ...]]:
    """Of some blocks those of the selected counters, of which the slices of a 3-D scan are one; and notes."""
    numbers = _counter_values(blocks)
    if slabs:
        numbers |= {SLAB: np.array([int(block.cSlc) for block in blocks], np.int64)}
    keep, notes = choose_lines(numbers, select, path)
    return [block for block, kept in zip(blocks, keep, strict=True) if kept], notes


def _counter_values(blocks: list[Any]) -> dict[str, np.ndarray]:
    """The value of every counter in each block."""
    return {name: np.array([int(getattr(block.mdh.Counter, key)) for block in blocks], np.int64)
            for name, key in COUNTERS.items()}


def _placement(image: list[Any]) -> Placement:
    """Where the slices lie, from the first block of each."""
    first: dict[int, Any] = {}
    for block in image:
        first.setdefault(int(block.cSlc), block.mdh.SliceData.SlicePos)
    if not first:
        return Placement(())
    positions = [[float(getattr(first[number], axis)) for axis in ("Sag", "Cor", "Tra")] for number in sorted(first)]
    return place(np.array(sorted(first)), np.array(positions))


def _is_reference(block: Any) -> bool:
    return block.is_flag_set("PATREFSCAN") and not block.is_flag_set("NOISEADJSCAN") and not block.is_flag_set("PHASCOR")


def _grid_of_protocol(protocol: Protocol, image: list[Any], path: Path, *, volume: bool) -> Grid:
    rows = int(protocol.number("sKSpace.lBaseResolution") or 0)
    require(0 < rows < 65536, f"{path}: its protocol states no base resolution; export it as ISMRMRD.")
    samples = max(round(rows * (protocol.number("flReadoutOSFactor") or 2.0)), rows)
    columns = _encode_steps([(int(block.cLin), int(block.mdh.CenterLin)) for block in image], protocol.number("iPEFTLength"))
    crop_columns = round(columns / (1.0 + (protocol.number("sKSpace.dPhaseOversamplingForDialog") or 0.0)))
    keys = ("dReadoutFOV", "dPhaseFOV", "dThickness")
    readout, phase, thickness = (protocol.number(f"sSliceArray.asSlice[0].{key}") for key in keys)
    known = bool(readout and phase and thickness and crop_columns > 0)
    if not volume:
        pixel = (readout / rows, phase / crop_columns, thickness) if readout and phase and thickness and known else None
        return Grid(samples=samples, rows=rows, columns=columns, crop_columns=crop_columns, pixel_mm=pixel)
    partitions = _encode_steps([(int(block.cPar), int(block.mdh.CenterPar)) for block in image], protocol.number("i3DFTLength"))
    crop = round(partitions / (1.0 + (protocol.number("sKSpace.dSliceOversamplingForDialog") or 0.0)))
    pixel = None
    if readout and phase and thickness and known and crop > 0:
        pixel = (thickness / crop, phase / crop_columns, readout / rows)
    return Grid(samples=samples, rows=rows, columns=columns, crop_columns=crop_columns, pixel_mm=pixel, partitions=partitions,
                crop_partitions=max(1, crop))


def _encode_steps(spread: list[tuple[int, int]], stated: float | None) -> int:
    """Steps of a phase encode, of pairs of a step and that of the centre: as many as are stated.

    Where that is none, or too short for them, the smallest even number around the centre.
    """
    count = int(stated or 0)
    at = [step + count // 2 - centre for step, centre in spread]
    if at and min(at) >= 0 and max(at) < count:
        return count
    return 2 * max((max(centre, step + 1 - centre) for step, centre in spread), default=0)


def _lines_of_blocks(image: list[Any], grid: Grid) -> np.ndarray:
    lines = np.zeros(len(image), LINE)
    for record, block in enumerate(image):
        mdh = block.mdh
        pre, post = int(mdh.CutOff.Pre), int(mdh.CutOff.Post)
        count = int(mdh.SamplesInScan) - pre - post
        at = line_start(grid.samples, count, int(mdh.CenterCol) - pre)
        column = int(block.cLin) + grid.columns // 2 - int(mdh.CenterLin)
        acs = block.is_flag_set("PATREFSCAN") or block.is_flag_set("PATREFANDIMASCAN")
        partition = 0 if grid.partitions is None else int(block.cPar) + grid.partitions // 2 - int(mdh.CenterPar)
        lines[record] = (record, int(block.cSlc), partition, column, at, pre, count, acs, False)
    return lines
