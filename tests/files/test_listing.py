"""Which files of a folder count, and text as other programs save it."""

import pytest

from medrestore.errors import InputError
from medrestore.files import files_in, globbed, has_suffix, is_hidden, natural_key, text_of

NAMES = ("scan10.h5", "SCAN2.H5", "._scan10.h5", ".hidden.h5", "notes.txt", "deep/a.h5", "__MACOSX/b.h5",
         ".ipynb_checkpoints/c.h5", "deep/.cache/d.h5")


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_suffixes_in_capitals_count_and_hidden_files_do_not(folder):
    assert [path.name for path in files_in(folder, (".h5",))] == ["SCAN2.H5", "scan10.h5"]
    assert [path.relative_to(folder).as_posix() for path in files_in(folder, (".h5",), deep=True)] == [
        "SCAN2.H5", "deep/a.h5", "scan10.h5"]
    assert {path.name for path in files_in(folder)} == {"SCAN2.H5", "scan10.h5", "notes.txt"}


def test_a_hidden_folder_that_was_asked_for_is_listed(folder):
    assert [path.name for path in files_in(folder / ".ipynb_checkpoints", (".h5",))] == ["c.h5"]


def test_globs_leave_hidden_files_out_unless_named(folder):
    assert [path.name for path in globbed(folder / "*.h5")] == ["scan10.h5"]
    assert [path.name for path in globbed(folder / "**" / "*.h5")] == ["a.h5", "scan10.h5"]
    assert {path.name for path in globbed(folder / ".*.h5")} == {"._scan10.h5", ".hidden.h5"}
    assert [path.name for path in globbed(folder / ".ipynb_checkpoints" / "*.h5")] == ["c.h5"]
    with pytest.raises(InputError, match="is no pattern"):
        globbed(folder / "**h5")


def test_names():
    assert has_suffix("A.NII.GZ", (".nii.gz",)) and not has_suffix("a.gz", (".nii.gz",)) and has_suffix("a", ("",))
    assert is_hidden("._a") and is_hidden("__MACOSX") and not is_hidden("a._b")
    assert sorted(["f10", "f2", "f1"], key=natural_key) == ["f1", "f2", "f10"]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none cannot be listed \(No such file"):
        files_in(tmp_path / "none")


def test_text_without_its_byte_order_mark(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfcase,psnr\r\n")
    assert text_of(path) == "case,psnr\r\n"
    path.write_bytes("case".encode("utf-16"))
    with pytest.raises(InputError, match=r"a\.csv is not UTF-8 text .*save it as UTF-8"):
        text_of(path)
    path.write_text(path.read_bytes().decode("utf-16"), encoding="utf-8")  # the advice, followed
    assert text_of(path) == "case"
    with pytest.raises(InputError, match="cannot be read"):
        text_of(tmp_path / "none")
