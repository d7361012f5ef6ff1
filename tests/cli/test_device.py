"""Devices are tried before any work."""

import pytest

from medrestore.cli.device import usable_device
from medrestore.errors import InputError


def test_the_cpu_is_always_usable() -> None:
    assert usable_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:99", ""])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not usable"):
        usable_device(name)
