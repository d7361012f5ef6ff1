"""A prior of frames for the commands."""

from pathlib import Path

import pytest
from helpers.networks import save_rgb_prior


@pytest.fixture(scope="session")
def rgb_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_rgb_prior(tmp_path_factory.mktemp("priors") / "rgb")
