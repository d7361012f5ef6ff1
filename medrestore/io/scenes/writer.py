"""Restored scenes on disk: a folder of png, a .mha stack or a video, resumed frame by frame and whole or not there at all.

Frames first gather as png in `<out>.part`; a run that is killed leaves that folder, and the next one goes on from it. When all
are there the output is made of them, with a JSON of how it was made beside it.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ..frames.base import decode_picture
from ..frames.mha import MhaWriter
from ..frames.video import VideoWriter, check_video
from ..guards import PathLike, require
from .base import to_tensor

SceneKind = Literal["png", "mha", "ffv1", "h264"]
KINDS: dict[str, SceneKind] = {"": "png", ".mha": "mha", ".mkv": "ffv1", ".mp4": "h264"}
LOCK, KEY, PROVENANCE = "lock", "key", "provenance.json"
WHOLE, OLD = "whole", "old"  # in the stage: the output before it has its name, and the folder that it replaces


def output_kind(out: PathLike) -> SceneKind:
    """The kind of output that a name stands for: a folder of png, .mha, .mkv (FFV1) or .mp4 (H.264, lossy)."""
    suffix = Path(out).suffix.lower()
    require(suffix in KINDS, f"{out} names no kind of output; give a folder, or a name ending in .mha, .mkv or .mp4.")
    return KINDS[suffix]


def provenance_place(out: PathLike, kind: SceneKind) -> Path:
    """Where the JSON of an output lies: in its folder, or beside its file."""
    out = Path(out)
    return out / PROVENANCE if kind == "png" else out.with_name(out.name + ".json")


class SceneWriter:
    """Writes a restored scene frame by frame, in any order; memory holds one frame.

    As a context manager it publishes the scene when all went well. An `InputError` removes what was written; any other end
    (a kill, a full disk, an interrupt) leaves the frames so far in `<out>.part`, for a run with `resume` and the same `key`.

    Args:
        out: the folder or file to write.
        size: (height, width).
        count: how many frames there will be.
        kind: what to write; from the name of `out` if not given. "h264" changes known pixels, see `video.H264_WARNING`.
        names: the stem of frame i for a folder of png; its number if not given.
        fps: frames a second of a video.
        key: all that decides the pixels, as a hash; frames left by another key are dropped.
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
        key: str = "",
        overwrite: bool = False,
        resume: bool = False,
    ):
        self.out, self._size, self._count, self._fps = Path(out), size, count, fps
        self._names = [f"{names(index)}.png" for index in range(count)]
        require(len(set(self._names)) == count and all(Path(name).name == name for name in self._names),
                f"{out}: two frames would have one name, or one that is no file name; give other names.")
        self.kind = kind or output_kind(out)
        if self.kind in ("ffv1", "h264"):
            check_video(out, size, self.kind)
        self.provenance: dict[str, Any] = {}
        require(overwrite or not self.out.exists(), f"{out} exists already; allow overwriting or give another name.")
        require(not self.out.exists() or self.out.is_dir() == (self.kind == "png"),
                f"{out} is of another kind than {self.kind}, so it is not replaced; give another name.")
        self._stage = self.out.with_name(self.out.name + ".part")
        self._keep = False
        self._lock = self._claim(key, resume)

    def _claim(self, key: str, resume: bool) -> IO[str]:
        """The open lock of the stage, which holds frames of this key or none; the system frees it with the process."""
        try:
            self._stage.mkdir(parents=True, exist_ok=True)
            lock = (self._stage / LOCK).open("w")
        except OSError as error:
            raise InputError(f"{self.out} cannot be written ({error.strerror}); give another place.") from error
        try:
            _lock(lock)
            marker = self._stage / KEY
            if not (resume and marker.is_file() and marker.read_text() == key):
                for left in self._stage.iterdir():
                    if left.name in (WHOLE, OLD) and left.is_dir():
                        shutil.rmtree(left)
                    elif left.name != LOCK:
                        left.unlink()
                marker.write_text(key)
        except OSError as error:
            lock.close()
            busy = isinstance(error, BlockingIOError)
            why = "is being written by another run; wait for it" if busy else f"cannot be written ({error.strerror})"
            raise InputError(f"{self.out} {why}, or give another name.") from error
        return lock

    @property
    def done(self) -> frozenset[int]:
        """The frames that are there already."""
        return frozenset(index for index in range(self._count) if self._place(index).exists())

    def _place(self, index: int) -> Path:
        return self._stage / f"{index:06d}.png"

    def put(self, index: int, frame: Tensor) -> None:
        """Frame `index`, (3, height, width) uint8 RGB."""
        require(frame.dtype == torch.uint8 and tuple(frame.shape) == (3, *self._size),
                f"{self.out}: frame {index} is {frame.dtype} {tuple(frame.shape)}, not uint8 {(3, *self._size)}.")
        require(0 <= index < self._count, f"{self.out}: there is no frame {index} in {self._count} frames.")
        place = self._place(index)
        part = place.with_suffix(".tmp")
        try:
            part.write_bytes(encode_png(frame.permute(1, 2, 0).cpu().numpy()))
            os.replace(part, place)
        except OSError as error:
            self._keep = True
            raise InputError(f"{self.out} cannot be written ({error.strerror}); make room, then resume.") from error

    def read(self, index: int) -> Tensor:
        """Frame `index` again, (3, height, width), once it was put by this run or the one before."""
        return to_tensor(self._picture(index))

    def _picture(self, index: int) -> np.ndarray:
        place = self._place(index)
        require(place.is_file(), f"{self.out}: frame {index} was never written; nothing was saved.")
        return decode_picture(place.read_bytes(), str(place))[0]

    def close(self) -> None:
        """Makes the output of the frames, gives it its name and writes `provenance` beside; refused while frames are missing."""
        missing = sorted(set(range(self._count)) - self.done)
        try:
            require(not missing, f"{self.out}: {len(missing)} frames, from {missing[:1]} on, were never written; "
                                 "resume to add them.")
            text = json.dumps(self.provenance, allow_nan=False, sort_keys=True, indent=1) + "\n"
            if self.kind == "png":
                self._publish_folder(text)
            else:
                self._publish_file(text)
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"{self.out} cannot be saved ({error}); make room and resume, or give another place.") from error
        else:
            self._remove_stage()
        finally:
            self._lock.close()

    def _remove_stage(self) -> None:
        """Locked to the end, so that no other run begins in a folder that is about to go."""
        if os.name == "nt":  # where an open file cannot be removed
            self._lock.close()
        shutil.rmtree(self._stage, ignore_errors=True)
        self._lock.close()

    def _publish_folder(self, text: str) -> None:
        whole, old = self._stage / WHOLE, self._stage / OLD
        for left in (whole, old):
            shutil.rmtree(left, ignore_errors=True)
        whole.mkdir()
        for index, name in enumerate(self._names):
            _link(self._place(index), whole / name)
        (whole / PROVENANCE).write_text(text, "utf-8")
        if self.out.exists():
            os.replace(self.out, old)
        os.replace(whole, self.out)

    def _publish_file(self, text: str) -> None:
        beside = provenance_place(self.out, self.kind)
        beside.unlink(missing_ok=True)  # never the story of another file
        with self._file_writer() as writer:
            for frame in self._pictures():
                writer.put(frame)
        part = beside.with_name(beside.name + ".tmp")
        part.write_text(text, "utf-8")
        os.replace(part, beside)

    def _file_writer(self) -> AbstractContextManager[MhaWriter | VideoWriter]:
        if self.kind == "mha":
            return MhaWriter(self.out, size=self._size, count=self._count, overwrite=True, part=self._stage / WHOLE)
        assert self.kind != "png"
        return VideoWriter(self.out, size=self._size, fps=self._fps, codec=self.kind, overwrite=True, part=self._stage / WHOLE)

    def _pictures(self) -> Iterator[np.ndarray]:
        return (self._picture(index) for index in range(self._count))

    def discard(self) -> None:
        """Removes the frames that were written so far."""
        self._remove_stage()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif issubclass(kind, InputError) and not self._keep:
            self.discard()
        else:
            self._lock.close()


def encode_png(pixels: np.ndarray) -> bytes:
    """(height, width, 3) or (height, width) uint8 as png; the same pixels give the same bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _lock(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows; there the removal of another run's open files fails instead
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
