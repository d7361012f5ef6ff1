"""What the system refuses is one sentence."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.disk import contents

from medrestore.errors import InputError
from medrestore.files import explained, final_names, new_file, no_room
from medrestore.files.system import is_running, make_folders, remove_empty, sync_tree


def wrapped() -> RuntimeError:
    """As by a library that keeps the system's words and nothing else."""
    return RuntimeError(f"I/O error: {os.strerror(errno.ENOSPC)} (os error 28)")


def chained() -> InputError:
    """As by a module that explains the error of the system."""
    try:
        try:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        except OSError as error:
            raise InputError("a.png cannot be drawn") from error
    except InputError as error:
        return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "no space left on device"),
        (OSError(errno.EFBIG, "x"), "file too large"),
        (wrapped(), "no space left on device"),
        (chained(), "disk quota exceeded"),
        (OSError(errno.EACCES, "x"), None),
        (InputError("bad"), None),
        (None, None),
    ],
)
def test_a_full_disk_is_recognised(error: BaseException | None, words: str | None) -> None:
    assert no_room(error) == words


@pytest.mark.parametrize(
    ("error", "full_only", "sentence"),
    [
        (wrapped(), True, "out/a cannot be written (no space left on device); try another disk"),
        (chained(), True, "out/a cannot be written (disk quota exceeded); try another disk"),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            False,
            "out/a cannot be written (Permission denied); try another disk",
        ),
        (OSError("odd"), False, "out/a cannot be written (odd); try another disk"),
        (InputError("bad input"), False, "bad input"),
    ],
)
def test_errors_that_are_explained(error: Exception, full_only: bool, sentence: str) -> None:
    with (
        pytest.raises(InputError) as caught,
        explained(Path("out/a"), "try another disk", full_only=full_only),
    ):
        raise error
    assert str(caught.value) == sentence


def test_errors_that_are_not(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), explained(tmp_path):
        raise ZeroDivisionError
    with pytest.raises(PermissionError), explained(tmp_path, full_only=True):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_sentence_is_not_explained_twice(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"cannot be written \(no space left on device\); inner$"),
        explained(tmp_path, "outer"),
        explained(tmp_path, "inner"),
    ):
        raise wrapped()


def test_folders_that_were_created_are_removed_while_empty(tmp_path: Path) -> None:
    created = make_folders(tmp_path / "a" / "b" / "c")
    assert [folder.name for folder in created] == ["c", "b", "a"]
    assert make_folders(tmp_path / "a" / "b" / "c") == []
    (tmp_path / "a" / "file").write_text("x")
    remove_empty(created)
    assert contents(tmp_path) == {"a/file": "x"}
    with pytest.raises(OSError, match="Not a directory"):
        make_folders(tmp_path / "a" / "file" / "b")


def test_all_files_of_a_folder_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    (tmp_path / "c").symlink_to("nowhere")
    seen = []
    monkeypatch.setattr(
        "medrestore.files.system.sync", lambda path: seen.append(path.relative_to(tmp_path).as_posix())
    )
    sync_tree(tmp_path)
    assert sorted(seen) == [".", "a", "a/b"]


def test_messages_name_the_final_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^out/a\.h5 is cut short$"), final_names(Path("temporary"), Path("out")):
        raise InputError("temporary/a.h5 is cut short")
    with pytest.raises(InputError, match=r"^b is bad$"), final_names(Path("temporary"), Path("out")):
        raise InputError("b is bad")
    with pytest.raises(InputError, match=rf"^{tmp_path}/c has no such column$"), new_file(tmp_path / "c") as place:
        raise InputError(f"{place} has no such column")


def test_a_process_that_is_there_is_told_from_one_that_is_not() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_running(os.getpid()) and is_running(1)
    assert not is_running(ended.pid) and not is_running(10**30)
