"""LPIPS of a study."""

from pathlib import Path

import pytest

from medrestore.errors import InputError
from medrestore.study.perceptual import lpips_of


def test_without_weights_there_is_no_lpips_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    assert lpips_of(()) is None
    with pytest.raises(InputError, match=r"none\.pt"):
        lpips_of((str(tmp_path / "none.pt"),))
