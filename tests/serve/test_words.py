"""What is said holds no path."""

import pytest

from medrestore.serve.words import without_paths


@pytest.mark.parametrize(("text", "told"), [
    ("/data/x/Jane_Doe/scan.h5: the k-space is zero", "scan.h5: the k-space is zero"),
    ("no prior at /srv/jane/priors/knee; give another", "no prior at knee; give another"),
    ("'/a/b/c.png' and (/d/e/f.npy)", "'c.png' and (f.npy)"),
    ("C:\\Users\\jane\\scan.h5 is empty", "scan.h5 is empty"),
    ("~/private/x.mat cannot be read", "x.mat cannot be read"),
    ("scan.h5: 3 of 4 slices, 0.5 s/slice and/or 224 x 192", "scan.h5: 3 of 4 slices, 0.5 s/slice and/or 224 x 192"),
    ("result/out.png  result/out.png.preview.png", "result/out.png  result/out.png.preview.png"),
    ("-20 1/mm; https", "-20 1/mm; https"),
])
def test_paths_are_their_last_names(text: str, told: str) -> None:
    assert without_paths(text) == told
