"""Files of tensors are like any other file."""

import os

import pytest
import torch
from safetensors.torch import load_file

from medrestore.files import digest
from medrestore.priors.tensors import write_tensors


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_umask_decides_who_may_read(tmp_path, umask):
    before = os.umask(umask)
    try:
        sha256 = write_tensors(tmp_path / "a.safetensors", {"x": torch.arange(3.0)})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask
    assert sha256 == digest(tmp_path / "a.safetensors")


def test_tensors_of_any_layout_and_the_type_asked_for(tmp_path):
    given = {"x": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(3)}
    write_tensors(tmp_path / "a", given)
    assert all(torch.equal(value, given[key]) for key, value in load_file(tmp_path / "a").items())
    write_tensors(tmp_path / "a", given, dtype=torch.float16)
    read = load_file(tmp_path / "a")
    assert read["x"].dtype == torch.float16 and read["n"].dtype == torch.int64
