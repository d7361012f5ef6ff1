"""Files of options are plain YAML; see test_refusals for all that is refused."""

from pathlib import Path

import pytest

from medrestore.cli.config import LARGEST, read
from medrestore.errors import InputError


def test_plain_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("steps: 3\noptions: {lam: 0.5}\nslices: '0:2'\n", encoding="utf-8")
    assert read(tmp_path / "a.yaml") == {"steps": 3, "options": {"lam": 0.5}, "slices": "0:2"}


@pytest.mark.parametrize(("text", "says"), [
    ("- a", "a list or a word"), ("", "nothing"), ("a: [", "not YAML in line 1"),
    ("a: 1\na: 2", "line 2: the key 'a' is given twice"), ("a: &b 1\nc: *b", "aliases"),
    ("#" * (LARGEST + 1), "larger than 1 MiB"),
])
def test_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        read(tmp_path / "a.yaml")
