"""Restored slices on disk until their volume is complete: what a run that stopped leaves to the next one."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..io import Scan
from ..io.npz import npz_names, read_npz, write_npz
from ..metrics import Scores, fastmri_scores
from ..report import Column
from .restoring import Slice

MAGNITUDES = ("zero_filled", "cg_sense", "one_sample", "reference")


@dataclass(frozen=True)
class Record:
    """What is kept of a slice, all images as shown.

    Attributes:
        image: (h, w) complex64, the mean of the samples.
        std: (h, w) float32 spread of the samples, if there are several.
        samples: (sample, h, w) complex64, if they are kept.
        magnitudes: (h, w) float32 by name, of `MAGNITUDES`, as far as the scores and the picture need them.
        misfit: mean over the samples.
        noise_std: of each real number of the k-space.
        seeds: of the samples; empty for a slice that holds nothing.
        notes: what was assumed of the slice or left out, one sentence each.
    """

    image: Tensor
    std: Tensor | None = None
    samples: Tensor | None = None
    magnitudes: Mapping[str, Tensor] = field(default_factory=dict)
    misfit: float = 0.0
    noise_std: float = 0.0
    seeds: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, done: Slice, *, samples: bool, baselines: bool) -> "Record":
        """The record of a restored slice.

        Args:
            samples: whether they are kept.
            baselines: whether their images are needed although there is no reference.
        """
        several, magnitudes = len(done.samples) > 1, {}
        if baselines or done.reference is not None:
            magnitudes = {"zero_filled": done.zero_filled.abs(), "cg_sense": done.cg_sense.abs()}
        if done.reference is not None:
            magnitudes |= {"reference": done.reference} | ({"one_sample": done.samples[0].abs()} if several else {})
        return cls(done.image, done.std if several else None, done.samples if samples else None, magnitudes,
                   float(done.restoration.misfit.mean()), float(done.prepared.problem.sigma), tuple(done.restoration.seeds),
                   done.prepared.notes)

    @classmethod
    def empty(cls, shape: tuple[int, int], *, samples: int, keep_samples: bool, scored: bool) -> "Record":
        """The record of a slice whose k-space is zero everywhere, and so is its image.

        Args:
            shape: (h, w).
            scored: whether the volume has a reference, which is zero here.
        """
        nothing, black = torch.zeros(shape, dtype=torch.complex64), torch.zeros(shape)
        names = MAGNITUDES[:2] + (("reference",) if scored else ()) + (("one_sample",) if scored and samples > 1 else ())
        return cls(nothing, black if samples > 1 else None, nothing.expand(samples, *shape) if keep_samples else None,
                   dict.fromkeys(names, black))


class Records:
    """The records of a volume in a folder, each a file that is there in full or not at all.

    Args:
        folder: an existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, index: int, key: str) -> Path:
        """The file of slice `index`; `key` is `key_of` its group."""
        return self.folder / f"{index:06d}-{key[:32]}.npz"

    @property
    def count(self) -> int:
        """How many slices are stored."""
        return len(list(self.folder.glob("*.npz")))

    def save(self, index: int, key: str, record: Record) -> None:
        """Stores a record.

        Raises:
            InputError: it cannot be written.
        """
        write_npz(self.place(index, key), facts=np.array([record.misfit, record.noise_std]),
                  notes=np.frombuffer(json.dumps(record.notes).encode(), np.uint8),
                  seeds=np.array([len(record.seeds), *record.seeds]),  # an array without entries is refused
                  image=record.image, std=record.std, samples=record.samples, **record.magnitudes)

    def load(self, index: int, key: str) -> Record | None:
        """The record of a slice; None where there is none, or a damaged one."""
        place = self.place(index, key)
        try:
            arrays = {name: torch.from_numpy(read_npz(place, name)) for name in npz_names(place)}
            misfit, noise_std = arrays.pop("facts").tolist()
            (_, *seeds), notes = arrays.pop("seeds").tolist(), tuple(json.loads(arrays.pop("notes").numpy().tobytes()))
            return Record(arrays.pop("image"), arrays.pop("std", None), arrays.pop("samples", None), arrays, misfit, noise_std,
                          tuple(seeds), notes)
        except (InputError, KeyError, ValueError, TypeError):
            return None

    def read(self, index: int, keys: Mapping[int, str]) -> Record:
        """The record of a slice that has been stored.

        Raises:
            InputError: it was removed or damaged since.
        """
        record = self.load(index, keys[index])
        if record is None:
            raise InputError(f"slice {index} was removed or damaged while the others were made; run again")
        return record


@dataclass
class Gathered:
    """What is gathered over the slices of a volume: magnitudes (h, w) for the scores, and facts for the provenance."""

    magnitudes: dict[str, list[Tensor]] = field(default_factory=dict)
    facts: dict[str, list[Any]] = field(default_factory=lambda: {"misfit": [], "noise_std": [], "seeds": []})
    notes: dict[str, list[int]] = field(default_factory=dict)  # to the slices that each is about

    def add(self, index: int, record: Record) -> None:
        """Takes in slice `index`; its magnitudes only where there is a reference to score them by."""
        for note in record.notes:
            self.notes.setdefault(note, []).append(index)
        self.facts["misfit"].append(record.misfit if record.seeds else None)
        self.facts["noise_std"].append(record.noise_std if record.seeds else None)
        self.facts["seeds"].append(list(record.seeds))
        if "reference" in record.magnitudes:
            for name, image in {**record.magnitudes, "mean": record.image.abs()}.items():
                self.magnitudes.setdefault(name, []).append(image)

    def scores(self, data_range: float | None) -> dict[str, Scores]:
        """fastMRI scores of every image that was gathered; empty without a reference."""
        names = [name for name in ("zero_filled", "cg_sense", "one_sample", "mean") if name in self.magnitudes]
        reference = self.magnitudes.get("reference", [])
        return {name: volume_scores(self.magnitudes[name], reference, data_range=data_range) for name in names}


def columns(record: Record) -> list[Column]:
    """Zero-filled | CG-SENSE | restored | spread of the samples, or reference and error where there is a reference."""
    image, reference = record.image.abs(), record.magnitudes.get("reference")
    peak = float((image if reference is None else reference).max()) or 1.0
    shown = [Column("zero-filled", record.magnitudes["zero_filled"], peak),
             Column("CG-SENSE", record.magnitudes["cg_sense"], peak), Column("restored", image, peak)]
    if reference is not None:
        shown += [Column("reference", reference, peak), Column("error x 10", (image - reference).abs(), peak / 10)]
    if record.std is not None:
        shown.append(Column("spread x 10", record.std, peak / 10))
    return shown


def shown(record: Record) -> dict[str, Tensor]:
    """The images of a slice by title, (h, w) each: zero-filled, restored, spread and reference, as far as there are any."""
    images = {"zero-filled": record.magnitudes.get("zero_filled"), "restored": record.image.abs(), "spread": record.std,
              "reference": record.magnitudes.get("reference")}
    return {title: image for title, image in images.items() if image is not None}


def key_of(base: str, slices: Iterable[tuple[Scan, Tensor | None]]) -> str:
    """sha256 of all that decides the images of slices that share a batch.

    Args:
        base: hash of the plan, the prior and the program.
        slices: each as read, with its coil maps where they are given.
    """
    total = hashlib.sha256(base.encode())
    for scan, maps in slices:
        total.update(f"{scan.index} {scan.crop} {scan.shape}".encode())
        for part in (scan.kspace, scan.mask, scan.noise, scan.calibration, scan.reference, scan.trajectory, maps):
            if part is None:
                total.update(b"none")
            else:
                total.update(f"{tuple(part.shape)} {part.dtype}".encode())
                total.update(part.detach().cpu().contiguous().resolve_conj().numpy().tobytes())
    return total.hexdigest()


def volume_scores(prediction: list[Tensor], reference: list[Tensor], *, data_range: float | None = None) -> Scores:
    """The fastMRI protocol over the slices of a volume, from magnitudes (h, w)."""
    return fastmri_scores(torch.stack(prediction), torch.stack(reference), data_range=data_range)
