"""Questions about videos, asked without a process between."""

import numpy as np
import pytest

pytest.importorskip("av")

from medrestore.child.video import Videos
from medrestore.io.frames.video import VideoWriter

FRAMES = [np.full((16, 24, 3), 40 * index, np.uint8) for index in range(4)]


@pytest.fixture
def ask(tmp_path):
    path = tmp_path / "a.mkv"
    with VideoWriter(path, size=(16, 24), fps=None) as writer:
        for frame in FRAMES:
            writer.put(frame)
    videos = Videos()
    yield lambda question, **arguments: videos.answer({"file": 0, "path": str(path), "locking": True, "question": question,
                                                       "arguments": arguments})
    videos.close(0)


def test_what_the_headers_say(ask):
    about, arrays = ask("opened")
    assert about["videos"] == 1 and about["codec"] == "ffv1" and about["size"] == [16, 24] and about["rate"] == [25, 1]
    assert about["beside"] == 0 and arrays == []


def test_frames_in_any_order(ask):
    """A frame behind the last one asked for starts again; those between are decoded, and not sent."""
    for index in (0, 1, 3, 2, 0):
        about, (pixels,) = ask("frame", index=index, with_pixels=True)
        assert np.array_equal(pixels, FRAMES[index]) and about["time"][0] * 25 == index * about["time"][1]
    assert ask("frame", index=1, with_pixels=False)[1] == [] and ask("frame", index=4, with_pixels=True) == (None, [])
