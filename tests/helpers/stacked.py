"""Short clips of a few frames, written and read again."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers.pictures import SIZE, picture

from medrestore.io.frames.video import VideoWriter
from medrestore.io.scenes.writer import SceneWriter

FRAMES = [picture(index) for index in range(3)]
STACK = np.stack(FRAMES)


def written(path: Path, frames: list[np.ndarray] = FRAMES, codec: Any = "ffv1") -> Path:
    with VideoWriter(path, size=frames[0].shape[:2], fps=Fraction(25), codec=codec, overwrite=True) as writer:
        for frame in frames:
            writer.put(frame)
    return path


def huge(path: Path) -> Path:
    """A file of a terabyte of nothing."""
    path.touch()
    os.truncate(path, 1 << 40)
    return path


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


def writes(folder: Path, names: Any) -> bool:
    with SceneWriter(folder / "out", size=SIZE, count=2, names=names) as writer:
        for index in range(2):
            writer.put(index, mr_frame(index))
    return len(list((folder / "out").glob("*.png"))) == 2


def mr_frame(index: int) -> Any:
    return torch.from_numpy(FRAMES[index]).permute(2, 0, 1)
