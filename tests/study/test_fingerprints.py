"""sha256 of files, read once and remembered."""

import os
from pathlib import Path

import pytest

from medrestore.files import digest
from medrestore.study import fingerprints
from medrestore.study.fingerprints import Fingerprints, pseudonym


def test_a_change_of_either_file_of_a_pair_changes_its_fingerprint(tmp_path: Path) -> None:
    for name in ("s.hdr", "s.cfl"):
        (tmp_path / name).write_bytes(b"1")
    for asked in ("s.hdr", "s.cfl"):
        for altered in ("s.hdr", "s.cfl"):
            prints = Fingerprints(None)
            before = prints(tmp_path / asked)
            (tmp_path / altered).write_bytes((tmp_path / altered).read_bytes() + b"2")
            assert prints(tmp_path / asked) != before


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, store = tmp_path / "scan.h5", tmp_path / "store.json"
    path.write_bytes(b"1")
    prints = Fingerprints(store)
    first = prints(path)
    assert first == digest(path)
    prints.save()
    with monkeypatch.context() as patch:
        patch.setattr(fingerprints, "digest", lambda *paths: pytest.fail("read again"))
        assert Fingerprints(store)(path) == first
    path.write_bytes(b"2")
    os.utime(path, ns=(1, 1))
    assert Fingerprints(store)(path) == digest(path) != first


@pytest.mark.parametrize("damaged", [b"{", b"[1]", b"\xff"])
def test_a_damaged_store_is_an_empty_one(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / "store.json").write_bytes(damaged)
    (tmp_path / "a").write_bytes(b"1")
    assert Fingerprints(tmp_path / "store.json")(tmp_path / "a") == digest(tmp_path / "a")


def test_names_below_the_root_are_part_of_a_folder_and_its_place_is_not(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_bytes(b"1")
    prints = Fingerprints(None)
    one, two = (prints.together([tmp_path / folder / "a"], tmp_path / folder) for folder in ("one", "two"))
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "b")
    assert one == two != prints.together([tmp_path / "two" / "b"], tmp_path / "two")


def test_a_pseudonym_reveals_nothing() -> None:
    assert "SECRET" not in pseudonym("SECRET-17") and pseudonym("SECRET-17") != pseudonym("SECRET-18")
