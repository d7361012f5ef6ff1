"""What killed runs leave is recovered or resumed; what is of others is left alone."""

import os
from pathlib import Path

import pytest
from helpers.disk import contents, killed
from helpers.stages import abandoned, posix, write_folder, write_output

from medrestore.errors import InputError
from medrestore.files import Busy, Stage, recover, recover_all, unfinished


@posix
def test_an_output_of_a_killed_run_is_as_it_was(tmp_path: Path) -> None:
    write_output(tmp_path / "a.h5", "old")
    before = contents(tmp_path)
    killed(
        """
from pathlib import Path
from medrestore.files import new_output
with new_output(Path(sys.argv[1])) as folder:
    (folder / "a.h5").write_text("half")
    die()
""",
        tmp_path / "a.h5",
    )
    assert contents(tmp_path).items() > before.items() and unfinished(tmp_path / "a.h5")
    write_output(tmp_path / "a.h5", "new")
    assert contents(tmp_path) == {"a.h5": "new", "a.png": "picture of new"} and not unfinished(
        tmp_path / "a.h5"
    )


@posix
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_folder_outlives_a_killed_run(tmp_path: Path, when: str) -> None:
    """Killed before, between and after the two renames that put a new folder in the place of an old one."""
    out = tmp_path / "b"
    write_folder(out, "old")
    killed(
        """
from pathlib import Path
from medrestore import files
from medrestore.files import stages
when, replace, count = sys.argv[2], os.replace, iter(range(9))
def dying(source, target):
    if next(count) == ("before", "between").index(when):
        die()
    replace(source, target)
if when == "after":
    stages.Stage.remove = die
else:
    stages.os.replace = dying
with files.new_folder(Path(sys.argv[1]), replace=True) as folder:
    (folder / "inner").mkdir()
    (folder / "inner" / "a.txt").write_text("new")
""",
        out,
        when,
    )
    assert unfinished(out) and out.exists() == (when != "between")
    recover(out)
    assert contents(tmp_path) == {"b/inner/a.txt": "new" if when == "after" else "old"} and not unfinished(
        out
    )


@pytest.mark.parametrize("planted", ["link", "folder", "file", "marked by a link", "marked for another"])
@pytest.mark.parametrize("name", ["b.part", "b.old", ".b.part", ".b.0123456789abcdef.part"])
def test_what_is_not_of_this_program_is_left_alone(tmp_path: Path, planted: str, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_text("precious")
    (tmp_path / "mine" / ".medrestore").write_text("b\n")  # a stage elsewhere, that a link leads to
    place = tmp_path / name
    if planted == "link":
        place.symlink_to("mine")
    elif planted == "file":
        place.write_text("precious")
    else:
        place.mkdir()
        (place / "photo.png").write_text("precious")
        if planted == "marked by a link":
            (place / ".medrestore").symlink_to("../mine/.medrestore")
        elif planted == "marked for another":
            (place / ".medrestore").write_text("bb\n")
    before = contents(tmp_path)
    assert not unfinished(tmp_path / "b")
    recover(tmp_path / "b")
    recover_all(tmp_path)
    write_folder(tmp_path / "b", "first")
    write_folder(tmp_path / "b", "second", replace=True)
    stage = Stage(tmp_path / "b", key="", resume=True)
    assert stage.folder.name != name
    stage.remove()
    assert contents(tmp_path) == {**before, "b/inner/a.txt": "second"}


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_guessed_name_is_not_followed(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrestore.files.system.secrets.token_hex", lambda count: "0" * 16)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_text("precious")
    if kind == "link":
        (tmp_path / f".b.{'0' * 16}.part").symlink_to("mine")
    else:
        (tmp_path / "mine").rename(tmp_path / f".b.{'0' * 16}.part")
    before = contents(tmp_path)
    for write in (write_folder, write_output):
        with pytest.raises(InputError, match=r"b cannot be written \(File exists\)"):
            write(tmp_path / "b", "new")
        assert contents(tmp_path) == before


def test_a_stage_is_resumed_with_its_key_alone(tmp_path: Path) -> None:
    out = tmp_path / "o"
    left = abandoned(out, key="k")
    (left.folder / "0.png").write_text("frame")
    again = Stage(out, key="k", resume=True)
    assert (
        again.folder == left.folder and list(again.new.iterdir()) == []
    )  # what was half published is written anew
    assert (again.folder / "0.png").read_text() == "frame"
    with pytest.raises(Busy):
        Stage(out, key="k", resume=True)
    again.leave()
    other = Stage(out, key="another", resume=True)
    assert not (other.folder / "0.png").exists() and not left.folder.exists()
    other.leave()
    fresh = Stage(out, key="another")
    assert not other.folder.exists()
    fresh.remove()
    assert contents(tmp_path) == {}


def test_a_stage_that_cannot_be_resumed_for_want_of_room_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = abandoned(tmp_path / "o", key="k")
    (left.folder / "0.png").write_text("frame")
    mkdir = Path.mkdir

    def full(path: Path, *given: int, **options: bool) -> None:
        if path.name == "new":
            raise OSError(28, "No space left on device")
        mkdir(path, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", full)
        with pytest.raises(InputError, match=r"o cannot be written \(no space left on device\)"):
            Stage(tmp_path / "o", key="k", resume=True)
    again = Stage(tmp_path / "o", key="k", resume=True)
    assert (again.folder / "0.png").read_text() == "frame"
    again.remove()


def test_an_output_that_was_moved_away_is_put_back(tmp_path: Path) -> None:
    write_folder(tmp_path / "b", "old")
    left = abandoned(tmp_path / "b")
    os.rename(tmp_path / "b", left.folder / "old")  # killed between the two renames
    with pytest.raises(InputError, match="b exists already"):
        write_folder(tmp_path / "b", "new")
    assert contents(tmp_path) == {"b/inner/a.txt": "old"}


def test_all_outputs_of_a_folder_are_recovered(tmp_path: Path) -> None:
    write_folder(tmp_path / "c", "old")
    left = abandoned(tmp_path / "c")
    os.rename(tmp_path / "c", left.folder / "old")
    for name in ("a", "b", "b"):
        abandoned(tmp_path / name)
    busy = Stage(tmp_path / "d")
    recover_all(tmp_path)
    assert contents(tmp_path)["c/inner/a.txt"] == "old"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name != "c"] == [
        busy.folder.name
    ]
    busy.remove()
