"""Files appear complete or not at all, and nothing of anybody else is followed, reused or removed."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from helpers.disk import ROOM, contents, full_disk, killed

from medrestore.errors import InputError
from medrestore.files import FileWriter, NewFile, link_or_copy, new_file, publish_first, remove_folder, write_file
from medrestore.files import publish as module


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize(("data", "text"), [(b"bytes", "bytes"), ("ä\r\n", "ä\r\n"), ("", "")])
def test_a_file_has_its_content_and_nothing_lies_beside_it(
    tmp_path: Path, data: bytes | str, text: str
) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_file(path, data)
    assert path.read_bytes() == text.encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with new_file(path) as place:
        assert place.parent == tmp_path and place.name.startswith(".") and place.read_bytes() == b""
        place.write_text("new")
        assert path.read_text() == "old"
    assert contents(tmp_path) == {"a.txt": "new"}


@pytest.mark.parametrize("error", [InputError("bad"), ZeroDivisionError(), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_new(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "a.txt").write_text("old")
    for path in (tmp_path / "a.txt", tmp_path / "new" / "folder" / "a.txt"):
        with pytest.raises(type(error)), new_file(path) as place:
            place.write_text("half")
            raise error
    assert contents(tmp_path) == {"a.txt": "old"}


def test_temporary_names_are_never_the_same(tmp_path: Path) -> None:
    files = [NewFile(tmp_path / "a.txt") for _ in range(20)]
    assert len({file.temporary for file in files}) == 20
    for file in files:
        file.discard()
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("planted", ["link", "file", "folder"])
def test_what_lies_at_a_temporary_name_is_neither_followed_nor_removed(
    tmp_path: Path, planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if somebody guesses the name."""
    monkeypatch.setattr("medrestore.files.system.secrets.token_hex", lambda count: "0" * 16)
    (tmp_path / "mine").write_text("precious")
    place = tmp_path / f".a.txt.{'0' * 16}.part"
    if planted == "link":
        place.symlink_to("mine")
    elif planted == "file":
        place.write_text("precious")
    else:
        place.mkdir()
    (tmp_path / "a.txt").write_text("old")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"a\.txt cannot be written \(File exists\)"):
        write_file(tmp_path / "a.txt", "new")
    with pytest.raises(InputError, match=r"a\.txt cannot be written \(File exists\)"), new_file(tmp_path / "a.txt"):
        pass
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["a.txt.part", ".a.txt.part", "a.txt.old", "a.txt.tmp"])
def test_names_that_look_temporary_belong_to_the_user(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_text("precious")
    (tmp_path / name).symlink_to("mine")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / name).mkdir()
    before = contents(tmp_path)
    write_file(tmp_path / "a.txt", "new")
    write_file(tmp_path / "b" / "a.txt", "new")
    before["b/a.txt"] = before["a.txt"] = "new"
    assert contents(tmp_path) == before


def test_without_overwrite_an_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(InputError, match=r"a\.txt exists already"), new_file(path, overwrite=False) as place:
        place.write_text("second")
        path.write_text("first")  # by another run, in the meantime
    assert contents(tmp_path) == {"a.txt": "first"}
    with pytest.raises(InputError, match=r"a\.txt exists already"):
        write_file(path, "second", overwrite=False)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match="link exists already"):
        write_file(tmp_path / "link", "second", overwrite=False)
    assert contents(tmp_path) == {"a.txt": "first", "link": "-> nowhere"}


def test_where_the_file_system_has_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module.os, "link", refuse)
    write_file(tmp_path / "a.txt", "first", overwrite=False)
    with (
        pytest.raises(InputError, match="exists already"),
        new_file(tmp_path / "b.txt", overwrite=False) as place,
    ):
        place.write_text("second")
        (tmp_path / "b.txt").write_text("first")
    assert contents(tmp_path) == {"a.txt": "first", "b.txt": "first"}


def test_two_writers_at_once_leave_one_complete_file(tmp_path: Path) -> None:
    texts = [letter * 300_000 for letter in "abcd"]
    start = threading.Barrier(len(texts))

    def write(text: str) -> None:
        start.wait(timeout=20)
        for _ in range(5):
            write_file(tmp_path / "out", text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(tmp_path)["out"] in texts and len(contents(tmp_path)) == 1


def test_only_one_of_two_that_may_not_overwrite_succeeds(tmp_path: Path) -> None:
    first, second = (NewFile(tmp_path / "out", overwrite=False) for _ in range(2))
    first.temporary.write_text("first")
    first.publish()
    second.temporary.write_text("second")
    with pytest.raises(InputError, match="exists already"):
        second.publish()
    assert contents(tmp_path) == {"out": "first"}


def test_permissions_follow_the_umask(tmp_path: Path, umask: None) -> None:
    write_file(tmp_path / "folder" / "a.txt", "x")
    assert (tmp_path / "folder" / "a.txt").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


@pytest.mark.skipif(os.name == "nt", reason="limits on the size of files")
def test_a_full_disk_is_a_sentence_and_the_old_file_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with (
        full_disk(),
        pytest.raises(InputError, match=r"a\.txt cannot be written \(file too large\); buy a disk"),
    ):
        write_file(tmp_path / "a.txt", b"x" * 2 * ROOM, advice="buy a disk")
    assert contents(tmp_path) == {"a.txt": "old"}


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_run_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    killed(
        """
from medrestore.files import new_file
with new_file(sys.argv[1]) as place:
    place.write_text("half")
    die()
""",
        tmp_path / "a.txt",
    )
    assert contents(tmp_path).pop("a.txt") == "old"
    write_file(tmp_path / "a.txt", "new")
    assert contents(tmp_path).pop("a.txt") == "new"


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name")
def test_a_new_file_has_no_name_until_it_is_complete(tmp_path: Path) -> None:
    killed(
        """
from medrestore.files import write_file
write_file(sys.argv[1], lambda file: file.write(b"half") and file.flush() or die())
""",
        tmp_path / "a.txt",
    )
    assert contents(tmp_path) == {}
    seen = []

    def fill(file: BinaryIO) -> None:
        file.write(b"ours")
        seen.append(list(tmp_path.iterdir()))

    write_file(tmp_path / "a.txt", fill)
    assert seen == [[]] and contents(tmp_path) == {"a.txt": "ours"}


@pytest.mark.parametrize("missing", ["files without a name", "links", "names of open files"])
def test_where_the_system_has_no_files_without_a_name(
    tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    if missing == "files without a name":
        monkeypatch.delattr(module.os, "O_TMPFILE", raising=False)
    elif missing == "links":
        monkeypatch.setattr(module.os, "link", refuse)
    else:
        monkeypatch.setattr(module.os, "O_TMPFILE", os.O_DIRECTORY, raising=False)
    write_file(tmp_path / "new" / "a.txt", "x")
    write_file(tmp_path / "new" / "b.txt", lambda file: file.write(b"y"))
    assert contents(tmp_path) == {"new/a.txt": "x", "new/b.txt": "y"}


def test_a_file_that_another_run_writes_meanwhile_is_replaced_as_far_as_allowed(tmp_path: Path) -> None:
    def fill(file: BinaryIO) -> None:
        file.write(b"ours")
        (tmp_path / "a.txt").write_text("theirs")

    with pytest.raises(InputError, match=r"a\.txt exists already"):
        write_file(tmp_path / "a.txt", fill, overwrite=False)
    assert contents(tmp_path) == {"a.txt": "theirs"}
    (tmp_path / "a.txt").unlink()
    write_file(tmp_path / "a.txt", fill)
    assert contents(tmp_path) == {"a.txt": "ours"}


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=rf"{tmp_path}/file/a\.txt cannot be written"):
        write_file(tmp_path / "file" / "a.txt", "x")
    with pytest.raises(InputError, match="is a folder; name the file to write"):
        write_file(tmp_path, "x")
    with pytest.raises(InputError, match=r"cannot be written \(File name too long\)"):
        write_file(tmp_path / ("a" * 300), "x")
    write_file(tmp_path / ("a" * 250), "x")  # a name that leaves no space for a longer one


def test_a_writer_is_closed_or_discarded() -> None:
    class Writer(FileWriter):
        ended = ""

        def close(self) -> None:
            self.ended = "closed"

        def discard(self) -> None:
            self.ended = "discarded"

    with Writer() as good:
        pass
    bad = Writer()
    with pytest.raises(KeyboardInterrupt), bad:
        raise KeyboardInterrupt
    assert (good.ended, bad.ended) == ("closed", "discarded")


def folder(place: Path, text: str) -> Path:
    place.mkdir(parents=True)
    (place / "a.txt").write_text(text)
    return place


def test_the_first_complete_folder_stays(tmp_path: Path) -> None:
    target = tmp_path / "out" / "task"
    publish_first(folder(tmp_path / "parts" / "a", "first"), target, lambda: False)
    publish_first(folder(tmp_path / "parts" / "b", "second"), target, lambda: True)
    assert (target / "a.txt").read_text() == "first"
    publish_first(folder(tmp_path / "parts" / "c", "third"), target, lambda: False)
    assert contents(tmp_path) == {"out/task/a.txt": "third", "parts/b/a.txt": "second"}


def test_a_place_that_others_keep_taking_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = folder(tmp_path / "out", "theirs")
    monkeypatch.setattr(module, "remove", lambda old: folder(target, "theirs"))
    with pytest.raises(FileExistsError, match="keeps replacing it"):
        publish_first(folder(tmp_path / "parts" / "a", "ours"), target, lambda: False)
    assert (target / "a.txt").read_text() == "theirs"


def test_a_file_in_the_place_of_a_folder_makes_room(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("file")
    publish_first(folder(tmp_path / "parts" / "a", "ours"), tmp_path / "out", lambda: False)
    assert contents(tmp_path / "out") == {"a.txt": "ours"}


def test_a_removed_folder_is_renamed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder(tmp_path / "a", "x")
    with monkeypatch.context() as patch:
        patch.setattr(module, "remove", lambda gone: None)  # killed here
        remove_folder(place)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("a.") and left.suffix == ".gone" and not place.exists()
    remove_folder(left)
    remove_folder(tmp_path / "missing")
    assert contents(tmp_path) == {}


def test_a_second_name_or_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("x")
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").samefile(tmp_path / "b")

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module.os, "link", refuse)
    link_or_copy(tmp_path / "a", tmp_path / "c")
    assert not (tmp_path / "a").samefile(tmp_path / "c") and (tmp_path / "c").read_text() == "x"
