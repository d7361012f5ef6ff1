"""Videos, frame by frame, through PyAV: any that FFmpeg decodes in; lossless FFV1 or, on request, H.264 out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...child import Limits, shared
from ...errors import InputError
from ...extras import check_extra, extra
from ...files import FileWriter, NewFile
from ..guards import PathLike, existing, require
from .base import MAX_FRAMES, StreamedFrames
from .pictures import MAX_PIXELS

if TYPE_CHECKING:
    import av

VIDEOS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v")
H264_WARNING = "H.264 is lossy: known pixels come back changed by a few grey levels; FFV1 or png keep them exactly."
DEFAULT_FPS = Fraction(25)
STAMP = Fraction(1, 1000)  # seconds: what the times of uneven frames are kept to
OPTIONS = {  # one thread and a fixed number of slices, so that a rerun gives the same bytes
    "ffv1": {"slices": "4", "threads": "1", "slicecrc": "1"},
    "h264": {"crf": "12", "preset": "medium", "threads": "1"},
}
OPENING = Limits(memory=1 << 30, seconds=10.0)  # of the first look at a video, for which FFmpeg decodes some frames
SPARE, PIXEL_BYTES = 512 << 20, 128  # bytes that decoding may take, and as many for each pixel: codecs keep up to 20 frames
FRAME_SECONDS, PIXEL_PACE = 3.0, 0.5e6  # of computing that a frame may take, and pixels a second beside
LOSSLESS, RGB_KINDS = {"ffv1", "png", "rawvideo"}, {"bgr0", "bgra", "bgr24", "rgb24", "rgba", "gbrp", "gray"}
VideoCodec = Literal["ffv1", "h264"]


class VideoFrames(StreamedFrames):
    """A video as RGB frames, upright as a player shows it; all of it is decoded once on opening, to count and to check it.

    FFmpeg decodes it in the child of this process, see `medrestore.child`. Only the file itself is read: streams that
    refer to other files or addresses are not followed.

    Raises:
        InputError: no video, no frames, damage, more pixels or frames than are read, a size that changes.
    """

    channels = 3

    def __init__(self, path: PathLike):
        self.path = existing(path)
        self.where = str(path)
        with _opened_video(self.path) as video:
            self.lossless = video.about["codec"] in LOSSLESS and video.about["pixels"] in RGB_KINDS
            rate = video.about["rate"]
            self.fps = Fraction(*rate) if rate else DEFAULT_FPS
            self.notes = () if rate else (f"{self.where} does not say its frame rate; {DEFAULT_FPS} a second is assumed.",)
            if video.about["beside"]:
                self.notes += (f"{self.where} has sound or subtitles, not carried over.",)
            self._count, stamps = 0, list[Fraction | None]()
            size: tuple[int, int] | None = None
            for about, _ in _decoded(self.where, video, with_pixels=False):
                self._count += 1
                stamps.append(None if about["time"] is None else Fraction(*about["time"]))
                height, width = about["size"]
                shown = (height, width) if _quarter_turns(self.where, about) % 2 == 0 else (width, height)
                size = size or shown
                require(size == shown, f"{self.where} changes its size at frame {self._count - 1}; cut it there.")
        if size is None:
            raise InputError(f"{self.where} has no frames in it; give a video that plays.")
        self.size, self.times = size, _uneven(stamps, self.fps)

    def __len__(self) -> int:
        return self._count

    def _decode(self) -> Generator[np.ndarray, None, None]:
        with _opened_video(self.path) as video:
            for about, pixels in _decoded(self.where, video, with_pixels=True):
                yield np.ascontiguousarray(np.rot90(pixels, _quarter_turns(self.where, about)))


def _uneven(stamps: Sequence[Fraction | None], fps: Fraction) -> tuple[Fraction, ...] | None:
    """Seconds from the first frame; None where they are missing, do not rise, or are those of an even rate to half a frame."""
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) != len(stamps) or any(after <= before for before, after in pairwise(known)):
        return None
    times = tuple(stamp - known[0] for stamp in known)
    return None if all(abs(time * fps - index) < Fraction(1, 2) for index, time in enumerate(times)) else times


class _Video:
    """A video that the child decodes, frame by frame."""

    def __init__(self, path: Path) -> None:
        self._path, self._child = path, shared()
        self._number = self._child.number()
        self.about: dict[str, Any] = self._child.ask(self._number, str(path), "opened", OPENING, kind="video").value
        self._worker = self._child.worker

    def frame(self, index: int, *, with_pixels: bool) -> tuple[dict[str, Any], np.ndarray] | None:
        """What frame `index` says of itself, and its pixels as they are stored; None behind the last one."""
        height, width = self.about["size"]
        again = 1 if self._child.worker == self._worker else index + 1  # another worker decodes all those before, too
        limits = Limits(memory=SPARE + PIXEL_BYTES * height * width, answer=3 * MAX_PIXELS + 1 if with_pixels else 0,
                        seconds=again * (FRAME_SECONDS + height * width / PIXEL_PACE))
        answer = self._child.ask(self._number, str(self._path), "frame", limits, kind="video", index=index,
                                 with_pixels=with_pixels)
        self._worker = self._child.worker
        if answer.value is None:
            return None
        height, width = answer.value["size"]
        return answer.value, answer.arrays[0].reshape(height, width, 3) if with_pixels else np.empty(0, np.uint8)

    def close(self) -> None:
        """Closes it; a second time does nothing."""
        self._child.close(self._number)


@contextmanager
def _opened_video(path: Path) -> Iterator[_Video]:
    """The first video stream of a file."""
    check_extra("video", "av", f"{path} is a video, which")  # in the child
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); ask for read permission on it.") from error
    try:
        video = _Video(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no video that can be read (damaged, cut or another format); copy it again.") from error
    try:
        about = video.about
        refused = {"concat", "hls", "dash", "image2", "tty", "imf"} & set(about["container"].split(","))
        require(not refused, f"{path} is a list of other files ({', '.join(refused)}); give the video itself.")
        require(about["videos"] > 0, f"{path} has no video in it, only sound or data; give a video.")
        require(about["codec"] is not None, f"{path} is in a codec that FFmpeg does not know; convert it to H.264 or FFV1.")
        height, width = about["size"]
        require(width * height <= MAX_PIXELS, f"{path} declares frames of {width} x {height}, more than is read; scale it down.")
        yield video
    finally:
        video.close()


def _decoded(where: str, video: _Video, *, with_pixels: bool) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """All frames."""
    count = 0
    try:
        while (frame := video.frame(count, with_pixels=with_pixels)) is not None:
            height, width = frame[0]["size"]
            require(width * height <= MAX_PIXELS and count < MAX_FRAMES,
                    f"{where} has more pixels or frames than are read; cut it into parts.")
            require(not frame[0]["corrupt"], f"{where}: frame {count} is damaged; copy the video again.")
            yield frame
            count += 1
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: frame {count} cannot be decoded, the video is damaged or cut; copy it again.") from error


def _quarter_turns(where: str, about: Mapping[str, Any]) -> int:
    """How often to turn the stored picture by 90 degrees, counter-clockwise, to have it upright."""
    turn = about["rotation"]
    require(turn % 90 == 0, f"{where} is to be shown turned by {turn} degrees; only quarter turns are read.")
    return int(turn) // 90 % 4


def check_video(path: PathLike, size: tuple[int, int], codec: VideoCodec) -> None:
    """Refuses a name or a size (height, width) that a codec does not fit."""
    suffixes = (".mkv",) if codec == "ffv1" else (".mkv", ".mp4")
    require(Path(path).suffix.lower() in suffixes, f"{path}: a video in {codec} is named {' or '.join(suffixes)}.")
    require(codec == "ffv1" or (size[0] % 2 == 0 and size[1] % 2 == 0),
            f"{path}: H.264 needs an even width and height, not {size[1]} x {size[0]}; write .mkv (FFV1) or png.")


class VideoWriter(FileWriter):
    """Writes RGB frames to a video; it appears under its name when it is complete.

    Args:
        path: the file, .mkv for ffv1, .mkv or .mp4 for h264; its folder is made when missing.
        size: (height, width); h264 needs even ones.
        fps: frames a second.
        times: seconds of each frame, rising from 0, where they are not evenly spaced; kept to a millisecond.
        codec: "ffv1" keeps every value; "h264" does not, see `H264_WARNING`.
        overwrite: replace an existing file.

    Raises:
        InputError: the file exists and `overwrite` is False, it cannot be written, or size and codec do not fit.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        size: tuple[int, int],
        fps: Fraction | None,
        times: Sequence[Fraction] | None = None,
        codec: VideoCodec = "ffv1",
        overwrite: bool = False,
    ):
        self.path, self._size = Path(path), size
        self._times = None if times is None else iter(times)
        check_video(self.path, size, codec)
        self._output = NewFile(self.path, overwrite=overwrite)
        self._container, self._stream = self._open(codec, fps or DEFAULT_FPS)
        self._empty = True

    def _open(self, codec: VideoCodec, fps: Fraction) -> tuple[Any, Any]:
        with extra("video", f"{self.path} is a video, which"):
            import av

        muxer = "mp4" if self.path.suffix.lower() == ".mp4" else "matroska"
        try:
            place = str(self._output.temporary.absolute())  # what stands before a colon would be a protocol to FFmpeg
            container = av.open(place, "w", format=muxer, container_options={"fflags": "+bitexact"})
            stream = container.add_stream("ffv1" if codec == "ffv1" else "libx264", rate=fps, options=OPTIONS[codec])
        except (av.FFmpegError, OSError, ValueError) as error:
            self._output.discard()
            raise InputError(f"{self.path} cannot be written as {codec} ({error}); write png instead.") from error
        stream.height, stream.width = self._size
        if self._times is not None:
            stream.codec_context.time_base = STAMP
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        if codec == "h264":  # as the pixels are converted; players guess another matrix for large frames that do not say
            stream.codec_context.colorspace = av.video.reformatter.Colorspace.SMPTE170M
            stream.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
        return container, stream

    def put(self, frame: np.ndarray) -> None:
        """The next frame, (height, width, 3) uint8 RGB."""
        import av

        require(frame.dtype == np.uint8 and frame.shape == (*self._size, 3),
                f"{self.path}: a frame is {frame.dtype} {frame.shape}, not uint8 {(*self._size, 3)}.")
        self._empty = False
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        if self._times is not None:
            time = next(self._times, None)
            require(time is not None, f"{self.path}: there are more frames than times.")
            picture.time_base, picture.pts = STAMP, round((time or 0) / STAMP)
        self._mux(picture)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        import av

        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            self.discard()
            raise InputError(f"{self.path} cannot be written ({error}); make room or choose another output") from error

    def close(self) -> None:
        """Completes the video and publishes it."""
        import av

        if self._empty:
            self.discard()
            raise InputError(f"{self.path}: no frame was given, and there is no video without any; nothing was saved.")
        self._mux(None)
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            self._output.discard()
            raise InputError(f"{self.path} cannot be saved ({error}); make room or choose another output") from error
        self._output.publish()

    def discard(self) -> None:
        import av

        with suppress(av.FFmpegError, OSError):  # an unfinished file is removed in any case
            self._container.close()
        self._output.discard()
