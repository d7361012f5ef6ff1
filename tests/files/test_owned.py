"""A folder is ours by its marker alone, and only as far as the marker lists what is in it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.disk import contents

from medrestore.errors import InputError
from medrestore.files import MARKER, check_claimed, check_own, claim, is_own, new_folder, remove_own


def published(out: Path) -> Path:
    with new_folder(out) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "a.txt").write_text("ours")
        (folder / "empty").mkdir()
    return out


def test_a_published_folder_lists_its_files(tmp_path: Path) -> None:
    out = published(tmp_path / "b")
    assert json.loads((out / MARKER).read_text()) == {"files": ["empty", "inner/a.txt"]}
    check_own(out)
    (out / "inner" / "a.txt").write_text("edited")
    (out / "empty").rmdir()
    assert is_own(out)


ADDED = {
    "file": lambda out: (out / "inner" / "notes.txt").write_text("precious"),
    "link to a file": lambda out: (out / "notes.txt").symlink_to("/etc/hostname"),
    "link to a folder": lambda out: (out / "inner" / "mine").symlink_to("/etc"),
    "empty folder": lambda out: (out / "inner" / "mine").mkdir(),
    "hidden file": lambda out: (out / ".git").mkdir(),
    "no marker": lambda out: (out / MARKER).unlink(),
    "marker of nothing": lambda out: (out / MARKER).write_text("{}"),
    "damaged marker": lambda out: (out / MARKER).write_text('{"files": ['),
    "marker that is a link": lambda out: ((out / MARKER).rename(out.parent / "m"), (out / MARKER).symlink_to("../m")),
    "marker that is a folder": lambda out: ((out / MARKER).unlink(), (out / MARKER).mkdir()),
}


@pytest.mark.parametrize("what", ADDED)
def test_what_others_have_added_is_never_lost(tmp_path: Path, what: str) -> None:
    out = published(tmp_path / "b")
    ADDED[what](out)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"b (holds|was not written by)"), new_folder(out, replace=True):
        pass
    assert not remove_own(out) and contents(tmp_path) == before


def test_what_is_added_while_a_run_is_at_work_stays(tmp_path: Path) -> None:
    out = published(tmp_path / "b")
    with pytest.raises(InputError, match=r"b holds notes\.txt"), new_folder(out, replace=True) as folder:
        (folder / "a.txt").write_text("new")
        (out / "notes.txt").write_text("precious")
    assert contents(tmp_path) == {"b/inner/a.txt": "ours", "b/notes.txt": "precious", "b/empty/": ""}


def test_a_link_in_the_place_of_an_output_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "photo.png").write_text("precious")
    (tmp_path / "b").symlink_to("mine")
    with new_folder(tmp_path / "b", replace=True) as folder:
        (folder / "a.txt").write_text("new")
    assert contents(tmp_path) == {"b/a.txt": "new", "mine/photo.png": "precious"}


def test_an_empty_folder_is_room(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    assert is_own(tmp_path / "b")
    published(tmp_path / "b")
    assert is_own(tmp_path / "b") and not is_own(tmp_path / "missing")
    assert remove_own(tmp_path / "b") and contents(tmp_path) == {}


def test_a_claimed_folder_takes_one_kind(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    claim(folder, "training run")
    (folder / "log.csv").write_text("x")
    claim(folder, "training run")
    check_claimed(folder, "training run")
    with pytest.raises(InputError, match=r"run holds log\.csv and is no study of medrestore"):
        claim(folder, "study")


@pytest.mark.parametrize("name", ["photo.png", ".git", "checkpoints/", MARKER])
def test_a_folder_of_others_is_not_claimed(tmp_path: Path, name: str) -> None:
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("precious")
    before = contents(tmp_path)
    for check in (claim, check_claimed):
        with pytest.raises(InputError, match="is no training run of medrestore, so nothing is written there"):
            check(tmp_path, "training run")
    assert contents(tmp_path) == before


def test_a_marker_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / MARKER).symlink_to("../mine")
    with pytest.raises(InputError, match="is no training run"):
        claim(tmp_path / "run", "training run")
    assert not (tmp_path / "mine").exists()


def test_what_is_no_folder_is_not_claimed(tmp_path: Path) -> None:
    check_claimed(tmp_path / "missing", "study")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="file is no folder"):
        check_claimed(tmp_path / "file", "study")
    with pytest.raises(InputError, match="cannot be written"):
        claim(tmp_path / "file" / "run", "study")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"run cannot be written \(Permission denied\)"):
        claim(tmp_path / "run", "study")


@pytest.mark.parametrize("before", range(5))
def test_a_folder_whose_removal_was_cut_short_is_still_ours(
    tmp_path: Path, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has been removed when the process dies, the next one removes the rest."""
    out, done = published(tmp_path / "b"), []

    def killed(event: str, remove: Callable[..., None]) -> Callable[..., None]:
        def one(*words: Any, **options: Any) -> None:
            if len(done) == before:
                raise KeyboardInterrupt
            done.append(event)
            remove(*words, **options)

        return one

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for name in ("unlink", "rmdir"):
            patch.setattr(os, name, killed(name, getattr(os, name)))
        remove_own(out)
    assert out.exists() and len(done) == before
    assert remove_own(out) and not out.exists()
