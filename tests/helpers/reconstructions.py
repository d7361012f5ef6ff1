"""Whole reconstructions on disk."""

from pathlib import Path
from typing import Any

from medrestore.io import ReconstructionWriter
from medrestore.io.reconstruction import Array


def write_reconstruction(path: Path, *, reconstruction: Array, complex_image: Array, samples: Array | None = None,
                         std: Array | None = None, **rest: Any) -> None:
    """(slice, h, w) magnitude, complex image and std, (slice, sample, h, w) samples; `rest` as for `ReconstructionWriter`."""
    slices, height, width = reconstruction.shape
    volumes = {"reconstruction": reconstruction, "complex_image": complex_image, "samples": samples, "std": std}
    given = {name: volume for name, volume in volumes.items() if volume is not None}
    with ReconstructionWriter(path, slices=slices, height=height, width=width, std=std is not None,
                              samples=0 if samples is None else samples.shape[1], **rest) as writer:
        for index in range(slices):
            writer.put(index, **{name: volume[index] for name, volume in given.items()})
