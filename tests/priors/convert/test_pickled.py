"""Pickles that ask for more than they hold are refused before they are read, in no time."""

import io
import pickle
import time
import zipfile
from collections import OrderedDict

import pytest
import torch

from medrestore.errors import InputError
from medrestore.priors.convert import pickled
from medrestore.priors.convert.load import load_tree

GIANT = 4 * 10**9


class Calls:
    """What is pickled as a call."""

    def __init__(self, called, *arguments):
        self.called, self.arguments = called, arguments

    def __reduce__(self):
        return self.called, self.arguments


def shared(levels: int, times: int):
    """Containers that hold one another `times` times: few bytes, `times` to the power of `levels` leaves."""
    tree = [torch.ones(1)]
    for _ in range(levels):
        tree = [tree] * times
    return tree


BOMBS = {
    "bytearray": (lambda: Calls(bytearray, GIANT), "asks for 4000000000 empty bytes"),
    "storage": (lambda: Calls(torch.FloatStorage, GIANT), "Python objects .*FloatStorage"),
    "tensor": (lambda: Calls(torch.Tensor, 100_000, 100_000), "Python objects .*Tensor"),
    "quantised": (lambda: Calls(torch._utils._rebuild_qtensor, 0, 0, (GIANT,), (1,), (), False, {}),
                  "Python objects .*_rebuild_qtensor"),
    "one layer down": (lambda: Calls(torch._tensor._rebuild_from_type_v2, bytearray, torch.Tensor, (GIANT,), {}), "empty bytes"),
    "a key whose hash takes for ever": (lambda: None, "nests tuples"),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("case", BOMBS)
def test_nothing_is_allocated_that_the_file_does_not_hold(tmp_path, case, zipped):
    make, says = BOMBS[case]
    bomb = make()
    data = pickle_of({"state_dict": {"a": torch.ones(2)}, "x": bomb}, zipped, key=case.startswith("a key"))
    (tmp_path / "c.pt").write_bytes(data)
    started = time.monotonic()
    with pytest.raises(InputError, match=says):
        load_tree(tmp_path / "c.pt")
    assert time.monotonic() - started < 5 and len(data) < 10_000


def pickle_of(tree, zipped: bool, *, key: bool = False) -> bytes:
    """The bytes of `torch.save`; with `key` of a dictionary with a tuple of tuples as key, 2 ** 60 parts in all."""
    buffer = io.BytesIO()
    if not key:
        torch.save(tree, buffer, _use_new_zipfile_serialization=zipped)
        return buffer.getvalue()
    twice = b"".join(bytes([ord("q"), k, ord("h"), k, 0x86]) for k in range(60))  # put, get, a tuple of both
    body = b"\x80\x02})" + twice + b"K\x01s."
    if not zipped:
        start = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
        return start + body + pickle.dumps([], 2)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("c/data.pkl", body)
        archive.writestr("c/version", b"3\n")
    return buffer.getvalue()


def test_containers_that_hold_one_another_are_visited_once(tmp_path):
    """2 kB that would take 60 ** 7 visits."""
    torch.save({"state_dict": {"a.weight": torch.ones(2, 2)}, "x": shared(6, 60)}, tmp_path / "c.pt")
    started = time.monotonic()
    tree = load_tree(tmp_path / "c.pt")
    assert time.monotonic() - started < 5 and (tmp_path / "c.pt").stat().st_size < 10_000
    assert set(tree) == {"state_dict", "x"}


def test_what_weights_are_made_of_passes():
    state = OrderedDict(a=torch.nn.Parameter(torch.ones(2)), b=torch.ones(3).half())
    buffer = io.BytesIO()
    torch.save({"state": state, "set": {1}, "size": torch.Size([2]), "complex": 1j, "bytes": bytearray(b"abc"), "long": 2**70},
               buffer)
    with zipfile.ZipFile(buffer) as archive, archive.open("archive/data.pkl") as file:
        pickled.check_pickle(file, bytes_stored=len(buffer.getvalue()))


@pytest.mark.parametrize("data", [b"", b"\x80\x02", b"\x80\x02h\x05.", b"\x80\x02R.", b"\x80\x02\x86."])
def test_a_damaged_pickle_is_said(data):
    with pytest.raises(pickled.RefusedPickle, match="damaged"):
        pickled.check_pickle(io.BytesIO(data), bytes_stored=10)


def test_a_storage_of_more_than_the_file_holds():
    data = pickle.dumps(("storage", "x", "0", "cpu", 10**6), 2)[:-1] + b"Q."
    with pytest.raises(pickled.RefusedPickle, match="1000000 numbers in 100 bytes"):
        pickled.check_pickle(io.BytesIO(data), bytes_stored=100)


def test_a_pickle_without_end(monkeypatch):
    monkeypatch.setattr(pickled, "MOST_STEPS", 1000)
    with pytest.raises(pickled.RefusedPickle, match="more than 1000 steps"):
        pickled.check_pickle(io.BytesIO(b"\x80\x02" + b"N" * 2000 + b"."), bytes_stored=10)
