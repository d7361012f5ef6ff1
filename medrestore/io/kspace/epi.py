"""Echo-planar lines made Cartesian: reversed lines turned, ramps regridded, and the ghost removed by navigator lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..guards import require

CUTOFF = 1e-2  # of the largest singular value, below which a ramp's regridding takes no part of a line as measured


@dataclass(frozen=True)
class Trapezoid:
    """The readout gradient while a line is sampled at equal steps of time; all times in one unit.

    Attributes:
        up, flat, down: of the ramp up, the flat top and the ramp down.
        delay: from the start of the ramp to the first sample.
        dwell: from sample to sample.
    """

    up: float
    flat: float
    down: float
    delay: float
    dwell: float

    @property
    def whole(self) -> float:
        """From beginning to end."""
        return self.up + self.flat + self.down

    def is_flat(self, samples: int) -> bool:
        """Whether all samples lie on the flat top, where nothing has to be regridded."""
        return self.delay >= self.up and self.delay + (samples - 1) * self.dwell <= self.up + self.flat

    def positions(self, samples: int) -> np.ndarray:
        """(samples,) of a line along k, from -1/2 at its start to 1/2 at its end."""
        t = self.delay + self.dwell * np.arange(samples)
        rising = 0.5 * np.square(t) / self.up if self.up > 0 else np.zeros(samples)
        left = self.whole - t
        falling = self.up / 2 + self.flat + self.down / 2
        falling = falling - (0.5 * np.square(left) / self.down if self.down > 0 else 0.0)
        k = np.where(t < self.up, rising, np.where(t <= self.up + self.flat, self.up / 2 + t - self.up, falling))
        return (k - k[0]) / (k[-1] - k[0]) - 0.5

    def check(self, samples: int, path: Path) -> None:
        """Refuses times that are no trapezoid, or end before the line does."""
        times = np.array([self.up, self.flat, self.down, self.delay, self.dwell])
        last = self.delay + (samples - 1) * self.dwell
        sound = bool(np.isfinite(times).all() and (times >= 0).all()) and self.dwell > 0 and samples > 1
        require(sound and last <= self.whole * (1 + 1e-3),
                f"{path} gives times of its readout gradient that hold no line of {samples} samples; export regridded data.")


def regridding(positions: np.ndarray, samples: int) -> np.ndarray:
    """(samples, n) complex64: from samples at `positions` (n,), in cycles per field of view, to those of the Cartesian grid.

    By least squares through the image along the line, its origin at samples // 2.
    """
    x = (np.arange(samples) - samples // 2) / samples
    measured = np.exp(-2j * np.pi * positions[:, None] * x)
    on_grid = np.exp(-2j * np.pi * (np.arange(samples) - samples // 2)[:, None] * x)
    return (on_grid @ np.linalg.pinv(measured, rcond=CUTOFF)).astype(np.complex64)


@dataclass(frozen=True)
class Lines:
    """What is known of lines before they are read; arrays of one entry a line.

    Attributes:
        record: their numbers in the file, which rise with time.
        slice: of each.
        reverse: read against the direction of the readout.
    """

    record: np.ndarray
    slice: np.ndarray
    reverse: np.ndarray


class Echoes:
    """The correction of the lines of an echo-planar scan.

    Navigators are lines through the centre of k-space, read both ways, before the lines that they serve. Along the image of a
    line the two ways differ by a phase that is taken as linear (Bruder et al., MRM 23:311, 1992): its slope is that of
    neighbouring pixels, all coils together, weighted by their energy. Reversed lines are freed of it.

    Args:
        image: the lines of the image.
        navigators: those of the navigators.
        between: (n,) rising numbers in the file of the lines of all images in it, as repetitions that are not read: navigators
            that such a line lies between are of different shots.
        samples: of the Cartesian line.
        trapezoid: of the gradient; None where lines are sampled evenly.
        read: reads navigators by their numbers in the file, (coil, samples) each.
    """

    def __init__(self, path: Path, image: Lines, navigators: Lines, between: np.ndarray, *, samples: int,
                 trapezoid: Trapezoid | None, read: Callable[[np.ndarray], Iterable[np.ndarray]]):
        self.path, self._image, self._navigators, self._samples, self._read = path, image, navigators, samples, read
        self._between, self._trapezoid = between, trapezoid
        self._grids: dict[tuple[int, bool], np.ndarray] = {}
        self._phases: dict[tuple[int, ...], tuple[float, float]] = {}
        slices = np.unique(image.slice)
        for number in slices:
            mine = navigators.reverse[navigators.slice == number]
            require(bool(mine.any() and not mine.all()),
                    f"{path} reads lines in reverse (EPI) and has no navigator lines of both directions for slice {number}, by "
                    "which its ghost would be removed; export corrected data.")

    def corrected(self, number: int, data: np.ndarray) -> np.ndarray:
        """Line `number` of the image, (coil, samples) as read, on the Cartesian grid and without its ghost."""
        reverse = bool(self._image.reverse[number])
        line = self._gridded(data, reverse)
        if not reverse:
            return line
        slope, offset = self._phase(number)
        x = np.arange(self._samples) - self._samples // 2
        image = _line_to_image(line) * np.exp(-1j * (offset + slope * x))
        line = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, axes=-1), axis=-1, norm="ortho"), axes=-1)
        return line.astype(np.complex64)

    def _gridded(self, data: np.ndarray, reverse: bool) -> np.ndarray:
        """A line turned to the direction of the readout and on the Cartesian grid."""
        count = data.shape[1]
        data = data[:, ::-1] if reverse else data
        if self._trapezoid is None or self._trapezoid.is_flat(count):
            require(count == self._samples, f"{self.path}: an echo-planar line has {count} samples where the grid has "
                    f"{self._samples}, and no times of its gradient say where they lie; export regridded data.")
            return data
        if (count, reverse) not in self._grids:
            self._trapezoid.check(count, self.path)
            k, middle = self._trapezoid.positions(count) * (self._samples - 1), -0.5 * (self._samples % 2 == 0)
            self._grids[count, reverse] = regridding(middle + (-k[::-1] if reverse else k), self._samples)
        return data @ self._grids[count, reverse].T

    def _phase(self, number: int) -> tuple[float, float]:
        """(slope, offset) in radians a pixel and radians, by which reversed lines differ, of the navigators before a line.

        Of all navigators of the slice where none come before it, or none of one of the directions.
        """
        every = np.flatnonzero(self._navigators.slice == self._image.slice[number])
        shot = every[self._navigators.record[every] < self._image.record[number]]
        shot = _latest(shot, self._navigators.record, self._between) if len(shot) else every
        reverse = self._navigators.reverse[shot]
        chosen = tuple(int(at) for at in (every if reverse.all() or not reverse.any() else shot))
        if chosen not in self._phases:
            ways: dict[bool, list[np.ndarray]] = {True: [], False: []}
            for at, data in zip(chosen, self._read(self._navigators.record[list(chosen)]), strict=True):
                back = bool(self._navigators.reverse[at])
                ways[back].append(_line_to_image(self._gridded(data, back)))
            self._phases[chosen] = difference(np.mean(ways[False], 0), np.mean(ways[True], 0))
        return self._phases[chosen]


def notes(trapezoid: Trapezoid | None, samples: int, path: Path, *, volume: bool) -> tuple[str, ...]:
    """What is said of an echo-planar scan whose lines have so many samples.

    Raises:
        InputError: it is one in three dimensions.
    """
    require(not volume, f"{path} is an echo-planar scan in three dimensions, whose ghost is not corrected here; export corrected "
            "data.")
    said = ("Lines are read both ways (EPI): reversed ones are turned, and the navigator lines of each shot take their ghost "
            "away.",)
    if trapezoid is None or trapezoid.is_flat(samples):
        return said
    return (*said, "Samples on the ramps of the readout gradient are regridded.")


def _latest(candidates: np.ndarray, records: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Of navigators in order of time the last that no line of an image lies between."""
    ordered = candidates[np.argsort(records[candidates], kind="stable")]
    before = np.searchsorted(between, records[ordered])
    return ordered[before == before[-1]]


def difference(forward: np.ndarray, backward: np.ndarray) -> tuple[float, float]:
    """(slope, offset) of the phase of `backward` against `forward`, images (coil, x) of a line; offset at x = n // 2."""
    product = (backward * forward.conj()).sum(0)
    slope = float(np.angle((product[1:] * product[:-1].conj()).sum()))
    x = np.arange(len(product)) - len(product) // 2
    return slope, float(np.angle((product * np.exp(-1j * slope * x)).sum()))


def _line_to_image(line: np.ndarray) -> np.ndarray:
    return np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(line, axes=-1), axis=-1, norm="ortho"), axes=-1)


