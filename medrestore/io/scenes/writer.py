"""Restored scenes on disk: a folder of png, a .mha stack or a video, resumed frame by frame, published when complete.

Frames first gather as png in a stage beside the output; a run that is killed leaves it, and the next one goes on from
it. When all frames are there the output is made of them, with a JSON of how it was made beside it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...files import Stage, digest, final_names, link_or_copy, write_file
from ..frames.base import decode_picture
from ..frames.mha import Geometry, MhaWriter
from ..frames.video import VideoWriter, check_video
from ..guards import PathLike, require
from .base import to_tensor

SceneKind = Literal["png", "mha", "ffv1", "h264"]
KINDS: dict[str, SceneKind] = {"": "png", ".mha": "mha", ".mkv": "ffv1", ".mp4": "h264"}
PROVENANCE = "provenance.json"
ADVICE = "make room and resume, or choose another output"


def output_kind(out: PathLike) -> SceneKind:
    """The kind of output of a name: a folder of png, .mha, .mkv (FFV1) or .mp4 (H.264, lossy)."""
    suffix = Path(out).suffix.lower()
    require(suffix in KINDS, f"{out} names no kind of output; give a folder, or a name ending in .mha, .mkv or .mp4.")
    return KINDS[suffix]


def provenance_place(out: PathLike, kind: SceneKind) -> Path:
    """The path of an output's JSON: in its folder, or beside its file."""
    out = Path(out)
    return out / PROVENANCE if kind == "png" else out.with_name(out.name + ".json")


class SceneWriter:
    """Writes a restored scene frame by frame, in any order; memory holds one frame.

    As a context manager it publishes the scene when all went well. Any other end (a kill, a full disk, a frame that cannot
    be read, an interrupt) leaves the frames so far, if there are any, to a run with `resume` and the same `key`.

    Args:
        out: the folder or file to write.
        size: (height, width).
        count: how many frames there will be.
        kind: what to write; from the name of `out` if not given. "h264" changes known pixels, see `video.H264_WARNING`.
        names: the stem of frame i for a folder of png; its number if not given.
        fps: frames a second of a video.
        times: seconds of each frame of a video, where they are not evenly spaced.
        geometry: where the pixels of a .mha stack lie.
        key: hash of all that decides the pixels; frames left by another key are removed.
        overwrite: replace an existing output.
        resume: go on with the frames that a killed run has left.

    Raises:
        InputError: the output exists and `overwrite` is False, another run is writing it, or it cannot be written.
    """

    def __init__(
        self,
        out: PathLike,
        *,
        size: tuple[int, int],
        count: int,
        kind: SceneKind | None = None,
        names: Callable[[int], str] = "{:06d}".format,
        fps: Fraction | None = None,
        times: Sequence[Fraction] | None = None,
        geometry: Geometry | None = None,
        key: str = "",
        overwrite: bool = False,
        resume: bool = False,
    ):
        self.out, self._size, self._count, self._fps = Path(out), size, count, fps
        self._times, self._geometry = times, geometry
        self._names = [f"{names(index)}.png" for index in range(count)]
        require(len(set(self._names)) == count and all(Path(name).name == name for name in self._names),
                f"{out}: two frames would have one name, or one that is no file name; give other names.")
        self.kind = kind or output_kind(out)
        if self.kind in ("ffv1", "h264"):
            check_video(out, size, self.kind)
        self.provenance: dict[str, Any] = {}
        self._overwrite = overwrite
        self._check_free()
        self._stage = Stage(self.out, key=key, resume=resume, advice=ADVICE)
        try:
            self._check_free()  # once more: a run that was killed may have moved it away
        except InputError:
            (self._stage.leave if self._stage.resumed else self._stage.remove)()
            raise

    def _check_free(self) -> None:
        require(self._overwrite or not self.out.exists(),
                f"{self.out} exists already; allow overwriting or give another name")
        require(not self.out.exists() or self.out.is_dir() == (self.kind == "png"),
                f"{self.out} is of another kind than {self.kind}, so it is not replaced; give another name")

    @property
    def beside(self) -> Path:
        """A folder for files that are published beside the output, under their names there."""
        return self._stage.beside if self.kind == "png" else self._stage.new

    @property
    def done(self) -> frozenset[int]:
        """The frames that are there already."""
        return frozenset(index for index in range(self._count) if self._place(index).exists())

    def _place(self, index: int) -> Path:
        return self._stage.folder / f"{index:06d}.png"

    def put(self, index: int, frame: Tensor) -> None:
        """Frame `index`, (3, height, width) uint8 RGB."""
        require(frame.dtype == torch.uint8 and tuple(frame.shape) == (3, *self._size),
                f"{self.out}: frame {index} is {frame.dtype} {tuple(frame.shape)}, not uint8 {(3, *self._size)}.")
        require(0 <= index < self._count, f"{self.out}: there is no frame {index} in {self._count} frames.")
        place = self._place(index)
        with final_names(place, self.out):
            write_file(place, encode_png(frame.permute(1, 2, 0).cpu().numpy()), advice=ADVICE)

    def read(self, index: int) -> Tensor:
        """Frame `index` again, (3, height, width), once it was put by this run or the one before."""
        return to_tensor(self._picture(index))

    def _picture(self, index: int) -> np.ndarray:
        place = self._place(index)
        require(place.is_file(), f"{self.out}: frame {index} was never written; nothing was saved.")
        return decode_picture(place.read_bytes(), str(place))[0]

    def close(self) -> None:
        """Makes the output of the frames and publishes it, with `provenance` beside; refused while frames are missing."""
        missing = sorted(set(range(self._count)) - self.done)
        try:
            require(not missing, f"{self.out}: {len(missing)} frames, from {missing[:1]} on, were never written; "
                                 "resume to add them.")
            with final_names(self._stage.new, self.out if self.kind == "png" else self.out.parent):
                self._publish()
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"{self.out} cannot be saved ({error}); {ADVICE}") from error
        else:
            self._stage.remove()
        finally:
            self._stage.leave()

    def _publish(self) -> None:
        new = self._stage.new
        if self.kind == "png":
            for index, name in enumerate(self._names):
                link_or_copy(self._place(index), new / name)
            self._record(new / PROVENANCE, self._names)
            self._stage.publish_folder(replace=self._overwrite)
        else:
            with self._file_writer(new / self.out.name) as writer:
                for index in range(self._count):
                    writer.put(self._picture(index))
            self._record(provenance_place(new / self.out.name, self.kind), [self.out.name])
            self._stage.publish_files(replace=self._overwrite)

    def _record(self, place: Path, names: list[str]) -> None:
        """Writes the JSON, with the sha256 of each of the files beside it."""
        files = {name: digest(place.with_name(name)) for name in names}
        text = json.dumps(self.provenance | {"files": files}, allow_nan=False, sort_keys=True, indent=1) + "\n"
        place.write_text(text, "utf-8")

    def _file_writer(self, path: Path) -> AbstractContextManager[MhaWriter | VideoWriter]:
        if self.kind == "mha":
            return MhaWriter(path, size=self._size, count=self._count, geometry=self._geometry)
        assert self.kind != "png"
        return VideoWriter(path, size=self._size, fps=self._fps, times=self._times, codec=self.kind)

    def discard(self) -> None:
        """Removes the frames that were written so far."""
        self._stage.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self.done:
            self._stage.leave()
        else:
            self.discard()


def encode_png(pixels: np.ndarray) -> bytes:
    """(height, width, 3) or (height, width) uint8 as png; the same pixels give the same bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
