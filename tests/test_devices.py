"""Which device is used where none is given."""

import pytest
import torch
from helpers.pretend_device import DEVICE, pretending

from medrestore import devices, inpainting, recon


@pytest.mark.parametrize(("there", "taken"), [
    ((), "cpu"), (("cuda",), "cuda"), (("mps",), "mps"), (("xpu",), "xpu"), (("xpu", "cuda"), "cuda"), (("mps", "xpu"), "mps"),
])
def test_the_accelerator_that_is_there_is_taken(monkeypatch, there, taken):
    for name, module in (("cuda", torch.cuda), ("mps", torch.backends.mps), ("xpu", torch.xpu)):
        monkeypatch.setattr(module, "is_available", lambda name=name: name in there)
    monkeypatch.setattr(devices, "computes", lambda name: True)
    assert devices.default_device() == taken
    assert devices.accelerator() == (taken if there else None)
    for machine in (recon.Machine, inpainting.Machine):
        assert machine().place == taken and machine(device="cpu").place == "cpu" and machine(device="cuda:1").place == "cuda:1"


def test_an_accelerator_that_cannot_compute_is_not_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # this machine has none that answers
    assert not devices.computes("cuda") and devices.default_device() == "cpu"
    with pretending():
        assert devices.computes("pretend")
    assert devices.computes("cpu")


def test_where_matrices_are_decomposed():
    for name in ("cpu", "cuda"):
        assert devices.has_doubles(torch.device(name)) and devices.decomposing(torch.device(name)).type == name
    for name in ("mps", "xpu"):
        assert not devices.has_doubles(torch.device(name)) and devices.decomposing(torch.device(name)).type == "cpu"


def test_what_is_sent_is_equal():
    host = devices.staging((2, 3), DEVICE).copy_(torch.arange(6.0).reshape(2, 3))
    assert not host.is_pinned() and host.device.type == "cpu"
    assert torch.equal(devices.send(host, DEVICE).cpu(), host) and devices.send(host, DEVICE).device == DEVICE
