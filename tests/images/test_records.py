"""Records beside outputs, and which names an output may have."""

import json
from pathlib import Path

import pytest

from medrestore.errors import InputError
from medrestore.files import Stage
from medrestore.images.degradation import Degradation
from medrestore.images.plan import Writing
from medrestore.images.records import (
    Recorded,
    check_output,
    damaged,
    degradation_of,
    existing_input,
    is_done,
    named,
    pairs,
    publish,
    read_record,
    record_place,
)
from medrestore.settings import Privacy, plain


def write(out: Path, **record: object) -> None:
    stage = Stage(out)
    publish(
        stage,
        out,
        {out.name: b"content"},
        {"key": "k", "made": "degraded", "input": {"name": "x"}, **record},
        Writing(overwrite=True),
    )
    stage.remove()


def test_an_output_is_done_as_long_as_it_is_as_written(tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    assert read_record(out) == {} and damaged(out) == ["a.png"] and not is_done(out, "k", "x")
    write(out)
    assert is_done(out, "k", "x") and not is_done(out, "other", "x") and not is_done(out, "k", "y")
    out.write_bytes(b"other")
    assert damaged(out) == ["a.png"] and not is_done(out, "k", "x") and degradation_of(out) == {}
    record_place(out).write_text("{")
    assert read_record(out) == {}


def test_what_degrade_has_recorded(tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    done = Degradation(task="inpaint", mask="a.png.mask.png", mask_means="hole")
    write(out, config={"degradation": plain(done), "noise_std": 2.0})
    found = Recorded.of(out)
    assert (
        found is not None
        and found.noise_std == 2
        and found.degradation.mask == str(tmp_path / "a.png.mask.png")
    )
    write(out, config={"degradation": {"task": "twirl"}, "noise_std": 2.0})
    with pytest.raises(InputError, match="altered or made by another version"):
        Recorded.of(out)
    write(out, made="restored", config={"degradation": plain(done), "noise_std": 2.0})
    assert Recorded.of(out) is None


def test_names_that_an_output_may_not_have(tmp_path: Path) -> None:
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    source.write_bytes(b"")
    check_output(out, source, Writing())
    for place, words in (
        (source, "the input itself"),
        (tmp_path, "is a folder"),
        (tmp_path / "x.gif", "names no kind of image"),
    ):
        with pytest.raises(InputError, match=words):
            check_output(place, source, Writing())
    out.write_bytes(b"mine")
    with pytest.raises(InputError, match="exists; pass `overwrite`"):
        check_output(out, source, Writing())
    with pytest.raises(InputError, match="no output of this command"):
        check_output(out, source, Writing(resume=True))
    check_output(out, source, Writing(overwrite=True))
    write(out)
    check_output(out, source, Writing(resume=True))


def test_pairs_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(InputError, match="holds no image"):
        pairs(folder, tmp_path / "out")
    for name in ("b10.png", "b2.jpg", "c.nii.gz", "notes.txt"):
        (folder / name).write_bytes(b"")
    stage = Stage(folder / "b10.png")
    contents = {"b10.png": b"image", "b10.png.mask.png": b"mask", "b10.png.preview.png": b"preview"}
    publish(stage, folder / "b10.png", contents, {"key": "k"}, Writing(overwrite=True))
    stage.remove()
    assert [(a.name, b.name) for a, b in pairs(folder, tmp_path / "out")] == [
        ("b2.jpg", "b2.png"),
        ("b10.png", "b10.png"),
        ("c.nii.gz", "c.nii.gz"),
    ]
    (folder / "b2.png").write_bytes(b"")
    with pytest.raises(InputError, match="would both become"):
        pairs(folder, tmp_path / "out")
    for place, words in ((folder, "never replaced"), (folder / "notes.txt", "is a file")):
        with pytest.raises(InputError, match=words):
            pairs(folder, place)


def test_paths_are_not_recorded(tmp_path: Path) -> None:
    done = Degradation(task="deblur", kernel="jane/k.npy")
    assert (
        named(done, Privacy()).kernel == "k.npy" and named(done, Privacy(anonymous=True)).kernel == "omitted"
    )
    with pytest.raises(InputError, match="does not exist"):
        existing_input(str(tmp_path / "nothing"))
    assert "jane" not in json.dumps(plain(named(done, Privacy())))


@pytest.mark.parametrize("mine", ["a.png", "a.png.mask.png", "a.png.json"])
def test_what_has_appeared_in_the_meantime_is_not_replaced_unasked(tmp_path: Path, mine: str) -> None:
    out, contents = tmp_path / "a.png", {"a.png": b"image", "a.png.mask.png": b"mask"}
    check_output(out, tmp_path / "in.png", Writing())
    (tmp_path / mine).write_bytes(b"mine")
    stage = Stage(out)
    with pytest.raises(InputError, match=f"{mine} exists"):
        publish(stage, out, contents, {"key": "k"}, Writing())
    stage.remove()
    assert [path.name for path in tmp_path.iterdir()] == [mine] and (tmp_path / mine).read_bytes() == b"mine"


def test_files_beside_are_looked_at_before_the_work(tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    (tmp_path / "a.spread.npy").write_bytes(b"mine")
    check_output(out, tmp_path / "in.png", Writing())
    with pytest.raises(InputError, match=r"a\.spread\.npy exists; pass `overwrite`"):
        check_output(out, tmp_path / "in.png", Writing(), beside=["a.spread.npy"])
