"""Files of checkpoints: checksums are held, and the line that a refusal gives can be pasted whatever the file is called."""

import shlex
import subprocess
import sys

import pytest
import torch
from torch import nn

from medrestore.errors import InputError
from medrestore.priors.convert.checkpoint import read_views
from medrestore.priors.convert.load import load_tree, resave


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / "c.pt"
    torch.save({"a": torch.arange(1000.0)}, path)
    assert torch.equal(load_tree(path)["a"], torch.arange(1000.0))
    data = bytearray(path.read_bytes())
    data[data.find(torch.arange(1000.0)[500:600].numpy().tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="does not have the checksum that was stored with it"):
        load_tree(path)


@pytest.mark.parametrize("name", ["$(touch exploded).pt", "`touch exploded`.pt", "a'b.pt", 'a"b;touch exploded.pt', "a\\b c.pt"])
def test_the_line_of_a_refusal_can_be_pasted(tmp_path, name):
    """By a shell, as people do; the checkpoint is read, and nothing that its name says is run."""
    torch.save({"ema": nn.Linear(2, 3), "args": complex}, tmp_path / name)
    with pytest.raises(InputError, match="only running its code"):
        read_views(tmp_path / name)
    line = resave(tmp_path / name)[1:].rpartition("` and convert")[0]
    assert shlex.split(line)[:2] == ["python", "-c"]
    subprocess.run(line.replace("python", shlex.quote(sys.executable), 1), shell=True, cwd=tmp_path, check=True, timeout=120)
    assert set(read_views(tmp_path / "weights.pt")[0].state) == {"weight", "bias"}
    assert not (tmp_path / "exploded").exists()


def test_a_cut_safetensors_file_is_called_so(tmp_path):
    """Whatever number its first bytes are."""
    path = tmp_path / "a.safetensors"
    path.write_bytes((90_000_000).to_bytes(8, "little") + b"{" + bytes(100))
    with pytest.raises(InputError, match=r"a\.safetensors is not a whole safetensors file"):
        load_tree(path)
