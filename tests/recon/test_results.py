"""What came of a scan, read from its output."""

from pathlib import Path

import pytest
from helpers.scans import Bench, fastmri, kspace

from medrestore.errors import InputError
from medrestore.recon.results import read_result, score_lines


@pytest.fixture
def full(bench: Bench) -> Path:
    """A fully sampled scan with a reference."""
    data, images = kspace()
    return fastmri(bench / "scan.h5", data, reference=images)


def test_a_classical_method_has_no_prior(bench: Bench, full: Path) -> None:
    out = bench.restored(full, "--undersample", "uniform1d", "--accel", 2, "--acs", 14, "--method", "zero-filled", quick=False)
    result = read_result(out)
    assert result.prior is None and result.method == "zero-filled" and result.scores["mean"] == result.scores["zero_filled"]
    header, *lines = score_lines(result)
    assert header.endswith("(fastMRI protocol)") and len(lines) == 3
    assert result.row()["mean_psnr"] == result.scores["mean"]["psnr"] and result.row()["output"] == out.name
    assert result.files == (str(out), str(out.with_suffix(".png")))


def test_another_file_is_refused(full: Path) -> None:
    with pytest.raises(InputError, match=r"scan\.h5 does not say how it was made; it is no output of recon"):
        read_result(full)
