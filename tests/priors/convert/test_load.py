"""Files of checkpoints: damage that the format could tell is told, and a suggested command runs nothing but itself."""

import shlex
import subprocess
import sys

import pytest
import torch

from medrestore.errors import InputError
from medrestore.priors.convert.load import load


def test_one_flipped_bit_is_seen(tmp_path):
    """torch.save stores a CRC of every tensor, and torch.load does not look at it."""
    path = tmp_path / "a.pt"
    torch.save({"a": torch.arange(500.0)}, path)
    good = path.read_bytes()
    at = good.find(torch.arange(500.0).numpy().tobytes())
    for bit in range(0, 8 * 2000, 1117):
        changed = bytearray(good)
        changed[at + bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"a\.pt"):
            load(path)
    path.write_bytes(good)
    assert torch.equal(load(path)["a"], torch.arange(500.0))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a b.pt", "a'$(touch pwned)'.pt", 'a"; touch pwned; ".pt', "`touch pwned`.pt"])
def test_the_suggested_command_runs_nothing_but_itself(tmp_path, name):
    """Pasted into a shell, it makes tensors of the file, whatever its name."""
    torch.save(torch.nn.Linear(2, 1), tmp_path / name)
    with pytest.raises(InputError, match="holds Python objects") as refusal:
        load(tmp_path / name)
    command = str(refusal.value).split("run `", 1)[1].rsplit("` and convert", 1)[0]
    command = command.replace("python", shlex.quote(sys.executable), 1)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=100)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "weights.pt"])
    load(tmp_path / "weights.pt")
