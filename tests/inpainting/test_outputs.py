"""Places of outputs, and what is known of them."""

import json
from pathlib import Path

import pytest

from medrestore.errors import InputError
from medrestore.inpainting.outputs import check_output, read_record, record_place


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("", "no name to write to"),
        ("..", "no name to write to"),
        ("a.jpg", "jpg would change the known pixels"),
        ("a.nii", "ending in .png, .mha, .mkv or .mp4"),
        ("data/frames", "is the input itself"),
        ("data", "holds the input"),
        ("data/frames/out", "lies among the pictures"),
    ],
)
def test_places_that_are_refused(
    tmp_path: Path, out: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "frames").mkdir(parents=True)
    with pytest.raises(InputError, match=sentence) as refused:
        check_output(Path(out), Path("data/frames"), None, Path("not-there"))
    assert "--" not in str(refused.value) and " -o" not in str(refused.value)


def test_records_are_read_only_from_outputs(tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    assert read_record(out) == {} and record_place(out) == tmp_path / "a.png.json"
    for text in ("[]", "{", json.dumps({"other": 1})):
        record_place(out).write_text(text)
        assert read_record(out) == {}
