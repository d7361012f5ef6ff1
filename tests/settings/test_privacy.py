"""Of paths, outputs tell what is asked for."""

from pathlib import Path

import pytest

from medrestore.settings import FieldError, Privacy
from medrestore.settings.privacy import is_path

GIVEN = {"files": ["/patients/doe^jane/a.h5", "b.h5", 3], "split": "~/splits.yaml:train", "kind": "fastmri", "none": None}


@pytest.mark.parametrize(("privacy", "told"), [
    (Privacy(), {"files": ["a.h5", "b.h5", 3], "split": "splits.yaml:train", "kind": "fastmri", "none": None}),
    (Privacy(keep_paths=True), GIVEN),
    (Privacy(anonymous=True), {"files": ["omitted", "omitted", 3], "split": "omitted", "kind": "fastmri", "none": None}),
])
def test_paths_in_plain_data(privacy, told):
    assert privacy.within(GIVEN) == told


def test_the_name_of_an_input():
    assert Privacy().name_of("/data/doe^jane/scan.h5") == "scan.h5"
    assert Privacy(keep_paths=True).name_of("/data/scan.h5") == "/data/scan.h5"
    assert Privacy(anonymous=True).name_of("scan.h5") == "omitted"
    with pytest.raises(FieldError, match="Privacy: keep_paths and `anonymous` exclude each other"):
        Privacy(keep_paths=True, anonymous=True)


def test_what_a_path_is():
    assert is_path("a/b") and is_path("~") and is_path("/") and not is_path("a.h5") and not is_path("")


def test_paths_in_a_text():
    text, source = "/patients/jane/op does not say it; see /patients/jane/op/a.mp4", Path("/patients/jane/op")
    assert Privacy().told(text, source, None) == "op does not say it; see op/a.mp4"
    assert Privacy(keep_paths=True).told(text, source) == text
    assert Privacy(anonymous=True).told("op: 3 of /patients/jane/op", source) == "omitted: 3 of omitted"
