"""Where a prior runs."""

import pytest

from medrestore import devices
from medrestore.errors import InputError
from medrestore.images.plan import Machine as ImageMachine
from medrestore.inpainting.plan import Machine as FrameMachine
from medrestore.machine import PriorMachine
from medrestore.recon.plan import Machine as ScanMachine


@pytest.mark.parametrize("kind", [PriorMachine, ImageMachine, FrameMachine, ScanMachine])
def test_the_device_is_the_one_given_else_the_default(kind: type[PriorMachine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "default_device", lambda: "xpu")
    assert kind().place == "xpu" and kind(device="cuda:1").place == "cuda:1" and not kind().compiled


def test_fields_are_checked() -> None:
    with pytest.raises(InputError, match=r"^Machine: compiled must be true or false"):
        ImageMachine(compiled="no")  # type: ignore[arg-type]
