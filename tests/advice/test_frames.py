"""Advice on videos, pictures and masks, followed: another file, another setting, another size; then they are read."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
import pytest
from helpers.advice import case, followed
from helpers.pictures import picture, save, white
from helpers.stacked import FRAMES, STACK, huge, mha, writes, written
from PIL import Image

from medrestore.io.frames import mha as stacks
from medrestore.io.frames import video as videos
from medrestore.io.frames.base import decode_picture
from medrestore.io.frames.masks import to_known
from medrestore.io.frames.mha import MhaFrames, read_mha_header
from medrestore.io.frames.pictures import read_bytes, read_picture, read_values
from medrestore.io.frames.video import VideoFrames


def plays(path: Path, frames: list[np.ndarray] = FRAMES) -> bool:
    """Whether a video is read, every pixel of it."""
    with VideoFrames(written(path, frames)) as found:
        return len(found) == len(frames) and all(
            np.array_equal(a, b) for a, b in zip(found, frames, strict=True)
        )


def of_sound(path: Path) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
    return path


def hollow(path: Path) -> Path:
    """A video without a frame."""
    with av.open(str(path), "w", format="avi") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        file.start_encoding()
    return path


def unknown_codec(path: Path) -> Path:
    path.write_bytes(written(path).read_bytes().replace(b"V_FFV1", b"V_NONE"))
    return path


def of_two_sizes(path: Path) -> Path:
    """Two streams of H.264 after one another."""
    parts = []
    for side in (32, 48):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mpegts") as file:
            stream = file.add_stream("libx264", rate=25)
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
            for index in range(3):
                file.mux(
                    stream.encode(av.VideoFrame.from_ndarray(picture(index, (side, side)), format="rgb24"))
                )
            file.mux(stream.encode())
        parts.append(buffer.getvalue())
    path.write_bytes(b"".join(parts))
    return path


@contextmanager
def limited(module: Any, **limits: int) -> Iterator[None]:
    with mock.patch.multiple(module, **limits):
        yield


def with_limit(module: Any, call: Any, **limits: int) -> Any:
    with limited(module, **limits):
        return call()


def refuse(*args: Any, **options: Any) -> None:
    raise ValueError("no such encoder")


def stacked(path: Path) -> bool:
    with MhaFrames(mha(path)) as found:
        return all(np.array_equal(a, b) for a, b in zip(found, FRAMES, strict=True))


def mask_of(pixels: np.ndarray, suffix: str = ".png", **how: Any) -> np.ndarray:
    """Where a mask in a file of this format hides."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, {".png": "PNG", ".jpg": "JPEG"}[suffix])
    values, _ = decode_picture(buffer.getvalue(), f"m{suffix}", kind="mask")
    return ~to_known(values, "hole", f"m{suffix}", lossless=suffix == ".png", **how)


LABELS = np.kron(np.array([[0, 85], [170, 255]], np.uint8), np.ones((8, 8), np.uint8))
SOFT = np.kron(np.array([[0, 128], [128, 255]], np.uint8), np.ones((16, 16), np.uint8))
LIST = "ffconcat version 1.0\nfile 'a.mkv'\n"
VIDEOS = [
    case(
        "{}: H.264 needs an even width and height, not {} x {}; write .mkv (FFV1) or png.",
        lambda folder: written(folder / "a.mp4", [picture(size=(11, 15))], "h264"),
        lambda folder: plays(folder / "a.mkv", [picture(size=(11, 15))]),
    ),
    case(
        "{} is a list of other files ({}); give the video itself.",
        lambda folder: (
            written(folder / "a.mkv"),
            (folder / "l.mkv").write_text(LIST),
            VideoFrames(folder / "l.mkv"),
        ),
        lambda folder: plays(folder / "a.mkv"),
    ),
    case(
        "{} has no video in it, only sound or data; give a video.",
        lambda folder: VideoFrames(of_sound(folder / "s.mkv")),
        lambda folder: plays(folder / "a.mkv"),
    ),
    case(
        "{} is in a codec that FFmpeg does not know; convert it to H.264 or FFV1.",
        lambda folder: VideoFrames(unknown_codec(folder / "a.mkv")),
        lambda folder: (
            plays(folder / "b.mkv") and len(VideoFrames(written(folder / "c.mp4", codec="h264"))) == 3
        ),
    ),
    case(
        "{} declares frames of {} x {}, more than is read; scale it down.",
        lambda folder: with_limit(videos, lambda: plays(folder / "a.mkv"), MAX_PIXELS=100),
        lambda folder: with_limit(
            videos, lambda: plays(folder / "b.mkv", [picture(size=(8, 8))]), MAX_PIXELS=100
        ),
    ),
    case(
        "{} has no frames in it; give a video that plays.",
        lambda folder: VideoFrames(hollow(folder / "h.avi")),
        lambda folder: plays(folder / "a.mkv"),
    ),
    case(
        "{} has more pixels or frames than are read; cut it into parts.",
        lambda folder: with_limit(videos, lambda: plays(folder / "a.mkv"), MAX_FRAMES=2),
        lambda folder: with_limit(
            videos,
            lambda: plays(folder / "b.mkv", FRAMES[:2]) and plays(folder / "c.mkv", FRAMES[2:]),
            MAX_FRAMES=2,
        ),
    ),
    case(
        "{} changes its size at frame {}; cut it there.",
        lambda folder: VideoFrames(of_two_sizes(folder / "a.mkv")),
        lambda folder: (
            plays(folder / "b.mkv", [picture(size=(32, 32))] * 3)
            and plays(folder / "c.mkv", [picture(size=(48, 48))] * 3)
        ),
    ),
    case(
        "{} cannot be written as {} ({}); write png instead.",
        lambda folder: with_limit(av, lambda: written(folder / "a.mkv"), open=refuse),  # type: ignore[arg-type]
        lambda folder: with_limit(av, lambda: writes(folder, "{:06d}".format), open=refuse),  # type: ignore[arg-type]
    ),
]
PICTURES = [
    case(
        "{} declares {} frames of {} x {}, more than is read; give it in parts.",
        lambda folder: with_limit(stacks, lambda: read_mha_header(mha(folder / "a.mha")), MAX_FRAMES=2),
        lambda folder: (
            [
                with_limit(
                    stacks, lambda part=part: len(MhaFrames(mha(folder / "a.mha", STACK[part]))), MAX_FRAMES=2
                )
                for part in (slice(2), slice(2, 3))
            ]
            == [2, 1]
        ),
    ),
    case(
        "{} keeps its pixels in another file ({}); save it as one .mha.",
        lambda folder: MhaFrames(mha(folder / "a.mha", ElementDataFile="a.raw")),
        lambda folder: stacked(folder / "a.mha"),
    ),
    case(
        "{} has pixels of the type {}; convert them to MET_UCHAR (8 bits).",
        lambda folder: MhaFrames(mha(folder / "a.mha", ElementType="MET_USHORT")),
        lambda folder: stacked(folder / "a.mha"),
    ),
    case(
        "{} stores its pixels as text; save it in binary.",
        lambda folder: MhaFrames(mha(folder / "a.mha", BinaryData="False")),
        lambda folder: stacked(folder / "a.mha"),
    ),
    case(
        "{} is a mask in colour, which says nothing of what is hidden; save it in grey, 0 and 255 alone.",
        lambda _: mask_of(FRAMES[0]),
        lambda _: np.array_equal(mask_of(white()), white() > 0),
    ),
    case(
        "{} holds areas of grey, labels or a soft edge, and nothing tells whether they hide; save it "
        "as png with 0 and 255.",
        lambda _: mask_of(SOFT, ".jpg"),
        lambda _: np.array_equal(mask_of(255 * (SOFT > 200).astype(np.uint8)), SOFT > 200),
    ),
    case(
        "{} is of a lossy format, which does not keep the levels of labels; save the mask as png.",
        lambda _: mask_of(LABELS, ".jpg", hole_values=(85, 170)),
        lambda _: np.array_equal(mask_of(LABELS, hole_values=(85, 170)), (LABELS == 85) | (LABELS == 170)),
    ),
    case(
        "{} is in colour, and an interval is of grey values; save it in grey, or leave the interval out.",
        lambda folder: read_values(save(folder / "a.png", FRAMES[0])),
        lambda folder: (
            np.array_equal(read_values(save(folder / "a.png", FRAMES[0][..., 0])), FRAMES[0][..., 0])
            and np.array_equal(read_picture(save(folder / "b.png", FRAMES[0])), FRAMES[0])
        ),
    ),
    case(
        "{} has {} bytes, more than a picture can have; give a picture.",
        lambda folder: read_bytes(huge(folder / "a.png")),
        lambda folder: np.array_equal(read_picture(save(folder / "b.png", FRAMES[0])), FRAMES[0]),
    ),
    case(
        "{} declares {} x {} pixels, over the limit of {}; give it in parts or make it smaller.",
        lambda folder: read_picture(save(folder / "a.png", FRAMES[0]), max_pixels=100),
        lambda folder: (
            [
                np.array_equal(read_picture(save(folder / "a.png", part), max_pixels=100), part)
                for part in (FRAMES[0][:, :8], FRAMES[0][::2, ::2])
            ]
            == [True, True]
        ),
    ),
]


@pytest.mark.parametrize(("sentence", "wrong", "right"), [*VIDEOS, *PICTURES])
def test_frames_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
