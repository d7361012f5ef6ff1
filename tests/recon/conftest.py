"""A slice as read from a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.scans import kspace

from medrestore.io import read_kspace


@pytest.fixture
def scan(tmp_path: Path) -> Any:
    np.save(tmp_path / "scan.npy", kspace()[0])
    with read_kspace(tmp_path / "scan.npy") as file:
        yield file[0]
