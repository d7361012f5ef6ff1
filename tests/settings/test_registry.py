"""Classes by name: imported when asked for, built from options, described as what builds them again."""

import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from medrestore.errors import InputError
from medrestore.methods import DDS, HQS, METHODS
from medrestore.settings import FieldError, Registry


def test_names_need_no_import() -> None:
    code = ("import sys; from medrestore.methods import METHODS; "
            "print('dds' in METHODS, 'nobody' in METHODS, len(METHODS) > 8, list(METHODS)[0], 'torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "False", "True", "hqs", "False"]


def test_rows_state_uses() -> None:
    registry: Registry[Own] = Registry(__name__, {
        "both": (":Own", "left", "right"), "right only": (":Own", "right"), "none": ":Own"})
    left, right = registry.offered("left"), registry.offered("right")
    assert list(registry) == ["both", "right only", "none"]
    assert list(left) == ["both"] and list(right) == ["both", "right only"] and len(right) == 2
    assert "none" in registry and "none" not in right and "right only" not in left
    mine = registry.add(Other)
    assert mine in left and mine in right and mine not in list(left)  # known to this process, offered to nobody


def test_build_and_describe() -> None:
    assert METHODS["dds"] is DDS and METHODS.name_of(HQS) == "hqs"
    assert METHODS.build("dds", {"eta": 1}) == DDS(eta=1.0)
    assert METHODS.describe(DDS(eta=1)) == ("dds", {"eta": 1.0}) and METHODS.describe(HQS()) == ("hqs", {})
    for wrong, sentence in ((("nobody", {}), "there is no nobody; there are: hqs"),
                            (("dds", {"eta": -1}), "dds: eta must be at least 0, got -1.0"),
                            (("dds", {"etta": 1}), "dds: etta is no option; did you mean eta?")):
        with pytest.raises(InputError) as caught:
            METHODS.build(*wrong)
        assert str(caught.value).startswith(sentence)


@dataclass(frozen=True)
class Own:
    size: int = 3
    table: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Other(Own):
    pass


@dataclass
class Holder:
    method: object = "own"
    options: object = None


def test_classes_of_others() -> None:
    registry: Registry[Own] = Registry("nowhere", {})
    name = registry.add(Own)
    assert name == f"{__name__}:Own" == registry.add(Own)
    assert name in registry and registry[name] is Own
    assert not list(registry) and len(registry) == 0  # known to this process, offered to nobody
    with pytest.raises(InputError, match=r"Own\.table is a list, which cannot be written down"):
        registry.describe(Own(table=[1]))
    holder = Holder(method=3)
    with pytest.raises(FieldError, match="Holder: method must be a name or a Method, got 3"):
        METHODS.settle(holder, "method", "options")
