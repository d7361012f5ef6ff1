"""sha256 of contents: what a file holds decides, never where it lies or when it was written."""

import os
from pathlib import Path

import pytest

from medrestore.errors import InputError
from medrestore.files import digest
from medrestore.study import fingerprints
from medrestore.study.fingerprints import Fingerprints, short_digest


def test_a_change_of_either_file_of_a_pair_changes_its_fingerprint(tmp_path: Path) -> None:
    for name in ("s.hdr", "s.cfl"):
        (tmp_path / name).write_bytes(b"1")
    for asked in ("s.hdr", "s.cfl"):
        for altered in ("s.hdr", "s.cfl"):
            prints = Fingerprints()
            before = prints(tmp_path / asked)
            (tmp_path / altered).write_bytes((tmp_path / altered).read_bytes() + b"2")
            assert prints(tmp_path / asked) != before


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scan.h5"
    path.write_bytes(b"1")
    prints = Fingerprints()
    first = prints(path)
    assert first == digest(path)
    with monkeypatch.context() as patch:
        patch.setattr(fingerprints, "digest", lambda *paths: pytest.fail("read again"))
        assert prints(path) == first


def test_another_content_of_the_same_size_and_time_is_seen(tmp_path: Path) -> None:
    path, other = tmp_path / "scan.h5", tmp_path / "other.h5"
    for one, content in ((path, b"1"), (other, b"2")):
        one.write_bytes(content)
        os.utime(one, ns=(7, 7))
    prints = Fingerprints()
    first = prints(path)
    path.write_bytes(b"3")
    os.utime(path, ns=(7, 7))
    assert prints(path) == digest(path) != first
    other.replace(path)  # as it is: a copy that keeps times, moved to its place
    assert prints(path) == digest(path) and path.read_bytes() == b"2"


def test_a_change_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    path.write_bytes(b"1")
    prints = Fingerprints()
    prints(path)
    os.utime(path)
    prints.check_unchanged()  # the same content, written again
    path.write_bytes(b"2")
    with pytest.raises(InputError, match=r"scan\.h5 was changed while it was in use"):
        prints.check_unchanged()
    path.unlink()
    with pytest.raises(InputError, match=r"scan\.h5 was changed"):
        prints.check_unchanged()


def test_names_below_the_root_are_part_of_a_folder_and_its_place_is_not(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_bytes(b"1")
    prints = Fingerprints()
    one, two = (prints.together([tmp_path / folder / "a"], tmp_path / folder) for folder in ("one", "two"))
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "b")
    assert one == two != prints.together([tmp_path / "two" / "b"], tmp_path / "two")


def test_labels_that_look_alike_are_told_apart() -> None:
    assert short_digest("a b") != short_digest("a_b") and len(short_digest("a")) == 6
