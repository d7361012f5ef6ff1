"""Which files a setting means, and the group of each."""

import sys
from pathlib import Path

import pytest

from medrestore.datasets import images
from medrestore.datasets.files import find_files, name_group
from medrestore.errors import InputError


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="** may stand beside other letters since")
def test_a_pattern_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no pattern"):
        images({"kind": "pictures", "files": f"{tmp_path}/**x/*.png"})


def test_files_folders_and_globs_in_natural_order_without_repeats(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.png", "a/x.PNG", "a/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    listed = find_files((str(tmp_path / "b" / "2.png"), str(tmp_path / "b"), str(tmp_path / "*" / "*.PNG")), (".png",), "data")
    assert [str(path.relative_to(tmp_path)) for path in listed] == ["a/x.PNG", "b/2.png", "b/10.png"]
    with pytest.raises(InputError, match=r"data: .* holds no \.jpg or \.jpeg files or does not exist"):
        find_files(str(tmp_path / "a"), (".jpg", ".jpeg"), "data")


@pytest.mark.parametrize(("group", "name"), [("file", "sub-03_run1"), (r"sub-(\d+)", "03"), (r"sub-\d+", "sub-03"),
                                             (r"ses-(\d+)", "sub-03_run1")])
def test_the_group_of_a_file(group: str, name: str) -> None:
    assert name_group(Path("scans/sub-03_run1.nii.gz"), group, "data") == name
    assert name_group(Path("scans/a.png"), "folder", "data") == str(Path("scans").resolve())
    with pytest.raises(InputError, match="no regular expression"):
        name_group(Path("a.png"), "(", "data")


def test_hidden_files_are_none_of_the_data(tmp_path):
    for name in ("a.png", "._a.png", ".ipynb_checkpoints/a.png", "sub/B.PNG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in find_files(str(tmp_path), (".png",), "t")] == ["a.png", "B.PNG"]
    assert [path.name for path in find_files(f"{tmp_path}/*.png", (".png",), "t")] == ["a.png"]
