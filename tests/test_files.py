"""Outputs become whole out of sight."""

import pytest

from medrestore.errors import InputError
from medrestore.files import LOCK, Busy, staged


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_files_appear_together(tmp_path):
    out = tmp_path / "new" / "folder" / "a.h5"
    with staged(out) as folder:
        (folder / "a.h5").write_text("image")
        (folder / "a.png").write_text("picture")
        assert [path.name for path in out.parent.iterdir()] == ["a.h5.part"]
    assert contents(out.parent) == {"a.h5": "image", "a.png": "picture"}


def test_what_a_killed_run_left_is_gone(tmp_path):
    left = tmp_path / "a.h5.part"
    left.mkdir()
    for name in ("a.h5.part", "a.png", LOCK):
        (left / name).write_text("half")
    with staged(tmp_path / "a.h5") as folder:
        assert [path.name for path in folder.iterdir()] == [LOCK]
        (folder / "a.h5").write_text("image")
    assert contents(tmp_path) == {"a.h5": "image"}


@pytest.mark.parametrize("error", [InputError("bad"), ZeroDivisionError(), KeyboardInterrupt()])
def test_failures_leave_nothing_and_keep_the_old(tmp_path, error):
    (tmp_path / "a.h5").write_text("old")
    for out in (tmp_path / "a.h5", tmp_path / "new" / "a.h5"):
        with pytest.raises(type(error)), staged(out) as folder:
            (folder / "a.h5").write_text("new")
            raise error
    assert contents(tmp_path) == {"a.h5": "old"}


def test_old_side_files_never_stand_beside_a_new_output(tmp_path, monkeypatch):
    """Killed between two renames, an output lacks its picture and is done again; it never shows another run's."""
    for name in ("a.h5", "a.png"):
        (tmp_path / name).write_text("old")
    done = []

    def once(source, target):
        done.append(target.name)
        if len(done) == 2:
            raise KeyboardInterrupt
        source.rename(target)

    monkeypatch.setattr("medrestore.files.os.replace", once)
    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "a.h5") as folder:
        (folder / "a.h5").write_text("new")
        (folder / "a.png").write_text("new")
    assert contents(tmp_path) == {"a.h5": "new"} and done == ["a.h5", "a.png"]


def test_one_run_at_a_time(tmp_path):
    pytest.importorskip("fcntl")
    out = tmp_path / "a.h5"
    with staged(out) as folder:
        (folder / "a.h5").write_text("first")
        with pytest.raises(Busy, match=r"a\.h5 is being written by another run"), staged(out):
            pass
        assert (folder / "a.h5").exists()
    assert contents(tmp_path) == {"a.h5": "first"}


def test_sentences_name_the_output(tmp_path):
    out = tmp_path / "a.h5"
    with pytest.raises(InputError, match=rf"^{out} is bad$"), staged(out) as folder:
        raise InputError(f"{folder / 'a.h5'} is bad")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), staged(tmp_path / "file" / "a.h5"):
        pass
