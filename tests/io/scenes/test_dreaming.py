"""The layouts of the DREAMING download."""

import io
import tempfile
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from helpers.pictures import SIZE, picture, refused, white
from PIL import Image

from medrestore.errors import InputError
from medrestore.io.scenes.dreaming import dreaming_scenes
from medrestore.io.scenes.open import open_scenes
from medrestore.io.scenes.writer import encode_png


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


def test_an_archive_in_an_archive_that_grows(tmp_path, monkeypatch):
    """1 MB that would fill the disk of temporary files."""
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: pytest.fail("something was unpacked"))
    root = place(tmp_path, {"f.zip": archive({"inner.zip": bytes(50_000_000)}), **{}}) / "f.zip"
    refused(r"inner\.zip unpacks \d+ bytes to 50000000, which no archive of pictures does", dreaming_scenes, root)
    many = {f"{k}.zip": archive(FIRST, zipfile.ZIP_STORED) for k in range(4)}
    root = place(tmp_path, {"g.zip": archive(many)}) / "g.zip"
    refused("unpack to .* together, over the limit of 1e-05 GB", partial(dreaming_scenes, max_gb=1e-5), root)
