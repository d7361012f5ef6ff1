"""Restored scenes on disk: published atomically, resumed frame by frame."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disk import full_disk
from helpers.pictures import SIZE, picture, refused

from medrestore.errors import InputError
from medrestore.files import Busy, exclusive
from medrestore.io.frames.mha import MhaFrames
from medrestore.io.frames.video import VideoFrames
from medrestore.io.scenes.open import open_frames
from medrestore.io.scenes.writer import SceneWriter, provenance_place

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
    record = json.loads(provenance_place(tmp_path / "whole" / name, kind).read_text())
    assert record.pop("files").keys() == ({name} if kind != "png" else {f"{index:06d}.png" for index in range(len(FRAMES))})
    assert record == {"seed": 3}
    with READERS[kind](tmp_path / "whole" / name) as found:
        assert all(np.array_equal(a, b.permute(1, 2, 0)) for a, b in zip(found, FRAMES, strict=True))


@pytest.mark.parametrize("done", [True, False])
def test_the_output_is_locked_until_the_stage_is_gone(tmp_path, monkeypatch, done):
    """Else another run could begin in it, and lose its frames."""
    seen = []

    def removed(folder, **options):
        with pytest.raises(Busy), exclusive(tmp_path / "o.mha"):
            pass
        seen.append(Path(folder).name)
        return remove(folder, **options)

    writer, remove = SceneWriter(tmp_path / "o.mha", size=SIZE, count=1), shutil.rmtree
    writer.put(0, FRAMES[0])
    monkeypatch.setattr(shutil, "rmtree", removed)
    (writer.close if done else writer.discard)()
    assert seen[-1].startswith(".o.mha.") and sorted(path.name for path in tmp_path.iterdir()) == ["o.mha", "o.mha.json"] * done


def test_what_a_user_has_at_the_old_temporary_names_stays(tmp_path):
    """The stage of an output has a name of its own, and what bears no marker of a stage is nobody's to remove."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "000000.png").write_text("precious")
    (tmp_path / "o.part").symlink_to("mine")
    (tmp_path / "o.mha.part").mkdir()
    for name in ("o", "o.mha"):
        with SceneWriter(tmp_path / name, size=SIZE, count=1, resume=True) as output:
            assert not output.done
            output.put(0, FRAMES[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "o", "o.mha", "o.mha.json", "o.mha.part", "o.part"]
    assert (tmp_path / "mine" / "000000.png").read_text() == "precious" and not list((tmp_path / "o.mha.part").iterdir())


def test_a_full_disk_keeps_the_frames_for_a_run_that_resumes(tmp_path):
    noise = torch.randint(0, 256, (3, 400, 400), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with full_disk(), pytest.raises(InputError, match=r"/o cannot be written \(file too large\); make room and resume"), \
            SceneWriter(tmp_path / "o", size=(400, 400), count=2, key="k") as output:
        output.put(0, torch.zeros_like(noise))
        output.put(1, noise)
    with SceneWriter(tmp_path / "o", size=(400, 400), count=2, key="k", resume=True) as output:
        assert output.done == {0}
        output.put(1, noise)
    names = sorted(path.name for path in tmp_path.rglob("*"))
    assert names == [".medrestore", "000000.png", "000001.png", "o", "provenance.json"]


def test_output_is_whole_or_not_there(tmp_path):
    out = tmp_path / "o"

    def writer(**options):
        return SceneWriter(out, **({"size": SIZE, "count": 1} | options))

    with pytest.raises(InputError, match="bad frame"), writer() as output:
        output.put(0, FRAMES[0])
        raise InputError("bad frame")
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]  # what was done stays
    with pytest.raises(InputError, match="bad frame"), writer():  # begun again, and nothing done
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
    assert sorted(path.name for path in out.iterdir()) == [".medrestore", "one.png", "provenance.json"]
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
