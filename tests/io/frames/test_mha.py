"""MetaImage stacks: SimpleITK reads what we write and we read what it writes; hostile headers end in one sentence."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medrestore.errors import InputError
from medrestore.io.frames.mha import MhaFrames, MhaWriter, read_mha_header

sitk = pytest.importorskip("SimpleITK")


def stack(count=5, size=(12, 17), channels=3, seed=0):
    shape = (count, *size, channels) if channels > 1 else (count, *size)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def by_sitk(path, frames, *, compressed=True, vector=None):
    sitk.WriteImage(sitk.GetImageFromArray(frames, isVector=vector), str(path), useCompression=compressed)
    return path


def written(path, frames):
    channels = frames.shape[3] if frames.ndim == 4 else 1
    with MhaWriter(path, size=frames.shape[1:3], count=len(frames), channels=channels) as writer:
        for frame in frames:
            writer.put(frame)
    return path


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_reads_what_simpleitk_writes(tmp_path, compressed, channels):
    frames = stack(channels=channels)
    with MhaFrames(by_sitk(tmp_path / "a.mha", frames, compressed=compressed)) as found:
        assert len(found) == 5 and found.size == (12, 17) and found.channels == channels and found.lossless
        assert all(np.array_equal(a, b) for a, b in zip(found, frames, strict=True))
        for index in (3, 1, 1, 4, 0):  # any order: a compressed one starts again
            assert np.array_equal(found[index], frames[index])
        with pytest.raises(IndexError):
            found[5]


def test_reads_one_frame_and_channels_as_an_axis(tmp_path):
    frames = stack(count=3)
    assert np.array_equal(MhaFrames(by_sitk(tmp_path / "v.mha", frames, vector=False))[2], frames[2])
    one = MhaFrames(by_sitk(tmp_path / "one.mha", frames[0], vector=True))
    assert len(one) == 1 and np.array_equal(one[0], frames[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 5])
def test_simpleitk_reads_what_we_write(tmp_path, channels, count):
    frames = stack(count=count, channels=channels)
    path = written(tmp_path / "new" / "a.mha", frames)
    found = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(found), frames)
    assert found.GetSpacing() == (1, 1, 1) and found.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert path.read_bytes() == written(tmp_path / "b.mha", frames).read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["a.mha"]


def test_memory_is_flat(tmp_path):
    size, count = (128, 256), 60
    frame = stack(1, size)[0]
    path = tmp_path / "a.mha"
    tracemalloc.start()
    with MhaWriter(path, size=size, count=count) as writer:
        for index in range(count):
            writer.put(np.roll(frame, index, 1))
    for index, found in enumerate(MhaFrames(path)):
        assert np.array_equal(found, np.roll(frame, index, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < count * frame.nbytes / 2


HEADER = {
    "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "CompressedData": "False", "DimSize": "17 12 5",
    "ElementNumberOfChannels": "3", "ElementType": "MET_UCHAR", "ElementDataFile": "LOCAL",
}


def by_hand(path, data=None, **changes):
    fields = {key: value for key, value in (HEADER | changes).items() if value is not None}
    if "ElementDataFile" in fields:  # always the last line
        fields["ElementDataFile"] = fields.pop("ElementDataFile")
    text = "".join(f"{key} = {value}\n" for key, value in fields.items())
    path.write_bytes(text.encode() + (stack().tobytes() if data is None else data))
    return path


@pytest.mark.parametrize(("changes", "match"), [
    ({"DimSize": "40000 1000 340"}, r"40\.8 GB, over the limit of 16 GB"),
    ({"DimSize": "17 12 40"}, "it was cut"),
    ({"DimSize": "17 12 6", "CompressedData": "True", "CompressedDataSize": "999999"}, "it was cut"),
    ({"DimSize": "1000 1000 5000", "CompressedData": "True"}, "it was cut"),
    ({"DimSize": "-17 12 5"}, "no positive whole numbers"),
    ({"DimSize": "17 0 5"}, "no positive whole numbers"),
    ({"DimSize": "17 12 999999999999"}, "no positive whole numbers"),
    ({"DimSize": "x"}, "no positive whole numbers"),
    ({"DimSize": None}, "no positive whole numbers"),
    ({"NDims": "2"}, "NDims = 2 but lists 3"),
    ({"DimSize": "20000 20000 30"}, "GB, over the limit"),
    ({"DimSize": "10000 10000 1"}, "more than is read"),
    ({"ElementNumberOfChannels": "2"}, "2 channels"),
    ({"ElementType": "MET_SHORT"}, "MET_SHORT; convert them"),
    ({"ElementType": None}, "of the type none"),
    ({"ElementDataFile": "/etc/passwd"}, "keeps its pixels in another file"),
    ({"ElementDataFile": "LIST"}, "keeps its pixels in another file"),
    ({"ElementDataFile": None}, "text header has no end"),
    ({"BinaryData": "False"}, "as text"),
    ({"HeaderSize": "-1"}, "second header"),
    ({"ObjectType": "Mesh"}, "not an image"),
])
def test_hostile_headers(tmp_path, changes, match):
    with pytest.raises(InputError, match=match) as refused:
        MhaFrames(by_hand(tmp_path / "bad.mha", **changes))
    assert "bad.mha" in str(refused.value) and "\n" not in str(refused.value)


def test_by_hand_is_read(tmp_path):
    assert np.array_equal(MhaFrames(by_hand(tmp_path / "a.mha"))[4], stack()[4])


@pytest.mark.parametrize("keep", [0.4, 0.9, 0.999])
@pytest.mark.parametrize("sized", [True, False])
def test_truncated(tmp_path, keep, sized):
    path = written(tmp_path / "a.mha", stack())
    data = path.read_bytes()
    if not sized:  # a header without the number of bytes: found when the end is met
        head, last, pixels = data.partition(b"ElementDataFile = LOCAL\n")
        lines = [line for line in head.split(b"\n") if not line.startswith(b"CompressedDataSize")]
        data = b"\n".join(lines) + last + pixels
        path.write_bytes(data)
        assert len(list(MhaFrames(path))) == 5
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match=r"a\.mha"):
        list(MhaFrames(path))


def test_checksum_and_surplus(tmp_path):
    import zlib

    packed = zlib.compress(stack().tobytes())
    path = by_hand(tmp_path / "a.mha", packed[:-4] + b"\0\0\0\0", CompressedData="True")
    with pytest.raises(InputError, match="is damaged"):
        list(MhaFrames(path))
    by_hand(path, zlib.compress(stack().tobytes() + b"more"), CompressedData="True")
    with pytest.raises(InputError, match="more than its 5 frames"):
        list(MhaFrames(path))


def test_writer_refuses_and_leaves_nothing(tmp_path):
    path, frame = tmp_path / "a.mha", stack(1)[0]
    with pytest.raises(InputError, match="1 frames were never written"), MhaWriter(path, size=(12, 17), count=2) as writer:
        writer.put(frame)
    with pytest.raises(InputError, match="fewer frames"), MhaWriter(path, size=(12, 17), count=1) as writer:
        writer.put(frame)
        writer.put(frame)
    with pytest.raises(InputError, match=r"not uint8 \(12, 17, 3\)"), MhaWriter(path, size=(12, 17), count=1) as writer:
        writer.put(frame[1:])
    assert not list(tmp_path.iterdir())
    path.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        MhaWriter(path, size=(12, 17), count=1)
    with pytest.raises(ZeroDivisionError), MhaWriter(path, size=(12, 17), count=1, overwrite=True):
        raise ZeroDivisionError
    assert path.read_text() == "precious" and len(list(tmp_path.iterdir())) == 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return written(tmp_path_factory.mktemp("mha") / "a.mha", stack(2, (4, 5)))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_is_one_sentence(whole, data):
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = whole.with_name("damaged.mha")
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        for frame in MhaFrames(path, max_gb=0.01):
            assert frame.dtype == np.uint8
    except InputError as error:
        assert "damaged.mha" in str(error)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"NDims = 3\nDimSize = ", b"ElementDataFile = LOCAL\n"]))
def test_any_bytes_are_one_sentence(whole, content, start):
    path = whole.with_name("random.mha")
    path.write_bytes(start + content)
    with pytest.raises(InputError, match=r"random\.mha"):
        MhaFrames(path)


@pytest.mark.parametrize("axes", [2, 3])
def test_where_the_pixels_lie_is_carried_over(tmp_path, axes):
    image = sitk.GetImageFromArray(stack(2) if axes == 3 else stack(1)[0], isVector=True)
    image.SetSpacing((0.5, 0.6, 2.0)[:axes])
    image.SetOrigin((1.0, -2.0, 3.25)[:axes])
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1) if axes == 3 else (0, 1, -1, 0))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    with MhaFrames(tmp_path / "a.mha") as frames:
        with MhaWriter(tmp_path / "b.mha", size=frames.size, count=len(frames), geometry=frames.geometry) as writer:
            for frame in frames:
                writer.put(frame)
        assert frames.notes == ()
    found = sitk.ReadImage(str(tmp_path / "b.mha"))
    assert found.GetDimension() == axes and found.GetSize() == image.GetSize()
    for of in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(found, of)() == pytest.approx(getattr(image, of)())


def by_header(path, *lines, dims="17 12 1"):
    count = len(dims.split())
    text = "\n".join(["ObjectType = Image", f"NDims = {count}", *lines, f"DimSize = {dims}", "ElementType = MET_UCHAR",
                      "ElementDataFile = LOCAL\n"])
    path.write_bytes(text.encode() + bytes(17 * 12 * 3 if count == 4 else 17 * 12))
    return path


def test_older_names_and_what_is_no_geometry(tmp_path):
    older = read_mha_header(by_header(tmp_path / "a.mha", "Origin = 1 2 3", "Rotation = 1 0 0 0 1 0 0 0 1"))
    assert dict(older.geometry.fields) == {"Offset": "1 2 3", "TransformMatrix": "1 0 0 0 1 0 0 0 1"}
    for wrong in ("1 2", "1 2 x", "1 2 nan", "1 2 " + "9" * 400):
        header = read_mha_header(by_header(tmp_path / "a.mha", f"Offset = {wrong}", "ElementSpacing = 1 2 3"))
        assert dict(header.geometry.fields) == {"ElementSpacing": "1 2 3"}
        assert "gives no 3 numbers as Offset, which is not carried over" in header.notes[0]
    four = read_mha_header(by_header(tmp_path / "a.mha", "ElementSpacing = 1 1 2 3", dims="3 17 12 1"))
    assert four.geometry is None and "its ElementSpacing are not carried over" in four.notes[0]
