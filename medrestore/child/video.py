"""Questions about videos, answered in the child: FFmpeg parses them there, in one thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import av
import numpy as np

from .opened import OpenFiles, Reply

CHECKSUMS = ("CRC mismatch",)  # what FFmpeg writes into its log of parts that it conceals


class Video:
    """A video that is being decoded."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._start()

    def _start(self) -> None:
        """Opens it at its first frame."""
        self.next = 0
        # local files only: a playlist or a concat script must not make us open other files or addresses
        self.container = av.open(self._path, options={"protocol_whitelist": "file"}, metadata_errors="replace")
        self.stream: Any = self.container.streams.video[0] if self.container.streams.video else None
        self._frames: Any = None

    def frame(self, index: int) -> av.VideoFrame | None:
        """Frame `index`, counted from 0; None behind the last one. Those before it are decoded, too."""
        if index < self.next:
            self.close()
            self._start()
        if self._frames is None:
            self.stream.codec_context.thread_count = 1
            self._frames = self.container.decode(self.stream)
        while True:
            with av.logging.Capture() as lines:
                frame: av.VideoFrame | None = next(self._frames, None)
            if any(sign in line for _, _, line in lines for sign in CHECKSUMS):
                raise ValueError("a checksum in it is wrong")
            if frame is None:
                return None
            self.next += 1
            if self.next > index:
                return frame

    def close(self) -> None:
        """Closes it."""
        self.container.close()


class Videos(OpenFiles[Video]):
    """Open videos."""

    def __init__(self) -> None:
        super().__init__()
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)

    def _open(self, path: str, *, locking: bool) -> Video:
        return Video(path)

    def _close(self, file: Video) -> None:
        file.close()

    def _questions(self) -> Mapping[str, Callable[..., Reply]]:
        return {"opened": self._opened, "frame": self._frame}

    def _opened(self, number: int) -> Reply:
        """What the headers say."""
        video = self._files[number]
        codec = None if video.stream is None else video.stream.codec_context
        rate = None if video.stream is None else video.stream.average_rate
        streams = video.container.streams
        return {
            "container": video.container.format.name, "videos": len(streams.video),
            "beside": len(streams.audio) + len(streams.subtitles), "codec": None if codec is None else codec.name,
            "pixels": None if codec is None else codec.pix_fmt, "size": [0, 0] if codec is None else [codec.height, codec.width],
            "rate": [rate.numerator, rate.denominator] if rate else None,
        }, []

    def _frame(self, number: int, index: int, with_pixels: bool) -> Reply:
        """What a frame says of itself, and its pixels as RGB, as they are stored; None behind the last one."""
        frame = self._files[number].frame(index)
        if frame is None:
            return None, []
        base, stamp = frame.time_base, None
        if frame.pts is not None and base is not None:
            stamp = [frame.pts * base.numerator, base.denominator]
        about = {"size": [frame.height, frame.width], "rotation": frame.rotation, "corrupt": bool(frame.is_corrupt),
                 "time": stamp}
        return about, [np.ascontiguousarray(frame.to_ndarray(format="rgb24"))] if with_pixels else []
