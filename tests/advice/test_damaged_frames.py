"""Pictures, stacks, videos and predictions that are damaged: each is refused, and read once it is copied or saved again."""

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tifffile
from helpers.advice import damage, followed
from helpers.pictures import picture, save
from helpers.spoiled import cut, flip

from medrestore.io.frames.mha import MhaFrames, MhaWriter
from medrestore.io.frames.pictures import read_picture
from medrestore.io.frames.video import VideoFrames, VideoWriter
from medrestore.io.images.open import open_images
from medrestore.io.scenes.grand_challenge import read_predictions

FRAMES = np.stack([picture(index) for index in range(3)])


def replaced(old: bytes, new: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))

    return spoil


def png(folder: Path) -> Path:
    return save(folder / "a.png", FRAMES[0])


def tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", FRAMES[0])
    return folder / "a.tif"


def pixels(path: Path) -> np.ndarray:
    return open_images(path).values[0].transpose(1, 2, 0)


def mha(folder: Path) -> Path:
    with MhaWriter(folder / "a.mha", size=FRAMES.shape[1:3], count=3, channels=3) as writer:
        for frame in FRAMES:
            writer.put(frame)
    return folder / "a.mha"


def plain_mha(folder: Path) -> Path:
    height, width = FRAMES.shape[1:3]
    header = (
        f"ObjectType = Image\nNDims = 3\nDimSize = {width} {height} 3\nElementNumberOfChannels = 3\n"
        "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    (folder / "a.mha").write_bytes(header.encode() + FRAMES.tobytes())
    return folder / "a.mha"


def stack(path: Path) -> np.ndarray:
    with MhaFrames(path) as frames:
        return np.stack(list(frames))


def video(folder: Path) -> Path:
    with VideoWriter(folder / "a.mkv", size=FRAMES.shape[1:3], fps=Fraction(25)) as writer:
        for frame in FRAMES:
            writer.put(frame)
    return folder / "a.mkv"


def film(path: Path) -> np.ndarray:
    with VideoFrames(path) as frames:
        return np.stack(list(frames))


def cut_while_read(path: Path) -> np.ndarray:
    """A stack, cut after it is opened where it is called `cut`."""
    frames = MhaFrames(path)
    if (path.parent / "cut").exists():
        cut(0.9)(path)
    with frames:
        return np.stack(list(frames))


def short_film(path: Path) -> np.ndarray:
    """A video that has fewer frames than it had when it was opened, where there is a file `cut`."""
    frames = VideoFrames(path)
    if (path.parent / "cut").exists():
        frames._count += 1
    with frames:
        return np.stack([frames[index] for index in range(len(frames))])


def corrupt(path: Path) -> np.ndarray:
    """A video whose decoder calls its frames corrupt, where there is a file `cut`."""
    if not (path.parent / "cut").exists():
        return film(path)
    from medrestore.io.frames import video as module

    whole = module._Video.frame

    def said(self: Any, *args: Any, **options: Any) -> Any:
        found = whole(self, *args, **options)
        return None if found is None else ({**found[0], "corrupt": True}, found[1])

    with mock.patch.object(module._Video, "frame", said):
        return film(path)


def mark(path: Path) -> None:
    (path.parent / "cut").touch()


def predictions(folder: Path) -> Path:
    (folder / "predictions.json").write_text("[]")
    return folder / "predictions.json"


FRAMED = [
    damage("{} is cut off; copy it again.", png, cut(-12), read_picture, FRAMES[0]),
    damage(
        "{} is damaged: the checksum of one of its parts is wrong; copy it again.",
        png,
        flip(0.5),
        read_picture,
        FRAMES[0],
    ),
    damage(
        "{} declares more than it holds; copy it again.",
        tiff,
        lambda path: vast_tiff(path),
        pixels,
        FRAMES[0],
    ),
    damage(
        "{} holds {} bytes of pixels where its header needs {}; it was cut, copy it again.",
        plain_mha,
        cut(0.8),
        stack,
        FRAMES,
    ),
    damage(
        "{} has a second header (HeaderSize); save it again without one.",
        plain_mha,
        replaced(b"NDims", b"HeaderSize = 8\nNDims"),
        stack,
        FRAMES,
    ),
    damage(
        "{} ends in frame {} of {}; it was cut, copy it again.",
        mha,
        lambda path: cut_mha(path, 300),
        stack,
        FRAMES,
    ),
    damage(
        "{} lacks its checksum; it was cut, copy it again.", mha, lambda path: cut_mha(path, 2), stack, FRAMES
    ),
    damage("{} is damaged ({}); copy it again.", mha, flip(0.6), stack, FRAMES),
    damage("{} was cut while it was read; copy it again.", plain_mha, mark, cut_while_read, FRAMES),
    damage(
        "{} is no video that can be read (damaged, cut or another format); copy it again.",
        video,
        cut(20),
        film,
        FRAMES,
    ),
    damage(
        "{}: frame {} cannot be decoded, the video is damaged or cut; copy it again.",
        video,
        flip(0.7),
        film,
        FRAMES,
    ),
    damage("{}: frame {} is damaged; copy the video again.", video, mark, corrupt, FRAMES),
    damage("{} ends after {} of {} frames; copy it again.", video, mark, short_film, FRAMES),
    damage(
        "{} is no predictions.json of DREAMING ({}); copy it again.",
        predictions,
        cut(1),
        read_predictions,
        [],
    ),
]


def cut_mha(path: Path, count: int) -> None:
    """A compressed stack whose header says what is left of it."""
    data = path.read_bytes()
    with MhaFrames(path) as frames:
        offset = frames.header.offset
    head, packed = data[:offset], data[offset:-count]
    lines = [line for line in head.split(b"\n") if not line.startswith(b"CompressedDataSize")]
    path.write_bytes(b"\n".join(lines) + packed)


def vast_tiff(path: Path) -> None:
    """A picture of 24 x 16 pixels that says that it has more."""
    tifffile.imwrite(path, np.zeros((16, 24), np.uint8), compression="zlib")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = file.pages[0].tags[name]
            data[tag.valueoffset : tag.valueoffset + 2] = (30_000).to_bytes(2, "little")
    path.write_bytes(data)


@pytest.mark.parametrize(("sentence", "wrong", "right"), FRAMED)
def test_a_picture_is_copied_or_saved_again(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
