"""Folders and groups of files become complete out of sight; stages of killed runs are known by their marker."""

import os
import threading
from pathlib import Path

import pytest
from helpers.disk import ROOM, contents, full_disk
from helpers.stages import abandoned, posix, write_folder, write_output

from medrestore.errors import InputError
from medrestore.files import Busy, Stage, new_folder, new_output, recover, recover_all, unfinished
from medrestore.files import stages as module


def test_files_appear_together(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder" / "a.h5"
    with new_output(out) as folder:
        assert list(folder.iterdir()) == []
        (folder / "a.h5").write_text("image")
        (folder / "a.png").write_text("picture")
        assert all(path.name.startswith(".a.h5.") for path in out.parent.iterdir())
    assert contents(out.parent) == {"a.h5": "image", "a.png": "picture"}


@pytest.mark.parametrize("error", [InputError("bad"), ZeroDivisionError(), KeyboardInterrupt()])
def test_failures_leave_nothing_and_keep_the_old(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "a.h5").write_text("old")
    for out in (tmp_path / "a.h5", tmp_path / "new" / "a.h5"):
        with pytest.raises(type(error)), new_output(out) as folder:
            (folder / "a.h5").write_text("new")
            raise error
        with pytest.raises(type(error)), new_folder(out.with_suffix("")) as folder:
            (folder / "a.txt").write_text("new")
            raise error
    assert contents(tmp_path) == {"a.h5": "old"}


def test_old_side_files_never_stand_beside_a_new_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two renames, an output lacks its picture; it never shows another run's."""
    write_output(tmp_path / "a.h5", "old")
    done = []

    def once(source: Path, target: Path) -> None:
        done.append(target.name)
        if len(done) == 2:
            raise KeyboardInterrupt
        source.rename(target)

    monkeypatch.setattr(module.os, "replace", once)
    with pytest.raises(KeyboardInterrupt):
        write_output(tmp_path / "a.h5", "new")
    assert contents(tmp_path) == {"a.h5": "new"} and done == ["a.h5", "a.png"]


@pytest.mark.parametrize("name", ["a.h5", "a.png"])
def test_files_that_may_not_be_replaced_stay(tmp_path: Path, name: str) -> None:
    """Even if they appeared while the output was made."""
    with pytest.raises(InputError, match=rf"{name} exists already"), new_output(tmp_path / "a.h5") as folder:
        (folder / "a.h5").write_text("new")
        (folder / "a.png").write_text("new")
        (tmp_path / name).write_text("precious")
    assert contents(tmp_path) == {name: "precious"}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    with new_output(out) as folder:
        (folder / "a.h5").write_text("first")
        for begin in (Stage, lambda out: write_folder(out, "x"), lambda out: write_output(out, "x")):
            with pytest.raises(Busy, match=r"a\.h5 is being written by another run"):
                begin(out)
        with pytest.raises(Busy):
            recover(out)
        recover_all(tmp_path)
        assert (folder / "a.h5").read_text() == "first"
    assert contents(tmp_path) == {"a.h5": "first"}


def test_a_stage_is_gone_before_another_run_may_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it could begin in it, and lose what it writes."""
    stage, seen = Stage(tmp_path / "o"), []

    def leave() -> None:
        seen.append(stage.folder.exists())
        Stage.leave(stage)

    monkeypatch.setattr(stage, "leave", leave)
    stage.remove()
    assert seen == [False] and contents(tmp_path) == {}


def test_two_writers_at_once_leave_one_complete_output(tmp_path: Path) -> None:
    start, refused = threading.Barrier(4), []

    def write(text: str) -> None:
        start.wait(timeout=20)
        for _ in range(5):
            try:
                write_folder(tmp_path / "folder", text, replace=True)
                write_output(tmp_path / "a.h5", text)
            except Busy as busy:
                refused.append(busy)

    threads = [threading.Thread(target=write, args=(text,)) for text in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = contents(tmp_path)
    assert found.keys() <= {"folder/inner/a.txt", "a.h5", "a.png"} and found["folder/inner/a.txt"] in "abcd"
    assert "a.h5" not in found or found["a.png"] == f"picture of {found['a.h5']}"


def test_sentences_name_the_output(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    with pytest.raises(InputError, match=rf"^{out} is bad$"), new_output(out) as folder:
        raise InputError(f"{folder / 'a.h5'} is bad")
    with (
        pytest.raises(InputError, match=rf"^{tmp_path / 'b' / 'c.txt'} is bad$"),
        new_folder(tmp_path / "b") as folder,
    ):
        raise InputError(f"{folder / 'c.txt'} is bad")
    (tmp_path / "file").write_text("")
    for make in (new_output, new_folder):
        with pytest.raises(InputError, match="cannot be written"), make(tmp_path / "file" / "a.h5"):
            pass


@posix
def test_a_full_disk_is_a_sentence_and_the_old_stays(tmp_path: Path) -> None:
    write_output(tmp_path / "a.h5", "old")
    write_folder(tmp_path / "b", "old")
    before = contents(tmp_path)
    with full_disk():
        with pytest.raises(InputError, match=rf"^{tmp_path}/a\.h5 cannot be written \(file too large\)"):
            write_output(tmp_path / "a.h5", "x" * 2 * ROOM)
        with pytest.raises(InputError, match=rf"^{tmp_path}/b cannot be written \(file too large\)"):
            write_folder(tmp_path / "b", "x" * 2 * ROOM, replace=True)
    assert contents(tmp_path) == before


def test_a_folder_is_replaced_when_it_may_be(tmp_path: Path) -> None:
    out = tmp_path / "new" / "b"
    write_folder(out, "first")
    with pytest.raises(InputError, match="b exists already"):
        write_folder(out, "second")
    assert contents(tmp_path) == {"new/b/inner/a.txt": "first"}
    write_folder(out, "second", replace=True)
    assert contents(tmp_path) == {"new/b/inner/a.txt": "second"}
    with pytest.raises(InputError, match=r"a\.txt is no folder"):
        write_folder(out / "inner" / "a.txt", "third", replace=True)


def test_a_folder_that_appeared_in_the_meantime_stays(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="b exists already"), new_folder(tmp_path / "b") as folder:
        (folder / "a.txt").write_text("new")
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "photo.png").write_text("precious")
    assert contents(tmp_path) == {"b/photo.png": "precious"}


def test_a_folder_that_cannot_be_renamed_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "b", "old")
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if source.name == "new":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(module.os, "replace", refuse)
    with pytest.raises(InputError, match="b cannot be written"):
        write_folder(tmp_path / "b", "new", replace=True)
    assert contents(tmp_path) == {"b/inner/a.txt": "old"}


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_folder(tmp_path / "b", "x")
        write_output(tmp_path / "c" / "a.h5", "x")
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")
    }
    assert modes == {
        "b": 0o750,
        "b/inner": 0o750,
        "b/inner/a.txt": 0o640,
        "b/.medrestore": 0o640,
        "c": 0o750,
        "c/a.h5": 0o640,
        "c/a.png": 0o640,
    }


def test_outputs_whose_names_begin_alike_do_not_mix(tmp_path: Path) -> None:
    left = abandoned(tmp_path / "a.h5")
    assert unfinished(tmp_path / "a.h5") and not unfinished(tmp_path / "a")
    write_folder(tmp_path / "a", "x")
    assert left.folder.exists()
    recover(tmp_path / "a.h5")
    assert contents(tmp_path) == {"a/inner/a.txt": "x"}


@pytest.mark.parametrize("name", ["a b", "ä[x]*?", "a" * 250])
def test_any_name_can_be_written_and_recovered(tmp_path: Path, name: str) -> None:
    abandoned(tmp_path / name)
    assert unfinished(tmp_path / name)
    write_folder(tmp_path / name, "x")
    assert contents(tmp_path) == {f"{name}/inner/a.txt": "x"}
