"""Scenes from folders, archives and containers; what white means is stated; outputs resume to the same bytes."""

import io
import json
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medrestore.errors import InputError
from medrestore.io.frames.base import decode_picture, natural_key
from medrestore.io.frames.masks import hole_fraction, to_known
from medrestore.io.frames.mha import MhaFrames, MhaWriter
from medrestore.io.frames.video import VideoFrames
from medrestore.io.scenes.dreaming import dreaming_scenes
from medrestore.io.scenes.grand_challenge import (
    MASKS,
    RESULTS,
    RESULTS_SLUG,
    SCENES,
    container_scenes,
    output_place,
    read_predictions,
)
from medrestore.io.scenes.open import open_frames, open_scenes
from medrestore.io.scenes.writer import SceneWriter, encode_png, provenance_place

SURGICAL = Path(__file__).parents[4] / "shared" / "data" / "surgical"
SIZE = (12, 16)


def picture(index=0, size=SIZE):
    return np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)


def white(index=0, size=SIZE):
    """A mask, white in a square that moves along; 9 of 192 pixels."""
    mask = np.zeros(size, np.uint8)
    mask[2:5, index : index + 3] = 255
    return mask


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def refused(match, call, *args, **options):
    with pytest.raises(InputError, match=match) as error:
        call(*args, **options)
    assert "\n" not in str(error.value)


# masks

def test_meaning_is_never_guessed(tmp_path):
    hole, keep = (to_known(white(), means, "m") for means in ("hole", "keep"))
    assert hole.sum() == 192 - 9 and np.array_equal(keep, ~hole)
    assert hole_fraction(hole) == pytest.approx(9 / 192)
    refused("'hole' or 'keep'", to_known, white(), None, "m")
    save(tmp_path / "a.png", picture())
    save(tmp_path / "m.png", white())
    refused("state what white means", open_scenes, tmp_path / "a.png", mask=tmp_path / "m.png")


def test_threshold_and_values():
    assert to_known(np.array([[0, 127, 128, 255]], np.uint8), "keep", "m").tolist() == [[False, False, True, True]]
    assert to_known(np.array([[True, False]]), "keep", "m").tolist() == [[True, False]]
    refused("holds only 0 and 1", to_known, white() // 255, "keep", "m")
    refused("holds int16", to_known, white().astype(np.int16), "keep", "m")
    equal = np.repeat(white()[..., None], 3, -1)
    assert np.array_equal(to_known(equal, "keep", "m"), white() > 0)
    equal[0, 0, 1] = 3
    refused("mask in colour", to_known, equal, "keep", "m")
    assert not to_known(equal, "keep", "m", lossless=False)[0, 0]


@pytest.mark.parametrize(("pixels", "options", "match"), [
    (picture(), {}, "mask in colour"),
    (np.dstack([np.repeat(white()[..., None], 3, -1), white()]), {}, "partly transparent"),
    (white().astype(np.uint16) * 200, {}, "pixels of the kind I"),
])
def test_masks_refused(tmp_path, pixels, options, match):
    path = save(tmp_path / "m.png", pixels, **options)
    refused(rf"m\.png.*{match}", open_frames, path, kind="mask")


def test_grey_masks_of_any_kind_are_equal(tmp_path):
    Image.fromarray(white()).convert("1").save(tmp_path / "bit.png")
    Image.fromarray(white()).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(white()).convert("RGB").save(tmp_path / "rgb.png")
    Image.fromarray(white()).convert("RGBA").save(tmp_path / "rgba.png")
    for path in tmp_path.iterdir():
        assert np.array_equal(open_frames(path, kind="mask")[0], white())


def test_survey(tmp_path):
    for index, mask in enumerate([white() * 0, white(), white() * 0 + 255]):
        save(tmp_path / "f" / f"{index}.png", picture(index))
        save(tmp_path / "m" / f"{index}.png", mask)
    found = open_scenes(tmp_path / "f", mask=tmp_path / "m", means="hole")["f"].survey()
    assert found.empty == (0,) and found.full == (2,) and not found.mostly_hole
    assert found.hole_fraction == pytest.approx((9 / 192 + 1) / 3)
    refused("hides all of 1 of 3 frames", found.check)
    assert found.check(allow_full=True) is found
    empty = open_scenes(tmp_path / "f" / "0.png", mask=tmp_path / "m" / "0.png", means="hole")["0"].survey()
    refused("hides nothing", empty.check)
    full = open_scenes(tmp_path / "f" / "0.png", mask=tmp_path / "m" / "0.png", means="keep")["0"].survey()
    assert full.mostly_hole
    refused("hides all of 1", full.check)


# pictures and folders

def test_pictures_are_exact_and_upright(tmp_path):
    save(tmp_path / "a.png", picture())
    assert np.array_equal(open_frames(tmp_path / "a.png")[0], picture())
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "turned.png", picture(), exif=exif)
    assert np.array_equal(open_frames(tmp_path / "turned.png")[0], np.rot90(picture(), -1))
    save(tmp_path / "grey.png", white())
    assert np.array_equal(open_frames(tmp_path / "grey.png")[0], np.repeat(white()[..., None], 3, -1))
    assert not open_frames(save(tmp_path / "a.jpg", picture())).lossless


def test_declared_pixels_are_capped(tmp_path):
    data = bytearray(encode_png(picture()))
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "big.png").write_bytes(data)
    refused("declares over 64000000 pixels", open_frames, tmp_path / "big.png")


def test_16_bits_are_refused_not_cut(tmp_path):
    """PIL takes the upper byte of 16-bit colours without a word, and known pixels would not be what they were."""
    header, rows = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0), (b"\0" + bytes([1, 200]) * 12) * 4
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    refused(r"a\.png has 16 bits a channel", open_frames, tmp_path / "a.png")


def test_natural_order():
    assert sorted(["f10", "f9", "f010b", "f1"], key=natural_key) == ["f1", "f9", "f010b", "f10"]
    assert sorted(["2", "f", "10", "1"], key=natural_key) == ["1", "2", "10", "f"]
    long = "9" * 5000  # over what an int is made of
    assert sorted(["2" + long, "²1", long, "7"], key=natural_key) == ["7", long, "2" + long, "²1"]


@pytest.mark.parametrize("together", [True, False])
def test_pairing_by_stem(tmp_path, together):
    frames, masks = tmp_path / "f", tmp_path / ("f" if together else "m")
    for index in (0, 5, 10):
        save(frames / f"video01_{index:06d}_frame.png", picture(index))
        save(masks / f"video01_{index:06d}_mask.png", white(index))
        save(frames / f"gt_video01_{index:06d}.png", picture(index + 1))
    with open_scenes(frames, mask=None if together else masks, means="hole") as scenes, scenes["f"] as scene:
        assert scene.count == 3 and scene.size == SIZE and scene.frame_name(1) == "video01_000005_frame"
        for at, index in enumerate((0, 5, 10)):
            assert torch.equal(scene.frame(at), torch.from_numpy(picture(index)).permute(2, 0, 1))
            assert np.array_equal(scene.mask(at)[0].numpy(), white(index) == 0)
            assert torch.equal(scene.truth(at), torch.from_numpy(picture(index + 1)).permute(2, 0, 1))
    (masks / "video01_000005_mask.png").rename(masks / "video01_000006_mask.png")
    scenes = open_scenes(frames, mask=masks, means="hole")
    refused("none of which is named like video01_000005_frame.png", scenes.__getitem__, "f")
    (masks / "video01_000006_mask.png").unlink()
    refused("has 3 frames and .* 2 pictures", open_scenes(frames, mask=masks, means="hole").__getitem__, "f")


def test_one_mask_for_all(tmp_path):
    for index in range(3):
        save(tmp_path / "f" / f"{index}.png", picture(index))
    mask = save(tmp_path / "m.png", white())
    scene = open_scenes(tmp_path / "f", mask=mask, means="hole")["f"]
    assert all(torch.equal(scene.mask(index), scene.mask(0)) for index in range(3))
    refused("comes without masks", open_scenes(tmp_path / "f", means="hole").__getitem__, "f")
    save(mask, white(size=(12, 15)))
    refused("is 16 x 12 but its mask .* is 15 x 12", open_scenes(tmp_path / "f", mask=mask, means="hole").__getitem__, "f")
    save(tmp_path / "f" / "1.png", picture(size=(10, 10)))
    refused("is 10 x 10 but the first", list, open_frames(tmp_path / "f"))
    refused("of no kind that is read", open_frames, save(tmp_path / "a.bmp", picture()))


@pytest.mark.skipif(not SURGICAL.exists(), reason="needs the real frames beside the checkout")
def test_real_frames():
    with open_scenes(SURGICAL / "frames", mask=SURGICAL / "masks", means="hole") as scenes, scenes["frames"] as scene:
        assert scene.count == 4 and scene.size == (360, 640)
        survey = scene.survey().check()
        assert 0 < survey.hole_fraction < 0.5 and not survey.mostly_hole


@settings(max_examples=200, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG"]))
def test_any_damage_is_one_sentence(data, kind):
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels, _ = decode_picture(bytes(content[: data.draw(st.integers(0, len(content)))]), "x.png")
        assert pixels.dtype == np.uint8 and pixels.ndim == 3
    except InputError as error:
        assert "x.png" in str(error)


# DREAMING

def scene_files(name, count=3, obstructed="input", truth=True):
    """path -> bytes of a scene as in the download."""
    files = {}
    for index in range(count):
        buffer = io.BytesIO()
        Image.fromarray(picture(index)).save(buffer, "JPEG")
        number = f"{index + 9}"  # 9, 10, 11: a plain sort would put 9 last
        files[f"{name}/mask/{number}.png"] = encode_png(255 - white(index))
        if truth:
            files[f"{name}/gt/{number}.jpg"] = buffer.getvalue()
        if obstructed:
            files[f"{name}/{obstructed}/{number}.jpg"] = buffer.getvalue()
    return files | {f"{name}/pose.json": b"{}", f"{name}/depth/0.exr": b"", f"{name}/gt/.DS_Store": b""}


def archive(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return buffer.getvalue()


def place(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


FIRST = scene_files("scene_0000") | scene_files("scene_0001", obstructed="rgb")
SECOND = scene_files("scene_0010", obstructed=None)


def under(folder, files):
    return {f"{folder}/{name}": data for name, data in files.items()}


INNER = {"DREAMING_training_0000-0009.zip": archive(under("DREAMING_training_0000-0009", FIRST)),
         "DREAMING_training_0010-0019.zip": archive(under("DREAMING_training_0010-0019", SECOND))}


@pytest.mark.parametrize("files", [
    {"files-archive": archive(INNER, zipfile.ZIP_STORED)},
    {"files-archive": archive(INNER)},
    INNER,
    under("DREAMING_training_0000-0009", FIRST) | under("DREAMING_training_0010-0019", SECOND),
    FIRST | SECOND,
], ids=["zip of stored zips", "zip of packed zips", "zips", "unpacked", "flattened"])
def test_dreaming_layouts(tmp_path, files):
    root = place(tmp_path / "d", files)
    root = root / "files-archive" if "files-archive" in files else root
    with open_scenes(root, dataset="dreaming") as scenes:
        assert list(scenes) == ["scene_0000", "scene_0001", "scene_0010"]
        for name, scene in scenes.items():
            assert scene.count == 3 and scene.size == SIZE
            assert scene.sidecars == ("depth/", "pose.json")
            for index in (2, 0):
                assert np.array_equal(scene.mask(index)[0].numpy(), white(index) == 0)
                made = scene.truth(index) * scene.mask(index) if name == "scene_0010" else scene.truth(index)
                assert torch.equal(scene.frame(index), made)
        assert [scene.notes != () for scene in scenes.values()] == [False, False, True]
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == sorted({name.split("/")[0] for name in files})


def test_dreaming_one_scene_and_stated_meaning(tmp_path):
    place(tmp_path, FIRST)
    root = tmp_path / "scene_0000"
    refused("state what white means", open_scenes, root)
    scene = open_scenes(root, means="hole")["scene_0000"]
    assert torch.equal(scene.mask(0), ~open_scenes(root, dataset="dreaming")["scene_0000"].mask(0))


def test_dreaming_refusals(tmp_path):
    refused("scene_0000 twice", dreaming_scenes, place(tmp_path / "twice", under("a", FIRST) | under("b", FIRST)))
    refused("holds no scene", dreaming_scenes, place(tmp_path / "none", {"x/y.txt": b""}))
    cut = place(tmp_path / "cut", {"files.zip": archive(FIRST)[:-500]})
    refused("no complete zip", dreaming_scenes, cut / "files.zip")
    uneven = place(tmp_path / "uneven", {name: data for name, data in FIRST.items() if not name.endswith("0/mask/9.png")})
    refused("has 3 frames but .* has 2", dreaming_scenes(uneven).__getitem__, "scene_0000")
    packed = bytearray(archive(FIRST))
    at = packed.index(b"scene_0000/mask/9.png") + 30
    packed[at : at + 20] = b"\xff" * 20
    hurt = place(tmp_path / "hurt", {"files.zip": bytes(packed)})
    refused("scene_0000/mask/9.png", dreaming_scenes(hurt / "files.zip").__getitem__, "scene_0000")
    refused("over the limit", dreaming_scenes, place(tmp_path / "big", {"f": archive(INNER)}) / "f", max_gb=1e-6)


@pytest.mark.parametrize("odd", ["", ".", "/", "/mask/9.png", "//x", "../up/mask/9.png"])
def test_odd_names_in_archives(tmp_path, odd):
    """They neither stop the reading nor name a place outside."""
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as packed:
        for name, data in {odd: encode_png(white()), odd.replace("mask", "gt"): encode_png(picture())}.items() | FIRST.items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            packed.writestr(info, data)
    with dreaming_scenes(tmp_path / "f.zip") as scenes:
        assert set(scenes) - {"f"} == {"scene_0000", "scene_0001"}


def test_bomb_in_archive(tmp_path):
    files = FIRST | {"scene_0000/gt/9.jpg": bytes(20_000_000)}
    root = place(tmp_path, {"f.zip": archive(files)}) / "f.zip"
    refused(r"9\.jpg", dreaming_scenes(root).__getitem__, "scene_0000")


@pytest.mark.parametrize("seed", range(20))
def test_damaged_archives(tmp_path, seed):
    random = np.random.default_rng(seed)
    content = bytearray(archive(INNER, zipfile.ZIP_STORED))
    for at in random.integers(0, len(content), 30):
        content[at] = random.integers(0, 256)
    (tmp_path / "f.zip").write_bytes(content[: int(random.integers(len(content) // 2, len(content) + 1))])
    try:
        with dreaming_scenes(tmp_path / "f.zip") as scenes:
            for scene in scenes.values():
                list(scene.frames())
                scene.survey()
    except InputError as error:
        assert "f.zip" in str(error)


# containers

def write_stack(path, arrays):
    with MhaWriter(path, size=arrays[0].shape[:2], count=len(arrays), channels=3 if arrays[0].ndim == 3 else 1) as writer:
        for array in arrays:
            writer.put(array)


def container(root, counts, *, names=None):
    for index, count in enumerate(counts):
        scene, mask = names[index] if names else (f"{index}-aaaa", f"{9 - index}-bbbb")
        write_stack(root / "images" / SCENES / f"{scene}.mha", [picture(index + t) for t in range(count)])
        write_stack(root / "images" / MASKS / f"{mask}.mha", [255 - white(index)] * count)


def job(pk, scene, mask, folder=f"images/{RESULTS}"):
    def entry(name, slug, path):
        return {"image": {"name": name}, "interface": {"slug": slug, "relative_path": path}}

    inputs = [entry(scene, SCENES, f"images/{SCENES}"), entry(mask, MASKS, f"images/{MASKS}")]
    return {"pk": pk, "inputs": inputs, "outputs": [entry("out", RESULTS_SLUG, folder)], "status": "Succeeded"}


def test_container_pairs_by_what_they_are(tmp_path):
    container(tmp_path, [2, 3])
    with open_scenes(tmp_path, means="keep") as scenes:
        assert list(scenes) == ["0-aaaa", "1-aaaa"]
        assert [scene.count for scene in scenes.values()] == [2, 3]
        assert np.array_equal(scenes["1-aaaa"].mask(2)[0].numpy(), white(1) == 0)
    assert output_place("o", "0-aaaa").as_posix() == f"o/images/{RESULTS}/0-aaaa.mha"


def test_container_is_not_guessed(tmp_path):
    container(tmp_path, [2, 2])
    refused("fits 2 of 2 masks", container_scenes, tmp_path, meaning="keep")
    jobs = [job("p0", "0-aaaa.mha", "8-bbbb.mha"), job("p1", "1-aaaa.mha", "9-bbbb.mha")]
    (tmp_path / "predictions.json").write_text(json.dumps(jobs))
    scenes = container_scenes(tmp_path, meaning="keep")
    assert np.array_equal(scenes["0-aaaa"].mask(0)[0].numpy(), white(1) == 0)
    (tmp_path / "images" / MASKS / "8-bbbb.mha").unlink()
    refused("2 stacks and 1 masks", container_scenes, tmp_path, meaning="keep")


def test_platform_names(tmp_path):
    for number in ("0092", "0096"):
        for role, make in (("input", picture), ("mask", lambda t: 255 - white(t)), ("gt", picture)):
            write_stack(tmp_path / f"{role}_scene_{number}.mha", [make(t) for t in range(2)])
    with open_scenes(tmp_path, dataset="dreaming") as scenes:
        assert list(scenes) == ["input_scene_0092", "input_scene_0096"]
        assert torch.equal(scenes["input_scene_0096"].truth(1), scenes["input_scene_0096"].frame(1))


@pytest.mark.parametrize("text", ["", "[", "{}", "[1]", '[{"pk": 1}]', json.dumps([job("../x", "a", "b")]),
                                  json.dumps([job("p", "a/b", "b")]), json.dumps([job("p", "a", "b", "../../etc")]), "[" * 9999])
def test_predictions_are_guarded(tmp_path, text):
    path = tmp_path / "predictions.json"
    path.write_text(text)
    if text == "{}":
        assert read_predictions(path) == []
    else:
        refused("no predictions.json", read_predictions, path)


# outputs

FRAMES = [torch.from_numpy(picture(index)).permute(2, 0, 1) for index in range(5)]
READERS = {"png": open_frames, "mha": MhaFrames, "ffv1": VideoFrames}


@pytest.mark.parametrize(("name", "kind"), [("out", "png"), ("out.mha", "mha"), ("out.mkv", "ffv1")])
def test_killed_and_resumed_gives_the_same_bytes(tmp_path, name, kind):
    def writer(folder, **options):
        return SceneWriter(tmp_path / folder / name, size=SIZE, count=5, key="k", **options)

    def bytes_of(folder):
        root = tmp_path / folder
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    with writer("whole") as output:
        output.provenance["seed"] = 3
        for index, frame in enumerate(FRAMES):
            output.put(index, frame)
    with pytest.raises(KeyboardInterrupt), writer("killed") as output:
        output.put(0, FRAMES[0])
        output.put(3, FRAMES[3])
        raise KeyboardInterrupt
    assert not (tmp_path / "killed" / name).exists()
    with writer("killed", resume=True) as output:
        assert output.done == {0, 3} and torch.equal(output.read(3), FRAMES[3])
        output.provenance["seed"] = 3
        for index in set(range(5)) - output.done:
            output.put(index, FRAMES[index])
    assert bytes_of("whole") == bytes_of("killed")
    assert json.loads(provenance_place(tmp_path / "whole" / name, kind).read_text()) == {"seed": 3}
    with READERS[kind](tmp_path / "whole" / name) as found:
        assert all(np.array_equal(a, b.permute(1, 2, 0)) for a, b in zip(found, FRAMES, strict=True))


@pytest.mark.parametrize("done", [True, False])
def test_the_stage_is_locked_until_it_is_gone(tmp_path, monkeypatch, done):
    """Else another run could begin in it, and lose its frames."""
    fcntl, seen = pytest.importorskip("fcntl"), []

    def removed(folder, **options):
        with (Path(folder) / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(Path(folder).name)
        return remove(folder, **options)

    writer, remove = SceneWriter(tmp_path / "o.mha", size=SIZE, count=1), shutil.rmtree
    writer.put(0, FRAMES[0])
    monkeypatch.setattr(shutil, "rmtree", removed)
    (writer.close if done else writer.discard)()
    assert seen == ["o.mha.part"] and [path.name for path in tmp_path.iterdir()] == ["o.mha", "o.mha.json"] * done


def test_output_is_whole_or_not_there(tmp_path):
    out = tmp_path / "o"

    def writer(**options):
        return SceneWriter(out, **({"size": SIZE, "count": 1} | options))

    with pytest.raises(InputError, match="bad frame"), writer() as output:
        output.put(0, FRAMES[0])
        raise InputError("bad frame")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="never written"), writer():
        pass
    with pytest.raises(ZeroDivisionError), writer(key="a") as output:
        output.put(0, FRAMES[0])
        raise ZeroDivisionError
    with writer(key="b", resume=True) as output:  # another plan's frames are dropped
        assert not output.done
        refused("written by another run", writer, key="b", resume=True)
        output.put(0, FRAMES[0])
    with pytest.raises(InputError, match="exists already"):
        writer()
    with writer(overwrite=True, names=lambda index: "one") as output:
        output.put(0, FRAMES[1])
    assert sorted(path.name for path in out.iterdir()) == ["one.png", "provenance.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["o"]
    (tmp_path / "o.old").mkdir()
    (tmp_path / "o.old" / "mine").touch()
    with writer(overwrite=True) as output:
        output.put(0, FRAMES[2])
    assert (tmp_path / "o.old" / "mine").exists()  # only names of our own are used and removed
    refused("of another kind", writer, overwrite=True, kind="mha")
    refused("even width and height, not 17 x 12", SceneWriter, tmp_path / "o.mp4", size=(12, 17), count=1)  # before any frame
    refused("names no kind", SceneWriter, tmp_path / "o.gif", size=SIZE, count=1)
    refused("two frames would have one name", SceneWriter, tmp_path / "p", size=SIZE, count=2, names=lambda index: "same")
