"""Videos: lossless ones come back bit by bit, upright, with their rate; damaged ones end in one sentence."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from medrestore import extras
from medrestore.child import process
from medrestore.errors import InputError
from medrestore.io.frames import video as module
from medrestore.io.frames.video import VideoFrames, VideoWriter
from medrestore.io.guards import open_hdf5
from medrestore.io.scenes.open import open_scenes

av = pytest.importorskip("av")


def smooth(count=6, size=(48, 64)):
    y, x = np.mgrid[: size[0], : size[1]]
    return [np.stack([x * 3 + 5 * t, y * 4, (x + y) * 2], -1).clip(0, 255).astype(np.uint8) for t in range(count)]


def written(path, frames, **options):
    with VideoWriter(path, size=frames[0].shape[:2], fps=Fraction(30000, 1001), **options) as writer:
        for frame in frames:
            writer.put(frame)
    return path


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_ffv1_is_lossless(tmp_path, size):
    frames = [np.random.default_rng(t).integers(0, 256, (*size, 3), dtype=np.uint8) for t in range(5)]
    path = written(tmp_path / "a.mkv", frames)
    with VideoFrames(path) as found:
        assert len(found) == 5 and found.size == size and found.lossless
        assert abs(found.fps - Fraction(30000, 1001)) < Fraction(1, 100)
        assert all(np.array_equal(a, b) for a, b in zip(found, frames, strict=True))
        assert np.array_equal(found[3], frames[3]) and np.array_equal(found[0], frames[0])
    assert path.read_bytes() == written(tmp_path / "b.mkv", frames).read_bytes()
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.mkv", "b.mkv"}


def test_h264_on_request(tmp_path):
    frames = smooth()
    with VideoFrames(written(tmp_path / "a.mp4", frames, codec="h264")) as found:
        assert len(found) == 6 and not found.lossless
        errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(found, frames, strict=True)]
    assert 0 < max(errors) < 4
    with av.open(str(tmp_path / "a.mp4")) as container:  # says by which matrix to show it: players guess by size
        frame = next(container.decode(video=0))
        assert frame.colorspace in (5, 6) and frame.color_range == 1
    with pytest.raises(InputError, match="even width and height"):
        VideoWriter(tmp_path / "b.mp4", size=(33, 64), fps=None, codec="h264")
    with pytest.raises(InputError, match=r"named \.mkv"):
        VideoWriter(tmp_path / "b.mp4", size=(32, 64), fps=None)


def test_a_colon_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = smooth(2)
    with VideoFrames(written(Path("12:30.mkv"), frames)) as found:
        assert all(np.array_equal(a, b) for a, b in zip(found, frames, strict=True))


def test_rotation_is_applied(tmp_path):
    frames = smooth()
    path = written(tmp_path / "a.mp4", frames, codec="h264")
    content = bytearray(path.read_bytes())
    unit = np.array([65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30], ">i4").tobytes()
    turned = np.array([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30], ">i4").tobytes()  # as a phone held upright writes it
    at = content.index(unit, content.index(b"tkhd"))
    content[at : at + 36] = turned
    path.write_bytes(content)
    with VideoFrames(path) as found:
        assert found.size == (64, 48)
        assert np.abs(found[2].astype(int) - np.rot90(frames[2], -1)).mean() < 4  # a quarter turn clockwise


def test_video_with_a_video_of_masks(tmp_path):
    frames = smooth(4)
    white = np.zeros((48, 64, 3), np.uint8)
    white[10:30, 20:40] = 255
    written(tmp_path / "a.mkv", frames)
    written(tmp_path / "m.mp4", [white] * 4, codec="h264")
    with open_scenes(tmp_path / "a.mkv", mask=tmp_path / "m.mp4", means="hole") as scenes, scenes["a"] as scene:
        assert scene.count == 4 and scene.fps is not None
        hole = ~scene.mask(1)[0].numpy()
        assert hole[12:28, 22:38].all() and not hole[:8].any()
    written(tmp_path / "short.mkv", [white] * 3)
    with pytest.raises(InputError, match=r"has 4 frames but .* has 3"):
        open_scenes(tmp_path / "a.mkv", mask=tmp_path / "short.mkv", means="hole")["a"]


def test_no_frames_no_video_damage(tmp_path):
    sound = tmp_path / "sound.mkv"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(InputError, match=r"sound\.mkv has no video in it"):
        VideoFrames(sound)
    with pytest.raises(InputError, match="no frame was given"), VideoWriter(tmp_path / "none.mkv", size=(48, 64), fps=None):
        pass
    assert not list(tmp_path.glob("none*"))
    hollow = tmp_path / "hollow.mp4"
    with av.open(str(hollow), "w") as container:  # a header that announces a video, and no frame of it
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        container.start_encoding()
    with pytest.raises(InputError, match=r"hollow\.mp4 (has no frames|has no video|is no video|is in a codec)"):
        VideoFrames(hollow)
    empty = written(tmp_path / "empty.mkv", smooth())
    empty.write_bytes(empty.read_bytes()[:700])
    with pytest.raises(InputError, match=r"empty\.mkv (has no frames|is no video)|cannot be decoded"):
        VideoFrames(empty)
    (tmp_path / "text.mp4").write_text("#EXTM3U\n/etc/passwd\n")
    with pytest.raises(InputError, match=r"text\.mp4"):
        VideoFrames(tmp_path / "text.mp4")
    (tmp_path / "list.mkv").write_text("ffconcat version 1.0\nfile 'empty.mkv'\n")
    with pytest.raises(InputError, match=r"list\.mkv"):
        VideoFrames(tmp_path / "list.mkv")
    with pytest.raises(InputError, match="does not exist"):
        VideoFrames(tmp_path / "none.mp4")


@pytest.mark.parametrize("seed", range(12))
def test_any_damage_is_one_sentence(tmp_path, seed):
    path = written(tmp_path / "a.mkv", smooth(3, (16, 16)))
    random = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    for at in random.integers(0, len(content), 8):
        content[at] = random.integers(0, 256)
    path.write_bytes(content[: int(random.integers(len(content) // 2, len(content)))])
    try:
        list(VideoFrames(path))
    except InputError as error:
        assert "a.mkv" in str(error)


UNEVEN = [Fraction(k, 25) for k in (0, 1, 2, 10, 11, 30)]


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("a.mp4", "h264")])
def test_times_of_uneven_frames_are_kept(tmp_path, name, codec):
    path = written(tmp_path / name, smooth(), codec=codec, times=UNEVEN)
    with VideoFrames(path) as frames:
        assert frames.times == tuple(UNEVEN) and len(frames) == 6
    with VideoFrames(written(tmp_path / "even.mkv", smooth())) as even:
        assert even.times is None


def test_more_frames_than_times_are_refused(tmp_path):
    with pytest.raises(InputError, match="more frames than times"):
        written(tmp_path / "a.mkv", smooth(), times=UNEVEN[:3])
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_bit_in_ffv1_is_seen(tmp_path):
    """FFmpeg conceals a slice whose checksum is wrong, and says so in its log alone."""
    frames = [np.random.default_rng(index).integers(0, 256, (16, 24, 3), np.uint8) for index in range(2)]
    path = written(tmp_path / "a.mkv", frames)
    whole = path.read_bytes()
    first = whole.index(bytes([0x1F, 0x43, 0xB6, 0x75]))  # of the cluster, with the frames
    draw = np.random.default_rng(0)
    for _ in range(12):
        changed = bytearray(whole)
        changed[draw.integers(first + 200, len(whole) - 400)] ^= 1 << draw.integers(8)
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"a\.mkv: frame [01] cannot be decoded, the video is damaged or cut; copy it again"):
            list(VideoFrames(path))


def test_frames_are_right_when_another_file_has_taken_the_worker_along(tmp_path):
    frames = smooth()
    (tmp_path / "bad.h5").write_bytes(b"no HDF5")
    with VideoFrames(written(tmp_path / "a.mkv", frames)) as video:
        for index, frame in enumerate(frames):
            assert np.array_equal(video[index], frame)
            with pytest.raises(InputError):
                open_hdf5(tmp_path / "bad.h5")


def test_a_video_that_ends_its_reader_is_one_sentence(tmp_path, monkeypatch):
    path = written(tmp_path / "a.mkv", smooth())
    monkeypatch.setattr(module, "FRAME_SECONDS", 1)
    monkeypatch.setattr(process, "START", "import sys; sys.path[:] = {path!r}; from helpers.misbehaving import hang; hang()")
    process.shared().end()
    try:
        with pytest.raises(InputError, match=r"a\.mkv cannot be read within 1 s, so it is damaged; copy it again"):
            VideoFrames(path)
    finally:
        process.shared().end()


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    path = written(tmp_path / "a.mkv", smooth())
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"a\.mkv is a video, which needs av, which is not installed; run: pip install 'medr"):
        VideoFrames(path)
