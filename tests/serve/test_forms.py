"""What is filled in, as options of the commands."""

from pathlib import Path

import pytest

from medrestore.cli.serve import COMMANDS
from medrestore.errors import InputError
from medrestore.images.degradation import TASKS
from medrestore.serve.forms import FORMS, PLACES, inputs_of, suffix_for
from medrestore.serve.work import KINDS


def test_every_field_is_an_option_of_its_command() -> None:
    assert set(FORMS) == set(KINDS) == set(COMMANDS)
    for kind, form in FORMS.items():
        options = COMMANDS[kind].options
        assert {one.name for one in form.fields} - {"spread"} <= set(options)
        assert {name for given in (*form.spread.values(), form.fixed) for name in given} <= set(options)
        for one in form.fields:
            assert set(one.words) <= set(options[one.name].choices if one.name in options else ())
    assert set(FORMS["restore"].choices["task"]) <= set(TASKS)


def test_fields_become_options() -> None:
    assert FORMS["recon"].given({"quality": "fast", "slices": "", "spread": False}, {}) == {"quality": "fast"}
    assert FORMS["recon"].given({"spread": True, "quality": "fast"}, {"seed": 3}) == {"uncertainty": True, "seed": 3}
    assert FORMS["restore"].given({"task": "sr", "spread": True}, {}) == {"task": "sr", "samples": 4, "method": "dds"}
    assert FORMS["restore"].given({"task": "jpeg", "spread": True}, {}) == {"task": "jpeg", "samples": 4, "method": "dds"}
    assert FORMS["inpaint"].given({}, {"mask_means": "keep"}) == {"mask_means": "keep"}


@pytest.mark.parametrize("name", PLACES)
def test_no_file_of_the_machine_is_read(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} names a file, and the page takes none but those that are dropped"):
        FORMS["restore"].given({}, {name: "/etc/passwd"})


def test_an_unknown_field() -> None:
    with pytest.raises(InputError, match="the page has no field 'out'; reload it"):
        FORMS["recon"].given({"out": "x"}, {})


@pytest.mark.parametrize(("kind", "role", "suffix", "stored"), [
    ("recon", "scan", ".H5", ".h5"), ("restore", "image", ".nii.gz", ".nii.gz"), ("inpaint", "mask", ".png", ".png"),
])
def test_suffixes(kind: str, role: str, suffix: str, stored: str) -> None:
    assert suffix_for(FORMS[kind], role, suffix) == stored


@pytest.mark.parametrize(("role", "suffix", "said"), [
    ("scan", ".exe", "the file ends in .exe, and .cfl, .h5"), ("scan", "", "the file has a name without an ending"),
    ("scan", "/../../x.h5", "and .cfl, .h5"), ("other", ".h5", "there is no file 'other' in this job; there are: scan"),
])
def test_other_files_are_refused(role: str, suffix: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        suffix_for(FORMS["recon"], role, suffix)
    assert said in str(error.value)


def test_what_was_dropped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the scan is missing; drop a file"):
        inputs_of(FORMS["recon"], tmp_path)
    (tmp_path / "scan.hdr").touch()
    with pytest.raises(InputError, match=r"one half of a BART scan; drop the \.cfl with it"):
        inputs_of(FORMS["recon"], tmp_path)
    (tmp_path / "scan.cfl").touch()
    assert inputs_of(FORMS["recon"], tmp_path) == {"scan": "scan.cfl"}
