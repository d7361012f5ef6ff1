"""What lies beside an output."""

from pathlib import Path

import pytest

from medrestore.files import preview_place, read_mapping


def test_the_preview_lies_beside_the_output() -> None:
    assert preview_place(Path("a/b.npy")) == Path("a/b.npy.preview.png")


@pytest.mark.parametrize("content", [b"[1]", b"3", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": "' + b"x" * 90 + b'"}'])
def test_what_is_no_mapping_of_that_size_is_empty(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "out.json"
    place.write_bytes(content)
    assert read_mapping(place, largest=90) == {} and read_mapping(tmp_path / "none", largest=90) == {}


def test_a_mapping_is_read(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('{"key": 1}', "utf-8")
    assert read_mapping(tmp_path / "out.json", largest=90) == {"key": 1}
