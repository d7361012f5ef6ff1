"""The thermal noise of a slice, and noise scans that are no use."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.ready import PLAN, noisy
from helpers.scans import kspace

from medrestore.errors import InputError
from medrestore.recon.opening import open_scan
from medrestore.recon.plan import Reading
from medrestore.recon.preparation import prepare


def test_a_noise_scan_that_is_too_short_can_be_left_out(tmp_path: Path, scan: Any) -> None:
    with pytest.raises(InputError, match=r"leave it out by `noise_scan` false"):
        prepare(replace(scan, noise=noisy(scan)[:, :3]), PLAN)
    alike = noisy(scan)
    alike[1] = alike[0]
    with pytest.raises(InputError, match=r"two coils are one.*leave the noise scan out by `noise_scan` false"):
        prepare(replace(scan, noise=alike), PLAN)
    np.save(tmp_path / "s.npy", kspace()[0])
    with open_scan(tmp_path / "s.npy", replace(PLAN, noise_scan=False), Reading()) as (file, _):
        assert not file.request.noise_scan and prepare(file[0], PLAN).noise_source != "the noise scan"
