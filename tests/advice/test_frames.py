"""Advice on frames, masks, videos and scenes, followed: another file is given, and read with the right values."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
import pytest
import torch
from helpers.advice import case, followed
from helpers.pictures import SIZE, picture, save, white
from PIL import Image

from medrestore.io.frames import mha as stacks
from medrestore.io.frames import video as videos
from medrestore.io.frames.base import decode_picture
from medrestore.io.frames.masks import to_known
from medrestore.io.frames.mha import MhaFrames, read_mha_header
from medrestore.io.frames.pictures import read_bytes, read_picture, read_values
from medrestore.io.frames.video import VideoFrames, VideoWriter
from medrestore.io.scenes.dreaming import dreaming_scenes
from medrestore.io.scenes.grand_challenge import MASKS, container_scenes, read_predictions
from medrestore.io.scenes.open import open_frames, open_scenes
from medrestore.io.scenes.writer import SceneWriter
from tests.io.scenes.test_dreaming import place, scene_files
from tests.io.scenes.test_grand_challenge import container

FRAMES = [picture(index) for index in range(3)]
STACK = np.stack(FRAMES)


def written(path: Path, frames: list[np.ndarray] = FRAMES, codec: Any = "ffv1") -> Path:
    with VideoWriter(path, size=frames[0].shape[:2], fps=Fraction(25), codec=codec, overwrite=True) as writer:
        for frame in frames:
            writer.put(frame)
    return path


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


def huge(path: Path) -> Path:
    """A file of a terabyte of nothing."""
    path.touch()
    os.truncate(path, 1 << 40)
    return path


def refuse(*args: Any, **options: Any) -> None:
    raise ValueError("no such encoder")


def mha(path: Path, frames: np.ndarray = STACK, **fields: str) -> Path:
    """A stack whose header says this, its pixels behind it."""
    count, height, width, channels = frames.shape
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "DimSize": f"{width} {height} {count}",
        "ElementNumberOfChannels": str(channels),
        "ElementType": "MET_UCHAR",
        **fields,
        "ElementDataFile": fields.get("ElementDataFile", "LOCAL"),
    }
    path.write_bytes(
        "".join(f"{key} = {value}\n" for key, value in header.items()).encode() + frames.tobytes()
    )
    return path


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


def folder_of(path: Path, frames: int = 2, masks: tuple[str, ...] = (), size: tuple[int, int] = SIZE) -> Path:
    """A folder of frames with masks of these names."""
    for index in range(frames):
        save(path / f"{index}.png", picture(index))
    for name in masks:
        save(path / name, white(0, size))
    return path


def hides(path: Path, **how: Any) -> bool:
    """Whether the first frame's mask hides where it is white."""
    with open_scenes(path, means="hole", **how) as scenes:
        (name,) = scenes
        scene = scenes[name]
        return scene.count >= 1 and np.array_equal(scene.mask(0)[0].numpy(), white() == 0)


def challenge(folder: Path, counts: list[int], **how: Any) -> list[str]:
    container(folder, counts, **how)
    scenes = container_scenes(folder, meaning="keep")
    assert all(scene.mask(0).shape[-2:] == SIZE for scene in scenes.values())
    return list(scenes)


def pairs_by_name(folder: Path, counts: list[int]) -> bool:
    return challenge(folder, counts, names=[("one", "one"), ("two", "two")]) == ["one", "two"]


def unequal_masks(folder: Path) -> None:
    """Two stacks of one size, two masks, one of which is of that size."""
    container(folder, [2, 2])
    (folder / "images" / MASKS / "8-bbbb.mha").unlink()
    container(folder / "other", [2, 3])
    (folder / "other" / "images" / MASKS / "8-bbbb.mha").rename(folder / "images" / MASKS / "8-bbbb.mha")
    container_scenes(folder, meaning="keep")


def writes(folder: Path, names: Any) -> bool:
    with SceneWriter(folder / "out", size=SIZE, count=2, names=names) as writer:
        for index in range(2):
            writer.put(index, mr_frame(index))
    return len(list((folder / "out").glob("*.png"))) == 2


def mr_frame(index: int) -> Any:
    return torch.from_numpy(FRAMES[index]).permute(2, 0, 1)


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
SCENES_OPENED = [
    case(
        "{} is {} x {} but its {} {} is {} x {}; give the {} at the size of the frame, nothing is resized.",
        lambda folder: hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png"), size=(6, 8))),
        lambda folder: hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png"))),
    ),
    case(
        "{} has {} frames but {} has {}; give one {} for every frame{}.",
        lambda folder: hides(written(folder / "a.mkv"), mask=mha(folder / "m.mha", masks(2))),
        lambda folder: hides(written(folder / "a.mkv"), mask=mha(folder / "m.mha", masks(3))),
    ),
    case(
        "{} holds no scene; give frames with their masks.",
        lambda folder: empty_set(folder),
        lambda folder: hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png"))),
    ),
    case(
        "{} does not exist; give the download.",
        lambda folder: dreaming_scenes(folder / "none"),
        lambda folder: list(dreaming_scenes(place(folder, DOWNLOAD))) == ["scene_0000"],
    ),
    case(
        "{} holds no scene with a folder {} beside {} or one of {}; give the download as it came.",
        lambda folder: dreaming_scenes(folder),
        lambda folder: list(dreaming_scenes(place(folder, DOWNLOAD))) == ["scene_0000"],
    ),
    case(
        "{} holds {} twice, in {} and {}; keep one of them.",
        lambda folder: dreaming_scenes(
            place(folder, {f"{part}/{name}": data for part in "ab" for name, data in DOWNLOAD.items()})
        ),
        lambda folder: list(dreaming_scenes(folder / "a")) == ["scene_0000"],
    ),
    case(
        "{} is longer than any predictions.json; give the right file.",
        lambda folder: read_predictions(huge(folder / "p.json")),
        lambda folder: ((folder / "q.json").write_text("[]"), read_predictions(folder / "q.json"))[1] == [],
    ),
    case(
        "{} holds {} stacks and {} masks of them; give a mask for each.",
        lambda folder: (
            container(folder, [2, 3]),
            (folder / "images" / MASKS / "8-bbbb.mha").unlink(),
            container_scenes(folder, meaning="keep"),
        ),
        lambda folder: challenge(folder / "whole", [2, 3]) == ["0-aaaa", "1-aaaa"],
    ),
    case(
        "{}: two stacks fit the same mask, and neither names nor a predictions.json say whose it is; "
        "name each mask like its scene.",
        lambda folder: unequal_masks(folder),
        lambda folder: pairs_by_name(folder / "named", [2, 2]),
    ),
    case(
        "{} fits {} of {} masks (as many frames, same size), and neither names nor a "
        "predictions.json say whose each is; name each mask like its scene.",
        lambda folder: challenge(folder, [2, 2]),
        lambda folder: pairs_by_name(folder / "named", [2, 2]),
    ),
    case(
        "{} does not exist; give frames, a stack, a video or a data set.",
        lambda folder: open_scenes(folder / "none", means="hole"),
        lambda folder: (
            hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png")))
            and hides(mha(folder / "a.mha"), mask=save(folder / "m.png", white()))
            and hides(written(folder / "a.mkv"), mask=save(folder / "m.png", white()))
            and list(open_scenes(place(folder / "d", DOWNLOAD), dataset="dreaming")) == ["scene_0000"]
        ),
    ),
    case(
        "{} does not exist; give frames, a stack, a video or one picture.",
        lambda folder: open_frames(folder / "none"),
        lambda folder: (
            [
                len(open_frames(one))
                for one in (
                    folder_of(folder / "f"),
                    mha(folder / "a.mha"),
                    written(folder / "a.mkv"),
                    save(folder / "m.png", white()),
                )
            ]
            == [2, 3, 3, 1]
        ),
    ),
    case(
        "{} holds several pictures for one {}; keep one for every frame.",
        lambda folder: hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png", "mask_0.png"))),
        lambda folder: ((folder / "f" / "mask_0.png").unlink(), hides(folder / "f"))[1],
    ),
    case(
        "{} comes without masks; give them, as mask=PATH.",
        lambda folder: hides(folder_of(folder / "f")),
        lambda folder: hides(folder / "f", mask=save(folder / "m.png", white())),
    ),
    case(
        "; give one {} for every frame, with its name.",
        lambda folder: hides(folder_of(folder / "f", 3, masks=("0_mask.png", "1_mask.png"))),
        lambda folder: hides(folder_of(folder / "f", 3, masks=("2_mask.png",))),
    ),
    case(
        "{}: two frames would have one name, or one that is no file name; give other names.",
        lambda folder: writes(folder, lambda index: "a"),
        lambda folder: writes(folder, lambda index: "ab"[index]),
    ),
]
DOWNLOAD = scene_files("scene_0000", count=1)


def masks(count: int) -> np.ndarray:
    return np.stack([white()] * count)[..., None]


def empty_set(folder: Path) -> None:
    from medrestore.io.scenes.base import SceneSet

    SceneSet(str(folder), {})


@pytest.mark.parametrize(("sentence", "wrong", "right"), [*VIDEOS, *PICTURES, *SCENES_OPENED])
def test_frames_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
