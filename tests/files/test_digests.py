"""Digests are plain sha256."""

import hashlib
from pathlib import Path

import pytest

from medrestore.files import altered, digest, digest_of


def test_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 3_000_000)
    (tmp_path / "b").write_bytes(b"b")
    assert digest(tmp_path / "a") == hashlib.sha256(b"a" * 3_000_000).hexdigest()
    assert digest(tmp_path / "a", str(tmp_path / "b")) == hashlib.sha256(b"a" * 3_000_000 + b"b").hexdigest()
    with pytest.raises(FileNotFoundError):
        digest(tmp_path / "missing")


def test_of_plain_data_whatever_the_order_of_its_keys() -> None:
    one, other = (
        {"a": [1, 2.5, None], "b": {"x": "ä", "y": True}},
        {"b": {"y": True, "x": "ä"}, "a": [1, 2.5, None]},
    )
    assert digest_of(one) == digest_of(other) != digest_of({**one, "a": [2.5, 1, None]})
    assert digest_of([1, "a"]) == hashlib.sha256(b'[1, "a"]').hexdigest()
    with pytest.raises(TypeError):
        digest_of({"a": object()})


def test_files_that_are_not_as_recorded(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    digests: dict[str, object] = {name: digest(tmp_path / name) for name in ("a", "b", "c")}
    assert altered(tmp_path, digests) == []
    (tmp_path / "a").write_text("other")
    (tmp_path / "b").unlink()
    (tmp_path / "d").mkdir()
    assert altered(tmp_path, digests | {"c": 3, "d": "x"}) == ["a", "b", "c", "d"]
